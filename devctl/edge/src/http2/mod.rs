//! HTTP/2 by prior knowledge, gRPC above all: streams go on one by one, so that each of them can be held, answered by
//! a stub, or led to a new run while the consumer's connection stays.

mod answer;
mod body;
mod log;
mod prefixed;
mod provider;
mod serve;
mod stream;
mod stub;

pub(crate) use serve::serve;
