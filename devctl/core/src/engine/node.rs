//! What the engine remembers of a node. Plain data; whatever can be computed from it is not stored.

use std::collections::BTreeMap;
use std::time::Duration;

use super::contracts::Contracts;
use super::event::{Exit, Failure};
use crate::plan::{ContentHash, NodePlan};
use crate::{NodeId, Time};

/// One node.
#[derive(Debug, Clone)]
pub struct Node {
    /// As it is wanted now.
    pub plan: NodePlan,
    /// Whether it is wanted.
    pub wanted: Wanted,
    /// The files no longer name it.
    pub orphan: bool,
    /// The run that serves, or that is on its way.
    pub run: Option<Run>,
    /// The run that is to take the place of `run`, on its way.
    pub next: Option<Run>,
    /// Runs that no longer serve and have not ended yet.
    pub leaving: Vec<Run>,
    /// Why `run` is to be replaced.
    pub replace: Option<Replace>,
    /// Why the last run that was to take the place of `run` did not.
    pub not_replaced: Option<String>,
    /// Where its build stands.
    pub build: Build,
    /// How the last run ended.
    pub last: Option<Ended>,
    /// Why it will not be started until someone asks again.
    pub failure: Option<Failure>,
    /// Not to be started before this time: back-off.
    pub not_before: Option<Time>,
    /// Exits by itself in a row.
    pub crashes: u32,
    /// Restarts since it was last asked for.
    pub restarts: u32,
    /// What a job has done before.
    pub completion: Option<Completion>,
    /// The completion holds for the data of now.
    pub completed: Option<Time>,
    /// The run that completed, where this daemon has seen it.
    pub done: Option<Run>,
    /// In place of the plan's grace period, for this stop.
    pub grace: Option<Duration>,
    /// Since when it is wanted.
    pub asked: Time,
    /// It has been told that a dependency will not come.
    pub blocked: bool,
    /// The next start makes it anew.
    pub fresh: bool,
    /// What is known of the contracts that it is part of.
    pub contracts: Contracts,
    /// It has been started since it was last down: `contract_verified` holds it no more.
    pub let_through: bool,
    /// It is to be made, without being started.
    pub create: Create,
    /// Whether somebody is making it.
    pub making: Making,
}

/// How far a node is that is made without being started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Create {
    /// Nobody has asked for that.
    #[default]
    No,
    /// To be made, once it is built.
    Due,
    /// On its way.
    UnderWay,
    /// It is there, and was not started since.
    Done,
}

impl Create {
    /// It is not there yet, and somebody waits for it.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Due | Self::UnderWay)
    }
}

/// Whether somebody is making what a node is made of. Until the answer is there, nobody else may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Making {
    /// Nobody is.
    #[default]
    No,
    /// Somebody is.
    Yes,
    /// Somebody has been told to give it up.
    GivenUp,
}

/// Whether a node is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Running, or completed.
    Up,
    /// Not running; its records stay.
    Down,
    /// Not there at all.
    Gone {
        /// Its data neither.
        volumes: bool,
    },
}

/// Why and since when a run is to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replace {
    /// For the notice: "`compose.yaml` changed: environment".
    pub reason: String,
    /// When it was noticed.
    pub since: Time,
    /// Stop first, whatever the plan's swap says.
    pub stop_first: bool,
    /// Nobody follows it, whatever `depends_on` says.
    pub alone: bool,
    /// How long the build took that is the reason.
    pub build: Option<Duration>,
    /// When the old run was told to stop, or the new one to start beside it.
    pub begun: Option<Time>,
}

impl Replace {
    /// A replacement that no build has led to.
    pub(super) fn new(reason: String, since: Time, stop_first: bool) -> Self {
        Self {
            reason,
            since,
            stop_first,
            alone: false,
            build: None,
            begun: None,
        }
    }
}

/// One start of the node.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Counts up over the engine's life.
    pub number: u64,
    /// How far it is.
    pub phase: RunPhase,
    /// The plan that it was started from.
    pub hash: ContentHash,
    /// What was built for it.
    pub artefact: Option<ContentHash>,
    /// The replacement that it is, until it serves.
    pub replaces: Option<Replace>,
    /// When the engine asked for it.
    pub issued: Time,
    /// It ran before this daemon did, and was taken over.
    pub adopted: bool,
    /// What it had waited for last.
    pub gate: Gate,
    /// When the driver had started it.
    pub started: Option<Time>,
    /// How much of the time before that was the node's own work.
    pub prepared: Duration,
    /// When it became ready.
    pub ready: Option<Time>,
    /// Its main process.
    pub pid: Option<u32>,
    /// The data it works on.
    pub data: Option<String>,
    /// What really runs.
    pub version: Option<String>,
    /// Its health.
    pub health: Health,
    /// It was sent a signal that ends whatever does not handle it: until when its end is waited for.
    pub signalled: Option<Time>,
    /// Since when it is held still.
    pub paused: Option<Time>,
    /// It is being held still (or let go on), and nobody has answered yet.
    pub holding: Option<bool>,
    /// Why the last attempt to hold it still, or to let it go on, came to nothing.
    pub not_held: Option<Failure>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunPhase {
    /// The driver is at it.
    Starting,
    /// It runs.
    Running,
    /// It was told to end.
    Stopping {
        /// When.
        since: Time,
        /// Why.
        reason: String,
    },
}

