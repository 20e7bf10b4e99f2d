//! What becomes of each attribute of a service: the one place that says it, for the daemon's notes and for `devctl doctor`.

use devctl_compose::model::{Project, Service};
use devctl_drivers::docker::EngineFacts;
use serde_json::Value;

/// How a service runs, as far as its attributes are concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    /// As the process that `x-devctl.native` describes.
    Process,
    /// As the machine's own PostgreSQL or RabbitMQ.
    Server,
    /// In a container of this engine.
    Container(&'a Project, &'a EngineFacts),
}

/// What becomes of a service's attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// They mean what they mean in a container.
    pub honoured: Vec<String>,
    /// They describe a container that is not there, and nothing is missing without them.
    pub passed_by: Vec<String>,
    /// They ask for what is not given; with what there is in its place.
    pub unsupported: Vec<(String, String)>,
}

/// What becomes of one attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Honoured,
    PassedBy,
    Unsupported(&'static str),
}

/// Every attribute that the service has something to say in.
pub(crate) fn attributes(service: &Service, kind: Kind<'_>) -> Attributes {
    let mut found = Attributes::default();
    let refused: Vec<String> = match kind {
        Kind::Container(project, facts) => super::container::unhonoured(project, service, facts),
        Kind::Process | Kind::Server => Vec::new(),
    };
    for name in written(service) {
        let named = |line: &&String| {
            line.split('`')
                .nth(1)
                .is_some_and(|place| place.split('.').next() == Some(&name))
        };
        match kind {
            Kind::Container(..) => match refused.iter().find(named) {
                Some(line) => found.unsupported.push((name, line.clone())),
                None => found.honoured.push(name),
            },
            Kind::Process | Kind::Server => match without_container(&name, matches!(kind, Kind::Server)) {
                Fate::Honoured => found.honoured.push(name),
                Fate::PassedBy => found.passed_by.push(name),
                Fate::Unsupported(instead) => found.unsupported.push((name, instead.to_owned())),
            },
        }
    }
    // What is said of a part of an attribute, a mount's or a network's, is said all the same.
    let told: Vec<String> = found.unsupported.iter().map(|(_, line)| line.clone()).collect();
    for line in refused.into_iter().filter(|line| !told.contains(line)) {
        let place = line.split('`').nth(1).unwrap_or_default().to_owned();
        found.unsupported.push((place, line));
    }
    found
}

/// What a process is not given though the file says it, for its log.
pub(crate) fn passed_over(service: &Service) -> Vec<String> {
    let all = attributes(service, Kind::Process).unsupported;
    all.into_iter()
        .map(|(name, instead)| format!("`{name}` does not hold: {instead}"))
        .collect()
}

/// Names of attributes that say more than Compose's way of writing nothing.
fn written(service: &Service) -> Vec<String> {
    let says_something = |value: &Value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    let json = service.to_json();
    let fields = json.as_object().into_iter().flatten();
    let mut names: Vec<String> = fields
        .filter(|(_, value)| says_something(value))
        .map(|(name, _)| name.clone())
        .collect();
    if service.extensions.contains_key("x-devctl") && !names.iter().any(|name| name == "x-devctl") {
        names.push("x-devctl".to_owned());
    }
    names
}

fn without_container(attribute: &str, server: bool) -> Fate {
    match attribute {
        "environment" | "env_file" | "depends_on" | "healthcheck" | "ports" | "expose" | "restart" | "stop_signal"
        | "stop_grace_period" | "profiles" | "post_start" | "pre_stop" | "scale" | "develop" | "attach"
        | "x-devctl" => Fate::Honoured,
        "stdin_open" if !server => Fate::Honoured,
        "tty" if !server => Fate::Unsupported(
            "a process has no terminal of its own: what is typed to it by `attach` reaches it line by line",
        ),
        "stdin_open" | "tty" => Fate::PassedBy,
        // A server reads its settings, its init directory and its configuration as the official image does.
        "image" | "command" | "volumes" | "configs" | "secrets" | "shm_size" if server => Fate::Honoured,
        "image" | "build" | "command" | "entrypoint" | "working_dir" | "dockerfile" | "pull_policy"
        | "pull_refresh_after" | "platform" | "container_name" | "hostname" | "domainname" | "labels"
        | "label_file" | "annotations" | "networks" | "links" | "external_links" | "init" | "logging"
        | "log_driver" | "log_opt" | "runtime" | "isolation" | "mac_address" | "credential_spec" | "storage_opt"
        | "cgroup_parent" | "cgroup" | "uts" | "userns_mode" | "extends" => Fate::PassedBy,
        "volumes" | "volumes_from" | "volume_driver" => {
            Fate::Unsupported("a process sees the machine's own files: pass it a path")
        }
        "tmpfs" => Fate::Unsupported("a process has the machine's own /tmp"),
        "secrets" | "configs" => Fate::Unsupported("a process has no /run/secrets: pass the file's path in a variable"),
        "network_mode" | "dns" | "dns_opt" | "dns_search" | "extra_hosts" => Fate::Unsupported(
            "a process is on the machine's network; names of services in its environment are rewritten",
        ),
        "user" | "group_add" => Fate::Unsupported("a process runs as you; a server never as root"),
        "deploy" | "cpus" | "cpuset" | "cpu_shares" | "cpu_quota" | "cpu_period" | "cpu_rt_period"
        | "cpu_rt_runtime" | "cpu_count" | "cpu_percent" | "mem_limit" | "mem_reservation" | "memswap_limit"
        | "mem_swappiness" | "pids_limit" | "blkio_config" | "oom_kill_disable" | "oom_score_adj" | "ulimits"
        | "shm_size" => Fate::Unsupported("a process has the machine's limits (of `deploy`, replicas count)"),
        "cap_add"
        | "cap_drop"
        | "privileged"
        | "security_opt"
        | "sysctls"
        | "devices"
        | "device_cgroup_rules"
        | "gpus"
        | "pid"
        | "ipc"
        | "read_only"
        | "use_api_socket" => Fate::Unsupported("a process has your rights, no more and no fewer"),
        other if other.starts_with("x-") => Fate::PassedBy,
        _ => Fate::Unsupported("not known outside a container"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_names_what_it_cannot_have() {
        let service = Service {
            image: Some("shop/api".to_owned()),
            user: Some("app".to_owned()),
            cap_add: vec!["NET_ADMIN".to_owned()],
            ..Service::default()
        };
        let found = attributes(&service, Kind::Process);
        assert!(found.passed_by.contains(&"image".to_owned()));
        let names: Vec<&str> = found.unsupported.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["cap_add", "user"]);
        assert!(passed_over(&service)[0].starts_with("`cap_add` does not hold: "));
    }

    #[test]
    fn a_container_is_refused_only_what_its_engine_cannot_do() {
        let service = Service {
            image: Some("shop/api".to_owned()),
            user: Some("app".to_owned()),
            isolation: Some("hyperv".to_owned()),
            ..Service::default()
        };
        let facts = EngineFacts {
            api_version: "1.41".to_owned(),
            ..EngineFacts::default()
        };
        let found = attributes(&service, Kind::Container(&Project::default(), &facts));
        assert!(found.honoured.contains(&"user".to_owned()));
        assert_eq!(found.unsupported.len(), 1);
        assert_eq!(found.unsupported[0].0, "isolation");
    }
}
