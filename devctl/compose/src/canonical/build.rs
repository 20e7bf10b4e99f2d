//! The short forms within `build`.

use super::Canon;
use crate::tree::{Entry, Map, Node, Value};

impl Canon<'_> {
    pub(super) fn build(&mut self, node: &mut Node) {
        if let Value::Text(context) = &node.value {
            *node = Node::map_of(node.at, [("context", Value::Text(context.clone()))]);
            return;
        }
        let Some(build) = node.as_map_mut() else {
            return self.kind(&node.clone(), "build", "a string or a mapping");
        };
        for (key, entry) in build.iter_mut() {
            let node = &mut entry.node;
            let place = format!("build.{key}");
            match key.as_str() {
                "secrets" => self.each(node, &place, Self::file_mount),
                "provenance" | "sbom" => {
                    if let Some(text) = node.scalar_text() {
                        node.value = Value::Text(text);
                    }
                }
                "additional_contexts" => self.key_values(
                    node,
                    &place,
                    |key| format!("must be `NAME=CONTEXT`, but is `{key}`"),
                    false,
                ),
                "ssh" => self.key_values(
                    node,
                    &place,
                    |key| format!("must be `default` or `ID=PATH`, but is `{key}`"),
                    true,
                ),
                "ulimits" => self.ulimits(node, &place),
                _ => {}
            }
        }
    }

    /// `KEY=value` lines as a mapping; for SSH keys `default` may stand alone.
    fn key_values(&mut self, node: &mut Node, key: &str, why: impl Fn(&str) -> String, ssh: bool) {
        let Value::List(list) = &node.value else {
            if self.unchecked && node.as_map().is_none() {
                self.kind(&node.clone(), key, "a list or a mapping");
            }
            return;
        };
        let mut map = Map::default();
        for item in list {
            let Some(text) = item.as_text() else {
                self.kind(item, key, "a list of strings");
                continue;
            };
            let value = match text.split_once('=') {
                Some((name, value)) => (name, Node::text(value, item.at)),
                None if ssh && text == "default" => (text, Node::null(item.at)),
                None if self.lenient => return,
                None => return self.wrong(item.at, key, &why(text)),
            };
            map.insert(
                value.0.to_owned(),
                Entry {
                    key: item.at,
                    node: value.1,
                },
            );
        }
        node.value = Value::Map(map);
    }
}
