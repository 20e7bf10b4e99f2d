//! Is it ready? One test per kind, each a handshake of the real protocol, each ended by its timeout, and cancelled by dropping it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::exec::{self, Keep};
use crate::process::ProcessSpec;

mod amqp;
mod grpc;
mod http;
mod postgres;
#[cfg(test)]
mod tests;

pub(crate) use postgres::execute;

/// How readiness is tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The process runs: that is all that is asked.
    Started,
    /// A TCP connection is accepted.
    Tcp(SocketAddr),
    /// `GET path` answers with a status below 400.
    Http {
        /// Where.
        addr: SocketAddr,
        /// With query, beginning with `/`.
        path: String,
        /// The `Host` header; `None`: the address.
        host: Option<String>,
    },
    /// `grpc.health.v1.Health/Check` answers SERVING.
    Grpc {
        /// Where.
        addr: SocketAddr,
        /// The service asked for; empty: the server as a whole.
        service: String,
    },
    /// A command ends with status 0.
    Command(Box<ProcessSpec>),
    /// A command inside of a container ends with status 0.
    Inside(Box<Inside>),
    /// All of these, one after the other.
    All(Vec<Probe>),
    /// Log in and `SELECT 1`.
    Postgres(PostgresLogin),
    /// Open an AMQP 0-9-1 connection on a virtual host.
    Amqp(AmqpLogin),
}

/// A command inside of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// Where the container is.
    pub engine: crate::docker::Engine,
    /// Its id.
    pub container: String,
    /// What is run.
    pub command: crate::docker::ExecSpec,
}

/// How to log in to PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresLogin {
    /// Where.
    pub host: PostgresHost,
    /// The role.
    pub user: String,
    /// Its password; `None`: none is asked for.
    pub password: Option<String>,
    /// The database.
    pub database: String,
}

/// Where a PostgreSQL listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostgresHost {
    /// On TCP.
    Tcp(SocketAddr),
    /// On a unix socket: its directory and its port number.
    Unix(PathBuf, u16),
}

/// How to log in to RabbitMQ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AmqpLogin {
    /// Where.
    pub addr: SocketAddr,
    /// The user.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The virtual host, such as `/`.
    pub vhost: String,
    /// Its users come from a definitions file, whose passwords nobody can read: being refused shows that it is ready.
    pub refusal_is_ready: bool,
}

/// What a test said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeResult {
    /// Whether it is ready.
    pub ok: bool,
    /// What was answered or what went wrong, in one or a few lines.
    pub output: String,
    /// How long the test took.
    pub took: Duration,
}

impl Probe {
    /// Tests once. Takes no longer than `timeout`; dropping the future ends whatever it began.
    pub async fn test(&self, timeout: Duration) -> ProbeResult {
        let began = Instant::now();
        let told = match self {
            // It bounds itself, so that what the command printed until then is kept.
            Self::Command(spec) => command(spec, timeout).await,
            Self::Inside(inside) => inside.test(timeout).await,
            Self::All(all) => {
                let mut told = Ok(String::new());
                for one in all {
                    let result = Box::pin(one.test(timeout.saturating_sub(began.elapsed()))).await;
                    told = if result.ok {
                        Ok(result.output)
                    } else {
                        Err(result.output)
                    };
                    if told.is_err() {
                        break;
                    }
                }
                told
            }
            _ => match tokio::time::timeout(timeout, self.handshake()).await {
                Ok(told) => told,
                Err(_) => Err(format!("no answer within {timeout:?}")),
            },
        };
        let took = began.elapsed();
        match told {
            Ok(output) => ProbeResult { ok: true, output, took },
            Err(output) => ProbeResult {
                ok: false,
                output,
                took,
            },
        }
    }

    async fn handshake(&self) -> Result<String, String> {
        match self {
            Self::Started => Ok("it runs".into()),
            Self::Tcp(addr) => connect(*addr).await.map(|_| format!("{addr} accepts connections")),
            Self::Http { addr, path, host } => http::get(*addr, path, host.as_deref()).await,
            Self::Grpc { addr, service } => grpc::check(*addr, service).await,
            Self::Command(spec) => command(spec, Duration::MAX).await,
            Self::Inside(_) | Self::All(_) => Err("it bounds itself".into()),
            Self::Postgres(login) => postgres::select_one(login).await,
            Self::Amqp(login) => amqp::open(login).await,
        }
    }
}

impl Inside {
    async fn test(&self, timeout: Duration) -> Result<String, String> {
        let outcome = self
            .engine
            .exec(&self.container, &self.command, Some(timeout), |_| {})
            .await
            .map_err(|error| format!("failed to {error}"))?;
        let output = outcome.output.trim_end();
        match outcome.code {
            Some(0) => Ok(output.to_owned()),
            Some(code) => Err(format!("{output}\nexited with {code}").trim_start().to_owned()),
            None => Err(format!("{output}\ntook longer than {timeout:?}")
                .trim_start()
                .to_owned()),
        }
    }
}

async fn connect(addr: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(addr)
        .await
        .map_err(|error| format!("connect to {addr}: {}", brief(&error)))
}

async fn command(spec: &ProcessSpec, timeout: Duration) -> Result<String, String> {
    let limit = (timeout != Duration::MAX).then_some(timeout);
    match exec::run(spec, limit, Keep::default()).await {
        Ok(outcome) if outcome.success() => Ok(outcome.output.trim_end().to_owned()),
        Ok(outcome) => {
            let end = outcome
                .exit
                .map_or_else(|| format!("took longer than {timeout:?}"), |exit| exit.to_string());
            Err(format!("{}\n{end}", outcome.output.trim_end()).trim_start().to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// What the kernel said, without its number.
fn brief(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        std::io::ErrorKind::UnexpectedEof => "connection closed".into(),
        _ => error.to_string(),
    }
}
