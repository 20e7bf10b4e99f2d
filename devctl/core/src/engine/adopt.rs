//! Runs that an earlier daemon had started and that go on: taken over as they are, before anything is compared or started.

use super::effect::Effect;
use super::event::{Found, Up};
use super::node::{Gate, Node, Wanted};
use super::notice::NoticeKind;
use super::schedule::new_run;
use super::state::State;
use crate::Time;
use crate::plan::NodePlan;

impl State {
    /// Takes over each run of `up.found` whose node has none. What it depends on is not waited for: it runs.
    pub(super) fn adopt(&mut self, up: &Up, now: Time, out: &mut Vec<Effect>) {
        for found in &up.found {
            let Found {
                node: id, hash, number, ..
            } = found;
            let plan = up.plan.nodes.get(id);
            let memories = &mut self.memories;
            let node = self.nodes.entry(id.clone()).or_insert_with(|| {
                let plan = plan.cloned().unwrap_or_else(|| NodePlan::new(id.clone(), hash.clone()));
                let mut node = Node::new(plan, now);
                // The sources that it was built from are known, as long as nobody else has built it since.
                if let Some(memory) = memories.remove(id).filter(|known| known.artefact == found.artefact) {
                    node.recall(memory);
                }
                node
            });
            if !node.quiet() {
                continue;
            }
            if let Some(plan) = plan {
                node.plan = plan.clone();
            }
            let number = match number {
                Some(number) => *number,
                None => self.number(),
            };
            self.resume_numbers(number);
            let Some(node) = self.nodes.get_mut(id) else { continue };
            let mut run = new_run(node, number, Gate::Asked(now), now);
            run.hash = hash.clone();
            run.artefact = found.artefact.clone();
            run.adopted = true;
            run.paused = found.paused.then_some(now);
            node.build.artefact = found.artefact.clone();
            node.run = Some(run);
            node.wanted = Wanted::Up;
            node.failure = None;
            node.completed = None;
            self.notice(Some(id), NoticeKind::Adopting, now, out);
            out.push(Effect::Adopt {
                node: id.clone(),
                run: number,
                hash: hash.clone(),
            });
        }
    }
}
