//! Services, jobs and the hooks around them.

use std::time::Duration;

use indexmap::IndexMap;

use super::container::{container_record, workload_record};
use super::record::record;
use super::*;

workload_record! {
    /// A service, `services.NAME`.
    pub struct Service {
        /// Its key under `services`.
        name: String [derived],
        /// Profiles that enable it; always enabled when empty.
        profiles: Vec<String>,
        /// Deployment: replicas, resources, restart policy.
        deploy: Option<Deploy>,
        /// What happens when sources change.
        develop: Option<Develop>,
        /// Restart policy as written, see [`Service::restart_policy`].
        restart: Option<String>,
        /// Number of containers.
        scale: Option<i64>,
        /// Whether logs are shown by `up`.
        attach: Option<bool>,
        /// A fixed name for the container.
        container_name: Option<String>,
        /// Delegates the service's life to a program.
        provider: Option<Provider>,
        /// The service that this one extends; `None` once it is resolved.
        extends: Option<Extends>,
        /// Links to containers outside the project.
        external_links: Vec<String>,
        /// Links to services, as `SERVICE` or `SERVICE:ALIAS`.
        links: Vec<String>,
        /// Network mode, in the old form.
        net: Option<String>,
        /// Containers run to completion before the service starts.
        pre_start: Vec<PreStartHook>,
        /// Commands run inside after the start.
        post_start: Vec<Hook>,
        /// Commands run inside before the stop.
        pre_stop: Vec<Hook>,
        /// What the file says to devctl, `x-devctl`.
        x_devctl: ServiceExtension [derived],
    }
}

workload_record! {
    /// A job, `jobs.NAME`: run on demand or on a schedule.
    pub struct Job {
        /// Its key under `jobs`.
        name: String [derived],
        /// Profiles that enable it; always enabled when empty.
        profiles: Vec<String>,
        /// What starts it.
        triggers: Option<Triggers>,
    }
}

container_record! {
    /// A container run to completion before the service starts; what it does not say it takes from the service.
    pub struct PreStartHook {} container {
        /// Whether it runs once per replica instead of once per service.
        per_replica: bool,
    }
}

record! {
    /// What starts a job.
    pub struct Triggers {
        /// `Some(false)` forbids a start by hand.
        manual: Option<bool>,
        /// Times at which it starts.
        schedule: Vec<Schedule>,
    }
}

record! {
    /// A job's schedule.
    pub struct Schedule {
        /// Crontab expression.
        cron: Option<String>,
        /// Time zone of the expression.
        timezone: Option<String>,
        /// What happens while the last run still goes on: `forbid` or `queue`.
        concurrency: Option<String>,
        /// What happens after missed times: `one` or `skip`.
        missed_fires: Option<String>,
    }
}

record! {
    /// A command run inside the service's container.
    pub struct Hook {
        /// The command.
        command: Option<Vec<String>> [command],
        /// User.
        user: Option<String>,
        /// Whether it runs with extended privileges.
        privileged: bool,
        /// Working directory.
        working_dir: Option<String>,
        /// Variables.
        environment: IndexMap<String, Option<String>>,
    }
}

record! {
    /// Delegation of a service's life to a program.
    pub struct Provider {
        /// The program.
        kind: Option<String> = "type",
        /// Its options, each repeatable.
        options: IndexMap<String, Vec<String>>,
    }
}

record! {
    /// A reference to the service that is extended.
    pub struct Extends {
        /// The file that has it; this one when `None`.
        file: Option<String>,
        /// Its name.
        service: Option<String>,
    }
}

record! {
    /// A file with variables.
    pub struct EnvFile {
        /// Path, absolute once paths are resolved.
        path: Option<String>,
        /// Whether the file must exist.
        required: bool [optout],
        /// `raw` takes values as they stand.
        format: Option<String>,
    }
}

record! {
    /// What must have happened to a service before another starts.
    pub struct DependsOn {
        /// The state that is waited for.
        condition: Condition,
        /// Whether this service restarts when the other one is restarted.
        restart: bool,
        /// Whether a missing or disabled service is an error.
        required: bool [always],
    }
}

record! {
    /// Use of a language model by a service.
    pub struct ServiceModel {
        /// Variable that gets the address.
        endpoint_var: Option<String>,
        /// Variable that gets the model's name.
        model_var: Option<String>,
    }
}

record! {
    /// Logging driver and its options.
    pub struct Logging {
        /// Driver.
        driver: Option<String>,
        /// Options.
        options: IndexMap<String, String>,
    }
}
