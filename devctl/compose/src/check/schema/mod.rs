//! The table of the specification, and the check against it.

mod container;
mod shape;
mod table;

use std::collections::HashMap;

use shape::{Kinds, Mapping, Shape};

use crate::problem::{Problem, Problems, did_you_mean, nearest};
use crate::tree::{Entry, Map, Node, Value};

/// Checks a whole file.
pub(crate) fn check(root: &Node, problems: &mut Problems) {
    let mut checker = Checker {
        problems,
        path: String::new(),
    };
    checker.node(root, &table::FILE);
}

/// Whether everything that runs a container has the attribute.
pub(crate) fn is_container_key(key: &str) -> bool {
    matches!(key, "log_driver" | "log_opt" | "volume_driver")
        || container::CONTAINER.iter().any(|(known, _)| *known == key)
}

struct Checker<'a> {
    problems: &'a mut Problems,
    path: String,
}

impl Checker<'_> {
    fn node(&mut self, node: &Node, shape: &'static Shape) {
        match shape {
            Shape::Kind(kinds) => {
                if !kind_of(node).is_some_and(|kind| kinds.has(kind)) {
                    self.wrong(node, shape);
                }
            }
            Shape::Word(words) => match text_of(node) {
                Some(text) if words.contains(&text.as_str()) => {}
                Some(text) => {
                    let help = did_you_mean(&text, words.iter().copied());
                    let message = format!("`{}` must be {}, but is `{text}`", self.path, describe(shape));
                    self.problems.push(Problem::error(message).at(node.at).maybe_help(help));
                }
                None => self.wrong(node, shape),
            },
            Shape::Form(fits, form) => match text_of(node) {
                Some(text) if fits(&text) => {}
                Some(text) => self.say(node, &format!("must be {form}, but is `{text}`")),
                None => self.wrong(node, shape),
            },
            Shape::Within(least, most) => match &node.value {
                _ if !kind_of(node).is_some_and(|kind| Kinds::INTEGER.has(kind)) => self.wrong(node, shape),
                value => {
                    let number = match value {
                        Value::Int(number) => *number as f64,
                        Value::Uint(number) => *number as f64,
                        Value::Float(number) => *number,
                        Value::Single(number) => f64::from(*number),
                        _ => 0.0,
                    };
                    if number < *least as f64 || *most < i64::MAX && number > *most as f64 {
                        let bounds = if *most == i64::MAX {
                            format!("at least {least}")
                        } else {
                            format!("between {least} and {most}")
                        };
                        self.say(node, &format!("must be {bounds}, but is {number}"));
                    }
                }
            },
            Shape::List(item, unique) => match node.as_list() {
                Some(list) => self.list(list, item, *unique),
                None => self.wrong(node, shape),
            },
            Shape::Map(mapping) => match node.as_map() {
                Some(map) => self.mapping(node, map, mapping),
                None => self.wrong(node, shape),
            },
            Shape::Either(shapes) => match shapes.iter().find(|shape| admits(shape, node)) {
                Some(shape) => self.node(node, shape),
                None => self.wrong(node, shape),
            },
        }
    }

    fn list(&mut self, list: &[Node], item: &'static Shape, unique: bool) {
        for (index, node) in list.iter().enumerate() {
            self.within(&format!("[{index}]"), |checker| checker.node(node, item));
        }
        if !unique {
            return;
        }
        let mut seen: HashMap<String, usize> = HashMap::with_capacity(list.len());
        for (index, node) in list.iter().enumerate() {
            let json = canonical_json(node);
            if let Some(first) = seen.insert(json, index) {
                let message = format!("`{}` has the same item twice, as [{first}] and [{index}]", self.path);
                self.problems.push(Problem::error(message).at(node.at));
            }
        }
    }

    fn mapping(&mut self, node: &Node, map: &Map, mapping: &'static Mapping) {
        for (key, entry) in map {
            let known = mapping.keys.iter().copied().flatten().find(|(known, _)| known == key);
            match (known, mapping.others) {
                (Some((_, shape)), _) => self.within(key, |checker| checker.node(&entry.node, shape)),
                (None, Some((names, shape))) if names.allow(key) => {
                    self.within(key, |checker| checker.node(&entry.node, shape))
                }
                _ if mapping.extensions && key.starts_with("x-") => {
                    self.within(key, |checker| checker.finite(&entry.node))
                }
                _ if mapping.open => self.within(key, |checker| checker.finite(&entry.node)),
                (None, Some((names, _))) => {
                    let message = format!("`{}` cannot have the name `{key}`", self.path);
                    self.problems.push(
                        Problem::error(message)
                            .at(entry.key)
                            .help(format!("a name consists of {}", names.describe())),
                    );
                }
                (None, None) => self.unknown(key, entry, mapping),
            }
        }
        let before = self.path.clone();
        let place = if before.is_empty() {
            "the file".to_owned()
        } else {
            format!("`{before}`")
        };
        for key in mapping.required.iter().filter(|key| !map.contains_key(**key)) {
            let problem = Problem::error(format!("{place} has no `{key}`")).at(node.at);
            self.problems.push(problem.lacks(&before, [*key]));
        }
        if !mapping.one_of.is_empty() && !mapping.one_of.iter().any(|key| map.contains_key(*key)) {
            let message = format!("{place} must have one of `{}`", mapping.one_of.join("`, `"));
            let problem = Problem::error(message).at(node.at);
            self.problems
                .push(problem.lacks(&before, mapping.one_of.iter().copied()));
        }
    }

    fn unknown(&mut self, key: &str, entry: &Entry, mapping: &'static Mapping) {
        let place = if self.path.is_empty() {
            "a Compose file".to_owned()
        } else {
            format!("`{}`", self.path)
        };
        let known = mapping.keys.iter().copied().flatten().map(|(known, _)| *known);
        let meant = nearest(key, known);
        self.problems.misspelt(&self.path, key, entry.key, meant);
        let help = meant.map(|meant| format!("did you mean `{meant}`?")).or_else(|| {
            let top = self.path.is_empty() && entry.node.as_map().is_some();
            top.then(|| "services stand below `services:`".to_owned())
        });
        self.problems.push(
            Problem::error(format!("{place} has no attribute `{key}`"))
                .at(entry.key)
                .maybe_help(help),
        );
    }

    /// JSON, in which Compose checks files, has no infinite numbers.
    fn finite(&mut self, node: &Node) {
        match &node.value {
            Value::Float(value) if !value.is_finite() => self.say(node, "must be a finite number"),
            Value::List(list) => list.iter().for_each(|item| self.finite(item)),
            Value::Map(map) => map.values().for_each(|entry| self.finite(&entry.node)),
            _ => {}
        }
    }

    fn within(&mut self, step: &str, then: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        if length > 0 && !step.starts_with('[') {
            self.path.push('.');
        }
        self.path.push_str(step);
        then(self);
        self.path.truncate(length);
    }

    fn say(&mut self, node: &Node, what: &str) {
        self.problems
            .push(Problem::error(format!("`{}` {what}", self.path)).at(node.at));
    }

    fn wrong(&mut self, node: &Node, shape: &Shape) {
        let place = if self.path.is_empty() {
            "a Compose file".to_owned()
        } else {
            format!("`{}`", self.path)
        };
        let mut problem =
            Problem::error(format!("{place} must be {}, but is {}", describe(shape), node.kind())).at(node.at);
        if matches!(
            node.value,
            Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Null
        ) && describe(shape) == "a string"
        {
            problem = problem.help("put it in quotes");
        }
        self.problems.push(problem);
    }
}

