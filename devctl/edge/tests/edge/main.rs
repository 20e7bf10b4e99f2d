//! Edges with real sockets: one file per promise.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests and their helpers say what they expect by panicking"
)]

mod capture;
mod fault;
mod grpc;
mod http1;
mod http1_hold;
mod load;
mod reload;
mod stub;
mod support;
mod tcp;
