//! Loads Compose files into a typed project, with the meaning that Docker Compose gives them.

mod canonical;
mod check;
mod codec;
mod defaults;
mod diagnostic;
mod dotenv;
mod extension;
mod files;
mod interpolate;
mod load;
mod merge;
pub mod model;
mod normalize;
mod options;
mod paths;
mod problem;
mod render;
mod select;
mod source;
mod tree;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use extension::extension_schema;
pub use files::{Files, MemoryFiles};
pub use interpolate::template::Variable;
pub use load::{ModelTree, load, model_tree};
pub use options::{LoadOptions, Loaded};
pub use render::Unprintable;
