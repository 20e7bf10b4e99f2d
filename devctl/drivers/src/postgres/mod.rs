//! PostgreSQL from the machine's binaries, meaning what the official image means.
//!
//! [`prepare`] makes the data directory (from a cached template, then the init scripts on a server that only its own socket
//! reaches) and says what to run; the server itself is then a process like any other, to be stopped with SIGINT.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;

use indexmap::IndexMap;
use nix::sys::signal::Signal;

use crate::dirs;
use crate::log::RunLog;
use crate::probe::{PostgresHost, PostgresLogin};
use crate::process::ProcessSpec;
use crate::server::{Requirement, Version};
use crate::user::UserId;

mod command;
mod discover;
mod error;
mod first_start;
mod pristine;
mod settings;
mod template;
#[cfg(test)]
mod tests;

pub use discover::discover;
pub use error::PostgresError;
pub use pristine::Pristine;

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
    /// `POSTGRES_PASSWORD`; `None` only where `POSTGRES_HOST_AUTH_METHOD` is `trust`.
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

/// Makes the data directory, unless it is complete already, and says what to run.
///
/// # Errors
/// See [`PostgresError`]. A preparation that was broken off is begun anew the next time.
pub async fn prepare(spec: &PostgresSpec, log: &RunLog) -> Result<Prepared, PostgresError> {
    let path = spec
        .env
        .get("PATH")
        .cloned()
        .unwrap_or_else(|| std::env::var("PATH").unwrap_or_default());
    let found = tokio::task::spawn_blocking(move || discover(&path))
        .await
        .unwrap_or_default();
    let Some(installation) = found.iter().find(|one| spec.version.accepts(&one.version)).cloned() else {
        return Err(PostgresError::NoSuitableVersion {
            wanted: spec.version.clone(),
            found,
        });
    };
    let settings = Settings::from_env(&spec.env, spec.data_dir.join("PG_VERSION").exists())?;
    let user = UserId::to_drop_to(&["postgres"]);
    make_dirs(spec, user.as_ref())?;
    let work = first_start::Work {
        spec,
        installation: &installation,
        settings: &settings,
        user: user.as_ref(),
        log,
    };
    let first_start = match fs::read_to_string(spec.data_dir.join("PG_VERSION")) {
        Ok(made_by) if made_by.trim() == installation.version.major().to_string() => {
            command::remove_stale_lock(&spec.data_dir);
            false
        }
        Ok(made_by) => {
            let (dir, made_by, running) = (spec.data_dir.clone(), made_by.trim().to_owned(), installation.version);
            return Err(PostgresError::OtherVersion { dir, made_by, running });
        }
        Err(_) => {
            work.run().await?;
            true
        }
    };
    let mut notes = settings.notes.clone();
    let process = command::process(spec, &installation, user.as_ref(), &mut notes);
    let login = PostgresLogin {
        host: PostgresHost::Tcp(spec.listen),
        user: settings.user,
        password: settings.password,
        database: settings.database,
    };
    Ok(Prepared {
        process,
        login,
        version: installation.version,
        first_start,
        notes,
    })
}

/// The directories that the server needs, each one its user can get at.
fn make_dirs(spec: &PostgresSpec, user: Option<&UserId>) -> Result<(), PostgresError> {
    let data_parent = spec.data_dir.parent().unwrap_or(&spec.data_dir);
    for dir in [data_parent, &spec.cache_dir, &spec.socket_dir] {
        fs::create_dir_all(dir).map_err(PostgresError::io("make directory", dir))?;
    }
    if let Some(user) = user {
        for dir in [data_parent, &spec.cache_dir] {
            if let Some(dir) = dirs::closed_to(user, dir) {
                return Err(PostgresError::Unreachable {
                    dir,
                    user: user.name.clone(),
                });
            }
        }
        chown(&spec.socket_dir, Some(user.uid), Some(user.gid)).map_err(PostgresError::io("own", &spec.socket_dir))?;
        if let Some(dir) = dirs::closed_to(user, &spec.socket_dir) {
            return Err(PostgresError::Unreachable {
                dir,
                user: user.name.clone(),
            });
        }
    }
    // Whoever enters may connect as the superuser: the image's own rule for its socket.
    fs::set_permissions(&spec.socket_dir, fs::Permissions::from_mode(0o700))
        .map_err(PostgresError::io("close", &spec.socket_dir))?;
    Ok(dirs::check_socket_path(
        &spec.socket_dir.join(format!(".s.PGSQL.{}", spec.listen.port())),
    )?)
}
