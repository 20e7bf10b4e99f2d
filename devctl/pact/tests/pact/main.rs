//! What the contracts library promises, one file per promise.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod index;
mod stub;
mod stub_speed;
mod support;
mod verify;
