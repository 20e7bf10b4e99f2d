//! Reading `x-devctl`, with the place of everything that is wrong.

use indexmap::IndexMap;

use crate::codec::{go_int, parse_byte_size, parse_duration, split_words};
use crate::model::*;
use crate::problem::{Problem, Problems, did_you_mean};
use crate::tree::{Map, Node, Value};

/// The key under which devctl's own words stand.
pub(crate) const KEY: &str = "x-devctl";

/// The JSON Schema of a Compose file as far as `x-devctl` goes: at the top, and in each service. The rest of the file is
/// free in it, so that it can stand beside the schema of Compose.
pub fn extension_schema() -> serde_json::Value {
    let mut definitions = serde_json::Map::new();
    let mut define = |name: &str, schema: schemars::Schema| {
        let mut schema = schema.to_value();
        if let Some(fields) = schema.as_object_mut() {
            fields.shift_remove("$schema");
            if let Some(serde_json::Value::Object(further)) = fields.shift_remove("$defs") {
                definitions.extend(further);
            }
        }
        definitions.insert(name.to_owned(), schema);
    };
    define("ProjectExtension", schemars::schema_for!(ProjectExtension));
    define("ServiceExtension", schemars::schema_for!(ServiceExtension));
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "x-devctl in a Compose file",
        "type": "object",
        "properties": {
            KEY: {"$ref": "#/$defs/ProjectExtension"},
            "services": {
                "type": "object",
                "additionalProperties": {"properties": {KEY: {"$ref": "#/$defs/ServiceExtension"}}},
            },
        },
        "$defs": definitions,
    })
}

/// Reads `x-devctl` of a service.
pub(crate) fn service(node: &Node, name: &str, problems: &mut Problems) -> ServiceExtension {
    let mut reader = Reader {
        problems,
        path: format!("services.{name}.{KEY}"),
    };
    let mut read = ServiceExtension::default();
    let keys = [
        "native",
        "contracts",
        "stub",
        "swap",
        "depends_on",
        "external",
        "edges",
        "redact",
    ];
    reader.mapping(node, &keys, |reader, key, node| match key {
        "native" => read.native = Some(reader.native(node)),
        "contracts" => read.contracts = Some(reader.service_contracts(node)),
        "stub" => read.stub = reader.flag(node),
        "swap" => read.swap = reader.word(node, &[("overlap", Swap::Overlap), ("restart", Swap::Restart)]),
        "depends_on" => read.depends_on = reader.named(node, Reader::dependency),
        "external" => read.external = reader.ports(node),
        "edges" => read.edges = reader.edges(node),
        _ => read.redact = reader.texts(node),
    });
    read
}

/// Reads `x-devctl` at the top.
pub(crate) fn project(node: &Node, problems: &mut Problems) -> ProjectExtension {
    let mut reader = Reader {
        problems,
        path: KEY.to_owned(),
    };
    let mut read = ProjectExtension::default();
    reader.mapping(
        node,
        &["contracts", "edges", "redact", "publish"],
        |reader, key, node| match key {
            "contracts" => {
                let mut contracts = ProjectContracts::default();
                let keys = ["pacts", "specs", "tests", "verify"];
                reader.mapping(node, &keys, |reader, key, node| match key {
                    "pacts" => contracts.pacts = reader.texts(node),
                    "specs" => contracts.specs = reader.texts(node),
                    "verify" => contracts.verify = reader.verify_when(node),
                    _ => contracts.tests = reader.words(node),
                });
                read.contracts = Some(contracts);
            }
            "edges" => read.edges = reader.edges(node),
            "redact" => read.redact = reader.texts(node),
            _ => {
                let words = [("loopback", Publish::Loopback), ("as-written", Publish::AsWritten)];
                read.publish = reader.word(node, &words).unwrap_or_default();
            }
        },
    );
    read
}

struct Reader<'a> {
    problems: &'a mut Problems,
    path: String,
}

