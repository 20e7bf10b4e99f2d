//! What the service asks for: the official image's variables, and the files that it mounts under `/etc/rabbitmq`, made into one
//! configuration. Addresses and logs are devctl's to choose, so the lines that set them are left out, and that is told.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::{RabbitError, RabbitSpec};

/// Variables that mean the same to RabbitMQ itself and are handed on.
const HANDED_ON: [&str; 2] = ["RABBITMQ_DEFAULT_USER_TAGS", "RABBITMQ_FEATURE_FLAGS"];
/// Lines that begin so say where to listen, or where to log.
const OURS: [&str; 6] = [
    "listeners.",
    "management.tcp.",
    "management.ssl.",
    "management.listener.",
    "log.file",
    "log.dir",
];
/// Plugins that listen on a fixed port of their own, and the line that keeps them on loopback.
const LISTENING: [(&str, &str, &str); 6] = [
    ("rabbitmq_prometheus", "prometheus.tcp.ip", "127.0.0.1"),
    ("rabbitmq_mqtt", "mqtt.listeners.tcp.default", "127.0.0.1:1883"),
    ("rabbitmq_stomp", "stomp.listeners.tcp.default", "127.0.0.1:61613"),
    ("rabbitmq_stream", "stream.listeners.tcp.default", "127.0.0.1:5552"),
    ("rabbitmq_web_stomp", "web_stomp.tcp.ip", "127.0.0.1"),
    ("rabbitmq_web_mqtt", "web_mqtt.tcp.ip", "127.0.0.1"),
];
const MANAGEMENT: &str = "rabbitmq_management";

/// A service's settings, read.
pub(super) struct Settings {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) vhost: String,
    pub(super) cookie: Option<String>,
    pub(super) erl_args: Vec<String>,
    /// Handed on to the broker as they are.
    pub(super) env: Vec<(String, String)>,
    pub(super) plugins: Vec<String>,
    /// `rabbitmq.conf`.
    pub(super) conf: String,
    /// `advanced.config`.
    pub(super) advanced: String,
    /// Files that the configuration names, to be copied to where the broker's user can read them: name -> original.
    pub(super) files: Vec<(String, PathBuf)>,
    /// Users come from a definitions file.
    pub(super) has_definitions: bool,
}

impl Settings {
    pub(super) fn of(spec: &RabbitSpec, notes: &mut Vec<String>) -> Result<Self, RabbitError> {
        let defaulted =
            |name, default: &str| Ok::<_, RabbitError>(value(spec, name)?.unwrap_or_else(|| default.into()));
        let (user, password) = (
            defaulted("RABBITMQ_DEFAULT_USER", "guest")?,
            defaulted("RABBITMQ_DEFAULT_PASS", "guest")?,
        );
        let vhost = defaulted("RABBITMQ_DEFAULT_VHOST", "/")?;
        let erl_args = shell_words::split(&defaulted("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "")?)
            .map_err(|error| bad("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", &error.to_string()))?;
        let mut env: Vec<(String, String)> = Vec::new();
        for (name, value) in &spec.env {
            if HANDED_ON.contains(&name.as_str()) {
                env.push((name.clone(), value.clone()));
            } else if name.starts_with("RABBITMQ_") && !is_known(name) {
                notes.push(format!("{name} is ignored: a mounted rabbitmq.conf can say the same"));
            }
        }
        let plugins = plugins(spec, notes)?;
        let mut files = Vec::new();
        let conf = conf(spec, &plugins, &mut files, notes)?;
        let advanced = match spec.mounts.get("/etc/rabbitmq/advanced.config") {
            Some(path) => read(path)?,
            None => "[].\n".into(),
        };
        let has_definitions = !files.is_empty();
        let cookie = value(spec, "RABBITMQ_ERLANG_COOKIE")?;
        Ok(Self {
            user,
            password,
            vhost,
            cookie,
            erl_args,
            env,
            plugins,
            conf,
            advanced,
            files,
            has_definitions,
        })
    }
}

fn is_known(name: &str) -> bool {
    let name = name.trim_end_matches("_FILE");
    [
        "DEFAULT_USER",
        "DEFAULT_PASS",
        "DEFAULT_VHOST",
        "ERLANG_COOKIE",
        "SERVER_ADDITIONAL_ERL_ARGS",
        "NODENAME",
    ]
    .iter()
    .any(|known| name.strip_prefix("RABBITMQ_") == Some(known))
}

/// A variable, or the contents of the file that `NAME_FILE` names. Empty counts as not set.
fn value(spec: &RabbitSpec, name: &str) -> Result<Option<String>, RabbitError> {
    let set = |name: &str| spec.env.get(name).filter(|value| !value.is_empty());
    let file_name = format!("{name}_FILE");
    match (set(name), set(&file_name)) {
        (Some(value), _) => Ok(Some(value.clone())),
        (None, Some(path)) => match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text.trim_end_matches('\n').to_owned())),
            Err(error) => Err(bad(&file_name, &format!("cannot read `{path}`: {error}"))),
        },
        (None, None) => Ok(None),
    }
}

