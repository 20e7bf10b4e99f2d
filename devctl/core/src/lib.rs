//! The plan and the engine of devctl.
//!
//! Pure: no clock, no files, no environment, no tasks. [`plan`] says what a project's files mean as nodes and
//! dependencies; [`engine`] is told what happened and what time it is, and returns what to do. The daemon is the one
//! place that does it.

pub mod engine;
mod id;
pub mod plan;
mod time;

pub use id::NodeId;
pub use time::{Seconds, Time};
