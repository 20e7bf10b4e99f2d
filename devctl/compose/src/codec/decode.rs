//! Reading a checked tree into the model.
//!
//! The tree has passed the table of the specification, so what can still be wrong here are texts: a size, a duration, a
//! number. Each is reported and left out; reading goes on.

use indexmap::IndexMap;

use super::scalars::Words;
use crate::problem::{Problem, Problems};
use crate::tree::{Map, Node, Path, Span, Value};

/// What is known while reading: the place, for messages, and the problems found so far.
pub(crate) struct Decoder<'a> {
    path: Path,
    problems: &'a mut Problems,
}

/// A type that is read from a tree.
pub(crate) trait Decode: Sized {
    /// Reads it; `None` when that fails, which has then been reported.
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self>;

    /// Whether it says no more than its absence would.
    fn is_absent(&self) -> bool {
        false
    }

    /// Reads a mapping's value, where an empty text is a value of its own.
    fn decode_value(node: &Node, cx: &mut Decoder) -> Option<Self> {
        Self::decode(node, cx)
    }

    /// Whether a name in a list that stands for a mapping of these must not end with a space.
    const TRIMMED_NAMES: bool = false;
    /// Whether it is a text.
    const IS_TEXT: bool = false;

    /// The value of `KEY` or `KEY=word` in a list that stands for a mapping.
    fn from_word(_word: Option<&str>) -> Option<Self> {
        None
    }
}

impl<'a> Decoder<'a> {
    pub(crate) fn new(problems: &'a mut Problems) -> Self {
        Self {
            path: Path::default(),
            problems,
        }
    }

    /// The mapping that `node` must be.
    pub(crate) fn mapping<'n>(&mut self, node: &'n Node) -> Option<&'n Map> {
        if node.as_map().is_none() {
            self.wrong(node, "a mapping");
        }
        node.as_map()
    }

    /// The attribute `key`; its default where it is missing, null or wrong.
    pub(crate) fn field<T: Decode + Default>(&mut self, map: &Map, key: &str) -> T {
        match map.get(key) {
            Some(entry) if !entry.node.is_null() => {
                self.within(key, |cx| T::decode(&entry.node, cx)).unwrap_or_default()
            }
            _ => T::default(),
        }
    }

    /// A command: a text is split into words, null is no command.
    pub(crate) fn command(&mut self, map: &Map, key: &str) -> Option<Vec<String>> {
        self.field::<Option<Words>>(map, key).map(|words| words.0)
    }

    /// A health check's command: a text is a line for the shell.
    pub(crate) fn health_test(&mut self, map: &Map, key: &str) -> Vec<String> {
        match map.get(key).and_then(|entry| entry.node.as_text()) {
            Some(line) => vec!["CMD-SHELL".to_owned(), line.to_owned()],
            None => self.field(map, key),
        }
    }

    /// Whether a mapping of names, here, may have names that begin with `x-`. Elsewhere Compose takes them out of every
    /// mapping, and leaves one entry in their place.
    fn keeps_extensions(&self) -> bool {
        match self.path.steps() {
            [top] => matches!(
                top.as_str(),
                "services" | "volumes" | "networks" | "secrets" | "configs"
            ),
            [services, _, key] => services == "services" && key == "depends_on",
            _ => false,
        }
    }

    /// Whether any scalar is printed as a text, here, where a list or mapping elsewhere takes texts and integers only.
    pub(crate) fn prints_scalars(&self) -> bool {
        self.path
            .steps()
            .iter()
            .any(|step| step == "expose" || step == "options")
    }

    /// Whether a mapping, here, takes texts and integers only, where others print any scalar as a text.
    fn takes_strings_only(&self) -> bool {
        match self.path.steps() {
            [.., last] if last == "storage_opt" => true,
            [kind, _, last] => (kind == "secrets" || kind == "configs") && last == "driver_opts",
            _ => false,
        }
    }

    /// Whether an empty list, here, is as good as nothing.
    fn drops_empty_lists(&self) -> bool {
        matches!(self.path.steps(), [.., of, last] if of == "provider" && last == "options")
    }

    /// Does something one step further down.
    pub(crate) fn within<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = read(self);
        self.path.pop();
        result
    }

    /// Reports a value of the wrong kind.
    pub(crate) fn wrong(&mut self, node: &Node, want: &str) {
        let message = format!("`{}` must be {want}, but is {}", self.path, node.kind());
        self.problems.push(Problem::error(message).at(node.at));
    }

    /// Reports a text that cannot be read; `why` continues "`services.web.mem_limit` ".
    pub(crate) fn unreadable(&mut self, node: &Node, why: &str) {
        self.problems
            .push(Problem::error(format!("`{}` {why}", self.path)).at(node.at));
    }
}

/// The `x-` attributes of a mapping.
pub(crate) fn extensions(map: &Map) -> crate::model::Extensions {
    map.iter()
        .filter(|(key, _)| key.starts_with("x-"))
        .map(|(key, entry)| (key.clone(), to_json(&entry.node)))
        .collect()
}

/// The `x-` entries of a mapping, as a mapping.
fn group_extensions(map: &Map, at: Span) -> Node {
    let group = map.iter().filter(|(key, _)| key.starts_with("x-"));
    Node::new(
        Value::Map(group.map(|(key, entry)| (key.clone(), entry.clone())).collect()),
        at,
    )
}

