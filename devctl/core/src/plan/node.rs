//! The plan's types.

use std::fmt;
use std::time::Duration;

use indexmap::IndexMap;

use crate::NodeId;

/// Every node that a project's files name, in the files' order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The project's name.
    pub project: String,
    /// What is to run.
    pub nodes: IndexMap<NodeId, NodePlan>,
}

/// One node, as the files want it.
#[derive(Debug, Clone, PartialEq)]
pub struct NodePlan {
    /// Its name.
    pub id: NodeId,
    /// What it is for.
    pub kind: Kind,
    /// Everything that makes it what it is. Taken before addresses are rewritten, so that a leased port never makes a
    /// node look changed.
    pub hash: ContentHash,
    /// What must be true of others before it starts.
    pub dependencies: Vec<Dependency>,
    /// How it is known to be ready. None: as soon as it runs.
    pub health: Option<HealthTest>,
    /// What happens when it ends by itself.
    pub restart: RestartPolicy,
    /// How a new run takes the place of the old one.
    pub swap: Swap,
    /// It is built from source before it runs.
    pub builds: bool,
    /// Nodes whose images its own build starts from: they are built first, where they are built as well.
    pub built_after: Vec<NodeId>,
    /// When the contracts in which it is the provider are verified.
    pub verify: Verify,
    /// It declares tests that write the contracts in which it is the consumer: run after each reload.
    pub tests: bool,
    /// The address of the engine that it runs in: `unix:///var/run/docker.sock`. None: it runs in nothing that could go away.
    pub host: Option<String>,
    /// From the stop signal until the run is killed. Default: 10 s (Compose's `stop_grace_period`).
    pub stop_grace: Duration,
}

impl NodePlan {
    /// A node that nothing is said about: tests and callers fill in the rest.
    #[must_use]
    pub fn new(id: NodeId, hash: ContentHash) -> Self {
        Self {
            id,
            kind: Kind::Service,
            hash,
            dependencies: Vec::new(),
            health: None,
            restart: RestartPolicy::No,
            swap: Swap::Restart,
            builds: false,
            built_after: Vec::new(),
            verify: Verify::Never,
            tests: false,
            host: None,
            stop_grace: Duration::from_secs(10),
        }
    }
}

impl NodePlan {
    /// An exit with 0 means that its work is done: somebody waits for just that, or nothing says that it should go on (no restart, no
    /// health test).
    #[must_use]
    pub fn is_one_shot(&self) -> bool {
        let ends = matches!(self.restart, RestartPolicy::No | RestartPolicy::OnFailure(_));
        self.kind == Kind::Job || (ends && self.health.is_none())
    }
}

/// What a node is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Runs until it is told to stop.
    Service,
    /// Runs once: somebody waits for `service_completed_successfully`.
    Job,
    /// A stand-in that answers from contracts.
    Stub,
}

impl Kind {
    /// The word for it in `ps` and in the API.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Service => "service",
            Kind::Job => "job",
            Kind::Stub => "stub",
        }
    }
}

/// A digest of everything that makes a node what it is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct ContentHash(pub String);

impl fmt::Display for ContentHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "#{}", self.0)
    }
}

/// One node's demand on another (Compose: `depends_on`, and what `links`, `volumes_from` and `service:` namespaces
/// imply).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Whom it waits for.
    pub on: NodeId,
    /// What must be true of it.
    pub condition: Condition,
    /// Without it the node does not start. False: its failure or absence is passed over.
    pub required: bool,
    /// The node is restarted when the other one is (on request, not after a crash).
    pub restart: bool,
}

/// What must be true of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It has been started.
    Started,
    /// Its health test passes; where it has none, it runs.
    Healthy,
    /// It has exited with 0.
    Completed,
    /// It keeps every contract in which it is the provider. Holds a start only: neither a reload nor a restart after a crash.
    Verified,
}

impl Condition {
    /// The Compose specification's word; that of `x-devctl.depends_on` for what is beyond it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Condition::Started => "service_started",
            Condition::Healthy => "service_healthy",
            Condition::Completed => "service_completed_successfully",
            Condition::Verified => "contract_verified",
        }
    }
}

/// The times of a health test. What is tested is the driver's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthTest {
    /// Between two tests of a healthy node. Default: 30 s.
    pub interval: Duration,
    /// What one test may take. Default: 30 s.
    pub timeout: Duration,
    /// With `interval` and `start_period` the time that a node may take, see [`HealthTest::budget`]. Default: 3.
    pub retries: u32,
    /// Failures of this time after the start do not count. Default: none.
    pub start_period: Duration,
}

impl HealthTest {
    /// How long a node may fail its test from its start on: `start_period + interval x retries`. A budget in time, so
    /// that testing more often uses up nothing.
    #[must_use]
    pub fn budget(&self) -> Duration {
        self.start_period + self.interval * self.retries.max(1)
    }
}

impl Default for HealthTest {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            retries: 3,
            start_period: Duration::ZERO,
        }
    }
}

/// When the contracts of a provider are verified while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Once when everything is ready, and after each reload.
    Always,
    /// After each reload; before that only where somebody waits for it.
    Save,
    /// Never, or there is nothing to verify: it is answered from contracts, or runs elsewhere.
    Never,
}

/// Compose's `restart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Never.
    No,
    /// After any exit.
    Always,
    /// After any exit, unless someone stopped it.
    UnlessStopped,
    /// After an exit with another status than 0, at most so many times in a row (None: without limit).
    OnFailure(Option<u32>),
}

/// How a new run takes the place of the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Swap {
    /// The new run is made ready beside the old one.
    Overlap,
    /// The old run ends first.
    Restart,
}
