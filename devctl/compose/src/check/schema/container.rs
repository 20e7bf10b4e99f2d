//! The attributes of services, jobs and hooks.

use super::shape::*;

/// What everything has that runs a container.
pub(super) const CONTAINER: &[(&str, &Shape)] = &[
    ("annotations", &KEY_VALUES),
    ("blkio_config", &Shape::Map(&BLKIO)),
    ("cap_add", &NAMES),
    ("cap_drop", &NAMES),
    ("cgroup", &Shape::Word(&["host", "private"])),
    ("cgroup_parent", &TEXT),
    ("command", &COMMAND),
    ("configs", &FILE_MOUNTS),
    ("cpu_count", &Shape::Either(&[&TEXT, &Shape::Within(0, i64::MAX)])),
    ("cpu_percent", &Shape::Either(&[&TEXT, &Shape::Within(0, 100)])),
    ("cpu_shares", &NUMBER_OR_TEXT),
    ("cpu_quota", &NUMBER_OR_TEXT),
    ("cpu_period", &NUMBER_OR_TEXT),
    ("cpu_rt_period", &NUMBER_OR_TEXT),
    ("cpu_rt_runtime", &NUMBER_OR_TEXT),
    ("cpus", &NUMBER_OR_TEXT),
    ("cpuset", &TEXT),
    (
        "credential_spec",
        &Shape::Map(&attributes! { "config": TEXT, "file": TEXT, "registry": TEXT }),
    ),
    ("device_cgroup_rules", &NAMES),
    (
        "devices",
        &Shape::List(&Shape::Either(&[&TEXT, &Shape::Map(&DEVICE)]), false),
    ),
    ("dns", &TEXT_OR_NAMES),
    ("dns_opt", &NAMES),
    ("dns_search", &TEXT_OR_NAMES),
    ("domainname", &TEXT),
    ("entrypoint", &COMMAND),
    (
        "env_file",
        &Shape::Either(&[
            &TEXT,
            &Shape::List(&Shape::Either(&[&TEXT, &Shape::Map(&ENV_FILE)]), false),
        ]),
    ),
    ("label_file", &TEXT_OR_TEXTS),
    ("environment", &KEY_VALUES),
    ("extra_hosts", &EXTRA_HOSTS),
    (
        "gpus",
        &Shape::Either(&[&Shape::Word(&["all"]), &Shape::List(&Shape::Map(&GPU), false)]),
    ),
    ("group_add", &Shape::List(&NUMBER_OR_TEXT, true)),
    ("hostname", &TEXT),
    ("image", &TEXT),
    ("init", &BOOL_OR_TEXT),
    ("ipc", &TEXT),
    ("isolation", &TEXT),
    ("labels", &KEY_VALUES),
    ("logging", &Shape::Map(&LOGGING)),
    ("mac_address", &TEXT),
    ("mem_limit", &NUMBER_OR_TEXT),
    ("mem_reservation", &INTEGER_OR_TEXT),
    ("mem_swappiness", &INTEGER_OR_TEXT),
    ("memswap_limit", &NUMBER_OR_TEXT),
    ("network_mode", &TEXT),
    (
        "models",
        &Shape::Either(&[
            &NAMES,
            &Shape::Map(&Mapping {
                open: true,
                ..named(&Shape::Either(&[&NULL, &Shape::Map(&MODEL)]))
            }),
        ]),
    ),
    (
        "networks",
        &Shape::Either(&[
            &NAMES,
            &Shape::Map(&named(&Shape::Either(&[&NULL, &Shape::Map(&NETWORK)]))),
        ]),
    ),
    ("oom_kill_disable", &BOOL_OR_TEXT),
    ("oom_score_adj", &Shape::Either(&[&TEXT, &Shape::Within(-1000, 1000)])),
    ("pid", &TEXT_OR_NULL),
    ("pids_limit", &NUMBER_OR_TEXT),
    ("platform", &TEXT),
    ("privileged", &BOOL_OR_TEXT),
    (
        "pull_policy",
        &Shape::Form(
            is_pull_policy,
            "`always`, `never`, `build`, `missing`, `refresh`, `daily`, `weekly` or `every_12h`",
        ),
    ),
    ("pull_refresh_after", &TEXT),
    ("read_only", &BOOL_OR_TEXT),
    ("runtime", &TEXT),
    ("security_opt", &NAMES),
    ("shm_size", &NUMBER_OR_TEXT),
    ("secrets", &FILE_MOUNTS),
    ("sysctls", &KEY_VALUES),
    ("stop_grace_period", &TEXT),
    ("stop_signal", &TEXT),
    (
        "storage_opt",
        &Shape::Map(&Mapping {
            open: true,
            ..Mapping::NEW
        }),
    ),
    ("tmpfs", &TEXT_OR_NAMES),
    ("ulimits", &ULIMITS),
    ("use_api_socket", &BOOL),
    ("user", &TEXT),
    ("uts", &TEXT),
    ("userns_mode", &TEXT),
    (
        "volumes",
        &Shape::List(&Shape::Either(&[&TEXT, &Shape::Map(&MOUNT)]), true),
    ),
    ("volumes_from", &NAMES),
    ("working_dir", &TEXT),
];