impl Reader<'_> {
    fn wrong(&mut self, node: &Node, want: &str) {
        let what = match node.as_text() {
            Some(text) => format!("`{text}`"),
            None => node.kind().to_owned(),
        };
        self.problems
            .push(Problem::error(format!("`{}` must be {want}, but is {what}", self.path)).at(node.at));
    }

    fn within<T>(&mut self, step: &str, then: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push('.');
        self.path.push_str(step);
        let result = then(self);
        self.path.truncate(length);
        result
    }

    fn map<'n>(&mut self, node: &'n Node) -> Option<&'n Map> {
        if node.as_map().is_none() && !node.is_null() {
            self.wrong(node, "a mapping");
        }
        node.as_map()
    }

    /// A mapping with these keys and no other.
    fn mapping(&mut self, node: &Node, keys: &[&str], mut read: impl FnMut(&mut Self, &str, &Node)) {
        for (key, entry) in self.map(node).into_iter().flatten() {
            if keys.contains(&key.as_str()) {
                // Nothing is as good as no key, save for `grpc`, which needs no more.
                if !entry.node.is_null() || key == "grpc" {
                    self.within(key, |reader| read(reader, key, &entry.node));
                }
            } else {
                let help = did_you_mean(key, keys.iter().copied())
                    .unwrap_or_else(|| format!("it knows `{}`", keys.join("`, `")));
                let problem = Problem::error(format!("`{}` has no attribute `{key}`", self.path)).at(entry.key);
                self.problems.push(problem.help(help));
            }
        }
    }

    fn named<T>(&mut self, node: &Node, read: fn(&mut Self, &Node) -> Option<T>) -> IndexMap<String, T> {
        let mut all = IndexMap::new();
        for (key, entry) in self.map(node).into_iter().flatten() {
            if let Some(value) = self.within(key, |reader| read(reader, &entry.node)) {
                all.insert(key.clone(), value);
            }
        }
        all
    }

    fn text(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::List(_) | Value::Map(_) | Value::Null => {
                self.wrong(node, "a string");
                None
            }
            _ => node.scalar_text(),
        }
    }

    fn texts(&mut self, node: &Node) -> Vec<String> {
        match node.as_list() {
            Some(list) => list.iter().filter_map(|item| self.text(item)).collect(),
            None => self.text(node).into_iter().collect(),
        }
    }

    fn flag(&mut self, node: &Node) -> bool {
        let read = match &node.value {
            Value::Bool(value) => Some(*value),
            Value::Text(text) => crate::codec::go_bool(text),
            _ => None,
        };
        if read.is_none() {
            self.wrong(node, "`true` or `false`");
        }
        read.unwrap_or_default()
    }

    fn word<T: Copy>(&mut self, node: &Node, words: &[(&str, T)]) -> Option<T> {
        let text = node.scalar_text().unwrap_or_default();
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let all: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            self.wrong(node, &all.join(" or "));
        }
        found.map(|(_, value)| *value)
    }

    /// A command: one that is empty could never be run.
    fn words(&mut self, node: &Node) -> Option<Vec<String>> {
        let words = self.words_of(node)?;
        if words.first().is_none_or(String::is_empty) && !self.problems.is_wrong(node.at) {
            self.problems
                .push(Problem::error(format!("`{}` is a command without a program", self.path)).at(node.at));
        }
        Some(words)
    }

    fn words_of(&mut self, node: &Node) -> Option<Vec<String>> {
        match node.as_text() {
            Some(line) => match split_words(line) {
                Ok(words) => Some(words),
                Err(why) => {
                    self.problems
                        .push(Problem::error(format!("`{}` {why}", self.path)).at(node.at));
                    None
                }
            },
            None => Some(self.texts(node)),
        }
    }

    fn port(&mut self, node: &Node) -> Option<u16> {
        let read = node.scalar_text().and_then(|text| port(&text));
        if read.is_none() {
            self.wrong(node, "a port");
        }
        read
    }

    fn ports(&mut self, node: &Node) -> IndexMap<u16, String> {
        let mut all = IndexMap::new();
        for (key, entry) in self.map(node).into_iter().flatten() {
            match port(key) {
                Some(number) => all.extend(
                    self.within(key, |reader| reader.text(&entry.node))
                        .map(|text| (number, text)),
                ),
                None => {
                    let problem = Problem::error(format!("`{}` has the key `{key}`, which is no port", self.path));
                    self.problems.push(problem.at(entry.key));
                }
            }
        }
        all
    }

    fn native(&mut self, node: &Node) -> Native {
        let mut native = Native::default();
        let keys = ["build", "command", "dir", "ports", "env", "ready", "version"];
        self.mapping(node, &keys, |reader, key, node| match key {
            "build" => native.build = reader.words(node),
            "command" => native.command = reader.words(node),
            "dir" => native.dir = reader.text(node),
            "ports" => native.ports = reader.ports(node),
            "env" => native.env = reader.named(node, Reader::text),
            "ready" => native.ready = reader.ready(node),
            _ => native.version = reader.text(node),
        });
        native
    }

    fn ready(&mut self, node: &Node) -> Option<Ready> {
        if let Some(path) = node.as_text() {
            return Some(Ready::Http {
                path: path.to_owned(),
                port: None,
            });
        }
        let (mut ready, mut at) = (None, None);
        self.mapping(
            node,
            &["http", "grpc", "command", "port"],
            |reader, key, node| match key {
                "http" => ready = reader.text(node).map(|path| Ready::Http { path, port: None }),
                "grpc" => {
                    let service = if node.is_null() {
                        Some(String::new())
                    } else {
                        reader.text(node)
                    };
                    ready = service.map(|service| Ready::Grpc { service, port: None });
                }
                "command" => ready = reader.words(node).map(Ready::Command),
                _ => at = reader.port(node),
            },
        );
        if ready.is_none() {
            self.wrong(node, "an HTTP path, or a mapping with `http`, `grpc` or `command`");
        }
        if let Some(Ready::Http { port, .. } | Ready::Grpc { port, .. }) = &mut ready {
            *port = at;
        }
        ready
    }

    fn service_contracts(&mut self, node: &Node) -> ServiceContracts {
        let mut contracts = ServiceContracts::default();
        self.mapping(
            node,
            &["provider", "consumer", "states", "tests", "verify"],
            |reader, key, node| match key {
                "provider" => contracts.provider = reader.text(node),
                "consumer" => contracts.consumer = reader.text(node),
                "states" => contracts.states = reader.text(node),
                "verify" => contracts.verify = reader.verify_when(node),
                _ => contracts.tests = reader.words(node),
            },
        );
        contracts
    }

    fn verify_when(&mut self, node: &Node) -> Option<VerifyWhen> {
        let words = [
            ("always", VerifyWhen::Always),
            ("save", VerifyWhen::Save),
            ("never", VerifyWhen::Never),
        ];
        self.word(node, &words)
    }

    fn dependency(&mut self, node: &Node) -> Option<ExtraDependency> {
        let mut condition = None;
        self.mapping(node, &["condition"], |reader, _, node| {
            condition = reader.word(node, &[("contract_verified", ExtraCondition::ContractVerified)]);
        });
        condition.map(|condition| ExtraDependency { condition })
    }

    fn edges(&mut self, node: &Node) -> Edges {
        let mut edges = Edges::default();
        for (key, entry) in self.map(node).into_iter().flatten() {
            self.within(key, |reader| {
                if key == "default" {
                    edges.default = reader.mode(&entry.node);
                } else if let Some(edge) = reader.edge(&entry.node) {
                    edges.providers.insert(key.clone(), edge);
                }
            });
        }
        edges
    }

    fn mode(&mut self, node: &Node) -> Option<EdgeMode> {
        self.word(node, &[("on", EdgeMode::On), ("direct", EdgeMode::Direct)])
    }

    fn edge(&mut self, node: &Node) -> Option<Edge> {
        if node.as_text().is_some() {
            return Some(Edge {
                mode: self.mode(node),
                ..Edge::default()
            });
        }
        let mut edge = Edge::default();
        self.mapping(node, &["mode", "protocol", "hold"], |reader, key, node| match key {
            "mode" => edge.mode = reader.mode(node),
            "protocol" => {
                let words = [
                    ("http", EdgeProtocol::Http),
                    ("http2", EdgeProtocol::Http2),
                    ("grpc", EdgeProtocol::Grpc),
                    ("tcp", EdgeProtocol::Tcp),
                    ("amqp", EdgeProtocol::Amqp),
                    ("postgres", EdgeProtocol::Postgres),
                    ("tls", EdgeProtocol::Tls),
                ];
                edge.protocol = reader.word(node, &words);
            }
            _ => edge.hold = Some(reader.hold(node)),
        });
        Some(edge)
    }

    fn hold(&mut self, node: &Node) -> Hold {
        let mut hold = Hold::default();
        self.mapping(node, &["requests", "bytes", "time"], |reader, key, node| {
            let text = reader.text(node).unwrap_or_default();
            let fine = match key {
                "requests" => {
                    hold.requests = go_int(&text).and_then(|count| u32::try_from(count).ok());
                    hold.requests.is_some()
                }
                "bytes" => {
                    hold.bytes = parse_byte_size(&text).ok().and_then(|size| u64::try_from(size).ok());
                    hold.bytes.is_some()
                }
                _ => {
                    hold.time = parse_duration(&text).ok();
                    hold.time.is_some()
                }
            };
            if !fine {
                let want = ["a number", "a size such as `1m`", "a duration such as `30s`"];
                let want = want[["requests", "bytes", "time"]
                    .iter()
                    .position(|known| *known == key)
                    .unwrap_or_default()];
                reader.wrong(node, want);
            }
        });
        hold
    }
}

fn port(text: &str) -> Option<u16> {
    go_int(text)
        .and_then(|number| u16::try_from(number).ok())
        .filter(|port| *port > 0)
}
