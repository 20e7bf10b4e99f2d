//! Builds: begun when due, whatever the node itself still waits for; overtaken ones are cancelled.

use std::time::Duration;

use super::effect::Effect;
use super::event::{Built, Failure};
use super::node::{Create, Replace, Run, Wanted};
use super::notice::NoticeKind;
use super::state::State;
use crate::{NodeId, Time};

/// At the end of a stamp: these sources have no product. Once they are built they have one.
pub const NO_PRODUCT: &str = " (no product)";

/// The sources alone.
fn sources(stamp: &str) -> &str {
    stamp.strip_suffix(NO_PRODUCT).unwrap_or(stamp)
}

impl State {
    pub(super) fn build_if_due(&mut self, id: &NodeId, now: Time, out: &mut Vec<Effect>) {
        if self.builds_first(id) {
            return;
        }
        let Some(node) = self.nodes.get_mut(id) else { return };
        if !std::mem::take(&mut node.build.due) {
            // What the file does not want built any more, as where the node changes its runtime, is waited for by nobody.
            if !node.plan.builds
                && let Some((build, _, _)) = node.build.running.take()
            {
                out.push(Effect::CancelBuild {
                    node: id.clone(),
                    build,
                });
            }
            return;
        }
        let number = self.number();
        let first = self.built_by_nobody(id);
        let Some(node) = self.nodes.get_mut(id) else { return };
        if let Some((build, _, _)) = node.build.running.take() {
            out.push(Effect::CancelBuild {
                node: id.clone(),
                build,
            });
        }
        node.build.failure = None;
        self.overtake(id, out);
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.build.running = Some((number, now, node.build.source.clone()));
        out.push(Effect::Build {
            node: id.clone(),
            build: number,
            first,
        });
        self.notice(Some(id), NoticeKind::Building, now, out);
    }

    /// Whether an image that the node's own build starts from is still to be built.
    fn builds_first(&self, id: &NodeId) -> bool {
        let Some(node) = self.nodes.get(id) else { return false };
        let is_built = |source: &NodeId| {
            let source = self.nodes.get(source).filter(|source| source.wanted == Wanted::Up);
            source.is_some_and(|source| source.build.due || source.build.running.is_some())
        };
        node.build.due && node.plan.builds && node.plan.built_after.iter().any(is_built)
    }

    /// The nodes whose images the node's own build starts from, and that are not wanted themselves: `up web` alone.
    fn built_by_nobody(&self, id: &NodeId) -> Vec<NodeId> {
        let sources = self.nodes.get(id).into_iter().flat_map(|node| &node.plan.built_after);
        let is_wanted = |source: &NodeId| self.nodes.get(source).is_some_and(|node| node.wanted == Wanted::Up);
        sources.filter(|source| !is_wanted(source)).cloned().collect()
    }

    /// A save: the node is built again, unless these very sources are built (or being built) already. One that runs its sources as
    /// they are is only replaced.
    pub(super) fn on_changed(&mut self, id: &NodeId, source: String, what: &str, now: Time, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.wanted != Wanted::Up {
            return;
        }
        if !node.plan.builds {
            node.failure = None;
            node.not_before = None;
            node.blocked = false;
            if node.run.as_ref().is_some_and(|run| !run.is_stopping()) {
                node.replace = Some(Replace::new(format!("{what} changed"), now, false));
                self.overtake_next(id, now, out);
            }
            return;
        }
        let known = match &node.build.running {
            Some((_, _, stamp)) => stamp.as_ref(),
            None => node.build.stamp.as_ref(),
        };
        if known.is_some_and(|known| sources(known) == sources(&source)) {
            return;
        }
        node.build.source = Some(source);
        node.build.due = true;
        node.build.cause = Some(format!("{what} changed"));
        // A failed build or a crash is tried again with the sources of now.
        node.failure = None;
        node.not_before = None;
        node.blocked = false;
    }

    /// Changed files are in the run: where they count only for a new process, it is started again, callers waiting meanwhile.
    pub(super) fn on_synced(
        &mut self,
        id: &NodeId,
        run: u64,
        (what, outcome, took): (String, Result<(), Failure>, Duration),
        restart: bool,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.find(run).is_none_or(super::node::Run::is_stopping) {
            return;
        }
        let kind = match outcome {
            Err(failure) => NoticeKind::SyncFailed { failure },
            Ok(()) => {
                if restart && node.wanted == Wanted::Up {
                    let since = Time(now.0.saturating_sub(took));
                    node.replace.get_or_insert(Replace::new(what.clone(), since, true));
                }
                NoticeKind::Synced { what, took }
            }
        };
        self.notice(Some(id), kind, now, out);
    }

    /// The run that was to take the serving one's place is of older sources than are there by now: it is given up.
    fn overtake_next(&mut self, id: &NodeId, now: Time, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let Some(next) = node.next.take() else { return };
        let (number, grace) = (next.number, node.stop_grace());
        node.leaving.push(next);
        self.stop_run(id, number, grace, "newer sources have overtaken it", now, out);
    }

    pub(super) fn on_built(
        &mut self,
        id: &NodeId,
        number: u64,
        outcome: Result<Built, Failure>,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let Some((_, since, stamp)) = node.build.running.take_if(|(build, _, _)| *build == number) else {
            return;
        };
        let serving = node.run.as_ref().is_some_and(|run| !run.is_stopping());
        match outcome {
            Err(failure) => {
                node.contracts.forget_due();
                if serving {
                    node.build.failure = Some(failure.clone());
                    node.replace = None;
                } else if node.wanted == Wanted::Up || node.create == Create::Due {
                    node.create = Create::No;
                    node.failure = Some(Failure {
                        what: format!("build failed: {}", failure.what),
                        ..failure.clone()
                    });
                }
                self.notice(Some(id), NoticeKind::BuildFailed { failure, serving }, now, out);
            }
            Ok(built) => {
                node.build.stamp = stamp.map(|stamp| sources(&stamp).to_owned());
                node.build.span = Some((since, now));
                let changed = built.artefact.is_none() || built.artefact != node.build.artefact;
                node.build.artefact = built.artefact;
                let differs = node
                    .run
                    .as_ref()
                    .is_some_and(|run| run.artefact.is_none() || run.artefact != node.build.artefact);
                let is_stale = |next: &Run| next.artefact.is_none() || next.artefact != node.build.artefact;
                let overtaken = node.next.as_ref().is_some_and(is_stale);
                if overtaken {
                    node.replace = None;
                }
                if serving && differs {
                    let reason = node.build.cause.take().unwrap_or_else(|| "built anew".to_owned());
                    let replace = node.replace.get_or_insert(Replace::new(reason, since, false));
                    replace.build = Some(built.ran.unwrap_or(now - since));
                }
                self.notice(
                    Some(id),
                    NoticeKind::Built {
                        changed,
                        took: now - since,
                    },
                    now,
                    out,
                );
                if overtaken {
                    self.overtake_next(id, now, out);
                }
            }
        }
    }
}
