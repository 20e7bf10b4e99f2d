//! Which attributes take a number or a boolean out of a text, so that a variable can give it.

use crate::tree::Value;

/// A kind of value that a text is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cast {
    Bool,
    Int,
    Float,
    /// A number in single precision.
    Single,
}

/// The cast for the attribute at a place, if it has one.
pub(super) fn of(path: &[&str]) -> Option<Cast> {
    match path {
        [
            "networks",
            _,
            "external" | "internal" | "attachable" | "enable_ipv4" | "enable_ipv6",
        ]
        | ["volumes" | "secrets" | "configs", _, "external"] => Some(Cast::Bool),
        ["services", _, "pre_start", _, rest @ ..] if container(rest).is_some() => container(rest),
        ["services", _, rest @ ..] => container(rest).or_else(|| workload(rest)).or_else(|| service(rest)),
        ["jobs", _, rest @ ..] => container(rest).or_else(|| workload(rest)),
        _ => None,
    }
}

fn container(path: &[&str]) -> Option<Cast> {
    match path {
        ["cpu_count" | "cpu_period" | "cpu_quota" | "cpu_rt_period" | "cpu_rt_runtime" | "cpu_shares"]
        | ["oom_score_adj" | "pids_limit"]
        | ["ulimits", _]
        | ["ulimits", _, "hard" | "soft"] => Some(Cast::Int),
        ["cpu_percent"] => Some(Cast::Float),
        ["cpus"] => Some(Cast::Single),
        ["init" | "oom_kill_disable" | "privileged" | "read_only"]
        | ["volumes", "[]", "read_only"]
        | ["volumes", "[]", "volume", "nocopy"] => Some(Cast::Bool),
        _ => None,
    }
}

fn workload(path: &[&str]) -> Option<Cast> {
    match path {
        ["depends_on", _, "required" | "restart"] | ["healthcheck", "disable"] | ["stdin_open" | "tty"] => {
            Some(Cast::Bool)
        }
        ["healthcheck", "retries"] | ["ports", "[]", "target"] => Some(Cast::Int),
        _ => None,
    }
}

fn service(path: &[&str]) -> Option<Cast> {
    match path {
        ["deploy", "replicas"]
        | ["deploy", "update_config" | "rollback_config", "parallelism"]
        | ["deploy", "restart_policy", "max_attempts"]
        | ["deploy", "placement", "max_replicas_per_node"]
        | ["scale"] => Some(Cast::Int),
        ["deploy", "update_config" | "rollback_config", "max_failure_ratio"] => Some(Cast::Float),
        _ => None,
    }
}

impl Cast {
    /// The value; the error continues "`services.web.tty` ".
    pub(super) fn apply(self, text: &str) -> Result<Value, String> {
        match self {
            Cast::Bool => crate::codec::go_bool(text)
                .map(Value::Bool)
                .ok_or_else(|| format!("must be `true` or `false`, but is `{text}`")),
            Cast::Int => crate::codec::go_int(text)
                .map(Value::Int)
                .ok_or_else(|| format!("must be an integer, but is `{text}`")),
            Cast::Float => number(text).map(Value::Float),
            // Rounded once, from the text, as Go rounds it.
            Cast::Single => number(text).map(|value| Value::Single(text.parse().unwrap_or(value as f32))),
        }
    }
}

fn number(text: &str) -> Result<f64, String> {
    crate::codec::parse_float(text).ok_or_else(|| format!("must be a number, but is `{text}`"))
}
