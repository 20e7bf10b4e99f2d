//! Short forms become long forms.

mod build;
pub(crate) mod ports;
pub(crate) mod volume;

use crate::problem::{Problem, Problems};
use crate::tree::{Entry, Map, Node, Span, Value};

/// Brings every short form of a file into its long form. With `lenient`, what cannot be read is left as it is: without
/// interpolation a text may still hold variables. With `unchecked`, the file was not held against the specification's table:
/// what has no form at all is told here.
pub(crate) fn canonical(root: &mut Node, lenient: bool, unchecked: bool, problems: &mut Problems) {
    let Some(root) = root.as_map_mut() else { return };
    let mut cx = Canon {
        lenient,
        unchecked,
        problems,
        path: String::new(),
    };
    for (key, entry) in root.iter_mut() {
        cx.path.clone_from(key);
        for item in entry.node.as_list_mut().into_iter().flatten() {
            match key.as_str() {
                "include" => cx.short_or_long(item, "[]"),
                key if RESOURCES.contains(&key) => cx.external(item),
                _ => {}
            }
        }
        let Some(named) = entry.node.as_map_mut().filter(|_| key != "include") else {
            continue;
        };
        for (name, entry) in named {
            cx.path = format!("{key}.{name}");
            match key.as_str() {
                "services" | "jobs" => {
                    if let Some(map) = entry.node.as_map_mut() {
                        cx.workload(map, key == "services");
                    }
                }
                key if RESOURCES.contains(&key) => cx.external(&mut entry.node),
                _ => {}
            }
        }
    }
}

/// What may be `external`.
const RESOURCES: [&str; 4] = ["volumes", "networks", "secrets", "configs"];

struct Canon<'a> {
    lenient: bool,
    unchecked: bool,
    problems: &'a mut Problems,
    path: String,
}

