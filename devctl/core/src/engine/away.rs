//! What nodes run in may go away and come back: a Docker engine. Meanwhile nothing is started there and nothing is tested, and
//! whoever asks is told since when.

use super::node::{Node, RunPhase};
use super::state::State;
use crate::plan::Kind;
use crate::{NodeId, Time};

/// A place that does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// Since when.
    pub since: Time,
    /// What it last said.
    pub why: String,
}

impl State {
    /// Since when what the node runs in does not answer. None: it does, or the node runs in nothing that could go away.
    #[must_use]
    pub fn away(&self, node: &Node) -> Option<&Away> {
        self.away.get(node.plan.host.as_ref()?)
    }

    pub(super) fn on_away(&mut self, host: String, why: String, now: Time) {
        for node in self
            .nodes
            .values_mut()
            .filter(|node| node.plan.host.as_ref() == Some(&host))
        {
            for run in node.run.iter_mut().chain(&mut node.next) {
                if run.health.next.take().is_some() {
                    run.health.sent = None;
                }
            }
        }
        self.away.entry(host).or_insert(Away { since: now, why });
    }

    pub(super) fn on_back(&mut self, host: &str, now: Time) {
        let Some(away) = self.away.remove(host) else { return };
        for node in self.nodes.values_mut() {
            if node.plan.host.as_deref() != Some(host) {
                continue;
            }
            let tested = node.plan.health.is_some() && node.plan.kind != Kind::Stub;
            for run in node.run.iter_mut().chain(&mut node.next) {
                // What nobody could test in that time has not failed in it.
                run.health.excused += now - away.since.max(run.started.unwrap_or(run.issued));
                run.health.failing_since = None;
                // One that was sent before is still under way, and is answered by itself.
                if tested && run.phase == RunPhase::Running && run.health.sent.is_none() {
                    run.health.next = Some(now);
                }
            }
        }
    }

    /// Somebody else has started what somebody else had stopped: it is wanted again.
    pub(super) fn on_started_outside(&mut self, id: &NodeId, now: Time) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let outside = node.last.as_ref().is_some_and(|last| last.exit.is_outside());
        if outside && node.quiet() && node.wanted == super::Wanted::Down && !self.closing {
            node.asked = now;
            node.ask_again();
        }
    }
}
