//! Lists in a merge.

use std::collections::HashMap;

use crate::codec::go_print;
use crate::problem::{Problem, Problems};
use crate::tree::{Node, Value};

/// A value as a list: a mapping becomes sorted `KEY=value`, a text a list of it. Of anything else, and of a mapping in which
/// nothing is, there is no list.
pub(super) fn to_sequence(node: Node) -> Option<Vec<Node>> {
    match node.value {
        Value::List(list) => Some(list),
        Value::Text(_) => Some(vec![node]),
        Value::Map(map) => {
            let mut lines = Vec::with_capacity(map.len());
            for (key, entry) in map {
                let at = entry.node.at;
                let mut line = |value: &Node| lines.push((format!("{key}={}", go_print(value)), at));
                match &entry.node.value {
                    Value::Null => lines.push((key, at)),
                    Value::List(values) => values.iter().for_each(line),
                    _ => line(&entry.node),
                }
            }
            lines.sort_by(|a, b| a.0.cmp(&b.0));
            let lines: Vec<Node> = lines.into_iter().map(|(line, at)| Node::text(line, at)).collect();
            Some(lines).filter(|lines| !lines.is_empty())
        }
        _ => None,
    }
}

/// Appends what is not there yet.
pub(super) fn append_new(list: &mut Vec<Node>, other: Vec<Node>) {
    for item in other {
        if !list.iter().any(|known| known.same(&item)) {
            list.push(item);
        }
    }
}

/// One entry for each key: the last one, where the first one stood.
pub(super) fn key_values(all: Vec<Node>, path: &[String], problems: &mut Problems) -> Vec<Node> {
    unique_by(all, |index, item| match item.as_text() {
        Some(text) => Some(text.split('=').next().unwrap_or_default().to_owned()),
        None => {
            let message = format!("`{}[{index}]` must be a string, but is {}", path.join("."), item.kind());
            problems.push(Problem::error(message).at(item.at));
            None
        }
    })
}

/// One item for each key: the last one, where the first one stood. An item without a key is left out.
pub(super) fn unique_by(all: Vec<Node>, mut key: impl FnMut(usize, &Node) -> Option<String>) -> Vec<Node> {
    let mut kept: Vec<Node> = Vec::with_capacity(all.len());
    let mut places: HashMap<String, usize> = HashMap::with_capacity(all.len());
    for (index, item) in all.into_iter().enumerate() {
        let Some(key) = key(index, &item) else { continue };
        match places.get(&key) {
            Some(place) => kept[*place] = item,
            None => {
                places.insert(key, kept.len());
                kept.push(item);
            }
        }
    }
    kept
}
