//! What is told to everyone who listens: terminal, dashboard, `events`.

use std::fmt;
use std::time::Duration;

use super::contracts::{Cause, Tested, Verdicts, Verification};
use super::event::{Exit, Failure};
use crate::plan::Action;
use crate::{NodeId, Seconds, Time};

/// One numbered line. A subscriber that was away resumes from the number after its last one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Counts from 1, without gaps.
    pub number: u64,
    /// When.
    pub at: Time,
    /// About whom; None: the project.
    pub node: Option<NodeId>,
    /// What.
    pub kind: NoticeKind,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Info,
    /// Worth a look.
    Warning,
    /// Something does not work.
    Error,
}

/// What happened. Its `Display` is the line without the node's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoticeKind {
    /// `up` found this to do (or not to do).
    Planned {
        /// What.
        action: Action,
        /// Why.
        reason: String,
    },
    /// A build began.
    Building,
    /// A build ended well.
    Built {
        /// It made something other than what runs.
        changed: bool,
        /// How long it took.
        took: Duration,
    },
    /// A build failed.
    BuildFailed {
        /// How.
        failure: Failure,
        /// A run from before still serves.
        serving: bool,
    },
    /// A run is being started.
    Starting {
        /// Why, where it is not simply wanted.
        reason: Option<String>,
    },
    /// A run goes on from before, and is taken over.
    Adopting,
    /// A run has been started.
    Started {
        /// Its main process.
        pid: Option<u32>,
        /// What really runs.
        version: Option<String>,
    },
    /// Its health test passes for the first time (again, where it was unhealthy).
    Ready {
        /// Since it was started.
        took: Duration,
        /// It had been unhealthy.
        again: bool,
    },
    /// Its health test fails beyond its budget.
    Unhealthy {
        /// For how long.
        after: Duration,
        /// What the test said.
        output: String,
    },
    /// A job has done its work.
    Completed {
        /// How long it took.
        took: Duration,
    },
    /// A job's work is done already: it, and the data it worked on, are the same.
    StillCompleted,
    /// A run ended by itself and is not started again.
    Exited {
        /// How.
        exit: Exit,
    },
    /// A run could not be started.
    StartFailed {
        /// Why.
        failure: Failure,
    },
    /// A run ended by itself and is started again later.
    RestartScheduled {
        /// How it ended.
        exit: Exit,
        /// When it is started again.
        delay: Duration,
        /// How many times in a row.
        attempt: u32,
    },
    /// A run is being stopped.
    Stopping {
        /// Why.
        reason: String,
    },
    /// A run has been stopped.
    Stopped {
        /// How it ended.
        exit: Exit,
        /// How long it took.
        took: Duration,
    },
    /// A new run serves in the old one's place.
    Replaced {
        /// Why.
        reason: String,
        /// From the change to the swap.
        took: Duration,
        /// How much of it was the build's, where there was one.
        build: Option<Duration>,
        /// From the start of the new run (or the stop of the old one, where that comes first) until the new one served.
        swap: Duration,
    },
    /// Changed files were copied into the run.
    Synced {
        /// Which.
        what: String,
        /// How long it took.
        took: Duration,
    },
    /// Changed files could not be copied, or what was to follow failed.
    SyncFailed {
        /// How.
        failure: Failure,
    },
    /// A new run failed; the old one still serves.
    ReplaceFailed {
        /// How.
        what: String,
    },
    /// The contracts in which it is the provider have been verified.
    Verified {
        /// What came of it.
        outcome: Box<Verification>,
        /// Why they were verified.
        cause: Cause,
        /// Since the save, or whatever else was the cause.
        took: Duration,
        /// They were broken before.
        again: bool,
    },
    /// The tests that write its contracts have been run.
    Tested {
        /// What came of them.
        outcome: Result<Tested, Failure>,
    },
    /// It is held still.
    Paused,
    /// It goes on after it was held still.
    Unpaused {
        /// For how long it was.
        after: Duration,
    },
    /// What it is made of is there.
    Created,
    /// What it is made of could not be made.
    CreateFailed {
        /// Why.
        failure: Failure,
    },
    /// Nothing of it is left.
    Removed {
        /// Its data neither.
        volumes: bool,
    },
    /// It waits for a node that will not come.
    Blocked {
        /// Which.
        on: NodeId,
        /// Why that will not come.
        why: String,
    },
    /// Its stand-in answers from other contracts now.
    StandInChanged {
        /// Whom.
        consumers: Vec<String>,
    },
    /// The files were changed, and were read again.
    Replanned {
        /// What differs, such as `recreate api`; nothing where all stays as it is.
        changes: Vec<String>,
    },
    /// Something worth knowing.
    Warning {
        /// What.
        text: String,
        /// What to do about it.
        help: Option<String>,
    },
}

