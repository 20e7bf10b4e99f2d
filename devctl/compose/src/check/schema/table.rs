//! The whole file: services, jobs, hooks and the resources at the top.

use super::container::{CONTAINER, DEVICE_REQUEST, WORKLOAD, named};
use super::shape::*;

/// A Compose file.
pub(super) const FILE: Shape = Shape::Map(&attributes! {
    "version": TEXT,
    "name": TEXT,
    "include": Shape::List(&Shape::Either(&[&TEXT, &Shape::Map(&INCLUDE)]), false),
    "services": Shape::Map(&named(&Shape::Map(&SERVICE))),
    "models": Shape::Map(&named(&Shape::Map(&MODEL))),
    "networks": Shape::Map(&named(&Shape::Either(&[&NULL, &Shape::Map(&NETWORK)]))),
    "volumes": Shape::Map(&named(&Shape::Either(&[&NULL, &Shape::Map(&VOLUME)]))),
    "secrets": Shape::Map(&named(&Shape::Map(&SECRET))),
    "configs": Shape::Map(&named(&Shape::Map(&CONFIG))),
    "jobs": Shape::Map(&named(&Shape::Map(&JOB))),
});

const SERVICE: Mapping = Mapping {
    keys: &[SERVICE_ONLY, CONTAINER, WORKLOAD],
    extensions: true,
    ..Mapping::NEW
};

const SERVICE_ONLY: &[(&str, &Shape)] = &[
    ("deploy", &Shape::Either(&[&NULL, &Shape::Map(&DEPLOY)])),
    ("develop", &Shape::Either(&[&NULL, &Shape::Map(&DEVELOP)])),
    ("profiles", &NAMES),
    ("restart", &TEXT),
    ("scale", &INTEGER_OR_TEXT),
    ("attach", &BOOL_OR_TEXT),
    (
        "container_name",
        &Shape::Form(is_container_name, "at least two letters, digits, `_`, `.` or `-`"),
    ),
    ("provider", &Shape::Map(&PROVIDER)),
    ("extends", &Shape::Either(&[&TEXT, &Shape::Map(&EXTENDS)])),
    ("links", &NAMES),
    ("external_links", &NAMES),
    ("pre_start", &Shape::List(&Shape::Map(&PRE_START), false)),
    ("post_start", &Shape::List(&Shape::Map(&HOOK), false)),
    ("pre_stop", &Shape::List(&Shape::Map(&HOOK), false)),
];

const JOB: Mapping = Mapping {
    keys: &[
        &[("profiles", &NAMES), ("triggers", &Shape::Map(&TRIGGERS))],
        CONTAINER,
        WORKLOAD,
    ],
    required: &["triggers"],
    extensions: true,
    ..Mapping::NEW
};

const TRIGGERS: Mapping = Mapping {
    one_of: &["manual", "schedule"],
    ..attributes! {
        "manual": BOOL_OR_TEXT,
        "schedule": Shape::List(&Shape::Either(&[&TEXT, &Shape::Map(&SCHEDULE)]), false),
    }
};

const SCHEDULE: Mapping = Mapping {
    required: &["cron"],
    ..attributes! {
        "cron": TEXT, "timezone": TEXT, "concurrency": Shape::Word(&["forbid", "queue"]), "missed_fires": Shape::Word(&["one", "skip"]),
    }
};

const PRE_START: Mapping = Mapping {
    keys: &[&[("per_replica", &BOOL_OR_TEXT)], CONTAINER],
    extensions: true,
    ..Mapping::NEW
};

const HOOK: Mapping = Mapping {
    required: &["command"],
    ..attributes! { "command": COMMAND, "user": TEXT, "privileged": BOOL_OR_TEXT, "working_dir": TEXT, "environment": KEY_VALUES }
};

const PROVIDER: Mapping = Mapping {
    required: &["type"],
    ..attributes! {
        "type": TEXT,
        "options": Shape::Map(&Mapping {
            open: true,
            ..any_key(&Shape::Either(&[&NUMBER_TEXT_OR_BOOL, &Shape::List(&NUMBER_TEXT_OR_BOOL, false)]))
        }),
    }
};

const EXTENDS: Mapping = Mapping {
    required: &["service"],
    extensions: false,
    ..attributes! { "service": TEXT, "file": TEXT }
};

const INCLUDE: Mapping = Mapping {
    extensions: false,
    ..attributes! { "path": TEXT_OR_NAMES, "env_file": TEXT_OR_NAMES, "project_directory": TEXT }
};

const DEVELOP: Mapping = attributes! { "watch": Shape::List(&Shape::Map(&WATCH), false) };

