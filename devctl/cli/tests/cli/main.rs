//! The command as it is typed: exit status, stdout and stderr of each verb, against a daemon that follows a script.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod contracts;
mod errors;
mod fake;
mod logs;
mod sandbox;
mod stories;
mod up;
mod usage;
mod verbs;
mod views;
mod ways;
