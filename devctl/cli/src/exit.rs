//! The exit statuses: the one place that gives them numbers.
//!
//! | status | meaning |
//! |---|---|
//! | 0 | all well: what was asked for is done |
//! | 1 | something of the project failed: a node, a test, an expectation |
//! | 2 | devctl could not run it: bad usage, bad files, no daemon, nothing to run it with |
//! | 129, 130, 143 | ended by SIGHUP, Ctrl-C, SIGTERM (128 and the signal's number) |
//! | 141 | whoever read the output went away (128 + SIGPIPE), as any filter would end |
//!
//! `up --exit-code-from SERVICE` ends with that service's own status instead.

use std::process::ExitCode;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All well.
    Ok,
    /// Something of the project failed.
    Failed,
    /// devctl could not run.
    CouldNotRun,
    /// Ended by this signal.
    Signal(i32),
    /// The reader of the output went away.
    ClosedPipe,
    /// The status of a service, `--exit-code-from`.
    Of(u8),
}

impl Exit {
    /// The status.
    pub(crate) fn status(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::CouldNotRun => 2,
            Exit::Signal(number) => 128_u8.saturating_add(u8::try_from(number).unwrap_or(127)),
            Exit::ClosedPipe => 141,
            Exit::Of(status) => status,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.status())
    }
}
