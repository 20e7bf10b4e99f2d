//! Which engine a caller means: `DOCKER_HOST`, `DOCKER_CONTEXT`, the current context of `config.json`, the usual sockets.
//!
//! Always by the environment of whoever asks, which is handed in: the daemon's own is somebody else's.

use std::fmt;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::ConnectError;

/// One address of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `unix:///var/run/docker.sock`, `tcp://10.0.0.1:2376`.
    pub host: String,
    /// Where it speaks TLS: the directory of `ca.pem`, `cert.pem` and `key.pem`.
    pub tls: Option<PathBuf>,
    /// What named it.
    pub named_by: NamedBy,
}

/// What named an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedBy {
    /// `DOCKER_HOST`.
    Variable,
    /// A context, and where that was chosen.
    Context {
        /// Its name.
        name: String,
        /// `DOCKER_CONTEXT`, or the file that says `currentContext`.
        chosen_by: String,
    },
    /// Nothing: where engines usually listen.
    Usual,
}

impl fmt::Display for NamedBy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable => out.write_str("`DOCKER_HOST`"),
            Self::Context { name, chosen_by } => write!(out, "context `{name}` ({chosen_by})"),
            Self::Usual => out.write_str("default"),
        }
    }
}

#[derive(Deserialize)]
struct Config {
    #[serde(rename = "currentContext", default)]
    current_context: String,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "Endpoints", default)]
    endpoints: std::collections::HashMap<String, MetaEndpoint>,
}

#[derive(Deserialize)]
struct MetaEndpoint {
    #[serde(rename = "Host", default)]
    host: String,
}

/// The directory of Docker's own configuration: `DOCKER_CONFIG`, or `~/.docker`.
#[must_use]
pub fn config_dir(env: &IndexMap<String, String>) -> Option<PathBuf> {
    match set(env, "DOCKER_CONFIG") {
        Some(dir) => Some(PathBuf::from(dir)),
        None => Some(Path::new(set(env, "HOME")?).join(".docker")),
    }
}

/// The addresses to try, first one first. `DOCKER_HOST` wins over `DOCKER_CONTEXT`, that over `currentContext`, as with `docker`.
///
/// # Errors
/// Where a context is named that is not there, or cannot be read.
pub fn endpoints(env: &IndexMap<String, String>) -> Result<Vec<Endpoint>, ConnectError> {
    let dir = config_dir(env);
    if let Some(host) = set(env, "DOCKER_HOST") {
        let verify = set(env, "DOCKER_TLS_VERIFY")
            .or_else(|| set(env, "DOCKER_TLS"))
            .is_some();
        let certs = set(env, "DOCKER_CERT_PATH").map(PathBuf::from).or(dir);
        return Ok(vec![Endpoint {
            host: host.to_owned(),
            tls: certs.filter(|_| verify && !host.starts_with("unix:")),
            named_by: NamedBy::Variable,
        }]);
    }
    let chosen = match set(env, "DOCKER_CONTEXT") {
        Some(name) => Some((name.to_owned(), "`DOCKER_CONTEXT`".to_owned())),
        None => dir.as_deref().map(|dir| dir.join("config.json")).and_then(|path| {
            let config: Config = serde_json::from_slice(&std::fs::read(&path).ok()?).ok()?;
            Some((config.current_context, format!("`{}`", path.display())))
        }),
    };
    match (chosen.filter(|(name, _)| !name.is_empty() && name != "default"), dir) {
        (Some((name, chosen_by)), Some(dir)) => Ok(vec![of_context(&dir, name, chosen_by)?]),
        (Some((name, chosen_by)), None) => Err(ConnectError::NoContext {
            name,
            chosen_by,
            path: PathBuf::from("~/.docker"),
        }),
        (None, _) => Ok(usual(env)),
    }
}