impl Canon<'_> {
    fn wrong(&mut self, at: Span, key: &str, why: &str) {
        let message = format!("`{}.{key}` {why}", self.path);
        self.problems.push(Problem::error(message).at(at));
    }

    fn kind(&mut self, node: &Node, key: &str, want: &str) {
        self.wrong(node.at, key, &format!("must be {want}, but is {}", node.kind()));
    }

    fn workload(&mut self, map: &mut Map, service: bool) {
        self.container(map);
        for (key, entry) in map.iter_mut() {
            let node = &mut entry.node;
            match key.as_str() {
                "depends_on" => self.depends_on(node),
                "extends" => {
                    if let Value::Text(name) = &node.value {
                        *node = Node::map_of(node.at, [("service", Value::Text(name.clone()))]);
                    } else if node.as_map().is_none() {
                        self.kind(node, key, "a string or a mapping");
                    }
                }
                "dns" => {
                    if let Value::List(list) = &mut node.value {
                        list.retain(|item| !item.is_null() && item.as_text() != Some(""));
                    }
                }
                "ports" => self.ports(node),
                "build" => self.build(node),
                "triggers" if !service => {
                    for item in node
                        .get_mut("schedule")
                        .and_then(Node::as_list_mut)
                        .into_iter()
                        .flatten()
                    {
                        if let Value::Text(cron) = &item.value {
                            *item = Node::map_of(item.at, [("cron", Value::Text(cron.clone()))]);
                        }
                    }
                }
                "develop" if service => {
                    for rule in node.get_mut("watch").and_then(Node::as_list_mut).into_iter().flatten() {
                        for key in ["ignore", "include"] {
                            rule.get_mut(key).into_iter().for_each(string_or_list);
                        }
                    }
                }
                "pre_start" if service => {
                    for hook in node.as_list_mut().into_iter().flatten() {
                        if let Some(hook) = hook.as_map_mut() {
                            self.container(hook);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn container(&mut self, map: &mut Map) {
        for (key, entry) in map.iter_mut() {
            let node = &mut entry.node;
            match key.as_str() {
                "env_file" => self.env_file(node),
                "label_file" => string_or_list(node),
                "dns" => string_or_list(node),
                "gpus" if node.as_text().is_some() => {
                    let all = Node::map_of(node.at, [("count", Value::Text("all".to_owned()))]);
                    *node = Node::new(Value::List(vec![all]), node.at);
                }
                "gpus" if self.unchecked && node.as_list().is_none() => {
                    self.kind(&node.clone(), key, "a string or a list");
                }
                "networks" | "models" => self.names(node, key),
                "volumes" => self.each(node, key, Self::volume),
                "devices" => self.each(node, key, Self::device),
                "secrets" | "configs" => self.each(node, key, Self::file_mount),
                "ulimits" => self.ulimits(node, key),
                _ => {}
            }
        }
    }

    fn each(&mut self, node: &mut Node, key: &str, change: fn(&mut Self, &mut Node, &str)) {
        let named = node.as_map().into_iter().flatten();
        for (name, entry) in named.filter(|_| self.unchecked).collect::<Vec<_>>() {
            self.short_or_long(&entry.node, &format!("{key}.{name}"));
        }
        if let Value::List(list) = &mut node.value {
            for (index, item) in list.iter_mut().enumerate() {
                let key = format!("{key}[{index}]");
                self.short_or_long(item, &key);
                change(self, item, &key);
            }
        }
    }

    /// Refuses what is neither a text nor a mapping, where nobody else has.
    fn short_or_long(&mut self, node: &Node, key: &str) {
        if self.unchecked && !matches!(node.value, Value::Text(_) | Value::Map(_)) {
            self.kind(node, key, "a string or a mapping");
        }
    }

    /// A list of names as a mapping.
    fn names(&mut self, node: &mut Node, key: &str) {
        let Value::List(list) = &mut node.value else { return };
        let mut map = Map::default();
        for item in std::mem::take(list) {
            let Value::Text(name) = item.value else {
                self.kind(&item, key, "a list of names");
                continue;
            };
            let node = Node::null(item.at);
            map.insert(name, Entry { key: item.at, node });
        }
        node.value = Value::Map(map);
    }

    fn env_file(&mut self, node: &mut Node) {
        let file = |item: Node| match item.value {
            Value::Text(path) => Node::map_of(item.at, [("path", Value::Text(path)), ("required", Value::Bool(true))]),
            Value::Map(mut map) => {
                map.entry("required".to_owned()).or_insert_with(|| Entry {
                    key: item.at,
                    node: Node::bool(true, item.at),
                });
                Node::new(Value::Map(map), item.at)
            }
            // Compose takes anything else for nothing.
            _ => Node::null(item.at),
        };
        let at = node.at;
        match std::mem::replace(&mut node.value, Value::Null) {
            Value::Text(path) => node.value = Value::List(vec![file(Node::text(path, at))]),
            Value::List(list) => node.value = Value::List(list.into_iter().map(file).collect()),
            value => {
                node.value = value;
                self.kind(&node.clone(), "env_file", "a string or a list");
            }
        }
    }

    fn volume(&mut self, node: &mut Node, key: &str) {
        let Some(text) = node.as_text() else { return };
        let mount = match volume::parse(text) {
            Ok(mount) => mount,
            Err(_) if self.lenient => return,
            Err(why) => return self.wrong(node.at, key, &why),
        };
        let at = node.at;
        let bind = mount.is_bind();
        let text = |value: &str| Value::Text(value.to_owned());
        let mut long = Node::map_of(at, [("type", text(if bind { "bind" } else { "volume" }))]);
        let mut set = |key: &str, value: Value| long.set(key, Node::new(value, at));
        if !mount.source.is_empty() {
            set("source", text(&mount.source));
        }
        if !mount.target.is_empty() {
            set("target", Value::Text(crate::paths::clean(&mount.target)));
        }
        if mount.read_only {
            set("read_only", Value::Bool(true));
        }
        let mut options = Map::default();
        let mut option = |key: &str, value: Value| {
            options.insert(
                key.to_owned(),
                Entry {
                    key: at,
                    node: Node::new(value, at),
                },
            );
        };
        if !mount.selinux.is_empty() {
            option("selinux", text(&mount.selinux));
        }
        if !mount.propagation.is_empty() {
            option("propagation", text(&mount.propagation));
        }
        if bind {
            option("create_host_path", Value::Bool(true));
        }
        if bind || !options.is_empty() {
            set("bind", Value::Map(options));
        }
        if mount.nocopy || !(bind || mount.bare) {
            let nocopy = mount.nocopy.then(|| {
                (
                    "nocopy".to_owned(),
                    Entry {
                        key: at,
                        node: Node::bool(true, at),
                    },
                )
            });
            set("volume", Value::Map(nocopy.into_iter().collect()));
        }
        *node = long;
    }

    fn device(&mut self, node: &mut Node, key: &str) {
        let Some(text) = node.as_text() else { return };
        let parts: Vec<&str> = text.split(':').collect();
        let (source, target, permissions) = match parts[..] {
            [source] => (source, source, "rwm"),
            [source, target] => (source, target, "rwm"),
            [source, target, permissions] => (source, target, permissions),
            _ if self.lenient => ("", "", "rwm"),
            _ => {
                return self.wrong(
                    node.at,
                    key,
                    &format!("must be `SOURCE:TARGET:PERMISSIONS`, but is `{text}`"),
                );
            }
        };
        let target = if target.is_empty() { source } else { target };
        let value = |text: &str| Value::Text(text.to_owned());
        *node = Node::map_of(
            node.at,
            [
                ("source", value(source)),
                ("target", value(target)),
                ("permissions", value(permissions)),
            ],
        );
    }

    fn file_mount(&mut self, node: &mut Node, _: &str) {
        if let Value::Text(source) = &node.value {
            *node = Node::map_of(node.at, [("source", Value::Text(source.clone()))]);
        }
    }

    fn ulimits(&mut self, node: &mut Node, key: &str) {
        for (name, entry) in node.as_map_mut().into_iter().flatten() {
            let limit = &entry.node;
            let fine = match limit.value {
                Value::Map(_) | Value::Int(_) => true,
                Value::Text(_) => self.lenient,
                _ => false,
            };
            if !fine {
                self.kind(&limit.clone(), &format!("{key}.{name}"), "an integer or a mapping");
            }
        }
    }

    fn depends_on(&mut self, node: &mut Node) {
        let started = || Value::Text("service_started".to_owned());
        match &mut node.value {
            Value::Map(map) => {
                for (name, entry) in map {
                    let at = entry.node.at;
                    match entry.node.as_map_mut() {
                        Some(dependency) => {
                            let new = |value| Entry {
                                key: at,
                                node: Node::new(value, at),
                            };
                            dependency
                                .entry("condition".to_owned())
                                .or_insert_with(|| new(started()));
                            dependency
                                .entry("required".to_owned())
                                .or_insert_with(|| new(Value::Bool(true)));
                        }
                        None => self.kind(&entry.node, &format!("depends_on.{name}"), "a mapping"),
                    }
                }
            }
            Value::List(list) => {
                let mut map = Map::default();
                for item in std::mem::take(list) {
                    let Value::Text(name) = item.value else {
                        self.kind(&item, "depends_on", "a list of names");
                        continue;
                    };
                    let node = Node::map_of(item.at, [("condition", started()), ("required", Value::Bool(true))]);
                    map.insert(name, Entry { key: item.at, node });
                }
                node.value = Value::Map(map);
            }
            _ => self.kind(&node.clone(), "depends_on", "a list or a mapping"),
        }
    }

    fn ports(&mut self, node: &mut Node) {
        let Value::List(list) = &node.value else {
            return self.kind(&node.clone(), "ports", "a list");
        };
        let mut ports = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            let text = match &item.value {
                Value::Map(_) => {
                    ports.push(item.clone());
                    continue;
                }
                Value::Int(port) => port.to_string(),
                Value::Text(text) => text.clone(),
                _ => {
                    self.kind(
                        &item.clone(),
                        &format!("ports[{index}]"),
                        "a string, an integer or a mapping",
                    );
                    continue;
                }
            };
            match ports::parse(&text) {
                Ok(parsed) => ports.extend(parsed.into_iter().map(|port| long_port(port, item.at))),
                Err(_) if self.lenient => return,
                Err(why) => self.wrong(item.at, &format!("ports[{index}]"), &why),
            }
        }
        node.value = Value::List(ports);
    }

    /// `external: {name: x}`, the old form.
    fn external(&mut self, node: &mut Node) {
        if self.unchecked && !matches!(node.value, Value::Null | Value::Map(_)) {
            let message = format!("`{}` must be a mapping, but is {}", self.path, node.kind());
            self.problems.push(Problem::error(message).at(node.at));
        }
        let Some(map) = node.as_map_mut() else { return };
        let Some(external) = map.get("external").filter(|entry| entry.node.as_map().is_some()) else {
            return;
        };
        let at = external.node.at;
        let name = external.node.get("name").cloned();
        map.insert(
            "external".to_owned(),
            Entry {
                key: at,
                node: Node::bool(true, at),
            },
        );
        let Some(name) = name else { return };
        let warning = Problem::warning(format!("`{}.external.name` is deprecated", self.path)).at(name.at);
        self.problems.push(warning.help("write `name` beside `external: true`"));
        match map.get("name") {
            Some(known) if known.node.same(&name) => {}
            Some(_) => self.wrong(name.at, "external.name", "is another name than `name`"),
            None => {
                map.insert(
                    "name".to_owned(),
                    Entry {
                        key: name.at,
                        node: name,
                    },
                );
            }
        }
    }
}

fn long_port(port: ports::Short, at: Span) -> Node {
    let mut long = Node::map_of(at, [("mode", Value::Text("ingress".to_owned()))]);
    let mut set = |key: &str, value: Value| long.set(key, Node::new(value, at));
    if !port.host_ip.is_empty() {
        set("host_ip", Value::Text(port.host_ip));
    }
    if port.target != 0 {
        set("target", Value::Int(port.target));
    }
    if !port.published.is_empty() {
        set("published", Value::Text(port.published));
    }
    set("protocol", Value::Text(port.protocol));
    long
}

fn string_or_list(node: &mut Node) {
    if node.as_text().is_some() {
        *node = Node::new(Value::List(vec![node.clone()]), node.at);
    }
}
