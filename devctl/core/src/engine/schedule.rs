//! Starts what may start, stops what may stop, tests what is due. Runs at the end of each step.

use std::time::Duration;

use super::effect::Effect;
use super::node::{Create, Gate, Health, HealthState, Node, Replace, Run, RunPhase, Wanted};
use super::notice::NoticeKind;
use super::state::State;
use crate::plan::{Kind, Swap, Verify};
use crate::{NodeId, Time};

impl State {
    pub(super) fn schedule(&mut self, now: Time, out: &mut Vec<Effect>) {
        // A job that turns out to be done already lets others start at once: go on until nothing changes.
        loop {
            let mut changed = false;
            for index in 0..self.nodes.len() {
                changed |= self.schedule_node(index, now, out);
            }
            if !changed {
                break;
            }
        }
        self.check_due(now, out);
        self.probe_due(now, out);
    }

    fn schedule_node(&mut self, index: usize, now: Time, out: &mut Vec<Effect>) -> bool {
        let Some((id, node)) = self.nodes.get_index(index) else {
            return false;
        };
        let id = id.clone();
        let turned_off = node.plan.verify == Verify::Never && !node.plan.tests;
        let wanted = node.wanted;
        let is_due = node.create == Create::Due && node.quiet();
        self.give_up_making(&id, out);
        match wanted {
            Wanted::Up => {
                self.build_if_due(&id, now, out);
                if turned_off {
                    self.let_go_of_contracts(&id, out);
                }
                self.look_at_contracts(&id, now);
                self.bring_up(&id, now, out)
            }
            Wanted::Down if is_due => {
                self.create(&id, now, out);
                false
            }
            Wanted::Down | Wanted::Gone { .. } => {
                self.take_down(&id, now, out);
                false
            }
        }
    }

    fn bring_up(&mut self, id: &NodeId, now: Time, out: &mut Vec<Effect>) -> bool {
        let Some(node) = self.nodes.get(id) else { return false };
        match &node.run {
            None => {
                if node.completed.is_some() || node.next.is_some() {
                    return false;
                }
                if let Some(hold) = self.hold(id, now) {
                    self.tell_blocked(id, &hold, now, out);
                    return false;
                }
                if self.still_completed(id) {
                    if let Some(node) = self.nodes.get_mut(id) {
                        node.completed = Some(now);
                    }
                    self.notice(Some(id), NoticeKind::StillCompleted, now, out);
                    return true;
                }
                self.start(id, now, out);
                false
            }
            Some(run) if run.phase == RunPhase::Running && node.next.is_none() => {
                let Some(replace) = node.replace.clone() else {
                    return false;
                };
                if run.paused.is_some() && !replace.stop_first {
                    // Whoever holds it still wants to look at it as it is.
                    return false;
                }
                if node.build.due || node.build.running.is_some() || self.dependency_holds(node, now).next().is_some() {
                    return false;
                }
                self.replace(id, &replace, now, out);
                false
            }
            Some(_) => false,
        }
    }

    fn tell_blocked(&mut self, id: &NodeId, hold: &super::Hold, now: Time, out: &mut Vec<Effect>) {
        let super::Hold::FailedDependency { on, why, .. } = hold else {
            return;
        };
        if let Some(node) = self.nodes.get_mut(id)
            && !std::mem::replace(&mut node.blocked, true)
        {
            self.notice(
                Some(id),
                NoticeKind::Blocked {
                    on: on.clone(),
                    why: why.clone(),
                },
                now,
                out,
            );
        }
    }

    fn start(&mut self, id: &NodeId, now: Time, out: &mut Vec<Effect>) {
        let number = self.number();
        let gate = self.gate(id, now);
        let Some(node) = self.nodes.get_mut(id) else { return };
        let run = new_run(node, number, gate, now);
        let hash = run.hash.clone();
        let fresh = std::mem::take(&mut node.fresh);
        node.run = Some(run);
        node.not_replaced = None;
        node.not_before = None;
        node.blocked = false;
        node.let_through = true;
        node.create = Create::No;
        let replace = node.replace.take();
        let reason = replace.as_ref().map(|replace| replace.reason.clone());
        if let Some(run) = &mut node.run {
            // One that was due and had nothing left to stop is a first start.
            run.replaces = replace.filter(|replace| replace.begun.is_some());
        }
        self.notice(Some(id), NoticeKind::Starting { reason }, now, out);
        out.push(Effect::Start {
            node: id.clone(),
            run: number,
            hash,
            fresh,
        });
    }

    fn replace(&mut self, id: &NodeId, replace: &Replace, now: Time, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get(id) else { return };
        let Some(run) = &node.run else { return };
        if node.plan.swap == Swap::Overlap && !replace.stop_first && run.is_ready() {
            let number = self.number();
            let Some(node) = self.nodes.get_mut(id) else { return };
            let gate = match node.build.span {
                Some((from, to)) if to > replace.since => Gate::Build(from, to),
                _ => Gate::Asked(replace.since),
            };
            let mut next = new_run(node, number, gate, now);
            next.replaces = Some(Replace {
                begun: Some(now),
                ..replace.clone()
            });
            let hash = next.hash.clone();
            let fresh = std::mem::take(&mut node.fresh);
            node.next = Some(next);
            node.not_replaced = None;
            self.notice(
                Some(id),
                NoticeKind::Starting {
                    reason: Some(replace.reason.clone()),
                },
                now,
                out,
            );
            out.push(Effect::Start {
                node: id.clone(),
                run: number,
                hash,
                fresh,
            });
        } else {
            let (run, grace) = (run.number, node.stop_grace());
            if let Some(replace) = self.nodes.get_mut(id).and_then(|node| node.replace.as_mut()) {
                replace.begun = Some(now);
            }
            self.stop_run(id, run, grace, &replace.reason, now, out);
            if !replace.alone {
                self.restart_dependents(id, now);
            }
        }
    }