/// What services and jobs have besides.
pub(super) const WORKLOAD: &[(&str, &Shape)] = &[
    ("build", &Shape::Either(&[&TEXT, &Shape::Map(&BUILD)])),
    (
        "depends_on",
        &Shape::Either(&[&NAMES, &Shape::Map(&named(&Shape::Map(&DEPENDENCY)))]),
    ),
    ("healthcheck", &Shape::Map(&HEALTHCHECK)),
    (
        "ports",
        &Shape::List(&Shape::Either(&[&NUMBER, &TEXT, &Shape::Map(&PORT)]), true),
    ),
    ("expose", &Shape::List(&NUMBER_OR_TEXT, true)),
    ("stdin_open", &BOOL_OR_TEXT),
    ("tty", &BOOL_OR_TEXT),
];

pub(super) const fn named(shape: &'static Shape) -> Mapping {
    Mapping {
        others: Some((Names::Resource, shape)),
        ..Mapping::NEW
    }
}

const BLKIO: Mapping = Mapping {
    extensions: false,
    ..attributes! {
        "device_read_bps": LIMITS, "device_read_iops": LIMITS, "device_write_bps": LIMITS, "device_write_iops": LIMITS,
        "weight": INTEGER_OR_TEXT, "weight_device": Shape::List(&Shape::Map(&WEIGHT), false),
    }
};
const LIMITS: Shape = Shape::List(&Shape::Map(&LIMIT), false);
const LIMIT: Mapping = Mapping {
    extensions: false,
    ..attributes! { "path": TEXT, "rate": INTEGER_OR_TEXT }
};
const WEIGHT: Mapping = Mapping {
    extensions: false,
    ..attributes! { "path": TEXT, "weight": INTEGER_OR_TEXT }
};

const DEVICE: Mapping = Mapping {
    required: &["source"],
    ..attributes! { "source": TEXT, "target": TEXT, "permissions": TEXT }
};

const ENV_FILE: Mapping = Mapping {
    required: &["path"],
    extensions: false,
    ..attributes! { "path": TEXT, "format": TEXT, "required": BOOL_OR_TEXT }
};

const GPU: Mapping = Mapping {
    open: true,
    extensions: false,
    ..DEVICE_REQUEST
};

/// A request for accelerators.
pub(super) const DEVICE_REQUEST: Mapping = attributes! {
    "capabilities": NAMES, "count": INTEGER_OR_TEXT, "device_ids": NAMES, "driver": TEXT, "options": KEY_VALUES,
};

const LOGGING: Mapping =
    attributes! { "driver": TEXT, "options": Shape::Map(&Mapping { open: true, ..any_key(&NUMBER_TEXT_OR_NULL) }) };

const MODEL: Mapping = attributes! { "endpoint_var": TEXT, "model_var": TEXT };

const NETWORK: Mapping = attributes! {
    "aliases": NAMES, "interface_name": TEXT, "ipv4_address": TEXT, "ipv6_address": TEXT, "link_local_ips": NAMES,
    "mac_address": TEXT, "driver_opts": DRIVER_OPTIONS, "priority": NUMBER, "gw_priority": NUMBER,
};

