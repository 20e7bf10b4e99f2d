//! Connects to a project's daemon.

use std::io;
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use crate::VERSION;
use crate::v1::{HelloReply, HelloRequest, devctl_client::DevctlClient};

/// A connected client whose daemon has this very version.
pub type Client = DevctlClient<Channel>;

/// Why no daemon could be talked to.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing listens at the socket. Not a fault: the daemon is to be started.
    #[error("no daemon listens at `{}`", path.display())]
    Absent {
        /// The socket's path.
        path: PathBuf,
    },
    /// The socket is there and does not answer.
    #[error("the daemon at `{}` does not answer", path.display())]
    Silent {
        /// The socket's path.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A daemon of another version serves the project. It is left alone.
    #[error("the running daemon is devctl {daemon}, this is devctl {client}")]
    OtherVersion {
        /// The daemon's version.
        daemon: String,
        /// Ours.
        client: String,
        /// The daemon's process.
        pid: u32,
    },
}

/// Connects to the daemon at `socket` and compares versions.
///
/// # Errors
/// [`ConnectError::Absent`] where nothing listens, so that the caller may start a daemon.
pub async fn connect(socket: &Path) -> Result<(Client, HelloReply), ConnectError> {
    let path = socket.to_owned();
    match UnixStream::connect(&path).await {
        Ok(probe) => drop(probe),
        Err(err) if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Err(ConnectError::Absent { path });
        }
        Err(err) => {
            return Err(ConnectError::Silent {
                path,
                source: err.into(),
            });
        }
    }
    let silent = |source: Box<dyn std::error::Error + Send + Sync>| ConnectError::Silent {
        path: path.clone(),
        source,
    };
    let at = path.clone();
    let channel = Endpoint::from_static("http://devctl.local")
        .connect_with_connector(tower::service_fn(move |_| {
            let at = at.clone();
            async move { Ok::<_, io::Error>(TokioIo::new(UnixStream::connect(at).await?)) }
        }))
        .await
        .map_err(|err| silent(err.into()))?;
    let mut client = DevctlClient::new(channel).max_decoding_message_size(64 << 20);
    let hello = client
        .hello(HelloRequest {
            client_version: VERSION.to_owned(),
        })
        .await
        .map_err(|err| silent(err.into()))?
        .into_inner();
    if hello.daemon_version != VERSION {
        return Err(ConnectError::OtherVersion {
            daemon: hello.daemon_version,
            client: VERSION.to_owned(),
            pid: hello.pid,
        });
    }
    Ok((client, hello))
}