/// `[rabbitmq_management,rabbitmq_shovel].`, and the management plugin where it is wanted.
fn plugins(spec: &RabbitSpec, notes: &mut Vec<String>) -> Result<Vec<String>, RabbitError> {
    let mut plugins = Vec::new();
    if let Some(path) = spec.mounts.get("/etc/rabbitmq/enabled_plugins") {
        let text = read(path)?;
        let list = text
            .trim()
            .strip_prefix('[')
            .and_then(|text| text.trim_end_matches('.').trim().strip_suffix(']'));
        let list = list.ok_or_else(|| bad(&path.display().to_string(), "it is no list of plugins: `[a,b].`"))?;
        plugins = list
            .split(',')
            .map(|name| name.trim().trim_matches('\'').to_owned())
            .filter(|n| !n.is_empty())
            .collect();
    }
    match spec.management {
        Some(_) if !plugins.iter().any(|name| name == MANAGEMENT) => plugins.push(MANAGEMENT.into()),
        None if plugins
            .iter()
            .any(|name| name.starts_with(MANAGEMENT) && !name.ends_with("_agent")) =>
        {
            notes.push("the management plugin is left out: only a `-management` tag has a port for it".into());
            plugins.retain(|name| !name.ends_with("_management"));
        }
        _ => {}
    }
    Ok(plugins)
}

/// One configuration of all that the service mounts; devctl's own lines come last and win.
fn conf(
    spec: &RabbitSpec,
    plugins: &[String],
    files: &mut Vec<(String, PathBuf)>,
    notes: &mut Vec<String>,
) -> Result<String, RabbitError> {
    // The image lets its default user in from everywhere.
    let mut conf = format!("loopback_users = none\ncluster_name = {}\n", spec.name);
    let mut sources: Vec<PathBuf> = spec
        .mounts
        .get("/etc/rabbitmq/rabbitmq.conf")
        .cloned()
        .into_iter()
        .collect();
    for (at, path) in &spec.mounts {
        if at.trim_end_matches('/') == "/etc/rabbitmq/conf.d" && path.is_dir() {
            let entries = fs::read_dir(path).map_err(RabbitError::io("read", path))?;
            let mut parts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            parts.sort();
            sources.extend(
                parts
                    .into_iter()
                    .filter(|path| path.extension().is_some_and(|kind| kind == "conf")),
            );
        } else if at.starts_with("/etc/rabbitmq/conf.d/") {
            sources.push(path.clone());
        }
    }
    for source in sources {
        for line in read(&source)?.lines() {
            let Some((key, value)) = line.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
                conf.push_str(&format!("{line}\n"));
                continue;
            };
            if OURS.iter().any(|prefix| key.starts_with(prefix)) {
                notes.push(format!(
                    "`{key}` of {} is ignored: devctl chooses addresses and logs",
                    source.display()
                ));
            } else if key == "load_definitions"
                || key == "management.load_definitions"
                || key == "definitions.local.path"
            {
                let name = format!("definitions-{}.json", files.len());
                conf.push_str(&format!("load_definitions = @ETC@/{name}\n"));
                files.push((name, mounted(spec, value)?));
            } else if !key.starts_with("definitions.") {
                conf.push_str(&format!("{key} = {value}\n"));
            }
        }
    }
    conf.push_str(&format!("listeners.tcp.1 = {}\n", spec.listen));
    conf.push_str("log.console = true\nlog.file = false\n");
    if let Some(at) = spec.management {
        conf.push_str(&format!(
            "management.tcp.ip = {}\nmanagement.tcp.port = {}\n",
            at.ip(),
            at.port()
        ));
    }
    for (plugin, key, value) in LISTENING {
        if plugins.iter().any(|name| name == plugin) {
            conf.push_str(&format!("{key} = {value}\n"));
            notes.push(format!("{plugin} listens on its own fixed port, on loopback"));
        }
    }
    Ok(conf)
}

/// The file here that stands at a path in the container: mounted by itself, or in a mounted directory.
fn mounted(spec: &RabbitSpec, at: &str) -> Result<PathBuf, RabbitError> {
    let found = spec.mounts.iter().find_map(|(mount, path)| {
        let rest = Path::new(at).strip_prefix(mount).ok()?;
        Some(if rest.as_os_str().is_empty() {
            path.clone()
        } else {
            path.join(rest)
        })
    });
    found
        .filter(|path| path.is_file())
        .ok_or_else(|| bad(at, "rabbitmq.conf names it, and no mounted file stands there"))
}

fn read(path: &Path) -> Result<String, RabbitError> {
    fs::read_to_string(path).map_err(RabbitError::io("read", path))
}

fn bad(what: &str, reason: &str) -> RabbitError {
    RabbitError::BadSetting {
        what: what.into(),
        reason: reason.into(),
    }
}

/// Whether a word can stand in an Erlang string as it is.
pub(super) fn erlang_string(text: &str) -> String {
    match Regex::new(r#"["\\]"#) {
        Ok(pattern) => format!("\"{}\"", pattern.replace_all(text, "\\$0")),
        Err(_) => format!("\"{text}\""),
    }
}

#[cfg(test)]
mod tests;
