//! Who the caller is to a registry: `auths` of Docker's `config.json`, or the helper programs that it names
//! (`credHelpers` for one registry, `credsStore` for all).

use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use indexmap::IndexMap;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;

use super::config_dir;

/// How `config.json` calls the registry of names without one.
const DEFAULT_KEY: &str = "https://index.docker.io/v1/";

/// A login.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The registry, as its login was stored.
    pub server: String,
    /// The user; empty where there is a token.
    pub username: String,
    /// The password.
    pub password: String,
    /// In place of user and password.
    pub identity_token: String,
}

// A password has no place in a log.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Credentials({} at {})", self.username, self.server)
    }
}

/// Why no login could be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file is not what Docker writes.
    #[error("read Docker's `{path}`")]
    Config {
        /// Which file.
        path: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A helper program.
    #[error("ask `{program}` for the login at `{registry}`: {why}")]
    Helper {
        /// The program.
        program: String,
        /// The registry.
        registry: String,
        /// What it said.
        why: String,
    },
}

#[derive(Deserialize, Default)]
struct Config {
    #[serde(default)]
    auths: IndexMap<String, Auth>,
    #[serde(rename = "credsStore", default)]
    store: String,
    #[serde(rename = "credHelpers", default)]
    helpers: IndexMap<String, String>,
}

#[derive(Deserialize, Default)]
struct Auth {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    identitytoken: String,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "ServerURL", default)]
    server: String,
    #[serde(rename = "Username", default)]
    username: String,
    #[serde(rename = "Secret", default)]
    secret: String,
}

/// The registry of an image's name: what is before the first `/`, where that looks like a host.
#[must_use]
pub fn registry(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => DEFAULT_KEY,
    }
}

/// The caller's login at a registry (see [`registry`]); `None` where there is none: many images need none.
///
/// # Errors
/// Where `config.json` is broken, or a helper fails.
pub async fn credentials(
    registry: &str,
    env: &IndexMap<String, String>,
) -> Result<Option<Credentials>, CredentialsError> {
    let Some(config) = read(env)? else { return Ok(None) };
    of(&config, registry, env).await
}

/// Every login that the file names: a build may pull from any of them.
///
/// # Errors
/// Where `config.json` is broken. A helper that fails is passed over: most builds need none of its logins.
pub async fn all_credentials(
    env: &IndexMap<String, String>,
) -> Result<IndexMap<String, Credentials>, CredentialsError> {
    let Some(config) = read(env)? else {
        return Ok(IndexMap::new());
    };
    let mut all = IndexMap::new();
    let mut names: Vec<&String> = config.auths.keys().chain(config.helpers.keys()).collect();
    names.dedup();
    for name in names {
        if let Ok(Some(found)) = of(&config, name, env).await {
            all.insert(name.clone(), found);
        }
    }
    Ok(all)
}

impl Credentials {
    /// As the engine's API wants it in `X-Registry-Auth`: URL-safe base64, as the API's description says.
    pub(super) fn header(&self) -> String {
        URL_SAFE.encode(self.json().to_string())
    }

    pub(super) fn json(&self) -> serde_json::Value {
        if self.identity_token.is_empty() {
            serde_json::json!({ "username": self.username, "password": self.password, "serveraddress": self.server })
        } else {
            serde_json::json!({ "identitytoken": self.identity_token, "serveraddress": self.server })
        }
    }
}

fn read(env: &IndexMap<String, String>) -> Result<Option<Config>, CredentialsError> {
    let Some(path) = config_dir(env).map(|dir| dir.join("config.json")) else {
        return Ok(None);
    };
    let Ok(bytes) = std::fs::read(&path) else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| CredentialsError::Config {
            path: path.display().to_string(),
            source,
        })
}

async fn of(
    config: &Config,
    registry: &str,
    env: &IndexMap<String, String>,
) -> Result<Option<Credentials>, CredentialsError> {
    let host = host(registry);
    let helper = config
        .helpers
        .iter()
        .find(|(name, _)| self::host(name) == host)
        .map(|(_, helper)| helper)
        .or((!config.store.is_empty()).then_some(&config.store));
    if let Some(helper) = helper {
        return ask(helper, registry, env).await;
    }
    let Some((server, auth)) = config.auths.iter().find(|(name, _)| self::host(name) == host) else {
        return Ok(None);
    };
    let mut found = Credentials {
        server: server.clone(),
        username: auth.username.clone(),
        password: auth.password.clone(),
        identity_token: auth.identitytoken.clone(),
    };
    let decoded = STANDARD
        .decode(&auth.auth)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some((user, password)) = decoded.as_deref().and_then(|text| text.split_once(':')) {
        found.username = user.to_owned();
        // Some writers end it with zeros.
        found.password = password.trim_end_matches('\0').to_owned();
    }
    Ok((!found.username.is_empty() || !found.identity_token.is_empty()).then_some(found))
}

