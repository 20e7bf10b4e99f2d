//! Why a PostgreSQL could not be prepared, and what to do about it.

use std::path::PathBuf;

use super::Installation;
use crate::server::{Requirement, Version};

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
        match self {
            Self::NoSuitableVersion { wanted, found } => Some(match (wanted, found.first()) {
                (Requirement::Same(version), None) => {
                    format!(
                        "install it (`apt install postgresql-{version}`), or use --runtime docker",
                        version = version.major()
                    )
                }
                (_, None) => "install it (`apt install postgresql`), or use --runtime docker".into(),
                (_, Some(newest)) => format!(
                    "install PostgreSQL {wanted}, use --runtime docker, or allow what is there with `x-devctl: {{native: {{version: \">={}\"}}}}`",
                    newest.version.major()
                ),
            }),
            Self::NoPassword => {
                Some("set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust to let everybody in without one".into())
            }
            Self::Unreachable { dir, user } => Some(format!(
                "PostgreSQL never runs as root: let `{user}` pass (chmod o+x {}), or set DEVCTL_HOME",
                dir.display()
            )),
            Self::OtherVersion { made_by, .. } => Some(format!(
                "install PostgreSQL {made_by} again, or begin with new data: devctl down -v"
            )),
            Self::InitScript { .. } => Some("correct the script; the next start begins the initialisation anew".into()),
            Self::Dirs(error) => error.help(),
            Self::Spawn(error) => error.help(),
            Self::Io { source, .. } if crate::dirs::is_disk_full(source) => {
                Some("the disk is full: free some space (`df -h`)".into())
            }
            Self::BadVariable { .. } | Self::Initdb { .. } | Self::TemporaryServer { .. } | Self::Io { .. } => None,
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
