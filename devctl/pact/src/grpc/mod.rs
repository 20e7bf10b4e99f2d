//! gRPC: calls promised in pacts of the shape that the Pact protobuf plugin writes, without the plugin.
//!
//! * [`proto`]: descriptors, from `.proto` files or from a pact.
//! * [`call`]: one promised call.
//! * [`client`]: makes calls; [`verify::grpc`](crate::verify::grpc) replays promised ones with it.
//! * [`check`]: whether a pact has the shape that other tools read.
//! * [`answer`]: chooses among what contracts allow.
//! * [`mock`]: a server for consumer tests, which writes the pact.
//!
//! # The shape
//!
//! As found in pacts that the plugin (0.1 to 0.6) has written:
//!
//! * An interaction has the type `Synchronous/Messages` and the transport `grpc`. `pluginConfiguration.protobuf` holds
//!   `service`, which is `.package.Service/Method` (older: `Service/Method`, without package), and `descriptorKey`.
//! * `request.contents` and each of `response[].contents` hold the encoded message: `content` in base64, `encoded:
//!   base64`, `contentType: application/protobuf;message=.package.Message`, `contentTypeHint: BINARY`. `metadata` holds
//!   the call's metadata and again the `contentType`. Rules and generators stand under `body` and `metadata`, by paths
//!   of field names.
//! * A status other than `OK` stands in the response's metadata: `grpc-status: NOT_FOUND`, `grpc-message`.
//! * The descriptors are a `FileDescriptorSet`, imports included, in base64 under
//!   `metadata.plugins[name=protobuf].configuration.<descriptorKey>.protoDescriptors`; `protoFile` is their text.
//! * A field that was not sent is taken to have its default, since proto3 sends no defaults; a provider may send more
//!   fields than were promised, a consumer may not.
//!
//! The plugin knows no streams. Here a server's stream is several entries in `response`, in their order, the last of
//! which may be a status alone.

pub mod answer;
pub mod call;
pub mod check;
pub mod client;
mod expression;
mod frame;
mod generate;
pub(crate) mod json;
pub(crate) mod matching;
pub mod mock;
pub mod proto;
mod shape;
pub mod status;
mod unknown;
pub(crate) mod versions;

pub use answer::Answer;
pub use call::{Call, CallError, is_call};
pub use expression::ShapeError;
pub use proto::{Proto, ProtoError};
pub use status::Code;
