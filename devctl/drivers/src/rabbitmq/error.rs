//! Why a RabbitMQ could not be started, and what to do about it.

use std::path::PathBuf;

use super::Installation;
use crate::server::Requirement;

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
        match self {
            Self::NoSuitableVersion { found, .. } => Some(match found.first() {
                None => "install it (`apt install rabbitmq-server`), or use --runtime docker".into(),
                Some(newest) => format!(
                    "use --runtime docker, or allow what is there with `x-devctl: {{native: {{version: \">={}\"}}}}`",
                    newest.version.major()
                ),
            }),
            Self::NoSuchPlugin { available, .. } => Some(format!("it has {}", available.join(", "))),
            Self::Unreachable { dir, user } => Some(format!(
                "RabbitMQ does not run as root: let `{user}` pass (chmod o+x {}), or set DEVCTL_HOME",
                dir.display()
            )),
            Self::Spawn(error) => error.help(),
            Self::Epmd { port, .. } => Some(format!("see who has port {port}: ss -ltnp 'sport = :{port}'")),
            Self::Io { source, .. } if crate::dirs::is_disk_full(source) => {
                Some("the disk is full: free some space (`df -h`)".into())
            }
            Self::BadSetting { .. } | Self::Io { .. } => None,
        }
    }

    /// For `map_err`: an operation on a path that failed.
    pub(super) fn io(doing: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

fn found_list(found: &[Installation]) -> String {
    if found.is_empty() {
        return "none is installed".into();
    }
    let versions: Vec<String> = found.iter().map(|one| one.version.to_string()).collect();
    format!("found {}", versions.join(", "))
}
