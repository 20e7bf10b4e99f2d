//! The connection to an engine, and what kind of engine it is.

use std::path::Path;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use indexmap::IndexMap;

use super::ConnectError;
use super::endpoint::{Endpoint, endpoints};
use super::error::Tried;

/// Until an engine that is there has to answer a plain question.
const HELLO: Duration = Duration::from_secs(10);
/// Until the head of any other answer: creating a container on a busy disk may take long.
const ANSWER: Duration = Duration::from_secs(300);

/// An engine that answers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    docker: Docker,
    endpoint: Endpoint,
    facts: std::sync::Arc<EngineFacts>,
}

/// What an engine says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineFacts {
    /// `20.10.24`.
    pub version: String,
    /// Of the API that is spoken with it: `1.41`.
    pub api_version: String,
    /// `linux/amd64`.
    pub platform: String,
    /// Its own id; another one after an engine was replaced.
    pub id: String,
    /// Its networks' gateways cannot be bound on this host: Docker Desktop, rootless, or another machine.
    pub far: bool,
    /// It runs without root.
    pub rootless: bool,
    /// It runs on another machine.
    pub remote: bool,
}

impl PartialEq for Engine {
    fn eq(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint && self.facts == other.facts
    }
}

impl Eq for Engine {}

impl Engine {
    /// Connects to the engine that this environment names; every address that was tried is in the error.
    ///
    /// # Errors
    /// Where none answers, or the environment names one that is not there.
    pub async fn connect(env: &IndexMap<String, String>) -> Result<Self, ConnectError> {
        let mut tried = Vec::new();
        for endpoint in endpoints(env)? {
            match Self::open(&endpoint).await {
                Ok(engine) => return Ok(engine),
                Err(source) => tried.push(Tried { endpoint, source }),
            }
        }
        Err(ConnectError::Unreachable { tried })
    }

    /// Connects to this one.
    ///
    /// # Errors
    /// What the connection said.
    pub async fn open(endpoint: &Endpoint) -> Result<Self, bollard::errors::Error> {
        let docker = dial(endpoint)?.with_timeout(HELLO).negotiate_version().await?;
        let (version, info) = tokio::try_join!(docker.version(), docker.info())?;
        let security = info.security_options.unwrap_or_default();
        let rootless = security.iter().any(|option| option.contains("rootless"));
        let system = info.operating_system.unwrap_or_default();
        let remote = !endpoint.host.starts_with("unix:") && !is_this_host(&endpoint.host);
        let spoken = docker.client_version();
        let facts = EngineFacts {
            version: version.version.unwrap_or_default(),
            api_version: spoken.to_string(),
            platform: format!(
                "{}/{}",
                version.os.unwrap_or_default(),
                version.arch.unwrap_or_default()
            ),
            id: info.id.unwrap_or_default(),
            far: remote || rootless || system.contains("Docker Desktop") || !cfg!(target_os = "linux"),
            rootless,
            remote,
        };
        Ok(Self {
            docker: docker.with_timeout(ANSWER),
            endpoint: endpoint.clone(),
            facts: std::sync::Arc::new(facts),
        })
    }

    /// The client itself, for the files beside this one.
    pub(super) fn docker(&self) -> &Docker {
        &self.docker
    }

    /// Which address answered.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What kind of engine it is.
    #[must_use]
    pub fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    /// Whether it still answers.
    pub async fn answers(&self) -> bool {
        tokio::time::timeout(HELLO, self.docker.ping())
            .await
            .is_ok_and(|answer| answer.is_ok())
    }

    /// Whether it takes a new connection: one that is ending answers only what is open.
    pub async fn takes_calls(&self) -> bool {
        let Ok(anew) = dial(&self.endpoint) else { return false };
        tokio::time::timeout(HELLO, anew.ping())
            .await
            .is_ok_and(|answer| answer.is_ok())
    }

    /// A connection whose answers may take this long, for what an engine answers only at its end.
    pub(super) fn patient(&self, limit: Duration) -> Docker {
        self.docker.clone().with_timeout(limit)
    }
}

fn dial(endpoint: &Endpoint) -> Result<Docker, bollard::errors::Error> {
    let seconds = HELLO.as_secs();
    let host = endpoint.host.as_str();
    match &endpoint.tls {
        Some(certs) => Docker::connect_with_ssl(
            host,
            &certs.join("key.pem"),
            &certs.join("cert.pem"),
            &certs.join("ca.pem"),
            seconds,
            API_DEFAULT_VERSION,
        ),
        None if host.starts_with("tcp://") || host.starts_with("http://") => {
            Docker::connect_with_http(host, seconds, API_DEFAULT_VERSION)
        }
        None if host.starts_with("unix://") => {
            let path = host.trim_start_matches("unix://");
            if !Path::new(path).exists() {
                return Err(bollard::errors::Error::SocketNotFoundError(path.to_owned()));
            }
            Docker::connect_with_unix(host, seconds, API_DEFAULT_VERSION)
        }
        None => Err(bollard::errors::Error::UnsupportedURISchemeError { uri: host.to_owned() }),
    }
}

fn is_this_host(host: &str) -> bool {
    ["tcp://127.", "tcp://localhost", "http://127.", "http://localhost"]
        .iter()
        .any(|here| host.starts_with(here))
}
