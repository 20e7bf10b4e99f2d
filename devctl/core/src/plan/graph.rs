//! Walks of the dependency graph.

use std::collections::HashSet;
use std::fmt;

use super::Plan;
use crate::NodeId;

/// Which way to follow dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From a node to what it needs.
    Dependencies,
    /// From a node to who needs it.
    Dependents,
}

/// Nodes that wait for each other, the first one repeated at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle(pub Vec<NodeId>);

impl fmt::Display for Cycle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, node) in self.0.iter().enumerate() {
            if index > 0 {
                out.write_str(" -> ")?;
            }
            write!(out, "{node}")?;
        }
        Ok(())
    }
}

impl Plan {
    /// `from` and everything reachable from it, in the plan's order.
    #[must_use]
    pub fn reach(&self, from: &[NodeId], direction: Direction) -> Vec<NodeId> {
        let mut seen: HashSet<NodeId> = HashSet::new();
        let mut open: Vec<NodeId> = from.to_vec();
        while let Some(id) = open.pop() {
            if !seen.insert(id.clone()) {
                continue;
            }
            match direction {
                Direction::Dependencies => {
                    open.extend(
                        self.nodes
                            .get(&id)
                            .into_iter()
                            .flat_map(|node| node.dependencies.iter().map(|dep| dep.on.clone())),
                    );
                }
                Direction::Dependents => open.extend(self.dependents(&id).cloned()),
            }
        }
        self.nodes.keys().filter(|id| seen.contains(*id)).cloned().collect()
    }

    /// Who waits for `id` directly.
    pub fn dependents<'a>(&'a self, id: &'a NodeId) -> impl Iterator<Item = &'a NodeId> {
        self.nodes
            .values()
            .filter(move |node| node.dependencies.iter().any(|dep| dep.on == *id))
            .map(|node| &node.id)
    }

    /// A cycle, whole, if there is one. Iterative: a chain of any length is no danger to the stack.
    #[must_use]
    pub fn cycle(&self) -> Option<Cycle> {
        let mut done: HashSet<&NodeId> = HashSet::new();
        for root in self.nodes.keys() {
            let mut path: Vec<(&NodeId, usize)> = vec![(root, 0)];
            let mut on_path: HashSet<&NodeId> = HashSet::from([root]);
            while let Some((id, next)) = path.last_mut() {
                let id = *id;
                let dependency = self.nodes.get(id).and_then(|node| node.dependencies.get(*next));
                *next += 1;
                match dependency {
                    None => {
                        done.insert(id);
                        on_path.remove(id);
                        path.pop();
                    }
                    Some(dep) if on_path.contains(&dep.on) => {
                        let start = path.iter().position(|(node, _)| **node == dep.on).unwrap_or(0);
                        let mut nodes: Vec<NodeId> = path[start..].iter().map(|(node, _)| (*node).clone()).collect();
                        nodes.push(dep.on.clone());
                        return Some(Cycle(nodes));
                    }
                    Some(dep) if done.contains(&dep.on) => {}
                    Some(dep) => {
                        on_path.insert(&dep.on);
                        path.push((&dep.on, 0));
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Condition, ContentHash, Dependency, NodePlan};

    fn plan(edges: &[(&str, &[&str])]) -> Plan {
        let mut plan = Plan::default();
        for (name, needs) in edges {
            let mut node = NodePlan::new((*name).into(), ContentHash::default());
            node.dependencies = needs
                .iter()
                .map(|on| Dependency {
                    on: (*on).into(),
                    condition: Condition::Started,
                    required: true,
                    restart: false,
                })
                .collect();
            plan.nodes.insert((*name).into(), node);
        }
        plan
    }

    #[test]
    fn a_cycle_is_told_whole() {
        let plan = plan(&[("z", &["a"]), ("a", &["b"]), ("b", &["c"]), ("c", &["a"])]);
        assert_eq!(plan.cycle().unwrap().to_string(), "a -> b -> c -> a");
    }

    #[test]
    fn a_diamond_is_no_cycle() {
        let plan = plan(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])]);
        assert_eq!(plan.cycle(), None);
    }

    #[test]
    fn a_very_long_chain_is_walked() {
        let names: Vec<String> = (0..20_000).map(|n| format!("s{n}")).collect();
        let mut edges: Vec<(&str, Vec<&str>)> = names
            .windows(2)
            .map(|pair| (pair[0].as_str(), vec![pair[1].as_str()]))
            .collect();
        edges.push((names.last().unwrap(), vec![]));
        let edges: Vec<(&str, &[&str])> = edges.iter().map(|(name, needs)| (*name, needs.as_slice())).collect();
        assert_eq!(plan(&edges).cycle(), None);
    }

    #[test]
    fn reach_goes_both_ways() {
        let plan = plan(&[("web", &["api"]), ("api", &["db"]), ("db", &[]), ("other", &[])]);
        let names = |ids: Vec<NodeId>| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            names(plan.reach(&["api".into()], Direction::Dependencies)),
            ["api", "db"]
        );
        assert_eq!(
            names(plan.reach(&["db".into()], Direction::Dependents)),
            ["web", "api", "db"]
        );
    }
}
