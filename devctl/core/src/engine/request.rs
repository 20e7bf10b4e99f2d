//! What people ask for: up, down, start, stop, restart, kill, shutdown.

use std::time::Duration;

use super::effect::Effect;
use super::event::{Act, Down, Up, Verb};
use super::node::{Create, HealthState, Node, Replace, Run, RunPhase, Wanted};
use super::notice::NoticeKind;
use super::state::State;
use crate::plan::{Action, changes};
use crate::{NodeId, Time};

impl State {
    /// The plan is compared with what is there; a first start is a comparison with nothing.
    pub(super) fn on_up(&mut self, up: Up, now: Time, out: &mut Vec<Effect>) {
        self.closing = false;
        self.adopt(&up, now, out);
        let changes = changes(&up, self);
        for (id, plan) in &up.plan.nodes {
            let in_scope = up.scope.contains(id);
            let memories = &mut self.memories;
            let node = self.nodes.entry(id.clone()).or_insert_with(|| {
                let mut node = Node::new(plan.clone(), now);
                if let Some(memory) = memories.remove(id) {
                    node.recall(memory);
                }
                node
            });
            node.orphan = false;
            // A run keeps the plan that it was started from until somebody asks for it by name.
            if (in_scope && !up.no_recreate) || !node.has_run() {
                node.plan = plan.clone();
            }
            if matches!(node.wanted, Wanted::Gone { .. }) {
                node.wanted = Wanted::Down;
                node.blocked = false;
            }
        }
        for (id, node) in &mut self.nodes {
            if up.plan.nodes.contains_key(id) || up.disabled.contains(id.service()) {
                continue;
            }
            let surplus = up.enabled.contains(id.service());
            node.orphan = !surplus;
            if surplus || up.remove_orphans {
                node.wanted = Wanted::Gone { volumes: false };
            }
        }
        self.nodes
            .sort_by_cached_key(|id, _| up.plan.nodes.get_index_of(id).unwrap_or(usize::MAX));
        self.index_dependents();
        self.take_untested_for_ready(now, out);
        for change in changes {
            let (id, reason) = (change.node, change.reason);
            match change.action {
                Action::Create | Action::Start | Action::RunAgain | Action::Keep | Action::Build => {
                    self.want(&id, &up, now);
                    if change.action == Action::Keep
                        && let Some(node) = self.nodes.get_mut(&id)
                    {
                        // The file says again what the run that is there was made from, before anything came of what it said meanwhile.
                        let of_file = |replace: &mut Replace| !replace.stop_first && replace.build.is_none();
                        node.replace
                            .take_if(|replace| of_file(replace) && replace.begun.is_none());
                    }
                    if !up.no_start {
                        self.hold_still(&id, false, out);
                        self.stop_signalled(&id, now, out);
                    }
                }
                Action::Recreate => {
                    self.want(&id, &up, now);
                    if let Some(node) = self.nodes.get_mut(&id) {
                        node.replace = Some(Replace::new(reason.clone(), now, false));
                        node.completion = None;
                    }
                    if !up.no_start {
                        self.hold_still(&id, false, out);
                    }
                }
                Action::Remove | Action::Orphan => {}
            }
            if change.action != Action::Keep {
                self.notice(
                    Some(&id),
                    NoticeKind::Planned {
                        action: change.action,
                        reason,
                    },
                    now,
                    out,
                );
            }
        }
    }

    /// A run whose test is gone from the plan, as once it is known that its image has none, is waited for no longer.
    fn take_untested_for_ready(&mut self, now: Time, out: &mut Vec<Effect>) {
        let mut beside = Vec::new();
        for (id, node) in self.nodes.iter_mut().filter(|(_, node)| node.plan.health.is_none()) {
            let mut now_ready = |run: &mut Run| {
                let waited = std::mem::replace(&mut run.health.state, HealthState::Healthy) == HealthState::Starting;
                let ready = waited && run.phase == RunPhase::Running;
                if ready {
                    run.ready = Some(now);
                }
                ready
            };
            node.run.as_mut().map(&mut now_ready);
            if node.next.as_mut().is_some_and(now_ready) {
                beside.push(id.clone());
            }
        }
        for id in beside {
            self.promote(&id, now, out);
        }
    }

