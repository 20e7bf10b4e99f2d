//! Connects to a project's daemon.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

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

/// How often, and how long apart, a daemon is looked at that hangs up: one that is just ending is gone soon.
const LOOKS: usize = 20;
const APART: Duration = Duration::from_millis(25);

/// Connects to the daemon at `socket` and compares versions. One that is just ending is absent.
///
/// # Errors
/// [`ConnectError::Absent`] where nothing listens, so that the caller may start a daemon.
pub async fn connect(socket: &Path) -> Result<(Client, HelloReply), ConnectError> {
    let mut answer = connect_once(socket).await;
    for _ in 1..LOOKS {
        if !matches!(answer, Err(ConnectError::Silent { .. })) {
            break;
        }
        tokio::time::sleep(APART).await;
        answer = connect_once(socket).await;
    }
    answer
}

async fn connect_once(socket: &Path) -> Result<(Client, HelloReply), ConnectError> {
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

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn one_that_hangs_up_as_it_ends_is_absent() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("api.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let ending = async {
            // The look at whether somebody is there, and the call.
            drop(listener.accept().await.unwrap());
            drop(listener.accept().await.unwrap());
            drop(listener);
        };
        let (answer, ()) = tokio::join!(connect(&socket), ending);
        assert!(matches!(answer, Err(ConnectError::Absent { .. })), "{answer:?}");
    }

    #[tokio::test]
    async fn one_that_only_hangs_up_is_silent() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("api.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let hanging_up = async {
            loop {
                drop(listener.accept().await);
            }
        };
        tokio::select! {
            answer = connect(&socket) => assert!(matches!(answer, Err(ConnectError::Silent { .. })), "{answer:?}"),
            () = hanging_up => {}
        }
    }
}
