//! Deployment: `services.NAME.deploy`.

use std::time::Duration;

use indexmap::IndexMap;

use super::record::record;
use super::*;

record! {
    /// Deployment of a service.
    pub struct Deploy {
        /// `replicated`, `global`, `replicated-job` or `global-job`.
        mode: Option<String>,
        /// Number of containers.
        replicas: Option<i64>,
        /// Labels of the service rather than of its containers.
        labels: IndexMap<String, String>,
        /// How an update goes.
        update_config: Option<UpdateConfig>,
        /// How a failed update is taken back.
        rollback_config: Option<UpdateConfig>,
        /// Resource limits and reservations.
        resources: Resources [inline],
        /// When containers are started again.
        restart_policy: Option<DeployRestartPolicy>,
        /// On which nodes.
        placement: Placement [inline],
        /// `vip` or `dnsrr`.
        endpoint_mode: Option<String>,
    }
}

record! {
    /// How an update or its rollback goes.
    pub struct UpdateConfig {
        /// How many containers at a time; 0 is all.
        parallelism: Option<u64>,
        /// Pause between two groups.
        delay: Duration,
        /// What happens when it fails.
        failure_action: Option<String>,
        /// How long a task is watched.
        monitor: Duration,
        /// Share of failures that is put up with.
        max_failure_ratio: f32,
        /// `start-first` or `stop-first`.
        order: Option<String>,
    }
}

record! {
    /// Limits and reservations.
    pub struct Resources {
        /// At most.
        limits: Option<Resource>,
        /// At least.
        reservations: Option<Resource>,
    }
}

record! {
    /// An amount of resources.
    pub struct Resource {
        /// CPUs.
        cpus: f32,
        /// Memory.
        memory: ByteSize,
        /// Processes.
        pids: i64,
        /// Devices.
        devices: Vec<DeviceRequest>,
        /// Resources of the user's own kind.
        generic_resources: Vec<GenericResource>,
    }
}

record! {
    /// A resource of the user's own kind.
    pub struct GenericResource {
        /// What and how many.
        discrete_resource_spec: Option<DiscreteResource>,
    }
}

record! {
    /// What and how many.
    pub struct DiscreteResource {
        /// Kind.
        kind: String [always],
        /// Number.
        value: i64 [always],
    }
}

record! {
    /// When a container is started again.
    pub struct DeployRestartPolicy {
        /// `none`, `on-failure` or `any`.
        condition: Option<String>,
        /// Pause before it.
        delay: Option<Duration>,
        /// How often.
        max_attempts: Option<u64>,
        /// How long to wait before an attempt counts as a success.
        window: Option<Duration>,
    }
}

record! {
    /// On which nodes.
    pub struct Placement {
        /// Constraints.
        constraints: Vec<String>,
        /// Preferences.
        preferences: Vec<PlacementPreference>,
        /// Containers per node.
        max_replicas_per_node: u64,
    }
}

record! {
    /// A preference for nodes.
    pub struct PlacementPreference {
        /// The label over whose values to spread.
        spread: Option<String>,
    }
}
