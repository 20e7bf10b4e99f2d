//! The critical path: the chain of waits that the start's length is made of, and how much of it is devctl's own.

use std::time::Duration;

use super::node::{Gate, Node, Run};
use super::state::State;
use crate::{NodeId, Time};

/// One link of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Whose.
    pub node: NodeId,
    /// What it did.
    pub phase: Phase,
    /// For how long.
    pub took: Duration,
}

/// What a node did in a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Built from source.
    Build,
    /// Got what it needs before its first process: `initdb`, an image.
    Prepare,
    /// Ran, and became ready (a job: ran to its end).
    Boot,
    /// Ended, so that another run could take its place.
    Stop,
    /// Had its contracts verified, which somebody waited for.
    Verify,
}

impl Phase {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Phase::Build => "build",
            Phase::Prepare => "prepare",
            Phase::Boot => "boot",
            Phase::Stop => "stop",
            Phase::Verify => "verify",
        }
    }
}

/// From the request to the last node's readiness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// The links, first one first.
    pub steps: Vec<Step>,
    /// All of it.
    pub total: Duration,
    /// What is in no link: planning, scheduling, starting processes, and seeing readiness later than it came (counted
    /// in full from the last failed test to the next one, though it came somewhere in between).
    pub own: Duration,
}

impl State {
    /// The chain that ended in the last of `scope` to become ready, back to `since`. None where nothing was started.
    #[must_use]
    pub fn critical_path(&self, scope: &[NodeId], since: Time) -> Option<CriticalPath> {
        let done = |id: &NodeId| {
            let node = self.nodes.get(id)?;
            finished(node).filter(|at| *at > since).map(|at| (at, node))
        };
        let (end, last) = scope.iter().filter_map(done).max_by_key(|(at, _)| *at)?;
        let mut path = CriticalPath {
            total: end - since,
            ..CriticalPath::default()
        };
        let mut node = last;
        let mut until = end;
        let mut linked = Duration::ZERO;
        for _ in 0..=self.nodes.len() {
            let id = node.plan.id.clone();
            let mut link = |phase, took: Duration| {
                linked += took;
                if took > Duration::ZERO {
                    path.steps.push(Step {
                        node: id.clone(),
                        phase,
                        took,
                    });
                }
            };
            if let Some(ready) = finished(node).filter(|ready| *ready < until)
                && node.contracts.last.as_ref().is_some_and(|last| last.at == until)
            {
                link(Phase::Verify, until - ready);
                until = ready;
            }
            let gate = match node.run.as_ref().or(node.done.as_ref()) {
                Some(run) => {
                    let started = run.started.unwrap_or(run.issued);
                    link(Phase::Boot, (until - started).saturating_sub(lateness(run, until)));
                    link(Phase::Prepare, run.prepared.min(started - run.issued));
                    run.gate.clone()
                }
                // A job whose work was done before: it took no time, and waited for what it depends on.
                None => self.gate(&id, since),
            };
            match gate {
                Gate::Dependency(on, at) if at > since => {
                    let Some(next) = self.nodes.get(&on) else { break };
                    node = next;
                    until = at;
                }
                Gate::Build(from, to) => {
                    let from = from.max(since);
                    link(Phase::Build, to - from);
                    break;
                }
                Gate::Before(told, at) if at > since => {
                    let told = told.max(since);
                    link(Phase::Stop, at - told);
                    // What took its place was built first.
                    if let Some((from, to)) = node.build.span.filter(|(_, to)| (since..=told).contains(to)) {
                        link(Phase::Build, to - from.max(since));
                    }
                    break;
                }
                _ => break,
            }
        }
        path.own = path.total.saturating_sub(linked);
        path.steps.reverse();
        Some(path)
    }
}

/// When the node had what was wanted of it.
fn finished(node: &Node) -> Option<Time> {
    node.completed.or_else(|| node.run.as_ref().and_then(|run| run.ready))
}

/// How much later than it came readiness was seen, at most: from the last failed test to the beginning of the one that passed. A
/// test that is under way waits for the node, not for devctl.
fn lateness(run: &Run, until: Time) -> Duration {
    match (run.health.last_failure, run.health.sent) {
        (Some(failed), Some(sent)) if run.ready == Some(until) && failed < sent && sent <= until => sent - failed,
        _ => Duration::ZERO,
    }
}