const FILE_MOUNTS: Shape = Shape::List(&Shape::Either(&[&TEXT, &Shape::Map(&FILE_MOUNT)]), false);
const FILE_MOUNT: Mapping =
    attributes! { "source": TEXT, "target": TEXT, "uid": TEXT, "gid": TEXT, "mode": NUMBER_OR_TEXT };

const ULIMITS: Shape = Shape::Map(&Mapping {
    others: Some((Names::Lower, &Shape::Either(&[&INTEGER_OR_TEXT, &Shape::Map(&ULIMIT)]))),
    open: true,
    ..Mapping::NEW
});
const ULIMIT: Mapping = Mapping {
    required: &["soft", "hard"],
    ..attributes! { "hard": INTEGER_OR_TEXT, "soft": INTEGER_OR_TEXT }
};

const MOUNT: Mapping = Mapping {
    required: &["type"],
    ..attributes! {
        "type": Shape::Word(&["bind", "volume", "tmpfs", "cluster", "npipe", "image"]),
        "source": TEXT, "target": TEXT, "read_only": BOOL_OR_TEXT, "consistency": TEXT,
        "bind": Shape::Map(&attributes! {
            "propagation": TEXT, "create_host_path": BOOL_OR_TEXT,
            "recursive": Shape::Word(&["enabled", "disabled", "writable", "readonly"]),
            "selinux": Shape::Word(&["z", "Z"]),
        }),
        "volume": Shape::Map(&attributes! { "labels": KEY_VALUES, "nocopy": BOOL_OR_TEXT, "subpath": TEXT }),
        "tmpfs": Shape::Map(&attributes! {
            "size": Shape::Either(&[&TEXT, &Shape::Within(0, i64::MAX)]), "mode": NUMBER_OR_TEXT,
        }),
        "image": Shape::Map(&attributes! { "subpath": TEXT }),
    }
};

const BUILD: Mapping = attributes! {
    "context": TEXT, "dockerfile": TEXT, "dockerfile_inline": TEXT, "entitlements": TEXTS, "args": KEY_VALUES, "ssh": KEY_VALUES,
    "labels": KEY_VALUES, "cache_from": TEXTS, "cache_to": TEXTS, "no_cache": BOOL_OR_TEXT, "no_cache_filter": TEXT_OR_NAMES,
    "additional_contexts": KEY_VALUES, "network": TEXT, "provenance": BOOL_OR_TEXT, "sbom": BOOL_OR_TEXT, "pull": BOOL_OR_TEXT,
    "target": TEXT, "shm_size": INTEGER_OR_TEXT, "extra_hosts": EXTRA_HOSTS, "isolation": TEXT, "privileged": BOOL_OR_TEXT,
    "secrets": FILE_MOUNTS, "tags": TEXTS, "ulimits": ULIMITS, "platforms": TEXTS,
};

const DEPENDENCY: Mapping = Mapping {
    required: &["condition"],
    ..attributes! {
        "restart": BOOL_OR_TEXT, "required": BOOL,
        "condition": Shape::Word(&["service_started", "service_healthy", "service_completed_successfully"]),
    }
};

const HEALTHCHECK: Mapping = attributes! {
    "disable": BOOL_OR_TEXT, "interval": TEXT, "retries": NUMBER_OR_TEXT, "test": TEXT_OR_TEXTS, "timeout": TEXT,
    "start_period": TEXT, "start_interval": TEXT,
};

const PORT: Mapping = attributes! {
    "name": TEXT, "mode": TEXT, "host_ip": TEXT, "target": INTEGER_OR_TEXT, "published": INTEGER_OR_TEXT, "protocol": TEXT,
    "app_protocol": TEXT,
};

fn is_pull_policy(text: &str) -> bool {
    if matches!(
        text,
        "always" | "never" | "build" | "if_not_present" | "missing" | "refresh" | "daily" | "weekly"
    ) {
        return true;
    }
    let Some(mut rest) = text.strip_prefix("every_").filter(|rest| !rest.is_empty()) else {
        return false;
    };
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        if unit.len() == rest.len() || !unit.starts_with(['w', 'd', 'h', 'm', 's']) {
            return false;
        }
        rest = &unit[1..];
    }
    true
}