fn of_context(dir: &Path, name: String, chosen_by: String) -> Result<Endpoint, ConnectError> {
    let id: String = Sha256::digest(&name).iter().map(|byte| format!("{byte:02x}")).collect();
    let path = dir.join("contexts/meta").join(&id).join("meta.json");
    let Ok(bytes) = std::fs::read(&path) else {
        return Err(ConnectError::NoContext { name, chosen_by, path });
    };
    let meta: Meta = serde_json::from_slice(&bytes).map_err(|source| ConnectError::BadContext {
        name: name.clone(),
        path: path.clone(),
        source,
    })?;
    let Some(endpoint) = meta
        .endpoints
        .get("docker")
        .filter(|endpoint| !endpoint.host.is_empty())
    else {
        return Err(ConnectError::NoContext { name, chosen_by, path });
    };
    let tls = dir.join("contexts/tls").join(&id).join("docker");
    Ok(Endpoint {
        host: endpoint.host.clone(),
        tls: tls.join("ca.pem").is_file().then_some(tls),
        named_by: NamedBy::Context { name, chosen_by },
    })
}

/// Where engines listen by themselves: the machine's, a rootless one's, Docker Desktop's.
fn usual(env: &IndexMap<String, String>) -> Vec<Endpoint> {
    let rootless = set(env, "XDG_RUNTIME_DIR").map(|dir| format!("{dir}/docker.sock"));
    let desktop = set(env, "HOME").map(|home| format!("{home}/.docker/run/docker.sock"));
    let others = [rootless, desktop]
        .into_iter()
        .flatten()
        .filter(|path| Path::new(path).exists());
    std::iter::once("/var/run/docker.sock".to_owned())
        .chain(others)
        .map(|path| Endpoint {
            host: format!("unix://{path}"),
            tls: None,
            named_by: NamedBy::Usual,
        })
        .collect()
}

fn set<'a>(env: &'a IndexMap<String, String>, name: &str) -> Option<&'a str> {
    env.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> IndexMap<String, String> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    /// A configuration directory with one context, `remote`.
    fn with_context(current: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let id: String = Sha256::digest("remote")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let meta = dir.path().join("contexts/meta").join(id);
        std::fs::create_dir_all(&meta).unwrap();
        let text =
            r#"{"Name":"remote","Metadata":{},"Endpoints":{"docker":{"Host":"tcp://far:2375","SkipTLSVerify":false}}}"#;
        std::fs::write(meta.join("meta.json"), text).unwrap();
        std::fs::write(
            dir.path().join("config.json"),
            format!(r#"{{"currentContext":"{current}","auths":{{}}}}"#),
        )
        .unwrap();
        dir
    }

    #[test]
    fn the_variable_wins_over_contexts() {
        let dir = with_context("remote");
        let dir = dir.path().to_str().unwrap();
        let found = endpoints(&env(&[
            ("DOCKER_CONFIG", dir),
            ("DOCKER_CONTEXT", "remote"),
            ("DOCKER_HOST", "tcp://near:2376"),
            ("DOCKER_TLS_VERIFY", "1"),
            ("DOCKER_CERT_PATH", "/certs"),
        ]))
        .unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].host, "tcp://near:2376");
        assert_eq!(found[0].tls.as_deref(), Some(Path::new("/certs")));
        assert_eq!(found[0].named_by, NamedBy::Variable);
    }

    #[test]
    fn a_context_is_chosen_by_variable_or_by_file() {
        let by_file = with_context("remote");
        let found = endpoints(&env(&[("DOCKER_CONFIG", by_file.path().to_str().unwrap())])).unwrap();
        assert_eq!(found[0].host, "tcp://far:2375");
        let default = with_context("default");
        let dir = default.path().to_str().unwrap();
        let found = endpoints(&env(&[("DOCKER_CONFIG", dir), ("DOCKER_CONTEXT", "remote")])).unwrap();
        assert!(matches!(&found[0].named_by, NamedBy::Context { name, .. } if name == "remote"));
        let found = endpoints(&env(&[("DOCKER_CONFIG", dir)])).unwrap();
        assert_eq!(found[0].host, "unix:///var/run/docker.sock");
    }

    #[test]
    fn a_context_that_is_not_there_is_an_error_that_names_it() {
        let dir = with_context("gone");
        let error = endpoints(&env(&[("DOCKER_CONFIG", dir.path().to_str().unwrap())])).unwrap_err();
        assert!(error.to_string().contains("`gone`"), "{error}");
        assert!(error.help().is_some_and(|help| help.contains("docker context")));
    }
}