/// What a run had waited for last; the critical path is made of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gate {
    /// Nothing but being asked for.
    Asked(Time),
    /// A dependency.
    Dependency(NodeId, Time),
    /// Its build, from and to.
    Build(Time, Time),
    /// The run before it, which had to end first: from when it was told to, to its end. Or the back-off.
    Before(Time, Time),
}

impl Gate {
    /// When it opened.
    #[must_use]
    pub fn at(&self) -> Time {
        match self {
            Gate::Asked(at) | Gate::Dependency(_, at) | Gate::Build(_, at) | Gate::Before(_, at) => *at,
        }
    }
}

/// A run's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// As known from the last test.
    pub state: HealthState,
    /// Since when its tests fail without a break.
    pub failing_since: Option<Time>,
    /// When to test next. None: a test is under way, or there is none.
    pub next: Option<Time>,
    /// What the last failed test said.
    pub output: String,
    /// When the last failed test ended: readiness came no earlier.
    pub last_failure: Option<Time>,
    /// When the last test was sent.
    pub sent: Option<Time>,
    /// The time in which nobody could test it: no part of its budget.
    pub excused: Duration,
}

/// What the tests say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealthState {
    /// None has passed yet.
    Starting,
    /// The last one passed, or the failures since are within the budget; also where there is no test.
    Healthy,
    /// They fail beyond the budget.
    Unhealthy,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its number.
    pub run: u64,
    /// How.
    pub exit: Exit,
    /// When.
    pub at: Time,
    /// When it was told to. None: it ended by itself.
    pub told: Option<Time>,
}

/// Where a node's build stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// It is to be built before the next run.
    pub due: bool,
    /// The build under way: its number, when it began, the state of the sources then.
    pub running: Option<(u64, Time, Option<String>)>,
    /// The sources' state at the last good build.
    pub stamp: Option<String>,
    /// What the last good build made.
    pub artefact: Option<ContentHash>,
    /// The last good build, from and to.
    pub span: Option<(Time, Time)>,
    /// The sources' state as last seen.
    pub source: Option<String>,
    /// Why the last build failed, while a run from before it serves.
    pub failure: Option<Failure>,
    /// What was changed, where the build is the answer to a save.
    pub cause: Option<String>,
}

/// What outlives a node: kept across daemons, and across `down`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// What a job has done.
    pub completion: Option<Completion>,
    /// The sources' state at the last good build.
    pub stamp: Option<String>,
    /// What that build made.
    pub artefact: Option<ContentHash>,
}

/// What a job has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// The plan that it was run from.
    pub hash: ContentHash,
    /// What was built for it.
    pub artefact: Option<ContentHash>,
    /// The data of everything that it depends on.
    pub inputs: BTreeMap<String, String>,
}

impl Node {
    pub(super) fn new(plan: NodePlan, now: Time) -> Self {
        Self {
            plan,
            wanted: Wanted::Down,
            orphan: false,
            run: None,
            next: None,
            leaving: Vec::new(),
            replace: None,
            build: Build::default(),
            last: None,
            not_replaced: None,
            failure: None,
            not_before: None,
            crashes: 0,
            restarts: 0,
            completion: None,
            completed: None,
            done: None,
            grace: None,
            asked: now,
            blocked: false,
            fresh: false,
            contracts: Contracts::default(),
            let_through: false,
            create: Create::No,
            making: Making::No,
        }
    }

    pub(super) fn recall(&mut self, memory: Memory) {
        self.completion = memory.completion;
        self.build.stamp = memory.stamp;
        self.build.artefact = memory.artefact;
    }

    /// A run of any kind is there.
    #[must_use]
    pub fn has_run(&self) -> bool {
        self.run.is_some() || self.next.is_some() || !self.leaving.is_empty()
    }

    /// No run is there, and nobody is making what it would run in.
    #[must_use]
    pub fn quiet(&self) -> bool {
        !self.has_run() && self.making == Making::No
    }

    /// Nothing of it is there: no run, and nothing that is kept up to verify its contracts.
    #[must_use]
    pub fn gone(&self) -> bool {
        self.quiet() && !self.contracts.is_kept_up()
    }

    /// The run with this number, wherever it stands.
    #[must_use]
    pub fn find(&self, number: u64) -> Option<&Run> {
        self.run
            .iter()
            .chain(&self.next)
            .chain(&self.leaving)
            .find(|run| run.number == number)
    }

    pub(super) fn find_mut(&mut self, number: u64) -> Option<&mut Run> {
        self.run
            .iter_mut()
            .chain(&mut self.next)
            .chain(&mut self.leaving)
            .find(|run| run.number == number)
    }

    /// How long a run of it may take to end.
    #[must_use]
    pub fn stop_grace(&self) -> Duration {
        self.grace.unwrap_or(self.plan.stop_grace)
    }
}

impl Run {
    /// It runs, and its health test (if any) passes.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == RunPhase::Running && self.health.state == HealthState::Healthy
    }

    /// It was told to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        matches!(self.phase, RunPhase::Stopping { .. })
    }
}
