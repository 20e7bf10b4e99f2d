//! From a file's text to trees: parsing, `!reset` and `!override`, aliases, merge keys, scalars as go-yaml resolves them.
//!
//! A file is parsed into a [graph](graph::Graph) (nodes as written, aliases as references). [`Resets`] takes the tagged nodes out of
//! it and remembers their paths; what is left is built into a [`Node`].

mod anchors;
mod build;
mod graph;
mod reset;
mod scalar;
mod timestamp;

pub(crate) use reset::Resets;

use crate::problem::{Problems, Reported};
use crate::tree::{Node, Value};

/// How deep values may be nested.
pub(crate) const MAX_DEPTH: usize = 256;

/// One document of a file.
#[derive(Clone)]
pub(crate) struct Document {
    pub(crate) root: Node,
    /// The project's name: Compose reads it before it takes out what is to be reset.
    pub(crate) name: Option<Node>,
    pub(crate) resets: Resets,
}

/// Reads every document of a text.
pub(crate) fn read(text: &str, source: u32, problems: &mut Problems) -> Result<Vec<Document>, Reported> {
    let mut documents = Vec::new();
    for mut graph in graph::parse(text, source, problems)? {
        let reset = reset::name(&graph);
        let resets = reset::resolve(&mut graph, problems)?;
        let root = build::build(&graph, problems)?;
        let name = reset.or_else(|| root.get("name").cloned());
        documents.push(Document { root, name, resets });
    }
    Ok(documents)
}

/// Whether a text without quotes would be read as something else than a text.
pub(crate) fn is_other_than_text(text: &str) -> bool {
    !matches!(scalar::resolve(None, text, true), Ok(crate::tree::Value::Text(_)))
}

/// The project's name as a file's documents give it: the last one that is not empty.
pub(crate) fn name(documents: &[Document], first_only: bool) -> Option<&Node> {
    let count = if first_only { 1 } else { usize::MAX };
    let mut names = documents
        .iter()
        .take(count)
        .filter_map(|document| document.name.as_ref());
    let empty = |node: &&Node| node.is_null() || node.as_text() == Some("");
    names.rfind(|node| is_name(node) && !empty(node))
}

/// Whether a value can be a name at all, or none.
pub(crate) fn is_name(node: &Node) -> bool {
    !matches!(node.value, Value::Time(_) | Value::List(_) | Value::Map(_))
}
