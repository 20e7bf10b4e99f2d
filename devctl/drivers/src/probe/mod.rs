//! Is it ready? One test per kind, each a handshake of the real protocol, each ended by its timeout, and cancelled by dropping it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::process::ProcessSpec;

mod pacing;

pub use pacing::{Health, Pacer, Pacing};

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
    /// Log in and `SELECT 1`.
    Postgres(PostgresLogin),
    /// Open an AMQP 0-9-1 connection on a virtual host.
    Amqp(AmqpLogin),
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
    pub async fn test(&self, _timeout: Duration) -> ProbeResult {
        todo!()
    }
}
