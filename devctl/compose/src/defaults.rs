//! What is implied where nothing is written, besides what normalisation adds.

use crate::tree::{Entry, Map, Node, Value};

/// Adds the values that a long form leaves out.
pub(crate) fn set_defaults(root: &mut Node) {
    for kind in ["services", "jobs"] {
        for (_, entry) in root.get_mut(kind).and_then(Node::as_map_mut).into_iter().flatten() {
            let node = &mut entry.node;
            if let Some(build) = node.get_mut("build") {
                missing(build, "context", || Value::Text(".".to_owned()));
            }
            for secret in list(node, "secrets") {
                let source = secret.get("source").and_then(Node::scalar_text).unwrap_or_default();
                missing(secret, "target", || Value::Text(format!("/run/secrets/{source}")));
            }
            for port in list(node, "ports") {
                missing(port, "protocol", || Value::Text("tcp".to_owned()));
                missing(port, "mode", || Value::Text("ingress".to_owned()));
            }
            list(node, "gpus").for_each(count_all);
            for mount in list(node, "volumes") {
                if let Some(bind) = mount.get_mut("bind") {
                    missing(bind, "create_host_path", || Value::Bool(true));
                }
            }
            if kind == "services" {
                let devices = ["deploy", "resources", "reservations", "devices"];
                let devices = devices.iter().try_fold(node, |node, key| node.get_mut(key));
                devices
                    .and_then(Node::as_list_mut)
                    .into_iter()
                    .flatten()
                    .for_each(count_all);
            }
        }
    }
}

fn list<'n>(node: &'n mut Node, key: &str) -> impl Iterator<Item = &'n mut Node> {
    node.get_mut(key).and_then(Node::as_list_mut).into_iter().flatten()
}

fn missing(node: &mut Node, key: &str, value: impl FnOnce() -> Value) {
    let at = node.at;
    if let Some(map) = node.as_map_mut() {
        insert(map, key, || Node::new(value(), at));
    }
}

fn insert(map: &mut Map, key: &str, node: impl FnOnce() -> Node) {
    if !map.contains_key(key) {
        let node = node();
        map.insert(key.to_owned(), Entry { key: node.at, node });
    }
}

/// A request that neither counts nor names devices is for all.
fn count_all(device: &mut Node) {
    if device.get("device_ids").is_none() {
        missing(device, "count", || Value::Text("all".to_owned()));
    }
}
