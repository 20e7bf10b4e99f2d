//! Every reason to wake the engine.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::contracts::{Tested, Verification};
use crate::NodeId;
use crate::plan::{ContentHash, Plan};

/// What happened. Whatever a driver reports carries the number of the run (or build) that it belongs to, so that a late
/// word about an old one changes nothing.
#[derive(Debug, Clone)]
pub enum Event {
    /// The files as they are wanted now.
    Up(Up),
    /// start, stop, restart, kill.
    Act(Act),
    /// Stop and remove.
    Down(Down),
    /// Sources have changed on disk.
    Changed {
        /// Whose.
        node: NodeId,
        /// Their state now.
        source: String,
        /// What was changed, for people: `src/api.rs`, or `12 files`.
        what: String,
    },
    /// Files were copied into a running node.
    Synced {
        /// Whose.
        node: NodeId,
        /// The run that they were copied into.
        run: u64,
        /// Why, for people.
        what: String,
        /// What came of it.
        outcome: Result<(), Failure>,
        /// How long it took.
        took: Duration,
        /// The run is to be started again with them.
        restart: bool,
    },
    /// A build ended.
    Built {
        /// Whose.
        node: NodeId,
        /// The build's number.
        build: u64,
        /// What came of it.
        outcome: Result<Built, Failure>,
    },
    /// A run has been started and its `post_start` hooks have run.
    Started {
        /// Whose.
        node: NodeId,
        /// The run's number.
        run: u64,
        /// What the driver knows of it.
        started: Started,
    },
    /// A run could not be started; there is nothing to stop.
    StartFailed {
        /// Whose.
        node: NodeId,
        /// The run's number.
        run: u64,
        /// Why.
        failure: Failure,
    },
    /// A health test ended.
    Probed {
        /// Whose.
        node: NodeId,
        /// The run's number.
        run: u64,
        /// It passed.
        ok: bool,
        /// What it said.
        output: String,
    },
    /// A run ended, by itself or because it was told to.
    Exited {
        /// Whose.
        node: NodeId,
        /// The run's number.
        run: u64,
        /// How.
        exit: Exit,
    },
    /// A verification ended.
    Verified {
        /// Whose contracts.
        node: NodeId,
        /// Its number.
        check: u64,
        /// What it came to.
        outcome: Verification,
    },
    /// A consumer's tests ended.
    Tested {
        /// Whose.
        node: NodeId,
        /// Their number.
        check: u64,
        /// What came of them.
        outcome: Result<Tested, Failure>,
    },
    /// What is expected of a provider has changed.
    Expected {
        /// Of whom.
        node: NodeId,
        /// What has changed, for people: `web-billing.json`.
        what: String,
    },
    /// Nothing is kept up for a node's verifications any more.
    LetGo {
        /// Whose.
        node: NodeId,
    },
    /// What was left of a node is gone.
    Removed {
        /// Which.
        node: NodeId,
    },
    /// What nodes run in does not answer any more.
    Away {
        /// Which: what [`crate::plan::NodePlan::host`] says.
        host: String,
        /// What it last said.
        why: String,
    },
    /// It answers again.
    Back {
        /// Which.
        host: String,
    },
    /// Somebody else has started the node's container.
    StartedOutside {
        /// Whose.
        node: NodeId,
    },
    /// A run is held still, or goes on: because it was asked for, or because somebody else did it.
    Held {
        /// Whose.
        node: NodeId,
        /// The run's number.
        run: u64,
        /// Held still.
        still: bool,
        /// Whether it could be done.
        outcome: Result<(), Failure>,
    },
    /// What a node is made of is there; nothing of it is started.
    Created {
        /// Whose.
        node: NodeId,
        /// Whether it could be made.
        outcome: Result<(), Failure>,
    },
    /// The time that [`super::State::next_deadline`] named has come.
    Tick,
    /// Take everything down and end; `kill`: without grace.
    Shutdown {
        /// Without grace.
        kill: bool,
    },
}

