//! How a later file changes an earlier one: mappings by key, lists by appending, and a rule of its own for what the
//! specification says otherwise.

mod sequence;
mod unique;

use sequence::{append_new, key_values, to_sequence};
pub(crate) use unique::enforce_unique;

use crate::problem::{Problem, Problems};
use crate::tree::{Entry, Map, Node, Span, Value};

/// Merges `over` into `base`, both whole files.
pub(crate) fn merge(base: &mut Node, over: Node, problems: &mut Problems) {
    let mut merger = Merger {
        problems,
        path: Vec::new(),
    };
    merger.node(base, over);
}

/// Merges two values that stand at `place` in the whole.
pub(crate) fn merge_at(base: &mut Node, over: Node, place: &[&str], problems: &mut Problems) {
    let mut merger = Merger {
        problems,
        path: place.iter().map(|step| (*step).to_owned()).collect(),
    };
    merger.node(base, over);
}

struct Merger<'a> {
    problems: &'a mut Problems,
    path: Vec<String>,
}

/// How values at a place are merged.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Mappings by key, lists by appending, the later scalar.
    Plain,
    /// The later value alone.
    Override,
    /// `KEY=value` by key.
    KeyValues,
    /// Both as lists, one after the other.
    Sequences,
    /// A text is the context.
    Build,
    /// A list of names is a mapping; with defaults for `depends_on`.
    Names { depends_on: bool },
    /// Options only with the same driver.
    Logging,
    /// A mapping with a mapping, else the later value.
    Ulimit,
    /// Address ranges by subnet.
    Ipam,
}

fn rule(path: &[String]) -> Rule {
    let steps: [&str; 6] = std::array::from_fn(|at| path.get(at).map_or("", String::as_str));
    match (steps, path.len()) {
        (["networks", _, "ipam", "config", ..], 4) => Rule::Ipam,
        (["networks" | "volumes" | "secrets" | "configs", _, "labels", ..], 3) => Rule::KeyValues,
        (["services", _, "deploy", "labels", ..], 4) => Rule::KeyValues,
        (["services" | "jobs", _, key, ..], 3) => match key {
            "command" | "entrypoint" => Rule::Override,
            "annotations" | "environment" | "labels" | "sysctls" => Rule::KeyValues,
            "dns" | "dns_opt" | "dns_search" | "env_file" | "label_file" | "extra_hosts" | "tmpfs" => Rule::Sequences,
            "build" => Rule::Build,
            "depends_on" => Rule::Names { depends_on: true },
            "models" | "networks" => Rule::Names { depends_on: false },
            "logging" => Rule::Logging,
            _ => Rule::Plain,
        },
        (["services" | "jobs", _, "build", key, ..], 4) => match key {
            "args" | "additional_contexts" | "labels" => Rule::KeyValues,
            "extra_hosts" => Rule::Sequences,
            _ => Rule::Plain,
        },
        (["services" | "jobs", _, "healthcheck", "test", ..], 4) => Rule::Override,
        (["services" | "jobs", _, "ulimits", _, ..], 4) => Rule::Ulimit,
        (["services" | "jobs", _, "volumes", _, "volume", "labels"], 6) => Rule::KeyValues,
        _ => Rule::Plain,
    }
}

