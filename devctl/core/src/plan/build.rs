//! From a project's files to the engine's plan.
