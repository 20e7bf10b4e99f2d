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
        let asked = run.holding;
        if asked.unwrap_or(run.paused.is_some()) == still {
            return;
        }
        run.holding = Some(still);
        run.not_held = None;
        // One that is being started (or taken over) hears of it once it is there; one that has been asked for something else, once
        // that is answered: of two orders at once, nobody knows which comes last.
        if run.phase == RunPhase::Starting || asked.is_some() {
            return;
        }
        out.push(Effect::Hold {
            node: id.clone(),
            run: run.number,
            still,
        });
    }

    /// A run is there now: it is held still, or goes on, if somebody has asked for that meanwhile.
    pub(super) fn hold_if_asked(&mut self, id: &NodeId, number: u64, out: &mut Vec<Effect>) {
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
        let told = match outcome {
            Err(failure) if asked => {
                let doing = if still { "paused" } else { "let go on" };
                let text = format!("it could not be {doing}: {}", failure.what);
                let help = failure.help.clone();
                run.not_held = Some(failure);
                Some(NoticeKind::Warning { text, help })
            }
            Err(_) => None,
            Ok(()) => match (still, run.paused) {
                (true, None) => {
                    run.paused = Some(now);
                    run.health.next = None;
                    run.health.sent = None;
                    Some(NoticeKind::Paused)
                }
                (false, Some(since)) => {
                    run.paused = None;
                    // What nobody could test in that time has not failed in it.
                    run.health.excused += now - since;
                    run.health.failing_since = None;
                    if tested && run.phase == RunPhase::Running {
                        run.health.next = Some(now);
                    }
                    Some(NoticeKind::Unpaused { after: now - since })
                }
                // Told twice: by whoever did it, and by the engine.
                _ => return,
            },
        };
        // Somebody has asked for the opposite meanwhile.
        let paused = run.paused.is_some();
        let _as_it_is = run.holding.take_if(|wish| *wish == paused);
        if let Some(still) = run.holding {
            out.push(Effect::Hold {
                node: id.clone(),
                run: number,
                still,
            });
        }
        if let Some(kind) = told {
            self.notice(Some(id), kind, now, out);
        }
    }
}
