//! Images, servers and containers' files on a real engine. Skipped, saying so, where none answers; a failure in CI.

#![expect(
    clippy::unwrap_used,
    reason = "tests and their helpers say what they expect by panicking"
)]

mod support;

mod build;
mod copy;
mod pull;
mod servers;
