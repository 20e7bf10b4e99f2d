//! A YAML value with the place where it was written.

use indexmap::IndexMap;

/// A place in one of the files that were read: byte offsets, `start` included, `end` not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Span {
    /// Which file, as an index into the source map.
    pub(crate) source: u32,
    /// Offset of the first byte.
    pub(crate) start: u32,
    /// Offset after the last byte.
    pub(crate) end: u32,
}

/// A mapping; keys keep the order in which they were written. Most of a load is looking keys up, so their hash is a fast one.
pub(crate) type Map = IndexMap<String, Entry, foldhash::fast::RandomState>;

/// A mapping's entry: where its key stands, and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Span,
    pub(crate) node: Node,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) at: Span,
}

/// A value as YAML resolves it, with the integers, floats and timestamps that go-yaml knows.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer above `i64::MAX`.
    Uint(u64),
    Float(f64),
    /// A number of an attribute that Compose holds in single precision.
    Single(f32),
    Text(String),
    /// A timestamp, in the two forms in which Go prints it.
    Time(Box<Timestamp>),
    List(Vec<Node>),
    Map(Map),
}

/// A timestamp as Go prints it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Timestamp {
    /// RFC 3339, for JSON and YAML.
    pub(crate) rfc3339: String,
    /// Go's default form, for a text.
    pub(crate) plain: String,
}

impl Node {
    pub(crate) fn new(value: Value, at: Span) -> Self {
        Self { value, at }
    }

    pub(crate) fn text(value: impl Into<String>, at: Span) -> Self {
        Self::new(Value::Text(value.into()), at)
    }

    pub(crate) fn bool(value: bool, at: Span) -> Self {
        Self::new(Value::Bool(value), at)
    }

    pub(crate) fn null(at: Span) -> Self {
        Self::new(Value::Null, at)
    }

    /// A mapping of some keys that were not written as such, all with the place `at`.
    pub(crate) fn map_of<const N: usize>(at: Span, entries: [(&str, Value); N]) -> Self {
        let entries = entries.into_iter();
        let map = entries.map(|(key, value)| {
            (
                key.to_owned(),
                Entry {
                    key: at,
                    node: Node::new(value, at),
                },
            )
        });
        Self::new(Value::Map(map.collect()), at)
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub(crate) fn as_list(&self) -> Option<&[Node]> {
        match &self.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    pub(crate) fn as_list_mut(&mut self) -> Option<&mut Vec<Node>> {
        match &mut self.value {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The value of a mapping's key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.as_map().and_then(|map| map.get(key)).map(|entry| &entry.node)
    }

    /// The value of a mapping's key.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.as_map_mut()
            .and_then(|map| map.get_mut(key))
            .map(|entry| &mut entry.node)
    }

    /// Sets a mapping's key; does nothing to anything but a mapping.
    pub(crate) fn set(&mut self, key: &str, node: Node) {
        let at = node.at;
        if let Some(map) = self.as_map_mut() {
            match map.get_mut(key) {
                Some(entry) => entry.node = node,
                None => {
                    map.insert(key.to_owned(), Entry { key: at, node });
                }
            }
        }
    }

    /// What kind of value it is, for a message.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Uint(_) => "an integer",
            Value::Float(_) | Value::Single(_) => "a number",
            Value::Text(_) => "a string",
            Value::Time(_) => "a timestamp",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The value as Go's `fmt.Sprint` prints it, for scalars; `None` for lists and mappings.
    pub(crate) fn scalar_text(&self) -> Option<String> {
        match &self.value {
            Value::Null => Some("<nil>".to_owned()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Int(value) => Some(value.to_string()),
            Value::Uint(value) => Some(value.to_string()),
            Value::Float(value) => Some(crate::codec::go_float(*value)),
            Value::Single(value) => Some(crate::codec::go_single(*value)),
            Value::Text(value) => Some(value.clone()),
            Value::Time(value) => Some(value.plain.clone()),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether both mean the same, wherever they were written. Order of keys does not matter.
    pub(crate) fn same(&self, other: &Node) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Uint(a), Value::Uint(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Single(a), Value::Single(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => a == b,
            (Value::Time(a), Value::Time(b)) => a == b,
            (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b)),
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|(key, entry)| b.get(key).is_some_and(|other| entry.node.same(&other.node)))
            }
            _ => false,
        }
    }
}
