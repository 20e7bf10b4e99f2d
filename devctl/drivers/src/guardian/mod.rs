//! The daemon's parent: nothing outlives the daemon.
//!
//! A tiny single-threaded process (`std` and `nix` alone) that makes itself a child subreaper, starts the daemon and waits. When the
//! daemon ends, by whatever cause, every process that descends from it comes to the guardian, which ends it by pid and start
//! time: asked first, then killed, all within two seconds. The other way round, the daemon's standard input is a pipe from the
//! guardian, so that the guardian's death is the end of that input.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crate::proc::ProcessId;

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
}

/// Runs the daemon and stays until it and all that descends from it has ended. SIGTERM, SIGINT and SIGHUP are handed on to the daemon.
///
/// Must be called while the process has one thread.
///
/// # Errors
/// Where the daemon could not be started.
pub fn run(_daemon: &Daemon) -> io::Result<ExitCode> {
    todo!()
}

/// The daemon's end of the pipe.
#[derive(Debug)]
pub struct Guarded {
    /// The guardian.
    pub guardian: ProcessId,
}

impl Guarded {
    /// Takes the pipe, if this process was started by a guardian. Once, early in the daemon's life.
    pub fn take() -> Option<Self> {
        todo!()
    }

    /// Waits for the guardian's death.
    pub async fn lost(&mut self) {
        todo!()
    }
}

/// Ends those of `recorded` that still run, and their descendants: asked first, killed after `grace`. Used when daemon and guardian were
/// both killed. Returns those that were found alive. Blocks for as long as `grace`.
pub fn end_leftovers(_recorded: &[ProcessId], _grace: Duration) -> Vec<ProcessId> {
    todo!()
}
