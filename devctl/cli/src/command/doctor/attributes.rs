//! What becomes of each attribute of a service that runs without a container.

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It means what it means in a container.
    Honoured,
    /// It describes the container that is not there, and nothing is missing without it.
    PassedBy,
    /// What it asks for is not given; the text says what there is in its place.
    Unsupported(&'static str),
}

/// How a service runs without a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// As the process that `x-devctl.native` describes.
    Process,
    /// As the machine's own PostgreSQL or RabbitMQ.
    Server,
}

/// What becomes of the attribute of that name.
pub(crate) fn fate(attribute: &str, kind: Kind) -> Fate {
    match attribute {
        "environment" | "env_file" | "depends_on" | "healthcheck" | "ports" | "expose" | "restart" | "stop_signal"
        | "stop_grace_period" | "profiles" | "post_start" | "pre_stop" | "scale" | "develop" | "attach"
        | "x-devctl" => Fate::Honoured,
        // A server reads its settings, its init directory and its configuration as the official image does.
        "image" | "command" | "volumes" | "configs" | "secrets" | "shm_size" if kind == Kind::Server => Fate::Honoured,
        "image" | "build" | "command" | "entrypoint" | "working_dir" | "dockerfile" | "pull_policy"
        | "pull_refresh_after" | "platform" | "container_name" | "hostname" | "domainname" | "labels"
        | "label_file" | "annotations" | "networks" | "links" | "external_links" | "init" | "logging"
        | "log_driver" | "log_opt" | "runtime" | "isolation" | "stdin_open" | "tty" | "mac_address"
        | "credential_spec" | "storage_opt" | "cgroup_parent" | "cgroup" | "uts" | "userns_mode" | "extends" => {
            Fate::PassedBy
        }
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
