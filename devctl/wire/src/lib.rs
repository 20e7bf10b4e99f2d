//! The daemon's gRPC API, its only serialised types, and how a client finds it.
//!
//! One daemon serves one project at a unix socket of mode 0600. A client says [`v1::HelloRequest`] first: a daemon of
//! another version is never asked for more (see [`connect`]).

mod connect;

pub use connect::{Client, ConnectError, connect};

/// The version that client and daemon compare.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Generated from `proto/devctl/v1/devctl.proto`; its comments are the documentation.
#[expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::large_enum_variant,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("devctl.v1");
}