impl Merger<'_> {
    fn node(&mut self, base: &mut Node, over: Node) {
        match rule(&self.path) {
            Rule::Plain => self.plain(base, over),
            Rule::Override => *base = over,
            Rule::KeyValues => {
                let mut all = to_sequence(take(base)).unwrap_or_default();
                let at = over.at;
                all.extend(to_sequence(over).unwrap_or_default());
                *base = Node::new(Value::List(key_values(all, &self.path, self.problems)), at);
            }
            Rule::Sequences => {
                let first = to_sequence(take(base));
                let at = over.at;
                let known = first.is_some();
                let mut all = first.unwrap_or_default();
                append_new(&mut all, to_sequence(over).unwrap_or_default());
                // Where there was no list, one with nothing in it makes none, unless Compose looks for doubles in it.
                let empty = all.is_empty() && !known && !unique::is_unique(&self.path);
                *base = Node::new(if empty { Value::Null } else { Value::List(all) }, at);
            }
            Rule::Build => {
                *base = as_build(take(base));
                // Whatever else stands in its place says nothing.
                if let (Value::Map(map), Value::Map(other)) = (&mut base.value, as_build(over).value) {
                    self.mapping(map, other);
                }
            }
            Rule::Names { depends_on } => {
                let first = self.names(take(base), depends_on);
                let second = self.names(over, depends_on);
                self.as_mappings(base, first, second);
            }
            Rule::Logging => self.logging(base, over),
            Rule::Ulimit => match (&mut base.value, over) {
                (
                    Value::Map(map),
                    Node {
                        value: Value::Map(other),
                        at,
                    },
                ) => {
                    base.at = at;
                    self.mapping(map, other);
                }
                (_, over) => *base = over,
            },
            Rule::Ipam => self.ipam(base, over),
        }
    }

    fn plain(&mut self, base: &mut Node, over: Node) {
        if over.is_null() {
            return;
        }
        match (&mut base.value, over.value) {
            (Value::Map(map), Value::Map(other)) => self.mapping(map, other),
            (Value::List(list), Value::List(other)) => append_new(list, other),
            (Value::Map(_) | Value::List(_), value) => {
                let over = Node::new(value, over.at);
                self.cannot_override(base, &over);
            }
            (_, value) => *base = Node::new(value, over.at),
        }
    }

    fn mapping(&mut self, map: &mut Map, other: Map) {
        for (key, entry) in other {
            match map.get_mut(&key) {
                Some(known) => {
                    self.path.push(key);
                    self.node(&mut known.node, entry.node);
                    self.path.pop();
                }
                None => {
                    map.insert(key, entry);
                }
            }
        }
    }

    fn as_mappings(&mut self, base: &mut Node, first: Node, second: Node) {
        *base = first;
        match (&mut base.value, second.value) {
            (Value::Map(map), Value::Map(other)) => self.mapping(map, other),
            (_, value) => {
                let over = Node::new(value, second.at);
                self.cannot_override(base, &over);
            }
        }
    }

    fn cannot_override(&mut self, base: &Node, over: &Node) {
        let message = format!(
            "`{}` is {}, which cannot override {}",
            self.path.join("."),
            over.kind(),
            base.kind()
        );
        self.problems.push(Problem::error(message).at(over.at));
    }

    fn logging(&mut self, base: &mut Node, over: Node) {
        let (Some(_), Some(_)) = (base.as_map(), over.as_map()) else {
            return self.cannot_override(base, &over);
        };
        let same = match (base.get("driver"), over.get("driver")) {
            (Some(a), Some(b)) => a.same(b),
            _ => true,
        };
        if !same {
            *base = over;
        } else if let (Value::Map(map), Value::Map(other)) = (&mut base.value, over.value) {
            self.mapping(map, other);
        }
    }

    /// A list of names, or one name, as a mapping.
    fn names(&mut self, node: Node, depends_on: bool) -> Node {
        let entry = |at: Span| {
            let value = if depends_on {
                Node::map_of(
                    at,
                    [
                        ("condition", Value::Text("service_started".to_owned())),
                        ("required", Value::Bool(true)),
                    ],
                )
            } else {
                Node::null(at)
            };
            Entry { key: at, node: value }
        };
        let at = node.at;
        let map = match node.value {
            Value::Map(map) => map,
            Value::Null => Map::default(),
            Value::Text(name) => Map::from_iter([(name, entry(at))]),
            Value::List(list) => {
                let mut map = Map::default();
                for item in list {
                    match item.value {
                        Value::Text(name) => {
                            map.insert(name, entry(item.at));
                        }
                        value => {
                            let kind = Node::new(value, item.at).kind();
                            let message =
                                format!("`{}` must be a list of names, but this is {kind}", self.path.join("."));
                            self.problems.push(Problem::error(message).at(item.at));
                        }
                    }
                }
                map
            }
            value => {
                let kind = Node::new(value, at).kind();
                let message = format!("`{}` must be a list or a mapping, but is {kind}", self.path.join("."));
                self.problems.push(Problem::error(message).at(at));
                Map::default()
            }
        };
        Node::new(Value::Map(map), at)
    }

    fn ipam(&mut self, base: &mut Node, over: Node) {
        let (Some(first), Some(second)) = (base.as_list(), over.as_list()) else {
            return self.cannot_override(base, &over);
        };
        // Compose keeps references: a range that is in the list already changes there as well when it is merged again.
        let subnet = |node: &Node| node.get("subnet").and_then(Node::scalar_text);
        let count = first.len();
        let pools: Vec<Node> = first.iter().chain(second).cloned().collect();
        let scalar = |pool: &&Node| !matches!(pool.value, Value::Map(_) | Value::List(_) | Value::Text(_));
        if let Some(pool) = pools.iter().find(scalar) {
            return self.cannot_override(base, pool);
        }
        let mut pools: Vec<Node> = pools.into_iter().map(|pool| self.names(pool, false)).collect();
        let mut chosen: Vec<usize> = Vec::new();
        for right in 0..count {
            for left in count..pools.len() {
                let wanted = subnet(&pools[left]);
                if wanted != subnet(&pools[right]) && !chosen.iter().any(|known| subnet(&pools[*known]) == wanted) {
                    chosen.push(left);
                    continue;
                }
                if let (Value::Map(map), Value::Map(other)) =
                    (&mut pools[right].value.clone(), pools[left].value.clone())
                {
                    self.mapping(map, other);
                    pools[right].value = Value::Map(std::mem::take(map));
                }
                let merged = subnet(&pools[right]);
                match chosen.iter_mut().find(|known| subnet(&pools[**known]) == merged) {
                    Some(known) => *known = right,
                    None => chosen.push(right),
                }
            }
        }
        let merged: Vec<Node> = chosen.into_iter().map(|index| pools[index].clone()).collect();
        let value = if merged.is_empty() {
            Value::Null
        } else {
            Value::List(merged)
        };
        *base = Node::new(value, over.at);
    }
}

