//! A document as JSON, the way Go writes it.

use std::fmt::Write;

use super::document::Document;
use super::go_text::json_float;

impl Document {
    /// With line breaks and two spaces for each step.
    pub(crate) fn to_json_pretty(&self) -> String {
        let mut out = String::new();
        write(&mut out, self, Some(0));
        out
    }

    /// In one line.
    pub(crate) fn to_json_compact(&self) -> String {
        let mut out = String::new();
        write(&mut out, self, None);
        out
    }

    /// As a value.
    pub(crate) fn to_json_value(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Document::Null => Json::Null,
            Document::Bool(value) => Json::Bool(*value),
            Document::Int(value) => Json::from(*value),
            Document::Uint(value) => Json::from(*value),
            // A whole number is one in JSON, whatever it was before.
            Document::Float(_) | Document::Single(_) => {
                let mut text = String::new();
                write(&mut text, self, None);
                text.parse::<i64>()
                    .map_or_else(|_| text.parse::<f64>().map_or(Json::Null, Json::from), Json::from)
            }
            Document::Text(value) | Document::Time(value) => Json::String(value.clone()),
            Document::List(list) => list.iter().map(Document::to_json_value).collect(),
            Document::Map(entries) => Json::Object(
                entries
                    .iter()
                    .map(|(key, value)| (key.clone().into_owned(), value.to_json_value()))
                    .collect(),
            ),
        }
    }
}

fn write(out: &mut String, document: &Document, indent: Option<usize>) {
    match document {
        Document::Null => out.push_str("null"),
        Document::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Document::Int(value) => {
            let _ = write!(out, "{value}");
        }
        Document::Uint(value) => {
            let _ = write!(out, "{value}");
        }
        Document::Float(value) => out.push_str(&json_float(*value, &format!("{value:e}"))),
        Document::Single(value) => out.push_str(&json_float(f64::from(*value), &format!("{value:e}"))),
        Document::Text(value) | Document::Time(value) => quote(out, value),
        Document::List(list) => {
            let inner = indent.map(|depth| depth + 1);
            collection(out, ['[', ']'], indent, list, |out, item| write(out, item, inner));
        }
        Document::Map(entries) => {
            let inner = indent.map(|depth| depth + 1);
            collection(out, ['{', '}'], indent, entries, |out, (key, value)| {
                quote(out, key);
                out.push_str(if inner.is_some() { ": " } else { ":" });
                write(out, value, inner);
            });
        }
    }
}

fn collection<T>(
    out: &mut String,
    brackets: [char; 2],
    indent: Option<usize>,
    items: &[T],
    mut item: impl FnMut(&mut String, &T),
) {
    out.push(brackets[0]);
    for (index, value) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        line(out, indent.map(|depth| depth + 1));
        item(out, value);
    }
    if !items.is_empty() {
        line(out, indent);
    }
    out.push(brackets[1]);
}

fn line(out: &mut String, indent: Option<usize>) {
    if let Some(depth) = indent {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    }
}

/// A text in quotes; what could end a script in a page is escaped, as Go does.
fn quote(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}
