//! RabbitMQ from the machine's installation, meaning what the official image means, and booted the fast way.
//!
//! A server is two processes, the broker and an epmd of its own, both on loopback, both in the run's log. [`prepare`]
//! writes what they need, [`start`] starts them; [`Running::booted`] must be told when it is ready.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;

use crate::log::RunLog;
use crate::probe::AmqpLogin;
use crate::process::{Exit, Process, ProcessSpec};
use crate::server::{Requirement, Version};

/// A RabbitMQ on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// Its version, such as 3.10.8.
    pub version: Version,
    /// Its home, with `plugins` and `sbin`.
    pub home: PathBuf,
    /// The Erlang emulator's launcher.
    pub erl: PathBuf,
    /// The port mapper daemon.
    pub epmd: PathBuf,
}

/// One server to prepare.
#[derive(Clone, Debug)]
pub struct RabbitSpec {
    /// Which versions will do.
    pub version: Requirement,
    /// The service's environment: the official image's variables are read from it (`RABBITMQ_DEFAULT_USER`, `_PASS`, `_VHOST`
    /// and their `_FILE` forms, `RABBITMQ_PLUGINS`, ...).
    pub env: IndexMap<String, String>,
    /// Files that the service mounts under `/etc/rabbitmq` or that its configuration names: path in the container -> path here.
    /// `rabbitmq.conf`, `conf.d/*.conf`, `advanced.config`, `enabled_plugins`, and definitions files are understood.
    pub mounts: IndexMap<String, PathBuf>,
    /// What makes the node's name unique on this machine, such as `shop-1f3a-rabbitmq`.
    pub name: String,
    /// Where the broker's data lives. Made if it is not there.
    pub data_dir: PathBuf,
    /// Where what is shared by all projects of a user is kept.
    pub cache_dir: PathBuf,
    /// Where AMQP listens.
    pub listen: SocketAddr,
    /// Where the management plugin listens; `None`: it is not wanted.
    pub management: Option<SocketAddr>,
    /// The port of Erlang's distribution, for `rabbitmqctl`.
    pub dist_port: u16,
    /// The port of the node's own epmd.
    pub epmd_port: u16,
}

/// A server that is ready to be started.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The broker.
    pub process: ProcessSpec,
    /// Its port mapper.
    pub epmd: ProcessSpec,
    /// How to test it.
    pub login: AmqpLogin,
    /// The version that will run.
    pub version: Version,
    /// Environment and arguments with which the machine's `rabbitmqctl` reaches the node: [`ProcessSpec::args`] is to be appended to.
    pub ctl: ProcessSpec,
    /// What is done otherwise than the Compose file asks, to be shown to the user.
    pub notes: Vec<String>,
}

/// A started server.
#[derive(Clone, Debug)]
pub struct Running {
    /// The broker: its end is the run's end.
    pub broker: Process,
    /// Its port mapper.
    pub epmd: Process,
}

impl Running {
    /// Gives the broker all cores. It boots on one, since there waking the other costs more than it brings.
    pub async fn booted(&self) {
        todo!()
    }

    /// Shuts the broker down in order, for `grace` at most, then ends the port mapper and whatever is left.
    pub async fn stop(&self, _grace: Duration) -> Exit {
        todo!()
    }

    /// Ends all of it at once.
    pub fn kill(&self) {
        todo!()
    }
}

/// Every RabbitMQ that this machine has, newest first. `path`: the PATH to look in besides the usual places.
pub fn discover(_path: &str) -> Vec<Installation> {
    todo!()
}

/// Writes configuration, cookie and plugin directory, and says what to run.
///
/// # Errors
/// See [`RabbitError`].
pub async fn prepare(_spec: &RabbitSpec) -> Result<Prepared, RabbitError> {
    todo!()
}

/// Starts the port mapper and the broker.
///
/// # Errors
/// Where one of the two could not be started; then neither runs.
pub async fn start(_prepared: &Prepared, _log: &RunLog) -> Result<Running, RabbitError> {
    todo!()
}

/// Why a RabbitMQ could not be started.
#[derive(Debug, thiserror::Error)]
pub enum RabbitError {
    /// None of the machine's versions will do.
    #[error("find RabbitMQ {wanted} on this machine ({})", found_list(found))]
    NoSuitableVersion {
        /// What is wanted.
        wanted: Requirement,
        /// What is there.
        found: Vec<Installation>,
    },
    /// A plugin that the installation does not have.
    #[error("enable plugin `{plugin}`: this RabbitMQ does not have it")]
    NoSuchPlugin {
        /// Its name.
        plugin: String,
        /// Those it has.
        available: Vec<String>,
    },
    /// A variable or a configuration file that cannot be used as it is.
    #[error("read `{what}`: {reason}")]
    BadSetting {
        /// The variable or file.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// The broker's user cannot get at a directory.
    #[error("let user `{user}` enter `{}`", dir.display())]
    Unreachable {
        /// The directory that is closed.
        dir: PathBuf,
        /// The user.
        user: String,
    },
    /// A program could not be started.
    #[error(transparent)]
    Spawn(#[from] crate::process::SpawnError),
    /// The port mapper did not come up.
    #[error("start epmd on port {port}: {reason}")]
    Epmd {
        /// Its port.
        port: u16,
        /// What happened.
        reason: String,
    },
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

impl RabbitError {
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
