//! The daemon's gRPC API.
