//! What is remembered of one stream while it goes on, and what becomes of it: numbers and a capture.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, request, response};
use tokio::time::Instant;

use crate::capture::{Outcome, Raw, RawExchange, Redaction, Saved, Served};
use crate::edge::Inner;
use crate::fault::Fault;
use crate::id::Protocol;
use crate::trace::TraceParent;

/// One stream.
pub(crate) struct Log {
    started: Instant,
    at: SystemTime,
    protocol: Protocol,
    trace: Option<(TraceParent, bool)>,
    capturing: bool,
    /// Lent to whoever sends the body while that goes on.
    pub(crate) request: Option<Saved>,
    response: Option<Saved>,
    trailers: Vec<u8>,
    status: u16,
    grpc: Option<u16>,
    pub(crate) held: Duration,
    first_byte: Option<Instant>,
    pub(crate) served: Served,
    faults: Vec<String>,
}

impl Log {
    /// Begins, and gives the request its trace if it has none.
    pub(crate) fn new(edge: &Inner, head: &mut request::Parts, protocol: Protocol, faults: &[Fault]) -> Self {
        let known = head
            .headers
            .get("traceparent")
            .and_then(|value| TraceParent::parse(value.as_bytes()));
        let trace = known.unwrap_or_else(TraceParent::make);
        if known.is_none()
            && let Ok(value) = http::HeaderValue::from_bytes(&trace.write())
        {
            head.headers.insert("traceparent", value);
        }
        let redaction = edge.traffic.redaction();
        let request = edge.traffic.is_on().then(|| {
            let mut saved = Saved::default();
            let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
            let line = format!("{} {} HTTP/2\r\n", head.method, redaction.uri(path));
            saved.head.extend_from_slice(line.as_bytes());
            if let Some(authority) = head.uri.authority() {
                redaction.write_header(&mut saved.head, b"host", authority.as_str().as_bytes());
            }
            write(&mut saved.head, &head.headers, &redaction);
            saved
        });
        Self {
            started: Instant::now(),
            at: SystemTime::now(),
            protocol,
            trace: Some((trace, known.is_none())),
            capturing: request.is_some(),
            request,
            response: None,
            trailers: Vec::new(),
            status: 0,
            grpc: None,
            held: Duration::ZERO,
            first_byte: None,
            served: Served::Edge,
            faults: faults.iter().map(ToString::to_string).collect(),
        }
    }

    /// Whether the answer has begun.
    pub(crate) fn is_answered(&self) -> bool {
        self.first_byte.is_some()
    }

    /// The answer's head is there.
    pub(crate) fn answered(&mut self, edge: &Inner, head: &response::Parts) {
        self.first_byte = Some(Instant::now());
        self.status = head.status.as_u16();
        self.grpc = grpc_status(&head.headers);
        if self.capturing {
            let mut saved = Saved {
                head: format!("HTTP/2 {}\r\n", self.status).into_bytes(),
                ..Saved::default()
            };
            write(&mut saved.head, &head.headers, &edge.traffic.redaction());
            self.response = Some(saved);
        }
    }

    /// A piece of the answer's body.
    pub(crate) fn answer_body(&mut self, edge: &Inner, bytes: &[u8]) {
        if let Some(saved) = &mut self.response {
            saved.body(bytes, edge.traffic.limits.body);
        }
    }

    /// What follows the answer's body.
    pub(crate) fn trailers(&mut self, edge: &Inner, trailers: &HeaderMap) {
        self.grpc = grpc_status(trailers).or(self.grpc);
        if self.response.is_some() {
            write(&mut self.trailers, trailers, &edge.traffic.redaction());
        }
    }

    /// Counts it and captures it.
    pub(crate) fn close(self, edge: &Inner, outcome: Outcome) {
        let total = self.started.elapsed();
        // The gRPC statuses that say that the provider failed, not that the caller asked for something impossible:
        // unknown, deadline exceeded, internal, unavailable, data loss.
        let status = self.status >= 500 || matches!(self.grpc, Some(2 | 4 | 13 | 14 | 15));
        let failed = status || matches!(outcome, Outcome::Failed { .. });
        if self.capturing {
            self.capture(edge, total, outcome);
        }
        // Last, so that what is counted is also captured.
        edge.stats.done(Some(total), failed);
    }

    fn capture(self, edge: &Inner, total: Duration, outcome: Outcome) {
        let (Some(mut request), mut response) = (self.request, self.response) else {
            return;
        };
        request.finish(&edge.traffic.redaction());
        if let Some(response) = &mut response {
            response.finish(&edge.traffic.redaction());
        }
        edge.traffic.push(Raw::Exchange(RawExchange {
            edge: Arc::clone(&edge.id),
            protocol: self.protocol,
            started: self.at,
            request,
            response,
            trailers: self.trailers,
            served: self.served,
            held: self.held,
            first_byte: self.first_byte.map(|then| then - self.started),
            total,
            trace: self.trace,
            outcome,
            faults: self.faults,
        }));
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn write(head: &mut Vec<u8>, headers: &HeaderMap, redaction: &Redaction) {
    for (name, value) in headers {
        redaction.write_header(head, name.as_str().as_bytes(), value.as_bytes());
    }
}
