//! RabbitMQ from the machine's installation, meaning what the official image means, and booted the fast way.
//!
//! A server is two processes, the broker and an epmd of its own, both on loopback, both in the run's log. [`prepare`]
//! writes what they need, [`start`] starts them; [`Running::booted`] must be told when it is ready.

use std::net::SocketAddr;
use std::path::PathBuf;

use indexmap::IndexMap;

use crate::probe::AmqpLogin;
use crate::process::ProcessSpec;
use crate::server::{Requirement, Version};
use crate::user::UserId;

mod apps;
mod command;
mod config;
mod discover;
mod error;
mod files;
mod running;
#[cfg(test)]
mod tests;

pub use discover::discover;
pub use error::RabbitError;
pub use running::{Running, start};

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
    /// and their `_FILE` forms, `RABBITMQ_ERLANG_COOKIE`, `RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS`).
    pub env: IndexMap<String, String>,
    /// Files that the service mounts under `/etc/rabbitmq` or that its configuration names: path in the container -> path here.
    /// `rabbitmq.conf`, `conf.d/*.conf`, `advanced.config`, `enabled_plugins`, and definitions files are understood.
    pub mounts: IndexMap<String, PathBuf>,
    /// The cluster's name, as the management page shows it, such as `shop-1f3a-rabbitmq`.
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

/// The broker's name in Erlang. The same for all: each has a port mapper of its own, and data outlives the name of a project.
const NODE: &str = "rabbit@localhost";

/// Writes configuration, cookie and plugin directory, and says what to run.
///
/// # Errors
/// See [`RabbitError`].
pub async fn prepare(spec: &RabbitSpec) -> Result<Prepared, RabbitError> {
    let path = std::env::var("PATH").unwrap_or_default();
    let found = discover(&path);
    let Some(installation) = found.iter().find(|one| spec.version.accepts(&one.version)).cloned() else {
        return Err(RabbitError::NoSuitableVersion {
            wanted: spec.version.clone(),
            found,
        });
    };
    let user = UserId::to_drop_to(&["rabbitmq"]);
    let mut notes = Vec::new();
    let layout = files::Layout::of(&spec.data_dir);
    layout.make(user.as_ref())?;
    let settings = config::Settings::of(spec, &mut notes)?;
    let apps = apps::Apps::of(&installation);
    let plugins = apps.link(&settings.plugins, &layout.plugins)?;
    layout.write(&settings, &apps.modules(&settings.plugins), user.as_ref())?;
    let command = command::Command {
        spec,
        installation: &installation,
        layout: &layout,
        settings: &settings,
        user: user.as_ref(),
    };
    let process = command.broker(&plugins)?;
    let login = AmqpLogin {
        addr: spec.listen,
        user: settings.user.clone(),
        password: settings.password.clone(),
        vhost: settings.vhost.clone(),
        refusal_is_ready: settings.has_definitions,
    };
    let (epmd, ctl) = (command.epmd(), command.ctl(&plugins));
    Ok(Prepared {
        process,
        epmd,
        login,
        version: installation.version,
        ctl,
        notes,
    })
}
