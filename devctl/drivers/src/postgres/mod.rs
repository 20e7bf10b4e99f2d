//! PostgreSQL from the machine's binaries, meaning what the official image means.
//!
//! [`prepare`] makes the data directory (from a cached template, then the init scripts on a server that only its own socket
//! reaches) and says what to run; the server itself is then a process like any other, to be stopped with SIGINT.

use std::net::SocketAddr;
use std::path::PathBuf;

use indexmap::IndexMap;
use nix::sys::signal::Signal;

use crate::log::RunLog;
use crate::probe::PostgresLogin;
use crate::process::ProcessSpec;
use crate::server::{Requirement, Version};

/// SIGINT: fast shutdown; sessions are ended, data is written.
pub const STOP_SIGNAL: Signal = Signal::SIGINT;

/// A PostgreSQL on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Its version, such as 15.14.
    pub version: Version,
    /// Where its programs are.
    pub bin: PathBuf,
}

/// What the official image's environment says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `POSTGRES_USER`: the superuser. Default `postgres`.
    pub user: String,
    /// `POSTGRES_PASSWORD`; `None` only with [`Settings::trust`].
    pub password: Option<String>,
    /// `POSTGRES_DB`: made at the first start. Default: the user.
    pub database: String,
    /// `POSTGRES_INITDB_ARGS`, as a shell would split it.
    pub initdb_args: Vec<String>,
    /// `POSTGRES_HOST_AUTH_METHOD`; `None`: `scram-sha-256`.
    pub host_auth_method: Option<String>,
    /// What was asked for and is done otherwise here, to be shown to the user.
    pub notes: Vec<String>,
}

/// One server to prepare.
#[derive(Clone, Debug)]
pub struct PostgresSpec {
    /// Which versions will do.
    pub version: Requirement,
    /// The service's environment: the official image's variables are read from it, and all of it is what init scripts see.
    pub env: IndexMap<String, String>,
    /// What stands in for `/docker-entrypoint-initdb.d`: files, or directories whose files are meant. Run in order of file name.
    pub init: Vec<PathBuf>,
    /// The service's `command`, when it names `postgres` or begins with an option: `["postgres", "-c", "max_connections=200"]`.
    pub command: Vec<String>,
    /// Where the data lives. Made if it is not there.
    pub data_dir: PathBuf,
    /// A short path for the unix socket. Made if it is not there.
    pub socket_dir: PathBuf,
    /// Where templates are kept, for all projects of a user.
    pub cache_dir: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
}

/// A server that is ready to be started.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What to spawn.
    pub process: ProcessSpec,
    /// How to test it, over TCP as services will.
    pub login: PostgresLogin,
    /// The version that will run.
    pub version: Version,
    /// Whether the data directory was made just now.
    pub first_start: bool,
    /// What is done otherwise than the Compose file asks, to be shown to the user.
    pub notes: Vec<String>,
}

/// Every PostgreSQL that this machine has, newest first. `path`: the PATH to look in besides the usual places.
pub fn discover(_path: &str) -> Vec<Installation> {
    todo!()
}

/// Makes the data directory, unless it is complete already, and says what to run.
///
/// # Errors
/// See [`PostgresError`]. A preparation that was broken off is begun anew the next time.
pub async fn prepare(_spec: &PostgresSpec, _log: &RunLog) -> Result<Prepared, PostgresError> {
    todo!()
}

/// Why a PostgreSQL could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// None of the machine's versions will do.
    #[error("find PostgreSQL {wanted} on this machine ({})", found_list(found))]
    NoSuitableVersion {
        /// What is wanted.
        wanted: Requirement,
        /// What is there.
        found: Vec<Installation>,
    },
    /// Neither a password nor `trust`.
    #[error("initialise the database: `POSTGRES_PASSWORD` is not set")]
    NoPassword,
    /// A variable that cannot be used as it is.
    #[error("read `{variable}`: {reason}")]
    BadVariable {
        /// Its name.
        variable: String,
        /// What is wrong.
        reason: String,
    },
    /// The server's user cannot get at a directory.
    #[error("let user `{user}` enter `{}`", dir.display())]
    Unreachable {
        /// The directory that is closed.
        dir: PathBuf,
        /// The user.
        user: String,
    },
    /// The data directory belongs to another major version.
    #[error("use `{}`: it was made by PostgreSQL {made_by}, and {running} is to run", dir.display())]
    OtherVersion {
        /// The data directory.
        dir: PathBuf,
        /// Who made it.
        made_by: String,
        /// What would run.
        running: Version,
    },
    /// `initdb` failed.
    #[error("run `initdb`: {output}")]
    Initdb {
        /// What it said.
        output: String,
    },
    /// The temporary server for the init scripts failed.
    #[error("start PostgreSQL for its initialisation: {output}")]
    TemporaryServer {
        /// Its last lines.
        output: String,
    },
    /// An init script failed.
    #[error("run init script `{}`: {output}", script.display())]
    InitScript {
        /// The script.
        script: PathBuf,
        /// What psql or the script said.
        output: String,
    },
    /// The path of the socket does not fit.
    #[error(transparent)]
    Dirs(#[from] crate::dirs::DirsError),
    /// A program could not be started.
    #[error(transparent)]
    Spawn(#[from] crate::process::SpawnError),
    /// A file or directory.
    #[error("{doing} `{}`", path.display())]
    Io {
        /// What was being done, such as `write`.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
}

impl PostgresError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        todo!()
    }
}

fn found_list(found: &[Installation]) -> String {
    if found.is_empty() {
        return "none is installed".into();
    }
    let versions: Vec<String> = found.iter().map(|one| one.version.to_string()).collect();
    format!("found {}", versions.join(", "))
}
