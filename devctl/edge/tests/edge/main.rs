//! Edges with real sockets: one file per promise.

mod support;
mod tcp;
