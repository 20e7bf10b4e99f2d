//! From the files' words to images, for `devctl build` and `devctl pull`, which need no daemon: the same words mean the same there.

pub use devctl_core::plan::image_sources as sources;

pub use crate::specify::{build_of as build, image as name, pull_policy as policy};