const WATCH: Mapping = Mapping {
    required: &["path", "action"],
    ..attributes! {
        "ignore": TEXT_OR_NAMES, "include": TEXT_OR_NAMES, "path": TEXT,
        "action": Shape::Word(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"]),
        "target": TEXT, "exec": Shape::Map(&HOOK), "initial_sync": BOOL,
    }
};

const DEPLOY: Mapping = attributes! {
    "mode": TEXT, "endpoint_mode": TEXT, "replicas": INTEGER_OR_TEXT, "labels": KEY_VALUES,
    "rollback_config": Shape::Map(&UPDATE), "update_config": Shape::Map(&UPDATE),
    "resources": Shape::Map(&attributes! {
        "limits": Shape::Map(&attributes! { "cpus": NUMBER_OR_TEXT, "memory": TEXT, "pids": INTEGER_OR_TEXT }),
        "reservations": Shape::Map(&attributes! {
            "cpus": NUMBER_OR_TEXT, "memory": TEXT,
            "generic_resources": Shape::List(&Shape::Map(&GENERIC), false),
            "devices": Shape::List(&Shape::Map(&Mapping { required: &["capabilities"], ..DEVICE_REQUEST }), false),
        }),
    }),
    "restart_policy": Shape::Map(&attributes! { "condition": TEXT, "delay": TEXT, "max_attempts": INTEGER_OR_TEXT, "window": TEXT }),
    "placement": Shape::Map(&attributes! {
        "constraints": TEXTS,
        "preferences": Shape::List(&Shape::Map(&attributes! { "spread": TEXT }), false),
        "max_replicas_per_node": INTEGER_OR_TEXT,
    }),
};

const UPDATE: Mapping = attributes! {
    "parallelism": INTEGER_OR_TEXT, "delay": TEXT, "failure_action": TEXT, "monitor": TEXT, "max_failure_ratio": NUMBER_OR_TEXT,
    "order": Shape::Word(&["start-first", "stop-first"]),
};

const GENERIC: Mapping = attributes! {
    "discrete_resource_spec": Shape::Map(&attributes! { "kind": TEXT, "value": NUMBER_OR_TEXT }),
};

const EXTERNAL: Shape = Shape::Either(&[&BOOL_OR_TEXT, &Shape::Map(&attributes! { "name": TEXT })]);
/// As `EXTERNAL`, for secrets and configs, where the old form has more.
const OPEN_EXTERNAL: Shape = Shape::Either(&[
    &BOOL_OR_TEXT,
    &Shape::Map(&Mapping {
        open: true,
        ..attributes! { "name": TEXT }
    }),
]);

const NETWORK: Mapping = attributes! {
    "name": TEXT, "driver": TEXT, "driver_opts": DRIVER_OPTIONS,
    "ipam": Shape::Map(&attributes! {
        "driver": TEXT,
        "config": Shape::List(&Shape::Map(&attributes! {
            "subnet": TEXT, "ip_range": TEXT, "gateway": TEXT, "aux_addresses": Shape::Map(&any_key(&TEXT)),
        }), false),
        "options": Shape::Map(&any_key(&TEXT)),
    }),
    "external": EXTERNAL, "internal": BOOL_OR_TEXT, "enable_ipv4": BOOL_OR_TEXT, "enable_ipv6": BOOL_OR_TEXT,
    "attachable": BOOL_OR_TEXT, "labels": KEY_VALUES,
};

const VOLUME: Mapping = attributes! { "name": TEXT, "driver": TEXT, "driver_opts": DRIVER_OPTIONS, "external": EXTERNAL, "labels": KEY_VALUES };

const SECRET: Mapping = attributes! {
    "name": TEXT, "environment": TEXT, "file": TEXT, "external": OPEN_EXTERNAL, "labels": KEY_VALUES, "driver": TEXT,
    "driver_opts": DRIVER_OPTIONS, "template_driver": TEXT,
};

const CONFIG: Mapping = attributes! {
    "name": TEXT, "content": TEXT, "environment": TEXT, "file": TEXT, "external": OPEN_EXTERNAL, "labels": KEY_VALUES,
    "template_driver": TEXT,
};

const MODEL: Mapping = Mapping {
    required: &["model"],
    ..attributes! { "name": TEXT, "model": TEXT, "context_size": INTEGER, "runtime_flags": TEXTS }
};

fn is_container_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes
        .windows(2)
        .any(|pair| pair[0].is_ascii_alphanumeric() && (pair[1].is_ascii_alphanumeric() || b"_.-".contains(&pair[1])))
}
