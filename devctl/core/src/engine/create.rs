//! Nodes that are made without being started: built, and then whatever they run in. Whoever is wanted to run meanwhile waits until it
//! is made, since one thing cannot be made twice at once.

use super::effect::Effect;
use super::event::{Failure, Up};
use super::node::{Create, Making, Wanted};
use super::notice::NoticeKind;
use super::state::State;
use crate::{NodeId, Time};

impl State {
    /// What runs stays as it is; of the rest, everything is made but the run.
    pub(super) fn want_created(&mut self, id: &NodeId, up: &Up) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.has_run() || node.wanted != Wanted::Down || node.create == Create::UnderWay {
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
        node.making = Making::Yes;
        let fresh = std::mem::take(&mut node.fresh);
        out.push(Effect::Create {
            node: id.clone(),
            hash: node.plan.hash.clone(),
            fresh,
        });
    }

    /// It is being made, and nobody wants that any more.
    pub(super) fn give_up_making(&mut self, id: &NodeId, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.making == Making::Yes && node.create != Create::UnderWay {
            node.making = Making::GivenUp;
            out.push(Effect::CancelCreate { node: id.clone() });
        }
    }

    /// What the node is made of is there, or cannot be.
    pub(super) fn on_created(&mut self, id: &NodeId, outcome: Result<(), Failure>, now: Time, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.making = Making::No;
        if node.create != Create::UnderWay {
            return;
        }
        node.create = Create::No;
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
