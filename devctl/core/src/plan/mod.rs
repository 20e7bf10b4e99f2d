//! What a project's files mean to the engine: nodes, what each waits for, and how each is kept running.

mod build;
mod changes;
mod graph;
mod node;
pub mod reference;

pub use build::{BuildError, Facts, build, image_sources};
pub use changes::{Action, Change, changes};
pub use graph::{Cycle, Direction};
pub use node::{Condition, ContentHash, Dependency, HealthTest, Kind, NodePlan, Plan, RestartPolicy, Swap, Verify};