/// `https://registry.example/v1/` and `registry.example` are one.
fn host(name: &str) -> &str {
    let name = name.trim_start_matches("https://").trim_start_matches("http://");
    let name = name.split('/').next().unwrap_or(name);
    match name {
        "docker.io" | "registry-1.docker.io" => "index.docker.io",
        name => name,
    }
}

async fn ask(
    helper: &str,
    registry: &str,
    env: &IndexMap<String, String>,
) -> Result<Option<Credentials>, CredentialsError> {
    let program = format!("docker-credential-{helper}");
    let failed = |why: String| CredentialsError::Helper {
        program: program.clone(),
        registry: registry.to_owned(),
        why,
    };
    let found = crate::process::find_program(&program, env.get("PATH").map_or("", String::as_str))
        .ok_or_else(|| failed("there is no such program in `PATH`".into()))?;
    let mut child = tokio::process::Command::new(found)
        .arg("get")
        .env_clear()
        .envs(env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that ends without reading says why by its status.
        let _ = stdin.write_all(registry.as_bytes()).await;
    }
    let output = child
        .wait_with_output()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        // Helpers say it on stdout, in these words (docker-credential-helpers, `errCredentialsNotFound`).
        let said = String::from_utf8_lossy(&output.stdout);
        if said.contains("credentials not found") {
            return Ok(None);
        }
        return Err(failed(said.trim().to_owned()));
    }
    let answer: Answer = serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
    let server = if answer.server.is_empty() {
        registry.to_owned()
    } else {
        answer.server
    };
    Ok(Some(if answer.username == "<token>" {
        Credentials {
            server,
            identity_token: answer.secret,
            ..Credentials::default()
        }
    } else {
        Credentials {
            server,
            username: answer.username,
            password: answer.secret,
            ..Credentials::default()
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn with_config(text: &str) -> (tempfile::TempDir, IndexMap<String, String>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), text).unwrap();
        let path = format!("{}:/usr/bin:/bin", dir.path().display());
        let env = [("DOCKER_CONFIG", dir.path().display().to_string()), ("PATH", path)];
        let env = env.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        (dir, env)
    }

    #[test]
    fn a_names_registry_is_its_host() {
        assert_eq!(registry("postgres:15"), DEFAULT_KEY);
        assert_eq!(registry("library/postgres"), DEFAULT_KEY);
        assert_eq!(registry("ghcr.io/shop/api:1"), "ghcr.io");
        assert_eq!(registry("localhost:5000/api"), "localhost:5000");
        assert_eq!(registry("localhost/api"), "localhost");
    }

    #[tokio::test]
    async fn a_stored_login_is_found_however_its_registry_is_written() {
        let auth = STANDARD.encode("ada:p:ss?");
        let (_dir, env) = with_config(&format!(
            r#"{{"auths":{{"https://reg.example/v1/":{{"auth":"{auth}"}},"other.example":{{"identitytoken":"t"}}}}}}"#
        ));
        let found = credentials("reg.example", &env).await.unwrap().unwrap();
        assert_eq!((found.username.as_str(), found.password.as_str()), ("ada", "p:ss?"));
        let found = credentials("other.example", &env).await.unwrap().unwrap();
        assert_eq!(found.identity_token, "t");
        assert_eq!(credentials("third.example", &env).await.unwrap(), None);
        assert_eq!(all_credentials(&env).await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn helpers_are_asked_and_one_that_is_missing_is_named() {
        let (dir, env) = with_config(r#"{"credsStore":"none","credHelpers":{"reg.example":"test"}}"#);
        let program = dir.path().join("docker-credential-test");
        std::fs::write(
            &program,
            "#!/bin/sh\nread server\nprintf '{\"ServerURL\":\"%s\",\"Username\":\"<token>\",\"Secret\":\"%s\"}' \"$server\" \"$1\"\n",
        )
        .unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let found = credentials("reg.example", &env).await.unwrap().unwrap();
        assert_eq!(
            (found.server.as_str(), found.identity_token.as_str()),
            ("reg.example", "get")
        );
        let error = credentials("elsewhere.example", &env).await.unwrap_err();
        assert!(error.to_string().contains("docker-credential-none"), "{error}");
    }

    #[tokio::test]
    async fn a_broken_file_is_named() {
        let (_dir, env) = with_config("{");
        let error = credentials("reg.example", &env).await.unwrap_err();
        assert!(error.to_string().contains("config.json"), "{error}");
    }

    #[test]
    fn a_password_is_never_shown() {
        let login = Credentials {
            password: "secret".into(),
            ..Credentials::default()
        };
        assert!(!format!("{login:?}").contains("secret"));
        let decoded = URL_SAFE.decode(login.header()).unwrap();
        assert!(String::from_utf8(decoded).unwrap().contains("secret"));
    }
}
