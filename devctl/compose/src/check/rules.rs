//! Rules between the attributes of one mapping.

use crate::canonical::ports::is_address;
use crate::problem::{Problem, Problems};
use crate::tree::{Node, Span, Value};

/// Checks every rule.
pub(crate) fn check(root: &Node, problems: &mut Problems) {
    let mut lacking = Vec::new();
    let mut lacks = |problem: Problem| lacking.push(problem);
    let mut say = |at: Span, message: String| problems.push(Problem::error(message).at(at));
    for (name, volume) in entries(root, "volumes") {
        if let Some(external) = volume
            .get("external")
            .filter(|external| !matches!(external.value, Value::Bool(_)))
        {
            say(
                external.at,
                format!("`volumes.{name}.external` must be `true` or `false`"),
            );
        }
        let external = volume
            .get("external")
            .is_some_and(|external| matches!(external.value, Value::Bool(true)));
        for (key, entry) in volume.as_map().into_iter().flatten().filter(|_| external) {
            if !matches!(key.as_str(), "name" | "external") && !key.starts_with("x-") {
                say(
                    entry.key,
                    format!("`volumes.{name}` is external, so that it cannot have `{key}`"),
                );
            }
        }
    }
    for (kind, keys) in [
        ("configs", &["file", "environment", "content"][..]),
        ("secrets", &["file", "environment"]),
    ] {
        for (name, object) in entries(root, kind) {
            let given: Vec<&str> = keys.iter().copied().filter(|key| object.get(key).is_some()).collect();
            if given.len() > 1 {
                let second = object.as_map().and_then(|map| map.get(given[1]));
                say(
                    second.map_or(object.at, |entry| entry.key),
                    format!("`{kind}.{name}` can have only one of `{}`", given.join("` and `")),
                );
            }
            if given.is_empty() && object.get("driver").is_none() && object.get("external").is_none() {
                let message = format!("`{kind}.{name}` must have one of `{}`", keys.join("`, `"));
                let others = keys.iter().copied().chain(["driver", "external"]);
                lacks(
                    Problem::error(message)
                        .at(object.at)
                        .lacks(&format!("{kind}.{name}"), others),
                );
            }
        }
    }
    for (name, service) in entries(root, "services") {
        for port in list(service, "ports") {
            if let Some(ip) = port.get("host_ip")
                && !ip.as_text().is_some_and(is_address)
            {
                say(
                    ip.at,
                    format!(
                        "`services.{name}.ports` has an address that is none: `{}`",
                        ip.scalar_text().unwrap_or_default()
                    ),
                );
            }
        }
        for rule in service
            .get("develop")
            .map(|develop| list(develop, "watch"))
            .into_iter()
            .flatten()
        {
            if let Some(path) = rule.get("path").filter(|path| path.as_text() == Some("")) {
                say(path.at, format!("`services.{name}.develop.watch` has an empty `path`"));
            }
        }
        let reservations = service
            .get("deploy")
            .and_then(|deploy| deploy.get("resources"))
            .and_then(|all| all.get("reservations"));
        let devices = reservations
            .map(|reservations| list(reservations, "devices"))
            .into_iter()
            .flatten();
        for device in devices.chain(list(service, "gpus")) {
            if device.get("count").is_some() && device.get("device_ids").is_some() {
                let ids = device.as_map().and_then(|map| map.get("device_ids"));
                say(
                    ids.map_or(device.at, |entry| entry.key),
                    format!("a device of `services.{name}` has both `count` and `device_ids`"),
                );
            }
        }
    }
    lacking.into_iter().for_each(|problem| problems.push(problem));
}

fn entries<'n>(root: &'n Node, kind: &str) -> impl Iterator<Item = (&'n String, &'n Node)> {
    let map = root.get(kind).and_then(Node::as_map);
    map.into_iter()
        .flatten()
        .map(|(name, entry)| (name, &entry.node))
        .filter(|(_, node)| !node.is_null())
}

fn list<'n>(node: &'n Node, key: &str) -> impl Iterator<Item = &'n Node> + use<'n> {
    node.get(key).and_then(Node::as_list).into_iter().flatten()
}
