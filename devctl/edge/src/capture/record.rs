//! A captured exchange as it is shown, stored and sent.

use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine;
use serde::Serialize;

use crate::amqp::AmqpEvent;
use crate::id::{EdgeId, Protocol};

/// One thing that was seen on an edge.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "lowercase", tag = "record")]
pub enum Record {
    /// An HTTP request and its answer.
    Exchange(Box<Exchange>),
    /// A connection that was passed through, once it has ended.
    Connection(Connection),
    /// Something that happened in an AMQP connection.
    Amqp(Box<AmqpEvent>),
}

impl Record {
    /// Its place in the order of everything that was captured; never used twice.
    pub fn number(&self) -> u64 {
        match self {
            Self::Exchange(exchange) => exchange.number,
            Self::Connection(connection) => connection.number,
            Self::Amqp(event) => event.number,
        }
    }

    /// Where it was seen.
    pub fn edge(&self) -> &EdgeId {
        match self {
            Self::Exchange(exchange) => &exchange.edge,
            Self::Connection(connection) => &connection.edge,
            Self::Amqp(event) => &event.edge,
        }
    }
}

/// A request and its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Exchange {
    /// Its place in the order of everything that was captured.
    pub number: u64,
    /// Who called whom.
    pub edge: EdgeId,
    /// `http`, `http2` or `grpc`.
    pub protocol: Protocol,
    /// When the request's head had arrived.
    pub started: jiff::Timestamp,
    /// What was asked.
    pub request: Request,
    /// What was answered; missing if nothing was.
    pub response: Option<Response>,
    /// Who answered.
    pub served: Served,
    /// How long it took.
    pub timing: Timing,
    /// The trace that it belongs to.
    pub trace: Option<TraceIds>,
    /// How it ended.
    pub outcome: Outcome,
    /// The faults that it met, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// The request of an [`Exchange`].
#[derive(Debug, Clone, Serialize)]
pub struct Request {
    /// `GET` and so on.
    pub method: String,
    /// Path and query, as sent.
    pub uri: String,
    /// The host that the consumer named: `Host` or `:authority`.
    pub authority: String,
    /// In the order in which they were sent; secrets are replaced by `[redacted]`.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body.
    pub body: Body,
}

/// The answer of an [`Exchange`].
#[derive(Debug, Clone, Serialize)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// In the order in which they were sent; secrets are replaced by `[redacted]`.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body.
    pub body: Body,
    /// What followed the body (HTTP/2 alone).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<(String, String)>,
}

impl Response {
    /// The gRPC status, from the trailers or, if there was no body, the headers.
    pub fn grpc_status(&self) -> Option<u16> {
        let mut all = self.trailers.iter().chain(&self.headers);
        all.find(|(name, _)| name == "grpc-status")
            .and_then(|(_, value)| value.parse().ok())
    }
}

/// The beginning of a body.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Body {
    /// How many bytes it had on the wire, captured or not; of a chunked body the framing is counted too.
    pub size: u64,
    /// Whether there was more than was captured.
    pub truncated: bool,
    /// The bytes; in JSON as `text` where they are UTF-8, as `base64` otherwise.
    #[serde(flatten, serialize_with = "text_or_base64")]
    pub data: Vec<u8>,
}

impl Body {
    /// The bytes as text, if they are that.
    pub fn text(&self) -> Option<&str> {
        match std::str::from_utf8(&self.data) {
            Ok(text) => Some(text),
            // A character that was cut off at the end does not make the rest unreadable.
            Err(error) if self.truncated && error.error_len().is_none() => {
                std::str::from_utf8(&self.data[..error.valid_up_to()]).ok()
            }
            Err(_) => None,
        }
    }
}

fn text_or_base64<S: serde::Serializer>(data: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeMap;
    let mut map = serializer.serialize_map(Some(1))?;
    match std::str::from_utf8(data) {
        Ok(text) => map.serialize_entry("text", text)?,
        Err(_) => map.serialize_entry("base64", &base64::engine::general_purpose::STANDARD.encode(data))?,
    }
    map.end()
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "by")]
pub enum Served {
    /// The provider, at this address.
    Provider {
        /// Where it is.
        address: SocketAddr,
    },
    /// A stub.
    Stub,
    /// The edge itself: a refusal, or an error fault.
    Edge,
}

/// How long the parts of an exchange took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Timing {
    /// Waited for a provider that was away.
    pub held: Duration,
    /// From the request's head to the first byte of the answer, the wait included.
    pub first_byte: Option<Duration>,
    /// From the request's head to the last byte of the answer.
    pub total: Duration,
}

/// The ids of a trace, in hexadecimal digits as W3C trace context writes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceIds {
    /// 32 digits.
    pub trace_id: String,
    /// 16 digits: the span that called.
    pub parent_id: String,
    /// Whether the caller sent none, so that the edge made them.
    pub made: bool,
}

/// How an exchange or a connection ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "how")]
pub enum Outcome {
    /// With a whole answer.
    Done,
    /// The caller went away before the answer was whole.
    Left,
    /// The provider did not answer, or not to the end.
    Failed {
        /// Why, in words for a person.
        why: String,
    },
}

/// A connection that was passed through.
#[derive(Debug, Clone, Serialize)]
pub struct Connection {
    /// Its place in the order of everything that was captured.
    pub number: u64,
    /// Who called whom.
    pub edge: EdgeId,
    /// What was spoken, as far as the first bytes told.
    pub protocol: Protocol,
    /// When it was accepted.
    pub started: jiff::Timestamp,
    /// Where the provider is, if it was reached.
    pub address: Option<SocketAddr>,
    /// Bytes from the consumer to the provider.
    pub bytes_out: u64,
    /// Bytes from the provider to the consumer.
    pub bytes_in: u64,
    /// How long it waited, and lasted.
    pub timing: Timing,
    /// How it ended.
    pub outcome: Outcome,
}