/// A value as `fmt.Sprint` prints it.
pub(crate) fn go_print(node: &Node) -> String {
    match &node.value {
        Value::List(list) => format!("[{}]", list.iter().map(go_print).collect::<Vec<_>>().join(" ")),
        Value::Map(map) => {
            let mut entries: Vec<_> = map.iter().map(|(key, entry)| (key, go_print(&entry.node))).collect();
            entries.sort();
            let entries: Vec<_> = entries
                .into_iter()
                .map(|(key, value)| format!("{key}:{value}"))
                .collect();
            format!("map[{}]", entries.join(" "))
        }
        _ => node.scalar_text().unwrap_or_default(),
    }
}

/// A tree as a JSON value. What JSON cannot say (infinity, not a number) becomes null.
pub(crate) fn to_json(node: &Node) -> serde_json::Value {
    use serde_json::Value as Json;
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(value) => Json::from(*value),
        Value::Uint(value) => Json::from(*value),
        Value::Float(value) => Json::from(*value),
        Value::Single(value) => Json::from(*value),
        Value::Text(value) => Json::String(value.clone()),
        Value::Time(value) => Json::String(value.rfc3339.clone()),
        Value::List(list) => list.iter().map(to_json).collect(),
        Value::Map(map) => Json::Object(
            map.iter()
                .map(|(key, entry)| (key.clone(), to_json(&entry.node)))
                .collect(),
        ),
    }
}

impl<T: Decode> Decode for Option<T> {
    const TRIMMED_NAMES: bool = T::IS_TEXT;

    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        T::decode(node, cx).map(|value| Some(value).filter(|value| !value.is_absent()))
    }

    fn decode_value(node: &Node, cx: &mut Decoder) -> Option<Self> {
        if node.is_null() {
            Some(None)
        } else {
            T::decode_value(node, cx).map(Some)
        }
    }

    fn from_word(word: Option<&str>) -> Option<Self> {
        match word {
            None => Some(None),
            Some(word) => T::from_word(Some(word)).map(Some),
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn from_word(word: Option<&str>) -> Option<Self> {
        T::from_word(word).map(|item| vec![item])
    }

    fn decode_value(node: &Node, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::List(_) | Value::Map(_) => Self::decode(node, cx),
            _ => T::decode(node, cx).map(|item| vec![item]),
        }
    }

    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::List(list) => {
                let mut read = Vec::with_capacity(list.len());
                for (index, item) in list.iter().enumerate() {
                    read.extend(cx.within(&format!("[{index}]"), |cx| T::decode(item, cx)));
                }
                Some(read)
            }
            // One item may stand for a list of it, wherever the specification has a list of texts.
            Value::Text(text) => match T::from_word(Some(text)) {
                Some(item) => Some(vec![item]),
                None => T::decode(node, cx).map(|item| vec![item]),
            },
            _ => {
                cx.wrong(node, "a list");
                None
            }
        }
    }
}

impl<T: Decode + Default> Decode for IndexMap<String, T> {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        match &node.value {
            Value::Map(map) => {
                let mut read = IndexMap::with_capacity(map.len());
                let keeps = cx.keeps_extensions();
                let strict = cx.takes_strings_only();
                let drops = cx.drops_empty_lists();
                for (key, entry) in map.iter().filter(|(key, _)| keeps || !key.starts_with("x-")) {
                    if drops && matches!(&entry.node.value, Value::List(list) if list.is_empty()) {
                        continue;
                    }
                    let value = if entry.node.is_null() {
                        Some(T::default())
                    } else {
                        cx.within(key, |cx| match strict {
                            true => T::decode(&entry.node, cx),
                            false => T::decode_value(&entry.node, cx),
                        })
                    };
                    read.extend(value.map(|value| (key.clone(), value)));
                }
                let extension = map.iter().find(|(key, _)| !keeps && key.starts_with("x-"));
                if let Some((key, entry)) = extension.filter(|_| strict) {
                    let problem = Problem::error(format!("`{}` cannot have the name `{key}`", cx.path));
                    cx.problems.push(problem.at(entry.key));
                } else if extension.is_some() {
                    let group = group_extensions(map, node.at);
                    let text = go_print(&group);
                    let value = T::from_word(Some(&text)).or_else(|| T::decode_value(&group, cx));
                    read.extend(value.map(|value| ("#extensions".to_owned(), value)));
                }
                Some(read)
            }
            Value::List(list) => {
                let mut read = IndexMap::with_capacity(list.len());
                for item in list {
                    let text = item.scalar_text().unwrap_or_default();
                    let (key, word) = match text.split_once('=') {
                        Some((key, word)) => (key, Some(word)),
                        None => (text.as_str(), None),
                    };
                    if T::TRIMMED_NAMES && key.ends_with(char::is_whitespace) {
                        cx.unreadable(item, &format!("has the name `{key}`, which ends with a space"));
                        continue;
                    }
                    match T::from_word(word) {
                        Some(value) => {
                            read.insert(key.to_owned(), value);
                        }
                        None => cx.wrong(item, "a mapping"),
                    }
                }
                Some(read)
            }
            _ => {
                cx.wrong(node, "a mapping");
                None
            }
        }
    }
}
