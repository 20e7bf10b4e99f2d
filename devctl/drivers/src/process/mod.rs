//! Starting a process and ending all of it.
//!
//! A process is a group of its own, sees only the environment that its spec names, and writes into its run's log. The
//! handle is cheap to clone; a task of its own reaps the process, so no zombie stays, whoever waits or not.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indexmap::IndexMap;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::ChildStdin;
use tokio::sync::watch;

use crate::log::{RunLog, Stream};
pub use crate::proc::ProcessId;
use crate::user::UserId;

mod error;
mod lookup;
pub(crate) mod pump;
pub(crate) mod start;
#[cfg(test)]
mod tests;
mod tree;

pub use error::SpawnError;
pub use lookup::find_program;

/// What to start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stdin {
    /// Always at its end.
    #[default]
    Null,
    /// A pipe, to be taken with [`Process::take_stdin`].
    Pipe,
    /// A pipe with a name, made by [`named_pipe`]: whoever may write to it is read, one after the other, and nobody's leaving is its end.
    Named(PathBuf),
}

/// Makes a pipe with a name, for its owner alone, in place of one that may be there.
///
/// # Errors
/// What the kernel said.
pub fn named_pipe(path: &std::path::Path) -> std::io::Result<()> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Ok(nix::unistd::mkfifo(
        path,
        nix::sys::stat::Mode::from_bits_truncate(0o600),
    )?)
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
        self == Self::Code(0)
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "status {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => f.write_str(signal.as_str()),
                Err(_) => write!(f, "signal {number}"),
            },
        }
    }
}

/// The environment variable that, where a spec sets it to something unique, marks every descendant, so that those that left
/// the group and lost their parent are found too.
pub const RUN_VARIABLE: &str = "DEVCTL_RUN";

/// A started process. Cheap to clone. Dropping it ends nothing.
#[derive(Clone, Debug)]
pub struct Process {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    id: ProcessId,
    /// `NAME=value` of [`RUN_VARIABLE`].
    mark: Option<String>,
    ended: watch::Receiver<Option<Exit>>,
    stdin: Mutex<Option<ChildStdin>>,
    /// It is held still.
    held: AtomicBool,
}

/// Starts a process whose output goes into a log. Must be called inside a tokio runtime.
///
/// # Errors
/// Where nothing was started; the error says why, and [`SpawnError::help`] what to do.
pub fn spawn(spec: &ProcessSpec, log: &RunLog) -> Result<Process, SpawnError> {
    let (stdout, stdout_writer) = start::pipe(spec)?;
    let (stderr, stderr_writer) = start::pipe(spec)?;
    let started = start::start(spec, stdout_writer, stderr_writer)?;
    let mut pumps = Vec::new();
    for (pipe, stream) in [(stdout, Stream::Stdout), (stderr, Stream::Stderr)] {
        let mut sink = log.sink(stream);
        let receive = move |piece: Option<&[u8]>| match piece {
            Some(bytes) => sink.push(bytes),
            None => sink.finish(),
        };
        pumps.push(pump::Pump::begin(pipe, receive));
    }
    Ok(started.into_process(pumps))
}

impl Process {
    /// Who it is.
    pub fn id(&self) -> ProcessId {
        self.shared.id
    }

    /// Waits for its end, and for what it had written until then to be in the log. Can be called often, from anywhere; cancel-safe.
    pub async fn wait(&self) -> Exit {
        let mut ended = self.shared.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(exit) => exit.unwrap_or(Exit::Signal(Signal::SIGKILL as i32)),
            // The runtime is going down and took the reaper with it.
            Err(_) => Exit::Signal(Signal::SIGKILL as i32),
        }
    }

    /// How it ended, if it has.
    pub fn try_wait(&self) -> Option<Exit> {
        *self.shared.ended.borrow()
    }

    /// Sends a signal to its whole group. Nothing happens when it has ended.
    pub fn signal(&self, signal: Signal) {
        let id = self.shared.id;
        // As long as it is not reaped its pid, and so its group, is nobody else's.
        if self.try_wait().is_none() && ProcessId::of(id.pid) == Some(id) {
            // A group that has just ended is what was wanted.
            let _ = killpg(Pid::from_raw(id.pid), signal);
        }
    }

    /// Holds it still with all that belongs to it, or lets it go on.
    pub fn hold(&self, still: bool) {
        self.shared.held.store(still, Ordering::Relaxed);
        let signal = if still { Signal::SIGSTOP } else { Signal::SIGCONT };
        // Twice: what was being made while the first one went round is there for the second.
        for _ in 0..2 {
            self.signal(signal);
            for member in tree::members(self.shared.id, self.shared.mark.as_deref()) {
                member.signal(signal);
            }
        }
    }

    /// Ends its group and all that descends from it, at once (SIGKILL). Also after its own end: what it left behind is ended.
    pub fn kill_tree(&self) {
        tree::kill(self.shared.id, self.shared.mark.as_deref(), &[]);
    }

    /// Asks it to end, waits for `grace`, then ends whatever is left of it by force.
    pub async fn stop(&self, signal: Signal, grace: Duration) -> Exit {
        // Taken now: once it has ended, its children no longer lead back to it.
        let members = tree::members(self.shared.id, self.shared.mark.as_deref());
        self.signal(signal);
        if self.shared.held.load(Ordering::Relaxed) {
            // One that is held still hears of the signal only when it goes on.
            self.hold(false);
        }
        // Whether it ended in time or not, nothing of it stays.
        let _ = tokio::time::timeout(grace, self.wait()).await;
        tree::kill(self.shared.id, self.shared.mark.as_deref(), &members);
        self.wait().await
    }

    /// The writing end of its standard input, once, if the spec said [`Stdin::Pipe`].
    pub fn take_stdin(&self) -> Option<ChildStdin> {
        self.shared.stdin.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