/// Whether a value is of the kind of a shape, whatever is in it.
fn admits(shape: &Shape, node: &Node) -> bool {
    match shape {
        Shape::Kind(kinds) => kind_of(node).is_some_and(|kind| kinds.has(kind)),
        Shape::Word(_) | Shape::Form(..) => text_of(node).is_some(),
        Shape::Within(..) => kind_of(node).is_some_and(|kind| Kinds::NUMBER.has(kind)),
        Shape::List(..) => node.as_list().is_some(),
        Shape::Map(_) => node.as_map().is_some(),
        Shape::Either(shapes) => shapes.iter().any(|shape| admits(shape, node)),
    }
}

fn describe(shape: &Shape) -> String {
    match shape {
        Shape::Kind(kinds) => {
            let all = [
                (Kinds::TEXT, "a string"),
                (Kinds::INTEGER, "an integer"),
                (Kinds::NUMBER, "a number"),
                (Kinds::BOOL, "a boolean"),
                (Kinds::NULL, "nothing"),
            ];
            all.iter()
                .filter(|(kind, _)| kinds.has(*kind))
                .map(|(_, name)| *name)
                .collect::<Vec<_>>()
                .join(" or ")
        }
        Shape::Word(words) => format!("`{}`", words.join("` or `")),
        Shape::Form(_, form) => (*form).to_owned(),
        Shape::Within(..) => "an integer".to_owned(),
        Shape::List(..) => "a list".to_owned(),
        Shape::Map(_) => "a mapping".to_owned(),
        Shape::Either(shapes) => shapes
            .iter()
            .map(|shape| describe(shape))
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

/// The kinds that a scalar is of; an integer is a number as well.
fn kind_of(node: &Node) -> Option<Kinds> {
    let whole = |value: f64| {
        if value.fract() == 0.0 {
            Kinds::INTEGER.or(Kinds::NUMBER)
        } else {
            Kinds::NUMBER
        }
    };
    Some(match &node.value {
        Value::Null => Kinds::NULL,
        Value::Bool(_) => Kinds::BOOL,
        Value::Int(_) | Value::Uint(_) => Kinds::INTEGER.or(Kinds::NUMBER),
        Value::Float(value) if !value.is_finite() => return None,
        Value::Float(value) => whole(*value),
        Value::Single(value) if !value.is_finite() => return None,
        Value::Single(value) => whole(f64::from(*value)),
        Value::Text(_) | Value::Time(_) => Kinds::TEXT,
        Value::List(_) | Value::Map(_) => return None,
    })
}

fn text_of(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(text) => Some(text.clone()),
        Value::Time(time) => Some(time.rfc3339.clone()),
        _ => None,
    }
}

/// A value as JSON with sorted keys and all numbers alike, to find equal items.
fn canonical_json(node: &Node) -> String {
    match &node.value {
        Value::Int(value) => format!("{}", *value as f64),
        Value::Uint(value) => format!("{}", *value as f64),
        Value::Float(value) => format!("{value}"),
        Value::Single(value) => format!("{value}"),
        Value::Text(text) => format!("\"{text}\""),
        Value::Map(map) => {
            let mut entries: Vec<_> = map
                .iter()
                .map(|(key, entry)| format!("\"{key}\":{}", canonical_json(&entry.node)))
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
        Value::List(list) => format!("[{}]", list.iter().map(canonical_json).collect::<Vec<_>>().join(",")),
        _ => node.scalar_text().unwrap_or_default(),
    }
}
