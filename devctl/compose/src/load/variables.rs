//! The variables that a tree uses.

use indexmap::IndexMap;

use crate::interpolate::template::{self, Variable};
use crate::tree::{Node, Value};

/// Each variable once, sorted by name. It is required as soon as one use of it is, and keeps the first default.
pub(super) fn of(root: &Node) -> Vec<Variable> {
    let mut found = Vec::new();
    collect(root, &mut found);
    let mut all: IndexMap<String, Variable> = IndexMap::new();
    for variable in found {
        match all.get_mut(&variable.name) {
            Some(known) => {
                known.required |= variable.required;
                if known.default.is_empty() {
                    known.default = variable.default;
                }
                if known.presence.is_empty() {
                    known.presence = variable.presence;
                }
            }
            None => {
                all.insert(variable.name.clone(), variable);
            }
        }
    }
    all.sort_unstable_keys();
    all.into_values().collect()
}

fn collect(node: &Node, found: &mut Vec<Variable>) {
    match &node.value {
        Value::Text(text) => template::variables(text, found),
        Value::List(list) => list.iter().for_each(|item| collect(item, found)),
        Value::Map(map) => map.values().for_each(|entry| collect(&entry.node, found)),
        _ => {}
    }
}