/// What `up` asks for.
#[derive(Debug, Clone, Default)]
pub struct Up {
    /// The files' meaning.
    pub plan: Plan,
    /// Services that the files name and a profile turns off: what runs of them is no orphan.
    pub disabled: HashSet<String>,
    /// Services that the files name and that are on: a replica that is in no plan is one too many.
    pub enabled: HashSet<String>,
    /// Which nodes are to run, dependencies included. The others stay as they are.
    pub scope: Vec<NodeId>,
    /// Replace also what has not changed.
    pub force_recreate: bool,
    /// Jobs that run again though their work is done: somebody asks for just these.
    pub again: Vec<NodeId>,
    /// In place of the grace period of what is replaced.
    pub grace: Option<Duration>,
    /// Replace nothing, even what has changed.
    pub no_recreate: bool,
    /// Build even where the sources have not changed.
    pub build: bool,
    /// Never build.
    pub no_build: bool,
    /// Remove what the files no longer name.
    pub remove_orphans: bool,
    /// Start nothing.
    pub no_start: bool,
    /// Where nothing is started: make all that they are made of.
    pub create: bool,
    /// Runs that are not as they should be though their plan is the same, each with the reason.
    pub outdated: HashMap<NodeId, String>,
    /// Runs that go on from an earlier daemon.
    pub found: Vec<Found>,
    /// The state of each built node's sources. A node without one is built each time it is started.
    pub sources: HashMap<NodeId, String>,
}

/// A run that goes on though no daemon of now has started it: a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Whose.
    pub node: NodeId,
    /// The plan that it was started from, as far as is known.
    pub hash: ContentHash,
    /// The number that it had. None: it gets a new one.
    pub number: Option<u64>,
    /// What it was made from, as a build names its product: an equal one replaces nothing.
    pub artefact: Option<ContentHash>,
    /// It is held still.
    pub paused: bool,
}

/// start, stop, restart, kill.
#[derive(Debug, Clone)]
pub struct Act {
    /// Which of them.
    pub verb: Verb,
    /// Whom.
    pub nodes: Vec<NodeId>,
    /// In place of the nodes' own grace period.
    pub grace: Option<Duration>,
    /// Jobs that a [`Verb::Start`] runs again though their work is done.
    pub again: Vec<NodeId>,
    /// Nobody follows a [`Verb::Restart`], whatever `depends_on` says.
    pub alone: bool,
}

/// What an [`Act`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Start what is stopped.
    Start,
    /// Stop, and keep it.
    Stop,
    /// Stop and start again.
    Restart,
    /// Send a signal; one that ends a process is not answered by a restart.
    Kill {
        /// Its name, with `SIG`.
        signal: String,
    },
    /// Hold still what runs.
    Pause,
    /// Let go on what is held still.
    Unpause,
}

/// What `down` asks for.
#[derive(Debug, Clone, Default)]
pub struct Down {
    /// Whom; None: everyone.
    pub nodes: Option<Vec<NodeId>>,
    /// Their data as well.
    pub volumes: bool,
    /// In place of the nodes' own grace period.
    pub grace: Option<Duration>,
    /// Without grace.
    pub kill: bool,
}

/// A build's result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Built {
    /// A digest of what it made. None: not known, so it counts as new.
    pub artefact: Option<ContentHash>,
    /// How long its command itself took. None: not known apart from all the rest.
    pub ran: Option<Duration>,
}

/// What a driver knows of a run that it has started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Started {
    /// The main process.
    pub pid: Option<u32>,
    /// The identity of the data that it works on; another one than before means that the data is new.
    pub data: Option<String>,
    /// What really runs: `PostgreSQL 15.18`.
    pub version: Option<String>,
    /// The time that the driver took for what the node itself had to do before it could run: `initdb`, an image's pull.
    pub prepared: Duration,
}

/// Why something did not work, in the parts that a person is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// "failed to start: `nonexistent` was not found".
    pub what: String,
    /// The next step.
    pub help: Option<String>,
    /// The last lines of output.
    pub output: Vec<String>,
}

impl Failure {
    /// A failure of one line.
    #[must_use]
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            ..Self::default()
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this status.
    Code(i32),
    /// By this signal, named with `SIG`.
    Signal(String),
    /// What it runs in was stopped, and it with it: no failure of its own.
    WithEngine,
    /// Somebody else has stopped it, and it ended with this status: no failure, and nothing that a restart answers.
    Outside(i32),
    /// Nobody knows: it ended while no daemon watched.
    Unknown,
}

impl Exit {
    /// Status 0.
    #[must_use]
    pub fn success(&self) -> bool {
        *self == Exit::Code(0)
    }

    /// Somebody else has stopped it.
    #[must_use]
    pub fn is_outside(&self) -> bool {
        matches!(self, Exit::Outside(_))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(out, "exited with {code}"),
            Exit::Signal(signal) => write!(out, "was ended by {signal}"),
            Exit::Outside(code) => write!(out, "was stopped from outside (status {code})"),
            Exit::WithEngine => out.write_str("ended together with Docker"),
            Exit::Unknown => out.write_str("ended unseen"),
        }
    }
}
