//! Runs that are held still as they are, and let go on. A health test of one that does nothing says nothing: it has none meanwhile.

use super::effect::Effect;
use super::event::Failure;
use super::node::RunPhase;
use super::notice::NoticeKind;
use super::state::State;
use crate::plan::Kind;
use crate::{NodeId, Time};

impl State {
    /// Asks for a run to be held still, or to go on. Nothing happens to one that is so already, or that does not run.
    pub(super) fn hold_still(&mut self, id: &NodeId, still: bool, out: &mut Vec<Effect>) {
        let Some(node) = self.nodes.get_mut(id) else { return };
        if node.plan.kind == Kind::Stub {
            return;
        }
        let Some(run) = node.run.as_mut().filter(|run| !run.is_stopping()) else {
            return;
        };
        // One that is being started is not held; one that is being taken over may be, and goes on as soon as it is there.
        if run.paused.is_some() == still || (still && run.phase == RunPhase::Starting) {
            return;
        }
        run.holding = Some(still);
        run.not_held = None;
        if run.phase == RunPhase::Starting {
            return;
        }
        out.push(Effect::Hold {
            node: id.clone(),
            run: run.number,
            still,
        });
    }

    /// A run that was held still when it was taken over is there now: it goes on if somebody has asked for that meanwhile.
    pub(super) fn let_go_on_if_asked(&mut self, id: &NodeId, number: u64, out: &mut Vec<Effect>) {
        let Some((node, _)) = self.run_of(id, number) else {
            return;
        };
        if let Some(run) = node.find_mut(number)
            && let Some(still) = run.holding
        {
            out.push(Effect::Hold {
                node: id.clone(),
                run: number,
                still,
            });
        }
    }

    pub(super) fn on_held(
        &mut self,
        id: &NodeId,
        number: u64,
        still: bool,
        outcome: Result<(), Failure>,
        now: Time,
        out: &mut Vec<Effect>,
    ) {
        let Some((node, _)) = self.run_of(id, number) else {
            return;
        };
        let tested = node.plan.health.is_some() && node.plan.kind != Kind::Stub;
        let Some(run) = node.find_mut(number) else { return };
        let asked = run.holding.take_if(|asked| *asked == still).is_some();
        let kind = match outcome {
            Err(failure) if asked => {
                let doing = if still { "paused" } else { "let go on" };
                let text = format!("it could not be {doing}: {}", failure.what);
                let help = failure.help.clone();
                run.not_held = Some(failure);
                NoticeKind::Warning { text, help }
            }
            Err(_) => return,
            Ok(()) => match (still, run.paused) {
                (true, None) => {
                    run.paused = Some(now);
                    run.health.next = None;
                    run.health.sent = None;
                    NoticeKind::Paused
                }
                (false, Some(since)) => {
                    run.paused = None;
                    // What nobody could test in that time has not failed in it.
                    run.health.excused += now - since;
                    run.health.failing_since = None;
                    if tested && run.phase == RunPhase::Running {
                        run.health.next = Some(now);
                    }
                    NoticeKind::Unpaused { after: now - since }
                }
                // Told twice: by whoever did it, and by the engine.
                _ => return,
            },
        };
        self.notice(Some(id), kind, now, out);
    }
}