    fn want(&mut self, id: &NodeId, up: &Up, now: Time) {
        if up.no_start {
            if up.create {
                self.want_created(id, up);
            }
            return;
        }
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.run.is_none() || node.wanted != Wanted::Up {
            node.asked = now;
        }
        node.grace = up.grace;
        node.ask_again();
        if up.force_recreate {
            node.completion = None;
            node.fresh = true;
        }
        if up.again.contains(id) {
            node.completion = None;
        }
        // A completion is looked at again once everything that it depends on is there.
        node.completed = None;
        if node.plan.builds && !up.no_build {
            let source = up.sources.get(id).cloned();
            let stale = node.build.stamp.is_none() || source.is_none() || source != node.build.stamp;
            // Without a known source state a build is due where no run of this very configuration is: the one before may have been built
            // otherwise, or have run elsewhere.
            let as_planned = node.run.as_ref().is_some_and(|run| run.hash == node.plan.hash);
            let due = up.build || (stale && (source.is_some() || !as_planned));
            node.build.source = source;
            node.build.due = due;
        }
    }

    pub(super) fn on_act(&mut self, act: Act, now: Time, out: &mut Vec<Effect>) {
        for id in &act.nodes {
            let Some(node) = self.nodes.get_mut(id) else { continue };
            if !matches!(act.verb, Verb::Pause | Verb::Unpause) {
                node.grace = act.grace;
            }
            match &act.verb {
                Verb::Start => {
                    if node.run.is_none() {
                        node.asked = now;
                    }
                    node.completed = None;
                    if act.again.contains(id) {
                        node.completion = None;
                    }
                    node.ask_again();
                    self.hold_still(id, false, out);
                }
                Verb::Stop => {
                    node.wanted = Wanted::Down;
                    node.create = Create::No;
                }
                Verb::Restart => {
                    let running = node.run.is_some();
                    node.ask_again();
                    node.completed = None;
                    node.completion = None;
                    node.asked = now;
                    if running {
                        let reason = "asked to restart".to_owned();
                        node.replace = Some(Replace {
                            alone: act.alone,
                            ..Replace::new(reason, now, true)
                        });
                    }
                }
                Verb::Pause | Verb::Unpause => {
                    let still = act.verb == Verb::Pause;
                    self.hold_still(id, still, out);
                }
                Verb::Kill { signal } => {
                    let runs: Vec<u64> = node.run.iter().chain(&node.next).map(|run| run.number).collect();
                    if !runs.is_empty() && ends_a_process(signal) {
                        node.wanted = Wanted::Down;
                    }
                    for run in runs {
                        out.push(Effect::Signal {
                            node: id.clone(),
                            run,
                            signal: signal.clone(),
                        });
                    }
                    if ends_a_process(signal) {
                        self.expect_end(id, signal, now, out);
                    }
                    continue;
                }
            }
            if act.verb != Verb::Pause {
                self.stop_signalled(id, now, out);
            }
        }
    }

    /// A killed run is on its way out, without another signal being sent.
    fn expect_end(&mut self, id: &NodeId, signal: &str, now: Time, out: &mut Vec<Effect>) {
        let reason = format!("asked to send {signal}");
        let Some(node) = self.nodes.get_mut(id) else { return };
        let grace = node.stop_grace();
        if let Some(run) = &mut node.run {
            if run.signalled.is_none() && run.is_stopping() {
                return;
            }
            // Nobody handles a kill.
            run.signalled = (signal != "SIGKILL").then(|| now + grace);
            run.phase = super::RunPhase::Stopping {
                since: now,
                reason: reason.clone(),
            };
            run.health.next = None;
            self.notice(Some(id), NoticeKind::Stopping { reason }, now, out);
        }
    }

    /// A run that was sent a signal may handle it and go on: whoever asks for its end by any other word gets a stop, with all that
    /// belongs to one.
    fn stop_signalled(&mut self, id: &NodeId, now: Time, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let grace = node.stop_grace();
        let signalled = node
            .run
            .as_mut()
            .and_then(|run| run.signalled.take().map(|_| run.number));
        if let Some(number) = signalled {
            self.stop_run(id, number, grace, "it is no longer wanted", now, out);
        }
    }

