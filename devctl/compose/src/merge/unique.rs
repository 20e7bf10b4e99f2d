//! Lists in which an entry says again what another one said: ports by what they publish, mounts by target, variables by name.

use super::sequence::unique_by;
use crate::canonical::volume;
use crate::problem::{Problem, Problems};
use crate::tree::{Map, Node, Value};

/// What makes two entries of a list the same.
#[derive(Clone, Copy)]
enum Key {
    /// What stands before `=`.
    Name,
    /// The target inside the container.
    Volume,
    /// The device inside the container.
    Device,
    /// The target, or the name below a directory.
    Mount(&'static str),
    /// The path.
    EnvFile,
    /// The port as written.
    Expose,
    /// Address, published port, target and protocol.
    Port,
}

/// Keeps one entry where several say the same, the last one at the place of the first.
pub(crate) fn enforce_unique(root: &mut Node, problems: &mut Problems) {
    let Some(root) = root.as_map_mut() else { return };
    for (key, entry) in root {
        let Some(named) = entry.node.as_map_mut() else { continue };
        for (name, entry) in named {
            let Some(map) = entry.node.as_map_mut() else { continue };
            let mut place = Place {
                path: format!("{key}.{name}"),
                problems,
            };
            match key.as_str() {
                "services" => service(map, &mut place),
                "networks" => {
                    place.list(map, "labels", Key::Name);
                    place.within(map, "ipam", |place, ipam| place.list(ipam, "options", Key::Name));
                }
                _ => {}
            }
        }
    }
}

fn service(service: &mut Map, place: &mut Place) {
    for key in [
        "annotations",
        "cap_add",
        "cap_drop",
        "dns",
        "dns_opt",
        "dns_search",
        "environment",
        "labels",
        "links",
        "profiles",
        "sysctls",
        "tmpfs",
    ] {
        place.list(service, key, Key::Name);
    }
    place.list(service, "devices", Key::Device);
    place.list(service, "configs", Key::Mount(""));
    place.list(service, "secrets", Key::Mount("/run/secrets"));
    place.list(service, "env_file", Key::EnvFile);
    place.list(service, "expose", Key::Expose);
    place.list(service, "ports", Key::Port);
    place.list(service, "volumes", Key::Volume);
    place.within(service, "deploy", |place, deploy| {
        place.list(deploy, "labels", Key::Name)
    });
    place.within(service, "build", |place, build| {
        for key in ["args", "additional_contexts", "platform", "tags", "labels"] {
            place.list(build, key, Key::Name);
        }
    });
    place.within(service, "networks", |place, networks| {
        for entry in networks.values_mut() {
            if let Some(network) = entry.node.as_map_mut() {
                place.list(network, "aliases", Key::Name);
                place.list(network, "link_local_ips", Key::Name);
            }
        }
    });
}

/// Whether doubles are looked for in the list at a place, of those that a text may stand for.
pub(super) fn is_unique(path: &[String]) -> bool {
    matches!(path, [kind, _, key] if kind == "services" && !matches!(key.as_str(), "label_file" | "extra_hosts"))
}

struct Place<'a> {
    path: String,
    problems: &'a mut Problems,
}

impl Place<'_> {
    fn within(&mut self, map: &mut Map, key: &str, then: impl FnOnce(&mut Self, &mut Map)) {
        if let Some(inner) = map.get_mut(key).and_then(|entry| entry.node.as_map_mut()) {
            let length = self.path.len();
            self.path.push('.');
            self.path.push_str(key);
            then(self, inner);
            self.path.truncate(length);
        }
    }

    fn list(&mut self, map: &mut Map, name: &str, key: Key) {
        let Some(node) = map.get_mut(name).map(|entry| &mut entry.node) else {
            return;
        };
        let Value::List(list) = &mut node.value else { return };
        let all = std::mem::take(list);
        *list = unique_by(all, |index, item| match key_of(key, item) {
            Ok(key) => Some(key),
            Err(why) => {
                let message = format!("`{}.{name}[{index}]` {why}", self.path);
                let lack = ["target", "path"]
                    .into_iter()
                    .find(|key| why == format!("has no `{key}`"));
                let problem = Problem::error(message).at(item.at);
                self.problems.push(match lack {
                    Some(key) => problem.lacks(&format!("{}.{name}[{index}]", self.path), [key]),
                    None => problem,
                });
                None
            }
        });
    }
}

fn key_of(key: Key, item: &Node) -> Result<String, String> {
    let unexpected = || Err(format!("must be a string, but is {}", item.kind()));
    let text_at = |name: &str| item.get(name).and_then(Node::as_text).map(str::to_owned);
    match (key, &item.value) {
        (Key::Name, Value::Text(text)) => Ok(text.split('=').next().unwrap_or_default().to_owned()),
        (Key::Expose, Value::Text(text)) => Ok(text.clone()),
        (Key::Expose, Value::Int(port)) => Ok(port.to_string()),
        (Key::Name | Key::Expose, _) => unexpected(),
        (Key::Volume, Value::Text(text)) => match volume::parse(text) {
            Ok(volume) => Ok(volume.target),
            Err(why) => Err(why),
        },
        (Key::Device, Value::Text(text)) => Ok(text.split(':').nth(1).unwrap_or(text).to_owned()),
        (Key::Volume | Key::Device, Value::Map(_)) => text_at("target").ok_or_else(|| "has no `target`".to_owned()),
        (Key::Mount(top), Value::Text(text)) => Ok(format!("{top}/{text}")),
        (Key::Mount(top), Value::Map(map)) => match map.get("target") {
            Some(target) => target
                .node
                .as_text()
                .map(str::to_owned)
                .ok_or_else(|| "has a `target` that is no string".to_owned()),
            None => Ok(format!("{top}/{}", text_at("source").unwrap_or_default())),
        },
        (Key::Mount(_), _) => unexpected(),
        (Key::EnvFile, Value::Text(text)) => Ok(text.clone()),
        (Key::EnvFile, Value::Map(_)) => text_at("path").ok_or_else(|| "has no `path`".to_owned()),
        (Key::Port, Value::Text(text)) => Ok(text.clone()),
        (Key::Port, Value::Int(port)) => Ok(port.to_string()),
        (Key::Port, Value::Map(map)) => port(map),
        // Anything else is refused elsewhere.
        _ => Ok(String::new()),
    }
}

/// A port that is published as a number is another one than one published as a text: Compose compares what was written.
fn port(map: &Map) -> Result<String, String> {
    let target = map
        .get("target")
        .ok_or("has no `target`")?
        .node
        .scalar_text()
        .unwrap_or_default();
    let published = match map.get("published").map(|entry| &entry.node.value) {
        Some(Value::Text(text)) => text.clone(),
        Some(other) => format!(
            "number {}",
            Node::new(other.clone(), Default::default())
                .scalar_text()
                .unwrap_or_default()
        ),
        None => "none".to_owned(),
    };
    let text = |key: &str, default: &str| {
        map.get(key)
            .and_then(|entry| entry.node.scalar_text())
            .unwrap_or_else(|| default.to_owned())
    };
    Ok(format!(
        "{}:{published}:{target}/{}",
        text("host_ip", "0.0.0.0"),
        text("protocol", "tcp")
    ))
}
