//! Between the tree and the model, and from the model to text.
//!
//! [`Decode`] reads a checked tree into the model; [`Encode`] turns the model into a [`Document`], which is written as
//! JSON or YAML the way Docker Compose writes it.

mod decode;
mod document;
mod encode;
mod go_text;
mod integers;
mod json;
mod scalars;
mod units;
mod yaml;

pub(crate) use decode::{Decode, Decoder, extensions, go_print, to_json};
pub(crate) use document::{Document, Fields, Format};
pub(crate) use encode::Encode;
pub(crate) use go_text::{go_float, go_single};
pub(crate) use units::{go_bool, go_int, parse_byte_size, parse_duration, parse_float, split_words};

/// A tree as JSON text, in Go's layout.
pub(crate) fn tree_as_json(root: &crate::tree::Node) -> String {
    Document::from_node(root, Format::Json).to_json_pretty()
}

/// A tree as YAML text.
pub(crate) fn tree_as_yaml(root: &crate::tree::Node) -> String {
    Document::from_node(root, Format::Yaml).to_yaml()
}

/// `x-` attributes as a mapping's entries, in Go's order.
pub(crate) fn tree_entries(extensions: &crate::model::Extensions) -> Vec<(std::borrow::Cow<'static, str>, Document)> {
    let all = extensions
        .iter()
        .map(|(key, value)| (key.clone().into(), Document::from_json(value)));
    match Document::Map(all.collect()).sorted(Format::Yaml) {
        Document::Map(entries) => entries,
        _ => Vec::new(),
    }
}

/// Variables as YAML text.
pub(crate) fn variables_as_yaml(all: &[crate::interpolate::template::Variable]) -> String {
    let text = |text: &str| Document::Text(text.to_owned());
    let entry = |variable: &crate::interpolate::template::Variable| {
        let attributes = vec![
            ("name".into(), text(&variable.name)),
            ("defaultvalue".into(), text(&variable.default)),
            ("presencevalue".into(), text(&variable.presence)),
            ("required".into(), Document::Bool(variable.required)),
        ];
        (variable.name.clone().into(), Document::Map(attributes))
    };
    Document::Map(all.iter().map(entry).collect())
        .sorted(Format::Yaml)
        .to_yaml()
}
