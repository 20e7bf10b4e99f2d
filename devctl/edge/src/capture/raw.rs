//! What the serving thread leaves behind: a few copies of bytes, made readable later and somewhere else.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::amqp::AmqpEvent;
use crate::capture::Redaction;
use crate::capture::record::{
    Body, Connection, Exchange, Outcome, Record, Request, Response, Served, Timing, TraceIds,
};
use crate::http1::Chunk;
use crate::id::{EdgeId, Protocol};
use crate::trace::TraceParent;

/// One capture, as it lies in the ring.
pub(crate) enum Raw {
    Exchange(RawExchange),
    Connection(Connection),
    Amqp(AmqpEvent),
}

/// Head and beginning of the body of one message. The head is text, in HTTP/1's form, without its secrets.
#[derive(Default)]
pub(crate) struct Saved {
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// Bytes that the body really had, its framing included.
    pub(crate) size: u64,
    /// HTTP/1: `body` has chunks.
    pub(crate) chunked: bool,
    pub(crate) truncated: bool,
}

impl Saved {
    /// A message that is all there.
    pub(crate) fn whole(head: Vec<u8>, body: Vec<u8>) -> Self {
        Self {
            head,
            size: body.len() as u64,
            body,
            ..Self::default()
        }
    }

    /// Whether the body is a gRPC message.
    pub(crate) fn is_grpc(&self) -> bool {
        const TYPE: &[u8] = b"\ncontent-type: application/grpc";
        self.head
            .windows(TYPE.len())
            .any(|part| part.eq_ignore_ascii_case(TYPE))
    }

    /// Keeps what there is still room for.
    pub(crate) fn body(&mut self, bytes: &[u8], limit: usize) {
        self.size += bytes.len() as u64;
        let room = limit.saturating_sub(self.body.len()).min(bytes.len());
        self.body.extend_from_slice(&bytes[..room]);
    }

    /// Nothing more comes: takes the framing out, and then the secrets, which chunks would hide.
    pub(crate) fn finish(&mut self, redaction: &Redaction) {
        self.truncated = self.size > self.body.len() as u64;
        if self.chunked {
            let mut plain = Vec::with_capacity(self.body.len());
            let mut chunks = Chunk::START;
            // What is no chunk was refused or broken off where it passed.
            let _ = chunks.scan(&self.body, |data| plain.extend_from_slice(data));
            self.body = plain;
        }
        redaction.body(self);
    }

    fn read(&self) -> Body {
        Body {
            size: self.size,
            truncated: self.truncated,
            data: self.body.clone(),
        }
    }
}

/// An exchange, as it lies in the ring.
pub(crate) struct RawExchange {
    pub(crate) edge: Arc<EdgeId>,
    pub(crate) protocol: Protocol,
    pub(crate) started: SystemTime,
    pub(crate) request: Saved,
    pub(crate) response: Option<Saved>,
    /// In the form of a head, without its first line.
    pub(crate) trailers: Vec<u8>,
    pub(crate) served: Served,
    pub(crate) held: Duration,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) total: Duration,
    pub(crate) trace: Option<(TraceParent, bool)>,
    pub(crate) outcome: Outcome,
    pub(crate) faults: Vec<String>,
}

impl Raw {
    pub(crate) fn edge(&self) -> &EdgeId {
        match self {
            Self::Exchange(exchange) => &exchange.edge,
            Self::Connection(connection) => &connection.edge,
            Self::Amqp(event) => &event.edge,
        }
    }

    /// About how much memory it takes.
    pub(crate) fn weight(&self) -> usize {
        let saved = |saved: &Saved| saved.head.len() + saved.body.len();
        match self {
            Self::Exchange(exchange) => {
                512 + saved(&exchange.request) + exchange.response.as_ref().map_or(0, saved) + exchange.trailers.len()
            }
            Self::Connection(_) => 512,
            Self::Amqp(event) => 512 + event.weight(),
        }
    }

    pub(crate) fn record(&self, number: u64) -> Record {
        match self {
            Self::Exchange(exchange) => Record::Exchange(Box::new(exchange.read(number))),
            Self::Connection(connection) => Record::Connection(Connection {
                number,
                ..connection.clone()
            }),
            Self::Amqp(event) => Record::Amqp(Box::new(AmqpEvent {
                number,
                ..event.clone()
            })),
        }
    }
}

impl RawExchange {
    fn read(&self, number: u64) -> Exchange {
        let (line, headers) = head(&self.request.head);
        let mut words = line.split(' ');
        let (method, uri) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let authority = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        Exchange {
            number,
            edge: EdgeId::clone(&self.edge),
            protocol: self.protocol,
            started: jiff::Timestamp::try_from(self.started).unwrap_or_default(),
            request: Request {
                method: method.to_owned(),
                uri: uri.to_owned(),
                authority: authority.map(|(_, value)| value.clone()).unwrap_or_default(),
                body: self.request.read(),
                headers,
            },
            response: self.response.as_ref().map(|saved| {
                let (line, headers) = head(&saved.head);
                let status = line.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
                Response {
                    status,
                    headers,
                    body: saved.read(),
                    trailers: lines(&self.trailers),
                }
            }),
            served: self.served,
            timing: Timing {
                held: self.held,
                first_byte: self.first_byte,
                total: self.total,
            },
            trace: self.trace.map(|(parent, made)| TraceIds {
                trace_id: format!("{:032x}", parent.trace),
                parent_id: format!("{:016x}", parent.span),
                made,
            }),
            outcome: self.outcome.clone(),
            faults: self.faults.clone(),
        }
    }
}

/// The first line of a head, and its headers.
fn head(bytes: &[u8]) -> (String, Vec<(String, String)>) {
    let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
    let (line, rest) = bytes.split_at(end);
    (String::from_utf8_lossy(line).trim_end().to_owned(), lines(rest))
}

fn lines(bytes: &[u8]) -> Vec<(String, String)> {
    let header = |line: &[u8]| {
        let colon = line.iter().position(|b| *b == b':')?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        Some((text(&line[..colon]), text(&line[colon + 1..])))
    };
    bytes.split(|b| *b == b'\n').filter_map(header).collect()
}
