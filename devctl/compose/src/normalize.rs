//! What a project implies without saying: the default network, names, dependencies, contexts; variables without a value.

use indexmap::IndexMap;

use crate::merge;
use crate::problem::{Problem, Problems};
use crate::tree::{Entry, Map, Node, Value};

/// Adds everything that is implied.
pub(crate) fn normalize(
    root: &mut Node,
    project: &str,
    environment: &IndexMap<String, String>,
    problems: &mut Problems,
) {
    networks(root);
    for kind in ["services", "jobs"] {
        for (_, entry) in root.get_mut(kind).and_then(Node::as_map_mut).into_iter().flatten() {
            if let Some(map) = entry.node.as_map_mut() {
                container(map, environment, problems);
            }
        }
    }
    names(root, project);
}

/// Who names no network joins `default`, which is there when somebody does.
fn networks(root: &mut Node) {
    let mut used = false;
    for kind in ["services", "jobs"] {
        for (_, entry) in root.get_mut(kind).and_then(Node::as_map_mut).into_iter().flatten() {
            let at = entry.node.at;
            let Some(map) = entry.node.as_map_mut() else { continue };
            if map.contains_key("provider") || map.contains_key("network_mode") {
                continue;
            }
            match map.get("networks").and_then(|entry| entry.node.as_map()) {
                Some(networks) if !networks.is_empty() => used |= networks.contains_key("default"),
                _ => {
                    let networks = Node::map_of(at, [("default", Value::Null)]);
                    map.insert(
                        "networks".to_owned(),
                        Entry {
                            key: at,
                            node: networks,
                        },
                    );
                    used = true;
                }
            }
        }
    }
    let at = root.at;
    if used
        && root
            .get("networks")
            .and_then(|networks| networks.get("default"))
            .is_none()
    {
        if root.get("networks").and_then(Node::as_map).is_none() {
            root.set("networks", Node::new(Value::Map(Map::default()), at));
        }
        root.get_mut("networks")
            .into_iter()
            .for_each(|networks| networks.set("default", Node::null(at)));
    }
}

fn container(map: &mut Map, environment: &IndexMap<String, String>, problems: &mut Problems) {
    if let Some(policy) = map.get_mut("pull_policy")
        && policy.node.as_text() == Some("if_not_present")
    {
        policy.node.value = Value::Text("missing".to_owned());
    }
    if let Some(build) = map.get_mut("build").map(|entry| &mut entry.node) {
        let at = build.at;
        let given = |build: &Node, key: &str| build.get(key).is_some_and(|node| !node.is_null());
        if !given(build, "context") {
            build.set("context", Node::text(".", at));
        }
        if !given(build, "dockerfile") && !given(build, "dockerfile_inline") {
            build.set("dockerfile", Node::text("Dockerfile", at));
        }
        build
            .get_mut("args")
            .into_iter()
            .for_each(|args| resolve(args, environment, false));
    }
    map.get_mut("environment")
        .into_iter()
        .for_each(|entry| resolve(&mut entry.node, environment, true));
    dependencies(map, problems);
    for mount in map
        .get_mut("volumes")
        .and_then(|entry| entry.node.as_list_mut())
        .into_iter()
        .flatten()
    {
        if let Some(Value::Text(target)) = mount.get_mut("target").map(|target| &mut target.value) {
            *target = crate::paths::clean(target);
        }
    }
    hooks(map, problems);
}

