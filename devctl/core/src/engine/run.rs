//! What becomes of a run: started, failed to start, ended.

use super::effect::Effect;
use super::event::{Exit, Failure, Started};
use super::node::{Completion, Ended, Run, RunPhase, Wanted};
use super::notice::NoticeKind;
use super::state::{RunPlace, State};
use crate::plan::{Kind, RestartPolicy};
use crate::{NodeId, Time};

impl State {
    pub(super) fn on_started(&mut self, id: &NodeId, number: u64, started: Started, now: Time, out: &mut Vec<Effect>) {
        let Some((node, place)) = self.run_of(id, number) else {
            return;
        };
        let tested = node.plan.health.is_some() && node.plan.kind != Kind::Stub;
        let Some(run) = node.find_mut(number) else { return };
        run.started = Some(now);
        run.pid = started.pid;
        run.version.clone_from(&started.version);
        run.data.clone_from(&started.data);
        run.prepared = started.prepared;
        if run.is_stopping() {
            return;
        }
        run.phase = RunPhase::Running;
        if !tested {
            run.ready = Some(now);
        } else if run.paused.is_none() {
            run.health.next = Some(now);
        }
        self.notice(
            Some(id),
            NoticeKind::Started {
                pid: started.pid,
                version: started.version,
            },
            now,
            out,
        );
        self.hold_if_asked(id, number, out);
        if started.data.is_some() {
            self.look_again_at_jobs(id);
        }
        match (place, tested) {
            (RunPlace::Next, false) => self.promote(id, now, out),
            (RunPlace::Run, false) => self.tell_replaced(id, now, out),
            _ => {}
        }
    }

    /// The serving run has taken another one's place: told once.
    pub(super) fn tell_replaced(&mut self, id: &NodeId, now: Time, out: &mut Vec<Effect>) {
        let run = self.nodes.get_mut(id).and_then(|node| node.run.as_mut());
        let Some(replace) = run.and_then(|run| run.replaces.take()) else {
            return;
        };
        self.saved(id, replace.since);
        let kind = NoticeKind::Replaced {
            reason: replace.reason,
            took: now - replace.since,
            build: replace.build,
            swap: now - replace.begun.unwrap_or(replace.since),
        };
        self.notice(Some(id), kind, now, out);
    }

    /// The run that was made ready beside the serving one takes its place.
    pub(super) fn promote(&mut self, id: &NodeId, now: Time, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        let Some(next) = node.next.take() else { return };
        let old = node.run.replace(next);
        node.replace = None;
        let grace = node.stop_grace();
        let old = old.map(|run| {
            let number = run.number;
            let stopping = run.is_stopping();
            node.leaving.push(run);
            (number, stopping)
        });
        self.tell_replaced(id, now, out);
        if let Some((number, false)) = old {
            self.stop_run(id, number, grace, "a newer run serves", now, out);
        }
        self.restart_dependents(id, now);
    }

    /// The run that was made ready beside the serving one did not become it. That stays known until another one is started.
    pub(super) fn replace_failed(&mut self, id: &NodeId, what: String, now: Time, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        node.replace = None;
        node.not_replaced = Some(what.clone());
        self.notice(Some(id), NoticeKind::ReplaceFailed { what }, now, out);
    }

    pub(super) fn on_start_failed(
        &mut self,
        id: &NodeId,
        number: u64,
        failure: Failure,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let Some((node, place)) = self.run_of(id, number) else {
            return;
        };
        let stopping = node.find(number).is_some_and(Run::is_stopping);
        match place {
            RunPlace::Run => {
                node.run = None;
                if !stopping {
                    node.failure = Some(Failure {
                        what: format!("failed to start: {}", failure.what),
                        ..failure.clone()
                    });
                    self.notice(Some(id), NoticeKind::StartFailed { failure }, now, out);
                }
            }
            RunPlace::Next => {
                node.next = None;
                self.replace_failed(id, failure.what, now, out);
            }
            RunPlace::Leaving => node.leaving.retain(|run| run.number != number),
        }
    }

