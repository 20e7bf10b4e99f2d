//! Whether what was asked for has come true: what `--wait` waits for.

use super::event::Failure;
use super::hold::Hold;
use super::node::HealthState;
use super::state::State;
use crate::plan::Kind;
use crate::{NodeId, Seconds, Time};

/// A node that exits so often in a row before it was ever ready is called failed, though it will be started again.
const CRASH_LOOP: u32 = 3;

/// How a set of nodes stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Some are on their way.
    Pending,
    /// Each is healthy, runs without a test, or has exited with 0.
    Ready,
    /// These will not get there by themselves.
    Failed(Vec<(NodeId, Failure)>),
}

impl State {
    /// How `scope` stands. A failure is told at once, whatever else is still on its way.
    #[must_use]
    pub fn verdict(&self, scope: &[NodeId], now: Time) -> Verdict {
        let mut failed = Vec::new();
        let mut pending = false;
        for id in scope {
            match self.node_verdict(id, now) {
                NodeVerdict::Ready => {}
                NodeVerdict::Pending => pending = true,
                NodeVerdict::Failed(failure) => failed.push((id.clone(), failure)),
            }
        }
        match (failed.is_empty(), pending) {
            (false, _) => Verdict::Failed(failed),
            (true, true) => Verdict::Pending,
            (true, false) => Verdict::Ready,
        }
    }

    fn node_verdict(&self, id: &NodeId, now: Time) -> NodeVerdict {
        let Some(node) = self.nodes.get(id) else {
            return NodeVerdict::Ready;
        };
        if node.completed.is_some() {
            return NodeVerdict::Ready;
        }
        if self.away(node).is_some() && node.wanted == super::Wanted::Up {
            return NodeVerdict::Pending;
        }
        if let Some(run) = &node.run {
            return match run.health.state {
                HealthState::Unhealthy => {
                    let since = run.started.unwrap_or(run.issued);
                    let mut failure = Failure::new(format!("not healthy after {}", Seconds(now - since)));
                    failure.output = run.health.output.lines().map(str::to_owned).collect();
                    NodeVerdict::Failed(failure)
                }
                _ if node.build.failure.is_some() => {
                    let failure = node.build.failure.clone().unwrap_or_default();
                    let what = format!("build failed, the run from before still serves: {}", failure.what);
                    NodeVerdict::Failed(Failure { what, ..failure })
                }
                // On its way to going on again: until then nobody is answered.
                _ if run.holding == Some(false) => NodeVerdict::Pending,
                // Its work is what it is waited for.
                _ if node.plan.kind == Kind::Job => NodeVerdict::Pending,
                _ if run.is_ready() && node.replace.is_none() && node.build.running.is_none() => NodeVerdict::Ready,
                _ => NodeVerdict::Pending,
            };
        }
        if let Some(failure) = &node.failure {
            return NodeVerdict::Failed(failure.clone());
        }
        if node.crashes >= CRASH_LOOP
            && let Some(last) = &node.last
        {
            return NodeVerdict::Failed(Failure::new(format!("{} {} times in a row", last.exit, node.crashes)));
        }
        match self.hold(id, now) {
            Some(Hold::Stopped) => NodeVerdict::Ready,
            Some(Hold::FailedDependency { on, why, .. }) => {
                NodeVerdict::Failed(Failure::new(format!("needs {on}, which {why}")))
            }
            _ => NodeVerdict::Pending,
        }
    }
}

enum NodeVerdict {
    Ready,
    Pending,
    Failed(Failure),
}
