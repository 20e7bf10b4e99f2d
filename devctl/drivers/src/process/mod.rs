//! Starting a process and ending all of it.
//!
//! A process is a group of its own, sees only the environment that its spec names, and writes into its run's log. The
//! handle is cheap to clone; a task of its own reaps the process, so no zombie stays, whoever waits or not.

use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use nix::sys::signal::Signal;
use tokio::process::ChildStdin;

use crate::log::RunLog;
pub use crate::proc::ProcessId;
use crate::user::UserId;

/// What to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSpec {
    /// A path, or a name that is looked up in the `PATH` of [`ProcessSpec::env`]. A relative path counts from [`ProcessSpec::dir`].
    pub program: String,
    /// The arguments, the program's name left out.
    pub args: Vec<String>,
    /// The complete environment: nothing is inherited.
    pub env: IndexMap<String, String>,
    /// The working directory.
    pub dir: PathBuf,
    /// Whom to run as; `None`: whoever runs the daemon.
    pub user: Option<UserId>,
    /// Where standard input comes from.
    pub stdin: Stdin,
    /// The limit of open files; `None`: the daemon's.
    pub nofile: Option<u64>,
}

/// Where a process's standard input comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// Always at its end.
    #[default]
    Null,
    /// A pipe, to be taken with [`Process::take_stdin`].
    Pipe,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// Whether it ended with status 0.
    pub fn success(self) -> bool {
        todo!()
    }
}

/// The environment variable that, where a spec sets it, marks every descendant, so that those that left the group and
/// lost their parent are found too.
pub const RUN_VARIABLE: &str = "DEVCTL_RUN";

/// A started process.
#[derive(Clone, Debug)]
pub struct Process {
    id: ProcessId,
}

impl Process {
    /// Who it is.
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// Waits for its end, and for what it had written until then to be in the log. Can be called often, from anywhere.
    pub async fn wait(&self) -> Exit {
        todo!()
    }

    /// How it ended, if it has.
    pub fn try_wait(&self) -> Option<Exit> {
        todo!()
    }

    /// Sends a signal to its whole group. Nothing happens when it has ended.
    pub fn signal(&self, _signal: Signal) {
        todo!()
    }

    /// Ends its group and all that descends from it, at once (SIGKILL).
    pub fn kill_tree(&self) {
        todo!()
    }

    /// Asks it to end, waits for `grace`, then ends whatever is left of it by force.
    pub async fn stop(&self, _signal: Signal, _grace: Duration) -> Exit {
        todo!()
    }

    /// The writing end of its standard input, once, if the spec said [`Stdin::Pipe`].
    pub fn take_stdin(&self) -> Option<ChildStdin> {
        todo!()
    }
}

/// Starts a process. Must be called inside a tokio runtime.
///
/// # Errors
/// Where nothing was started; the error says why, and [`SpawnError::help`] what to do.
pub fn spawn(_spec: &ProcessSpec, _log: &RunLog) -> Result<Process, SpawnError> {
    todo!()
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// No such program.
    #[error("find `{program}`")]
    NotFound {
        /// As the spec names it.
        program: String,
        /// The directories of `PATH`, or the one path that was tried.
        looked_in: Vec<PathBuf>,
    },
    /// The file is there and cannot be executed.
    #[error("execute `{}`: {reason}", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The working directory is not there.
    #[error("enter `{}`: no such directory", dir.display())]
    NoDirectory {
        /// The directory.
        dir: PathBuf,
    },
    /// The user may not enter the working directory.
    #[error("enter `{}` as user `{user}`", dir.display())]
    ClosedDirectory {
        /// The directory.
        dir: PathBuf,
        /// The user.
        user: String,
    },
    /// The kernel refused.
    #[error("start `{program}`")]
    Kernel {
        /// As the spec names it.
        program: String,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
}

impl SpawnError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        todo!()
    }
}