    /// Those whose `depends_on` says `restart: true` follow, once their dependency is back.
    pub(super) fn restart_dependents(&mut self, id: &NodeId, now: Time) {
        for dependent in self.dependents.get(id).cloned().unwrap_or_default() {
            if let Some(node) = self.nodes.get_mut(&dependent)
                && node.wanted == Wanted::Up
                && node.run.as_ref().is_some_and(|run| !run.is_stopping())
                && node.plan.dependencies.iter().any(|dep| dep.on == *id && dep.restart)
            {
                let reason = format!("{id} is restarted, and `depends_on` says to follow");
                node.replace.get_or_insert(Replace::new(reason, now, true));
            }
        }
    }

    /// Reverse order: a node ends when nobody who depends on it, and is to end as well, is left.
    fn take_down(&mut self, id: &NodeId, now: Time, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get(id) else { return };
        if let Some((build, _, _)) = &node.build.running {
            out.push(Effect::CancelBuild {
                node: id.clone(),
                build: *build,
            });
        }
        let grace = node.stop_grace();
        self.let_go_of_contracts(id, out);
        let Some(node) = self.nodes.get(id) else { return };
        let next = node
            .next
            .as_ref()
            .filter(|run| !run.is_stopping())
            .map(|run| run.number);
        let run = node.run.as_ref().filter(|run| !run.is_stopping()).map(|run| run.number);
        if let Some(node) = self.nodes.get_mut(id) {
            node.let_through = false;
            node.build.running = None;
            node.build.due = false;
            node.replace = None;
            if let Some(next) = node.next.take_if(|_| next.is_some()) {
                node.leaving.push(next);
            }
        }
        if let Some(next) = next {
            self.stop_run(id, next, grace, "it is no longer wanted", now, out);
        }
        if let Some(run) = run
            && !self.is_needed(id)
        {
            self.stop_run(id, run, grace, "it is no longer wanted", now, out);
        }
        self.remove_if_gone(id, out);
    }

    fn is_needed(&self, id: &NodeId) -> bool {
        self.dependents.get(id).is_some_and(|dependents| {
            dependents
                .iter()
                .filter_map(|id| self.nodes.get(id))
                .any(|node| node.wanted != Wanted::Up && !node.quiet())
        })
    }

    fn remove_if_gone(&mut self, id: &NodeId, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if let Wanted::Gone { volumes } = node.wanted
            && node.gone()
            && !std::mem::replace(&mut node.blocked, true)
        {
            out.push(Effect::Remove {
                node: id.clone(),
                volumes,
            });
        }
    }

    pub(super) fn stop_run(
        &mut self,
        id: &NodeId,
        number: u64,
        grace: Duration,
        reason: &str,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        // One that has never served has nothing under way.
        let has_served = |run: &Run| run.number == number && run.ready.is_some();
        let drain = node.leaving.iter().any(has_served) && node.run.as_ref().is_some_and(Run::is_ready);
        let Some(run) = node.find_mut(number) else { return };
        run.phase = RunPhase::Stopping {
            since: now,
            reason: reason.to_owned(),
        };
        run.health.next = None;
        out.push(Effect::Stop {
            node: id.clone(),
            run: number,
            grace,
            drain,
        });
        self.notice(
            Some(id),
            NoticeKind::Stopping {
                reason: reason.to_owned(),
            },
            now,
            out,
        );
    }

    /// What the node has waited for last: the dependency that was met last, its build, its run before, or the request.
    pub(super) fn gate(&self, id: &NodeId, now: Time) -> Gate {
        let Some(node) = self.nodes.get(id) else {
            return Gate::Asked(now);
        };
        let asked = node.asked;
        let dependencies = node.plan.dependencies.iter().filter_map(|dep| {
            let on = self.nodes.get(&dep.on)?;
            let at = match (dep.condition, &on.run) {
                (crate::plan::Condition::Verified, _) => on.contracts.last.as_ref().map(|last| last.at),
                (_, None) => on.completed,
                (crate::plan::Condition::Started, Some(run)) => run.started,
                (_, Some(run)) => run.ready,
            }?;
            Some(Gate::Dependency(dep.on.clone(), at))
        });
        let build = node.build.span.map(|(from, to)| Gate::Build(from, to));
        let before = node
            .last
            .as_ref()
            .map(|last| Gate::Before(last.told.unwrap_or(last.at), node.not_before.unwrap_or(last.at)));
        dependencies
            .chain(build)
            .chain(before)
            .filter(|gate| gate.at() > asked)
            .max_by_key(Gate::at)
            .unwrap_or(Gate::Asked(asked))
    }
}

pub(super) fn new_run(node: &Node, number: u64, gate: Gate, now: Time) -> Run {
    Run {
        number,
        phase: RunPhase::Starting,
        hash: node.plan.hash.clone(),
        artefact: node.build.artefact.clone(),
        replaces: None,
        issued: now,
        adopted: false,
        gate,
        started: None,
        prepared: Duration::ZERO,
        ready: None,
        pid: None,
        data: None,
        version: None,
        health: Health {
            state: if node.plan.health.is_some() && node.plan.kind != Kind::Stub {
                HealthState::Starting
            } else {
                HealthState::Healthy
            },
            failing_since: None,
            next: None,
            output: String::new(),
            last_failure: None,
            sent: None,
            excused: Duration::ZERO,
        },
        signalled: None,
        paused: None,
        holding: None,
        not_held: None,
    }
}
