//! One-off commands: health tests, hooks, builds. Their output is kept within bounds, and one that takes too long is ended,
//! its whole tree with it. Dropping the future ends the command too.

use std::time::Duration;

use crate::log::{RunLog, Stream};
use crate::process::{Exit, ProcessSpec, SpawnError};

/// How much of the output is kept: the first and the last bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Bytes of the beginning.
    pub head: usize,
    /// Bytes of the end.
    pub tail: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            head: 4 * 1024,
            tail: 12 * 1024,
        }
    }
}

/// How a command went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended; `None`: it took too long and was ended.
    pub exit: Option<Exit>,
    /// stdout and stderr as they came, within bounds, with a line in the middle that says how much was left out.
    pub output: String,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    /// Whether it ended by itself with status 0.
    pub fn success(&self) -> bool {
        self.exit.is_some_and(Exit::success)
    }
}

/// Runs a command to its end.
///
/// # Errors
/// Where it could not be started. A command that fails or takes too long is an [`Outcome`].
pub async fn run(_spec: &ProcessSpec, _timeout: Option<Duration>, _keep: Keep) -> Result<Outcome, SpawnError> {
    todo!()
}

/// Runs a command to its end and hands on every line as it comes, into the log where one is given, and to `on_line`.
///
/// # Errors
/// Where it could not be started.
pub async fn stream(
    _spec: &ProcessSpec,
    _timeout: Option<Duration>,
    _keep: Keep,
    _log: Option<&RunLog>,
    _on_line: impl FnMut(Stream, &str) + Send,
) -> Result<Outcome, SpawnError> {
    todo!()
}
