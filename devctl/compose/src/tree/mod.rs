//! The tree that every stage works on: YAML values that remember where they were written.

mod node;
mod path;

pub(crate) use node::{Entry, Map, Node, Span, Timestamp, Value};
pub(crate) use path::Path;
