//! What is written: values in the order in which they will stand.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::encode::Encode;
use crate::model::Extensions;
use crate::tree::{Node, Value};

/// The two formats. They differ in more than syntax: JSON writes some empty parts and no nested `x-` attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Yaml,
}

/// A value to be written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Document {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Single(f32),
    Text(String),
    /// A timestamp, which YAML writes without quotes.
    Time(String),
    List(Vec<Document>),
    Map(Vec<(Cow<'static, str>, Document)>),
}

/// A mapping in the making.
pub(crate) struct Fields {
    format: Format,
    entries: Vec<(Cow<'static, str>, Document)>,
}

impl Fields {
    pub(crate) fn new(format: Format) -> Self {
        Self {
            format,
            entries: Vec::new(),
        }
    }

    /// Writes an attribute unless it is empty.
    pub(crate) fn field(&mut self, key: &'static str, value: &impl Encode) {
        if !value.is_blank() {
            self.always(key, value);
        }
    }

    /// Writes an attribute, empty or not.
    pub(crate) fn always(&mut self, key: &'static str, value: &impl Encode) {
        self.entries.push((key.into(), value.encode(self.format)));
    }

    /// Writes a part that JSON always has.
    pub(crate) fn inline(&mut self, key: &'static str, value: &impl Encode) {
        if self.format == Format::Json || !value.is_blank() {
            self.always(key, value);
        }
    }

    /// Writes a command; JSON says null where there is none.
    pub(crate) fn command(&mut self, key: &'static str, value: &Option<Vec<String>>) {
        if self.format == Format::Json || value.is_some() {
            self.always(key, value);
        }
    }

    /// Writes a switch that is on by default.
    pub(crate) fn optout(&mut self, key: &'static str, value: bool) {
        if !value {
            self.always(key, &value);
        }
    }

    /// Writes an attribute that JSON calls by another name, and never leaves out.
    pub(crate) fn renamed(&mut self, key: &'static str, json: &'static str, value: &impl Encode) {
        self.always(if self.format == Format::Json { json } else { key }, value);
    }

    /// The mapping; YAML has the `x-` attributes at its end.
    pub(crate) fn finish(mut self, extensions: &Extensions) -> Document {
        if self.format == Format::Yaml && !extensions.is_empty() {
            let all = extensions
                .iter()
                .map(|(key, value)| (key.clone().into(), Document::from_json(value)))
                .collect();
            if let Document::Map(sorted) = Document::Map(all).sorted(self.format) {
                self.entries.extend(sorted);
            }
        }
        Document::Map(self.entries)
    }
}

impl Document {
    /// A mapping's entries in the order in which Go writes those of a map.
    pub(crate) fn sorted(self, format: Format) -> Self {
        match self {
            Document::Map(mut entries) => {
                match format {
                    Format::Json => entries.sort_by(|a, b| a.0.cmp(&b.0)),
                    Format::Yaml => entries.sort_by(|a, b| natural(&a.0, &b.0)),
                }
                Document::Map(entries)
            }
            other => other,
        }
    }

    /// A tree, with sorted mappings.
    pub(crate) fn from_node(node: &Node, format: Format) -> Self {
        match &node.value {
            Value::Null => Document::Null,
            Value::Bool(value) => Document::Bool(*value),
            Value::Int(value) => Document::Int(*value),
            Value::Uint(value) => Document::Uint(*value),
            Value::Float(value) => Document::Float(*value),
            Value::Single(value) => Document::Single(*value),
            Value::Text(value) => Document::Text(value.clone()),
            Value::Time(value) => Document::Time(value.rfc3339.clone()),
            Value::List(list) => Document::List(list.iter().map(|item| Document::from_node(item, format)).collect()),
            Value::Map(map) => {
                let entries = map
                    .iter()
                    .map(|(key, e)| (key.clone().into(), Document::from_node(&e.node, format)));
                Document::Map(entries.collect()).sorted(format)
            }
        }
    }

    /// A JSON value, with sorted mappings.
    pub(crate) fn from_json(value: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match value {
            Json::Null => Document::Null,
            Json::Bool(value) => Document::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_u64()) {
                (Some(value), _) => Document::Int(value),
                (None, Some(value)) => Document::Uint(value),
                (None, None) => Document::Float(number.as_f64().unwrap_or_default()),
            },
            Json::String(value) => Document::Text(value.clone()),
            Json::Array(list) => Document::List(list.iter().map(Document::from_json).collect()),
            Json::Object(map) => {
                let entries = map
                    .iter()
                    .map(|(key, value)| (key.clone().into(), Document::from_json(value)));
                Document::Map(entries.collect()).sorted(Format::Yaml)
            }
        }
    }
}

/// The order of go-yaml: letters after anything else, numbers within a key by their value.
fn natural(a: &str, b: &str) -> Ordering {
    let (left, right): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut digits = false;
    for (i, (&l, &r)) in left.iter().zip(&right).enumerate() {
        if l == r {
            digits = l.is_numeric();
            continue;
        }
        return match (l.is_alphabetic(), r.is_alphabetic()) {
            (true, true) => l.cmp(&r),
            (left_letter, right_letter) if left_letter != right_letter => {
                if digits {
                    right_letter.cmp(&left_letter)
                } else {
                    left_letter.cmp(&right_letter)
                }
            }
            _ => numbers(&left, &right, i),
        };
    }
    left.len().cmp(&right.len())
}

/// Compares the numbers that stand at the first difference.
fn numbers(left: &[char], right: &[char], i: usize) -> Ordering {
    let (l, r) = (left[i], right[i]);
    // A zero before a number counts for its length only, as go-yaml has it.
    if (l == '0' || r == '0') && left[..i].iter().rev().take_while(|c| c.is_numeric()).any(|c| *c != '0') {
        return run(left, i).len().cmp(&run(right, i).len()).then(l.cmp(&r));
    }
    let (a, b) = (run(left, i), run(right, i));
    let value = |digits: &[char]| {
        digits
            .iter()
            .filter_map(|c| c.to_digit(10))
            .fold(0_i64, |n, d| n.wrapping_mul(10).wrapping_add(d.into()))
    };
    value(a).cmp(&value(b)).then(a.len().cmp(&b.len())).then(l.cmp(&r))
}

/// The digits from `i` on.
fn run(all: &[char], i: usize) -> &[char] {
    let end = all[i..].iter().take_while(|c| c.is_numeric()).count();
    &all[i..i + end]
}