    /// Whoever was sent a signal and still runs when its grace period is over has handled it: it goes on.
    pub(super) fn look_at_signalled(&mut self, now: Time, out: &mut Vec<Effect>) {
        let over = |node: &Node| {
            let until = node.run.as_ref().and_then(|run| run.signalled);
            until.is_some_and(|until| until <= now)
        };
        let survivors: Vec<NodeId> = self
            .nodes
            .iter()
            .filter(|(_, node)| over(node))
            .map(|(id, _)| id.clone())
            .collect();
        for id in survivors {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            let tested = node.plan.health.is_some();
            let Some(run) = node.run.as_mut() else { continue };
            let super::RunPhase::Stopping { since, .. } = run.phase else {
                continue;
            };
            run.signalled = None;
            run.phase = super::RunPhase::Running;
            if tested {
                run.health.next = Some(now);
            }
            if node.wanted == Wanted::Down && !self.closing {
                node.wanted = Wanted::Up;
            }
            let text = format!(
                "the signal did not end it within {}: it goes on",
                crate::Seconds(now - since)
            );
            let help = Some("`devctl stop` ends it, `devctl kill` at once".to_owned());
            self.notice(Some(&id), NoticeKind::Warning { text, help }, now, out);
        }
    }

    pub(super) fn on_down(&mut self, down: Down, now: Time, out: &mut Vec<Effect>) {
        let ids: Vec<NodeId> = match down.nodes {
            Some(ids) => ids,
            None => self.nodes.keys().cloned().collect(),
        };
        for id in &ids {
            let Some(node) = self.nodes.get_mut(id) else { continue };
            node.wanted = Wanted::Gone { volumes: down.volumes };
            node.blocked = false;
            node.grace = down.grace;
            node.create = Create::No;
            self.stop_signalled(id, now, out);
        }
        if down.kill {
            self.kill_all(&ids, now, out);
        }
    }

    pub(super) fn on_shutdown(&mut self, kill: bool, now: Time, out: &mut Vec<Effect>) {
        self.closing = true;
        let ids: Vec<NodeId> = self.nodes.keys().cloned().collect();
        for node in self.nodes.values_mut() {
            if node.wanted == Wanted::Up {
                node.wanted = Wanted::Down;
            }
            node.create = Create::No;
        }
        for id in &ids {
            self.stop_signalled(id, now, out);
        }
        if kill {
            self.kill_all(&ids, now, out);
        }
    }

    /// Everyone at once: nobody is waited for, and those on their way out are killed too.
    fn kill_all(&mut self, ids: &[NodeId], now: Time, out: &mut Vec<Effect>) {
        for id in ids {
            let Some(node) = self.nodes.get_mut(id) else { continue };
            node.grace = Some(Duration::ZERO);
            let runs: Vec<u64> = node
                .run
                .iter()
                .chain(&node.next)
                .chain(&node.leaving)
                .map(|run| run.number)
                .collect();
            for run in runs {
                self.stop_run(id, run, Duration::ZERO, "killed", now, out);
            }
        }
    }

    pub(super) fn on_removed(&mut self, id: &NodeId, now: Time, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get(id) else { return };
        if let Wanted::Gone { volumes } = node.wanted
            && node.gone()
        {
            self.forget(id, volumes);
            self.index_dependents();
            self.notice(Some(id), NoticeKind::Removed { volumes }, now, out);
        }
    }
}

impl Node {
    /// Somebody asked: whatever went wrong before is forgotten.
    pub(super) fn ask_again(&mut self) {
        self.wanted = Wanted::Up;
        self.failure = None;
        self.not_before = None;
        self.crashes = 0;
        self.restarts = 0;
        self.blocked = false;
        self.contracts.try_again();
    }
}

/// Whether a signal (`SIGINT`) ends whatever does not handle it, so that its effect is waited for.
#[must_use]
pub fn ends_a_process(signal: &str) -> bool {
    matches!(signal, "SIGKILL" | "SIGTERM" | "SIGINT" | "SIGQUIT" | "SIGABRT")
}