/// Links, shared namespaces and `volumes_from` are dependencies.
fn dependencies(map: &mut Map, problems: &mut Problems) {
    let mut implied: Vec<(String, bool, crate::tree::Span)> = Vec::new();
    let list = |key: &str| {
        map.get(key)
            .and_then(|entry| entry.node.as_list())
            .into_iter()
            .flatten()
    };
    for link in list("links") {
        let text = link.as_text().unwrap_or_default();
        let name = if text.matches(':').count() == 1 {
            text.split(':').next().unwrap_or_default()
        } else {
            text
        };
        implied.push((name.to_owned(), true, link.at));
    }
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        let Some(node) = map.get(key).map(|entry| &entry.node) else {
            continue;
        };
        match node.as_text() {
            Some(text) => implied.extend(
                text.strip_prefix("service:")
                    .map(|name| (name.to_owned(), true, node.at)),
            ),
            None => {
                let message = format!("`{key}` must be a string, but is {}", node.kind());
                problems.push(Problem::error(message).at(node.at));
            }
        }
    }
    for from in list("volumes_from") {
        let text = from.as_text().unwrap_or_default();
        if !text.starts_with("container:") {
            implied.push((text.split(':').next().unwrap_or_default().to_owned(), false, from.at));
        }
    }
    let Some(at) = implied.first().map(|(_, _, at)| *at) else {
        return;
    };
    let entry = map.entry("depends_on".to_owned()).or_insert_with(|| Entry {
        key: at,
        node: Node::new(Value::Map(Map::default()), at),
    });
    for (name, restart, at) in implied {
        if entry.node.get(&name).is_none() {
            let condition = Value::Text("service_started".to_owned());
            let node = Node::map_of(
                at,
                [
                    ("condition", condition),
                    ("restart", Value::Bool(restart)),
                    ("required", Value::Bool(true)),
                ],
            );
            entry.node.set(&name, node);
        }
    }
}

/// Gives variables without a value the caller's; those that the caller has not are kept or dropped.
fn resolve(node: &mut Node, environment: &IndexMap<String, String>, keep: bool) {
    match &mut node.value {
        Value::List(list) => list.retain_mut(|item| {
            let Value::Text(text) = &mut item.value else {
                return true;
            };
            if text.contains('=') {
                return true;
            }
            match environment.get(text.as_str()) {
                Some(value) => {
                    *text = format!("{text}={value}");
                    true
                }
                None => keep,
            }
        }),
        Value::Map(map) => map.retain(|key, entry| {
            if !entry.node.is_null() {
                return true;
            }
            match environment.get(key.as_str()) {
                Some(value) => {
                    entry.node.value = Value::Text(value.clone());
                    true
                }
                None => keep,
            }
        }),
        _ => {}
    }
    if node.as_list().is_some_and(<[Node]>::is_empty) {
        node.value = Value::Null;
    }
}

/// A hook before the start has everything that its service has, save volumes, and what it says itself.
fn hooks(map: &mut Map, problems: &mut Problems) {
    if map
        .get("pre_start")
        .and_then(|entry| entry.node.as_list())
        .is_none_or(<[Node]>::is_empty)
    {
        return;
    }
    let inherited = |key: &str| key != "volumes" && crate::check::schema::is_container_key(key);
    let base: Map = map
        .iter()
        .filter(|(key, _)| inherited(key))
        .map(|(key, entry)| (key.clone(), entry.clone()))
        .collect();
    for hook in map
        .get_mut("pre_start")
        .and_then(|entry| entry.node.as_list_mut())
        .into_iter()
        .flatten()
    {
        if hook.as_map().is_some() {
            let own = std::mem::replace(hook, Node::new(Value::Map(base.clone()), hook.at));
            merge::merge_at(hook, own, &["services", "hook"], problems);
        }
    }
}

/// Networks, volumes, configs and secrets have a name in the engine: their key where external, else with the project's in front.
fn names(root: &mut Node, project: &str) {
    for kind in ["networks", "volumes", "configs", "secrets"] {
        for (key, entry) in root.get_mut(kind).and_then(Node::as_map_mut).into_iter().flatten() {
            let node = &mut entry.node;
            if node.is_null() {
                node.value = Value::Map(Map::default());
            }
            if node.get("name").is_some_and(|name| !name.is_null()) {
                continue;
            }
            let external = node.get("external").and_then(Node::scalar_text);
            let external = matches!(external.as_deref(), Some("1" | "t" | "T" | "true" | "TRUE" | "True"));
            let name = if external {
                key.clone()
            } else {
                format!("{project}_{key}")
            };
            let at = node.at;
            node.set("name", Node::text(name, at));
        }
    }
}