impl NoticeKind {
    /// How much it matters.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::BuildFailed { .. }
            | Self::StartFailed { .. }
            | Self::Unhealthy { .. }
            | Self::Blocked { .. }
            | Self::SyncFailed { .. }
            | Self::CreateFailed { .. }
            | Self::ReplaceFailed { .. } => Level::Error,
            Self::Verified { outcome, .. } => match outcome.verdicts() {
                Verdicts::Broken => Level::Error,
                Verdicts::CouldNotRun | Verdicts::None => Level::Warning,
                Verdicts::Kept => Level::Info,
            },
            Self::Tested { outcome: Err(_) } => Level::Error,
            Self::Exited { exit } if exit.is_outside() => Level::Warning,
            // No failure of its own, and told as one of the engine's.
            Self::Exited { exit: Exit::WithEngine } => Level::Info,
            Self::Exited { exit } if !exit.success() => Level::Error,
            Self::RestartScheduled { .. } | Self::Warning { .. } => Level::Warning,
            Self::Planned {
                action: Action::Orphan, ..
            } => Level::Warning,
            _ => Level::Info,
        }
    }

    /// One word for it, stable for scripts.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Planned { action, .. } => action.word(),
            Self::Building => "building",
            Self::Built { .. } => "built",
            Self::BuildFailed { .. } => "build-failed",
            Self::Starting { .. } => "starting",
            Self::Adopting => "adopting",
            Self::Started { .. } => "started",
            Self::Ready { .. } => "ready",
            Self::Unhealthy { .. } => "unhealthy",
            Self::Completed { .. } => "completed",
            Self::StillCompleted => "still-completed",
            Self::Exited { .. } => "exited",
            Self::StartFailed { .. } => "start-failed",
            Self::RestartScheduled { .. } => "restarting",
            Self::Stopping { .. } => "stopping",
            Self::Stopped { .. } => "stopped",
            Self::Replaced { .. } => "replaced",
            Self::Synced { .. } => "synced",
            Self::SyncFailed { .. } => "sync-failed",
            Self::ReplaceFailed { .. } => "replace-failed",
            Self::Verified { .. } => "verified",
            Self::Tested { .. } => "tested",
            Self::Paused => "paused",
            Self::Unpaused { .. } => "unpaused",
            Self::Created => "created",
            Self::CreateFailed { .. } => "create-failed",
            Self::Removed { .. } => "removed",
            Self::Blocked { .. } => "blocked",
            Self::StandInChanged { .. } => "stand-in-changed",
            Self::Replanned { .. } => "replanned",
            Self::Warning { .. } => "warning",
        }
    }

    /// The lines below the first: a compiler's output, a probe's.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        match self {
            Self::BuildFailed { failure, .. }
            | Self::StartFailed { failure }
            | Self::SyncFailed { failure }
            | Self::CreateFailed { failure } => &failure.output,
            Self::Tested { outcome: Err(failure) } => &failure.output,
            _ => &[],
        }
    }

    /// What to do next.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::BuildFailed { failure, .. }
            | Self::StartFailed { failure }
            | Self::SyncFailed { failure }
            | Self::CreateFailed { failure } => failure.help.as_deref(),
            Self::Verified { outcome, .. } => outcome.help(),
            Self::Tested { outcome: Err(failure) } => failure.help.as_deref(),
            Self::Warning { help, .. } => help.as_deref(),
            _ => None,
        }
    }
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planned { action, reason } if reason.is_empty() => write!(out, "{}", action.word()),
            Self::Planned { action, reason } => write!(out, "{}: {reason}", action.word()),
            Self::Building => write!(out, "building"),
            Self::Built { changed: true, took } => write!(out, "built in {}", Seconds(*took)),
            Self::Built { changed: false, took } => write!(out, "built in {}, nothing changed", Seconds(*took)),
            Self::BuildFailed {
                failure,
                serving: false,
            } => write!(out, "build failed: {}", failure.what),
            Self::BuildFailed { failure, serving: true } => {
                write!(out, "build failed, the run from before still serves: {}", failure.what)
            }
            Self::Adopting => write!(out, "runs already, and is taken over"),
            Self::Starting { reason: None } => write!(out, "starting"),
            Self::Starting { reason: Some(reason) } => write!(out, "starting: {reason}"),
            Self::Started { pid, version } => {
                write!(out, "started")?;
                if let Some(version) = version {
                    write!(out, ", {version}")?;
                }
                pid.map_or(Ok(()), |pid| write!(out, " (process {pid})"))
            }
            Self::Ready { took, again: false } => write!(out, "ready after {}", Seconds(*took)),
            Self::Ready { again: true, .. } => write!(out, "healthy again"),
            Self::Unhealthy { after, output } => {
                write!(out, "not healthy after {}", Seconds(*after))?;
                output.lines().last().map_or(Ok(()), |line| write!(out, ": {line}"))
            }
            Self::Completed { took } => write!(out, "completed in {}", Seconds(*took)),
            Self::StillCompleted => write!(out, "completed before, nothing it depends on is new"),
            Self::Exited { exit } => write!(out, "{exit}"),
            Self::StartFailed { failure } => write!(out, "failed to start: {}", failure.what),
            Self::RestartScheduled { exit, delay, attempt } => {
                write!(out, "{exit}, starting again in {} (restart {attempt})", Seconds(*delay))
            }
            Self::Stopping { reason } => write!(out, "stopping: {reason}"),
            Self::Stopped { exit, took } => write!(out, "stopped after {} ({exit})", Seconds(*took)),
            Self::Replaced {
                reason,
                took,
                build,
                swap,
            } => {
                write!(out, "reloaded in {}: {reason} (", Seconds(*took))?;
                if let Some(build) = build {
                    write!(out, "build {}, ", Seconds(*build))?;
                }
                write!(out, "swap {})", Seconds(*swap))
            }
            Self::Synced { what, took } => write!(out, "synced in {}: {what}", Seconds(*took)),
            Self::SyncFailed { failure } => write!(out, "not synced: {}", failure.what),
            Self::ReplaceFailed { what } => write!(out, "the new run failed, the old one still serves: {what}"),
            Self::Verified {
                outcome,
                cause,
                took,
                again,
            } => {
                write!(out, "contracts: {outcome}")?;
                if *again {
                    write!(out, ", again")?;
                }
                write!(out, " ({} {cause})", Seconds(*took))
            }
            Self::Tested { outcome: Ok(tested) } => write!(out, "{tested}"),
            Self::Tested { outcome: Err(failure) } => write!(out, "consumer tests: {}", failure.what),
            Self::Paused => write!(out, "paused"),
            Self::Unpaused { after } => write!(out, "goes on after {}", Seconds(*after)),
            Self::Created => write!(out, "created"),
            Self::CreateFailed { failure } => write!(out, "not created: {}", failure.what),
            Self::Removed { volumes: true } => write!(out, "removed with its data"),
            Self::Removed { volumes: false } => write!(out, "removed"),
            Self::Blocked { on, why } => write!(out, "cannot start: it needs {on}, which {why}"),
            Self::StandInChanged { consumers } => {
                write!(out, "answers {} from changed contracts", consumers.join(", "))
            }
            Self::Replanned { changes } if changes.is_empty() => {
                write!(out, "the files were changed, and everything stays as it is")
            }
            Self::Replanned { changes } => write!(out, "the files were changed: {}", changes.join(", ")),
            Self::Warning { text, .. } => write!(out, "{text}"),
        }
    }
}
