//! What the engine wants done.

use std::time::Duration;

use super::notice::Notice;
use crate::NodeId;
use crate::plan::ContentHash;

/// One thing to do. The daemon's `perform` is the one place that does it, and answers each with exactly one event
/// (a [`Effect::Notice`], [`Effect::Signal`], [`Effect::CancelBuild`] and [`Effect::CancelCheck`] need none).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Build a node. Answer: `Built`.
    Build {
        /// Which.
        node: NodeId,
        /// The build's number.
        build: u64,
        /// Nodes that are not wanted themselves, and whose images this one starts from: built with it, before it.
        first: Vec<NodeId>,
    },
    /// A newer build takes its place: its answer is no longer of interest.
    CancelBuild {
        /// Which.
        node: NodeId,
        /// The build's number.
        build: u64,
    },
    /// Start a run of the node as planned under `hash`. Answer: `Started` or `StartFailed`; later `Exited`.
    Start {
        /// Which.
        node: NodeId,
        /// The run's number.
        run: u64,
        /// Which plan of the node.
        hash: ContentHash,
        /// Whatever may be there of an earlier run is made anew, as it is: asked for by name.
        fresh: bool,
    },
    /// Take over a run that goes on from an earlier daemon. Answer: as to `Start`.
    Adopt {
        /// Which.
        node: NodeId,
        /// The run's number.
        run: u64,
        /// The plan that it was started from.
        hash: ContentHash,
    },
    /// Test a run's health once. Answer: `Probed`.
    Probe {
        /// Which.
        node: NodeId,
        /// The run's number.
        run: u64,
        /// What it may take.
        timeout: Duration,
    },
    /// End a run: its `pre_stop` hooks, its stop signal, the grace period, then the kill. Answer: `Exited`.
    Stop {
        /// Which.
        node: NodeId,
        /// The run's number.
        run: u64,
        /// How long it may take to end by itself; zero: kill at once.
        grace: Duration,
        /// Another run serves already: let requests in flight end first.
        drain: bool,
    },
    /// Send a signal.
    Signal {
        /// Which.
        node: NodeId,
        /// The run's number.
        run: u64,
        /// Its name, with `SIG`.
        signal: String,
    },
    /// Hold a run still, or let it go on. Answer: `Held`.
    Hold {
        /// Which.
        node: NodeId,
        /// The run's number.
        run: u64,
        /// Still.
        still: bool,
    },
    /// Make what a node is made of, and start nothing. Answer: `Created`.
    Create {
        /// Which.
        node: NodeId,
        /// Which plan of the node.
        hash: ContentHash,
        /// Whatever is there already is made anew.
        fresh: bool,
    },
    /// Stop making it, as far as that is possible; `Created` comes all the same.
    CancelCreate {
        /// Which.
        node: NodeId,
    },
    /// Forget a node that has no run: its records, and its data where `volumes`. Answer: `Removed`.
    Remove {
        /// Which.
        node: NodeId,
        /// Its data as well.
        volumes: bool,
    },
    /// Verify the contracts in which a node is the provider, beside its run. Answer: `Verified`.
    Verify {
        /// Which.
        node: NodeId,
        /// The verification's number.
        check: u64,
    },
    /// Run the tests that write the contracts in which a node is the consumer. Answer: `Tested`.
    Test {
        /// Which.
        node: NodeId,
        /// The number.
        check: u64,
    },
    /// A verification, or tests, are overtaken: their answer is no longer of interest.
    CancelCheck {
        /// Whose.
        node: NodeId,
        /// The number.
        check: u64,
    },
    /// End whatever is kept up for a node's verifications. Answer: `LetGo`.
    LetGo {
        /// Whose.
        node: NodeId,
    },
    /// Tell everyone who listens.
    Notice(Notice),
}
