//! Back-off of restarts, as Docker has it: 100 ms, doubled each time, at most a minute, forgotten after ten good seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use super::node::{Completion, Memory, Node};
use super::state::State;
use crate::NodeId;

/// A run of this length counts as one that worked.
pub(super) const STEADY: Duration = Duration::from_secs(10);
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);

/// The wait before the next start after `crashes` exits in a row.
pub(super) fn delay(crashes: u32) -> Duration {
    FIRST.saturating_mul(1 << crashes.min(16)).min(LONGEST)
}

impl State {
    /// The data of everything that the node depends on, however far away.
    pub(super) fn inputs(&self, id: &NodeId) -> BTreeMap<String, String> {
        let mut inputs = BTreeMap::new();
        let mut seen = std::collections::HashSet::from([id.clone()]);
        let mut open = vec![id.clone()];
        while let Some(id) = open.pop() {
            for dep in self.nodes.get(&id).iter().flat_map(|node| &node.plan.dependencies) {
                if !seen.insert(dep.on.clone()) {
                    continue;
                }
                let data = self
                    .nodes
                    .get(&dep.on)
                    .and_then(|node| node.run.as_ref())
                    .and_then(|run| run.data.clone());
                if let Some(data) = data {
                    inputs.insert(dep.on.to_string(), data);
                }
                open.push(dep.on.clone());
            }
        }
        inputs
    }

    /// What a job has done before, where neither it nor what was built for it is new. Its data may be.
    pub(super) fn done_before<'a>(&self, node: &'a Node) -> Option<&'a Completion> {
        let same = |done: &&Completion| done.hash == node.plan.hash && done.artefact == node.build.artefact;
        node.completion
            .as_ref()
            .filter(same)
            .filter(|_| node.plan.is_one_shot())
    }

    /// A job's work is done: neither it, nor what was built for it, nor any data that it worked on is new.
    pub(super) fn still_completed(&self, id: &NodeId) -> bool {
        let done = self.nodes.get(id).and_then(|node| self.done_before(node));
        done.is_some_and(|done| done.inputs == self.inputs(id))
    }

    /// A server came up, perhaps on new data: jobs that had worked on the old data are looked at again.
    pub(super) fn look_again_at_jobs(&mut self, server: &NodeId) {
        let mut open = vec![server.clone()];
        let mut seen = std::collections::HashSet::new();
        while let Some(id) = open.pop() {
            for dependent in self.dependents.get(&id).cloned().unwrap_or_default() {
                if seen.insert(dependent.clone()) {
                    open.push(dependent);
                }
            }
        }
        for id in seen {
            let is_new = self.nodes.get(&id).is_some_and(|node| {
                node.completed.is_some()
                    && node.completion.as_ref().is_some_and(|done| {
                        let data = |name: &str| {
                            self.nodes
                                .get(server)
                                .filter(|_| server.to_string() == name)?
                                .run
                                .as_ref()?
                                .data
                                .clone()
                        };
                        done.inputs
                            .iter()
                            .any(|(name, before)| data(name).is_some_and(|now| now != *before))
                    })
            });
            if is_new && let Some(node) = self.nodes.get_mut(&id) {
                node.completed = None;
            }
        }
    }

    /// What an earlier daemon knew of a node; used when the node first appears.
    pub fn remember(&mut self, id: NodeId, memory: Memory) {
        self.memories.insert(id, memory);
    }

    /// What is to be known of a node when it comes back.
    pub(super) fn forget(&mut self, id: &NodeId, volumes: bool) {
        let Some(node) = self.nodes.shift_remove(id) else {
            return;
        };
        let completion = node.completion.filter(|_| !volumes);
        self.memories.insert(
            id.clone(),
            Memory {
                completion,
                stamp: node.build.stamp,
                artefact: node.build.artefact,
            },
        );
    }

    /// What is known of a node that is not there now.
    #[must_use]
    pub fn memory(&self, id: &NodeId) -> Option<&Memory> {
        self.memories.get(id)
    }

    /// Nodes that are not there now, and what is known of them.
    pub fn memories(&self) -> impl Iterator<Item = (&NodeId, &Memory)> {
        self.memories.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_a_minute() {
        assert_eq!(delay(0), Duration::from_millis(100));
        assert_eq!(delay(3), Duration::from_millis(800));
        assert_eq!(delay(40), LONGEST);
    }
}
