//! A connection to the engine on which something else is spoken than its API: HTTP/2, for BuildKit.
//!
//! The client library does so within its own builds, and hands no such connection out.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, UPGRADE};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::{Endpoint, Engine};

/// Until an engine that answers otherwise has to answer this as well.
const LIMIT: Duration = Duration::from_secs(20);

/// Why the engine does not speak it.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// There is no connection.
    #[error("connect to `{host}`")]
    Connect {
        /// The engine's address.
        host: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The directory of certificates is not as Docker has it.
    #[error("read the certificates in `{}`", dir.display())]
    Certificates {
        /// Which directory.
        dir: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection broke.
    #[error("ask the engine for `{path}`")]
    Http {
        /// What was asked for.
        path: &'static str,
        /// How it broke.
        #[source]
        source: hyper::Error,
    },
    /// The engine does not have it.
    #[error("ask the engine for `{path}`: it answered {status}: {said}")]
    Refused {
        /// What was asked for.
        path: &'static str,
        /// Its status.
        status: StatusCode,
        /// Its words.
        said: String,
    },
    /// Nothing came.
    #[error("ask the engine for `{path}`: no answer in time")]
    Silent {
        /// What was asked for.
        path: &'static str,
    },
}

/// A connection as bytes.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Asks the engine for `path` of its API, and to speak HTTP/2 there from then on.
pub(super) async fn to_http2(
    engine: &Engine,
    path: &'static str,
    headers: &[(&'static str, String)],
) -> Result<Upgraded, UpgradeError> {
    match tokio::time::timeout(LIMIT, ask(engine, path, headers)).await {
        Ok(answer) => answer,
        Err(_) => Err(UpgradeError::Silent { path }),
    }
}

async fn ask(
    engine: &Engine,
    path: &'static str,
    headers: &[(&'static str, String)],
) -> Result<Upgraded, UpgradeError> {
    let wire = dial(engine.endpoint()).await?;
    let broken = |source| UpgradeError::Http { path, source };
    let (mut send, connection) = http1::handshake(TokioIo::new(wire)).await.map_err(broken)?;
    // Ends as soon as the connection is handed over, or closed.
    tokio::spawn(connection.with_upgrades());
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.method_mut() = http::Method::POST;
    let uri = format!("/v{}{path}", engine.facts().api_version);
    *request.uri_mut() = uri.parse().unwrap_or_default();
    let told = request.headers_mut();
    told.insert(HOST, http::HeaderValue::from_static("docker"));
    told.insert(CONNECTION, http::HeaderValue::from_static("Upgrade"));
    told.insert(UPGRADE, http::HeaderValue::from_static("h2c"));
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            told.append(*name, value);
        }
    }
    let answer = send.send_request(request).await.map_err(broken)?;
    let status = answer.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let said = answer.into_body().collect().await.map_err(broken)?.to_bytes();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        return Err(UpgradeError::Refused { path, status, said });
    }
    hyper::upgrade::on(answer).await.map_err(broken)
}

async fn dial(endpoint: &Endpoint) -> Result<Box<dyn Wire>, UpgradeError> {
    let host = endpoint.host.as_str();
    let refused = |source| UpgradeError::Connect {
        host: host.to_owned(),
        source,
    };
    if let Some(path) = host.strip_prefix("unix://") {
        return Ok(Box::new(UnixStream::connect(path).await.map_err(refused)?));
    }
    let address = host.split_once("://").map_or(host, |(_, address)| address);
    let address = address.trim_end_matches('/');
    let (name, _) = address.rsplit_once(':').unwrap_or((address, ""));
    let stream = TcpStream::connect(address).await.map_err(refused)?;
    let Some(dir) = &endpoint.tls else {
        return Ok(Box::new(stream));
    };
    let broken = |source| UpgradeError::Certificates {
        dir: dir.clone(),
        source,
    };
    let config = certificates(dir).map_err(broken)?;
    let name = ServerName::try_from(name.trim_matches(['[', ']']).to_owned()).map_err(|error| broken(error.into()))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    Ok(Box::new(connector.connect(name, stream).await.map_err(refused)?))
}

/// Who the engine is to be, and who this client is: as `DOCKER_CERT_PATH` has it.
fn certificates(dir: &Path) -> Result<rustls::ClientConfig, Box<dyn std::error::Error + Send + Sync>> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(dir.join("ca.pem"))? {
        roots.add(certificate?)?;
    }
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(dir.join("cert.pem"))?.collect();
    let key = PrivateKeyDer::from_pem_file(dir.join("key.pem"))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain?, key)?;
    Ok(config)
}