    pub(super) fn on_exited(&mut self, id: &NodeId, number: u64, exit: Exit, now: Time, out: &mut Vec<Effect>) {
        let inputs = self.inputs(id);
        let Some((node, place)) = self.run_of(id, number) else {
            return;
        };
        let ended = match place {
            RunPlace::Run => node.run.take(),
            RunPlace::Next => node.next.take(),
            RunPlace::Leaving => {
                let at = node.leaving.iter().position(|run| run.number == number);
                at.map(|at| node.leaving.remove(at))
            }
        };
        let Some(ended) = ended else { return };
        let took = now - ended.started.unwrap_or(ended.issued);
        let exit = match exit {
            // Two stop it at once: it was to end anyway.
            Exit::Outside(code) if ended.is_stopping() => Exit::Code(code),
            exit => exit,
        };
        if let RunPhase::Stopping { since, .. } = ended.phase {
            if place == RunPlace::Run {
                node.last = Some(Ended {
                    run: number,
                    exit: exit.clone(),
                    at: now,
                    told: Some(since),
                });
            }
            self.notice(
                Some(id),
                NoticeKind::Stopped {
                    exit,
                    took: now - since,
                },
                now,
                out,
            );
            return;
        }
        match place {
            RunPlace::Next => {
                let what = format!("it {exit} after {}", crate::Seconds(took));
                self.replace_failed(id, what, now, out);
            }
            RunPlace::Leaving => {}
            RunPlace::Run => {
                node.last = Some(Ended {
                    run: number,
                    exit: exit.clone(),
                    at: now,
                    told: None,
                });
                if let Some(next) = node.next.take() {
                    // The serving run is gone: the one that was to take its place is the run now.
                    node.run = Some(next);
                    self.notice(Some(id), NoticeKind::Exited { exit }, now, out);
                    return;
                }
                if exit.success() && node.plan.is_one_shot() {
                    let (hash, artefact) = (ended.hash.clone(), ended.artefact.clone());
                    // What nobody waits for, and has worked on nobody's data, leaves nothing that would make it needless.
                    let keeps = node.plan.kind == Kind::Job || !inputs.is_empty();
                    node.completion = keeps.then_some(Completion { hash, artefact, inputs });
                    node.done = Some(ended);
                    if node.replace.is_none() {
                        node.completed = Some(now);
                        node.crashes = 0;
                    }
                    self.notice(Some(id), NoticeKind::Completed { took }, now, out);
                    return;
                }
                self.after_exit(id, exit, took, now, out);
            }
        }
    }

    /// A run ended by itself: the restart policy says what follows (Compose specification, `restart`).
    fn after_exit(&mut self, id: &NodeId, exit: Exit, took: std::time::Duration, now: Time, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if matches!(exit, Exit::WithEngine | Exit::Unknown) && node.wanted == Wanted::Up {
            // No failure of its own: it is started again as soon as its engine is back, whatever its policy says.
            self.notice(Some(id), NoticeKind::Exited { exit }, now, out);
            return;
        }
        if exit.is_outside() && node.wanted == Wanted::Up && node.replace.is_none() {
            // As Docker has it: what somebody stops stays stopped, whatever its policy says.
            node.wanted = Wanted::Down;
            self.notice(Some(id), NoticeKind::Exited { exit }, now, out);
            return;
        }
        if took >= super::restart::STEADY {
            node.crashes = 0;
        }
        let again = match node.plan.restart {
            RestartPolicy::No => false,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
            RestartPolicy::OnFailure(limit) => !exit.success() && limit.is_none_or(|limit| node.crashes < limit),
        };
        if node.wanted != Wanted::Up || node.replace.is_some() {
            self.notice(Some(id), NoticeKind::Exited { exit }, now, out);
        } else if again {
            let delay = super::restart::delay(node.crashes);
            node.crashes += 1;
            node.restarts += 1;
            node.not_before = Some(now + delay);
            let attempt = node.crashes;
            self.notice(
                Some(id),
                NoticeKind::RestartScheduled { exit, delay, attempt },
                now,
                out,
            );
        } else {
            if exit.success() {
                node.completed = Some(now);
            } else {
                node.failure = Some(Failure::new(exit.to_string()));
            }
            self.notice(Some(id), NoticeKind::Exited { exit }, now, out);
        }
    }
}
