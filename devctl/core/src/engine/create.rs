//! Nodes that are made without being started: built, and then whatever they run in.

use super::effect::Effect;
use super::event::{Failure, Up};
use super::node::{Create, Wanted};
use super::notice::NoticeKind;
use super::state::State;
use crate::{NodeId, Time};

impl State {
    /// What runs stays as it is; of the rest, everything is made but the run.
    pub(super) fn want_created(&mut self, id: &NodeId, up: &Up) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if !node.quiet() || node.wanted != Wanted::Down {
            return;
        }
        node.create = Create::Due;
        node.failure = None;
        node.build.failure = None;
        node.fresh |= up.force_recreate;
        if node.plan.builds && !up.no_build {
            let source = up.sources.get(id).cloned();
            let stale = source.is_none() || source != node.build.stamp;
            node.build.due = up.build || stale;
            node.build.source = source;
        }
    }

    /// Builds first, where that is due; then the rest.
    pub(super) fn create(&mut self, id: &NodeId, now: Time, out: &mut Vec<Effect>) {
        self.build_if_due(id, now, out);
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.build.running.is_some() {
            return;
        }
        node.create = Create::UnderWay;
        let fresh = std::mem::take(&mut node.fresh);
        out.push(Effect::Create {
            node: id.clone(),
            hash: node.plan.hash.clone(),
            fresh,
        });
    }

    /// What the node is made of is there, or cannot be.
    pub(super) fn on_created(&mut self, id: &NodeId, outcome: Result<(), Failure>, now: Time, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if std::mem::take(&mut node.create) != Create::UnderWay {
            return;
        }
        let kind = match outcome {
            Ok(()) => {
                node.create = Create::Done;
                NoticeKind::Created
            }
            Err(failure) => {
                node.failure = Some(Failure {
                    what: format!("failed to create: {}", failure.what),
                    ..failure.clone()
                });
                NoticeKind::CreateFailed { failure }
            }
        };
        self.notice(Some(id), kind, now, out);
    }
}
