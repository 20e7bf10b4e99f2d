//! The one loop that runs a project.
