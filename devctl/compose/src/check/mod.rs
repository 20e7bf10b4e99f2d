//! What is refused: by the table of the specification, by rules between attributes, by references that lead nowhere.

pub(crate) mod consistency;
mod graph;
pub(crate) mod rules;
pub(crate) mod schema;
