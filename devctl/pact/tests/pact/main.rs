//! What the contracts library promises, one file per promise.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by panicking")]

mod agreement;
mod cells;
mod drift;
mod graphql;
mod grpc_client;
mod grpc_mock;
mod grpc_provider;
mod grpc_replay;
mod grpc_shape;
mod index;
mod message_agreement;
mod messages;
mod postgres;
mod provider;
mod report;
mod states;
mod stub;
mod stub_speed;
mod support;
mod verify;
