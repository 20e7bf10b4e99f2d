//! The way to a project's daemon: connect to the one that is there, or start one.
//!
//! Starting is a race between clients: a lock beside the socket lets one of them start the daemon while the others wait for it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use devctl_drivers::dirs::DirsError;
use devctl_wire::{Client, ConnectError, connect};
use miette::Diagnostic;
use nix::fcntl::{Flock, FlockArg};

use crate::project::Project;
use crate::spawn::{self, SpawnError};

/// Why there is no daemon to ask.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum ClientError {
    /// Nothing runs, and this verb starts nothing.
    #[error("project `{project}` is not up")]
    #[diagnostic(help("`devctl up` starts it"))]
    NotUp {
        /// The project's name.
        project: String,
    },
    /// A daemon of another version serves the project. It is left alone.
    #[error("project `{project}` is served by devctl {daemon}, and this is devctl {client}")]
    #[diagnostic(help(
        "use devctl {daemon} for it, or end its daemon, and with it everything of the project that runs: `kill {pid}`"
    ))]
    OtherVersion {
        /// The project's name.
        project: String,
        /// The daemon's version.
        daemon: String,
        /// Ours.
        client: String,
        /// The daemon's process.
        pid: u32,
    },
    /// The socket is there and nobody answers.
    #[error("failed to talk to the daemon of project `{project}`")]
    #[diagnostic(help("see `{}`; removing `{}` makes the next command start another", log.display(), socket.display()))]
    Silent {
        /// The project's name.
        project: String,
        /// The daemon's log.
        log: PathBuf,
        /// Its socket.
        socket: PathBuf,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The directories that a daemon needs.
    #[error("failed to make room for project `{project}`")]
    Dirs {
        /// The project's name.
        project: String,
        /// What could not be made.
        #[source]
        source: DirsError,
        /// What to do.
        #[help]
        help: Option<String>,
    },
    /// The lock under which a daemon is started.
    #[error("failed to lock `{}`", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The daemon did not come up.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Spawn(#[from] SpawnError),
}

/// Connects to the daemon that serves the project; `None` where there is none.
pub(crate) async fn find(project: &Project) -> Result<Option<Client>, ClientError> {
    let socket = project.dirs.api_socket();
    match connect(&socket).await {
        Ok((client, _)) => Ok(Some(client)),
        Err(ConnectError::Absent { .. }) => Ok(None),
        Err(ConnectError::OtherVersion { daemon, client, pid }) => Err(ClientError::OtherVersion {
            project: project.name.clone(),
            daemon,
            client,
            pid,
        }),
        Err(ConnectError::Silent { source, .. }) => Err(ClientError::Silent {
            project: project.name.clone(),
            log: spawn::log_file(project),
            socket,
            source,
        }),
    }
}

/// Connects to the daemon that serves the project, which must be there.
pub(crate) async fn expect(project: &Project) -> Result<Client, ClientError> {
    find(project).await?.ok_or_else(|| ClientError::NotUp {
        project: project.name.clone(),
    })
}

/// Connects to the daemon that serves the project, started where there is none.
pub(crate) async fn find_or_start(project: &Project) -> Result<Client, ClientError> {
    if let Some(client) = find(project).await? {
        return Ok(client);
    }
    project.dirs.create().map_err(|source| ClientError::Dirs {
        project: project.name.clone(),
        help: source.help(),
        source,
    })?;
    let path = project.dirs.runtime.join("start.lock");
    let locked = {
        let path = path.clone();
        // A blocking lock has no deadline of its own, and needs none: it is freed with its holder, whatever ends that.
        tokio::task::spawn_blocking(move || lock(&path)).await
    };
    let _lock = locked
        .map_err(io::Error::other)
        .flatten()
        .map_err(|source| ClientError::Lock { path, source })?;
    if let Some(client) = find(project).await? {
        return Ok(client);
    }
    spawn::daemon(project).await?;
    expect(project).await
}

/// Waits until the daemon of a project that was taken down has ended, and with it has let go of the ports.
pub(crate) async fn gone(project: &Project) {
    const LIMIT: std::time::Duration = std::time::Duration::from_secs(2);
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(10);
    let ended = async {
        while matches!(find(project).await, Ok(Some(_))) {
            tokio::time::sleep(PAUSE).await;
        }
    };
    // One that others still use goes on.
    let _used = tokio::time::timeout(LIMIT, ended).await;
}

fn lock(path: &Path) -> io::Result<Flock<File>> {
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
}
