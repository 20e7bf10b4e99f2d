//! HTTP/1: heads are read, bodies only measured, and the bytes go on as they came.
//!
//! A consumer's connection has at most one connection to the provider, used for one request after the other. So there
//! is no pool to take from, no head to put together anew, and what the provider does to its connection (close, reset,
//! upgrade) happens to the consumer as it would without an edge.

mod answer;
mod flow;
mod framing;
mod head;
mod lead;
mod log;
mod serve;
mod settle;
mod stub;

pub(crate) use framing::Chunk;
pub(crate) use serve::serve;