fn take(node: &mut Node) -> Node {
    let at = node.at;
    std::mem::replace(node, Node::null(at))
}

fn as_build(node: Node) -> Node {
    let at = node.at;
    match node.value {
        Value::Text(context) => Node::map_of(at, [("context", Value::Text(context))]),
        Value::Map(_) => node,
        _ => Node::null(at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::to_json;

    fn tree(text: &str) -> Node {
        let mut problems = Problems::default();
        crate::yaml::read(text, 0, &mut problems).unwrap().remove(0).root
    }

    fn merged(base: &str, over: &str, path: &str) -> String {
        let mut problems = Problems::default();
        let mut base = tree(base);
        merge(&mut base, tree(over), &mut problems);
        if problems.errors() > 0 {
            return "refused".to_owned();
        }
        let json = to_json(&base);
        json.pointer(path).map_or("nothing".to_owned(), ToString::to_string)
    }

    #[test]
    fn each_attribute_has_its_rule() {
        let service = |text: &str| format!("services: {{web: {{{text}}}}}");
        let table = [
            ("image: a", "image: b", "image", r#""b""#),
            ("image: a", "image: null", "image", r#""a""#),
            ("command: [a]", "command: [b]", "command", r#"["b"]"#),
            (
                "environment: {A: 1, B: 2}",
                "environment: [B=3, C]",
                "environment",
                r#"["A=1","B=3","C"]"#,
            ),
            ("cap_add: [A]", "cap_add: [A, B]", "cap_add", r#"["A","B"]"#),
            (
                "build: .",
                "build: {target: x}",
                "build",
                r#"{"context":".","target":"x"}"#,
            ),
            (
                "networks: [a]",
                "networks: {b: {priority: 1}}",
                "networks",
                r#"{"a":null,"b":{"priority":1}}"#,
            ),
            ("dns: 1.1.1.1", "dns: [8.8.8.8]", "dns", r#"["1.1.1.1","8.8.8.8"]"#),
            (
                "logging: {driver: a, options: {x: 1}}",
                "logging: {driver: b}",
                "logging",
                r#"{"driver":"b"}"#,
            ),
            (
                "logging: {options: {x: 1}}",
                "logging: {driver: b}",
                "logging",
                r#"{"options":{"x":1},"driver":"b"}"#,
            ),
            (
                "ulimits: {n: 1}",
                "ulimits: {n: {soft: 1, hard: 2}}",
                "ulimits",
                r#"{"n":{"soft":1,"hard":2}}"#,
            ),
            ("deploy: {replicas: 1}", "deploy: 2", "deploy", "refused"),
        ];
        for (base, over, key, want) in table {
            assert_eq!(
                merged(&service(base), &service(over), &format!("/services/web/{key}")),
                want,
                "{base} + {over}"
            );
        }
    }
}
