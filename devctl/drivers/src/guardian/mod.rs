//! The daemon's parent: nothing outlives the daemon.
//!
//! A tiny single-threaded process (`std` and `nix` alone) that makes itself a child subreaper, starts the daemon and waits. When the
//! daemon ends, by whatever cause, every process that descends from it comes to the guardian, which ends it by pid and start
//! time: asked first, then killed, all within two seconds. The other way round, the daemon's standard input is a pipe from the
//! guardian, so that the guardian's death is the end of that input.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

mod guarded;
mod sweep;

pub use guarded::Guarded;
pub use sweep::end_leftovers;

/// How long what is left may take to end by itself before it is killed.
pub const GRACE: Duration = Duration::from_millis(1000);

/// Set in the daemon's environment: its guardian's pid.
pub const GUARDIAN_VARIABLE: &str = "DEVCTL_GUARDIAN";

/// The daemon to start.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where stdout and stderr go; `None`: they are the guardian's own.
    pub output: Option<PathBuf>,
    /// Whether it gets a process group of its own, so that Ctrl-C in the terminal that started it is not for it.
    pub own_group: bool,
}

/// Runs the daemon and stays until it and all that descends from it has ended; its exit status, as a shell would give it. SIGTERM, SIGINT and SIGHUP are handed on to the daemon.
///
/// Must be called while the process has one thread.
///
/// # Errors
/// Where the daemon could not be started.
pub fn run(daemon: &Daemon) -> io::Result<u8> {
    become_reaper()?;
    // A mask is inherited: whatever is blocked here now, the daemon and all its services could never be asked to end with.
    SigSet::empty().thread_set_mask()?;
    let (alive, _held) = io::pipe()?;
    let mut command = Command::new(&daemon.program);
    command
        .args(&daemon.args)
        .stdin(alive)
        .env(GUARDIAN_VARIABLE, std::process::id().to_string());
    if let Some(path) = &daemon.output {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        command.stdout(file.try_clone()?).stderr(file);
    }
    if daemon.own_group {
        command.process_group(0);
    }
    let child = command.spawn()?;
    // Our copy of the reading end goes with it: the daemon alone has one.
    drop(command);
    let mut wanted = SigSet::empty();
    for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        wanted.add(signal);
    }
    // Only now, when the daemon has its own mask. If it has ended meanwhile, the first look below finds it.
    wanted.thread_block()?;
    let signals = SignalFd::with_flags(&wanted, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let pid = Pid::from_raw(child.id().cast_signed());
    let code = loop {
        if let Some(status) = reap(Some(pid)) {
            break status;
        }
        wait_for(&signals, None)?;
        while let Some(signal) = next_signal(&signals)? {
            if signal != Signal::SIGCHLD {
                // It may have ended just now: then it is reaped in the next round.
                let _ = kill(pid, signal);
            }
        }
    };
    sweep::end_all(&signals)?;
    Ok(u8::try_from(code).unwrap_or(1))
}

/// From here on every orphan below this process becomes its child.
#[cfg(target_os = "linux")]
fn become_reaper() -> io::Result<()> {
    nix::sys::prctl::set_child_subreaper(true).map_err(io::Error::from)
}

/// Elsewhere nobody can adopt orphans: the recorded processes have to do.
#[cfg(not(target_os = "linux"))]
fn become_reaper() -> io::Result<()> {
    Ok(())
}

/// Reaps whatever has ended. The status of the one that is asked for, as a shell would give it, if it is among them.
fn reap(wanted: Option<Pid>) -> Option<i32> {
    let mut found = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if Some(pid) == wanted => found = Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if Some(pid) == wanted => found = Some(128 + signal as i32),
            Ok(WaitStatus::StillAlive) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

/// Waits until a signal is there, or the time is over.
fn wait_for(signals: &SignalFd, limit: Option<Duration>) -> io::Result<()> {
    let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    let limit = match limit {
        Some(limit) => PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX),
        None => PollTimeout::NONE,
    };
    match poll(&mut fds, limit) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn next_signal(signals: &SignalFd) -> io::Result<Option<Signal>> {
    let Some(info) = signals.read_signal()? else {
        return Ok(None);
    };
    Ok(i32::try_from(info.ssi_signo)
        .ok()
        .and_then(|number| Signal::try_from(number).ok()))
}
