//! What is remembered of one exchange while it goes on, and what becomes of it: numbers and a capture.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::capture::{Outcome, Raw, RawExchange, Saved, Served};
use crate::edge::Inner;
use crate::fault::Fault;
use crate::http1::head::RequestHead;
use crate::id::Protocol;
use crate::trace::TraceParent;

/// One exchange.
pub(crate) struct Log {
    started: Instant,
    at: Option<SystemTime>,
    trace: TraceParent,
    made_trace: bool,
    pub(crate) request: Option<Saved>,
    pub(crate) response: Option<Saved>,
    pub(crate) status: u16,
    pub(crate) held: Duration,
    pub(crate) first_byte: Option<Instant>,
    pub(crate) served: Served,
    pub(crate) faults: Vec<String>,
}

impl Log {
    pub(crate) fn new(head: &mut RequestHead, faults: &[Fault]) -> Self {
        let request = head.saved.take();
        Self {
            started: Instant::now(),
            at: request.as_ref().map(|_| SystemTime::now()),
            trace: head.trace,
            made_trace: head.made_trace,
            request,
            response: None,
            status: 0,
            held: Duration::ZERO,
            first_byte: None,
            served: Served::Edge,
            faults: faults.iter().map(ToString::to_string).collect(),
        }
    }

    /// Counts it and captures it.
    pub(crate) fn close(self, edge: &Inner, outcome: Outcome) {
        let total = self.started.elapsed();
        let failed = self.status >= 500 || matches!(outcome, Outcome::Failed { .. });
        // Of a tunnel the way into it counts: it may stay open for hours.
        let took = match (self.status, self.first_byte) {
            (101, Some(first)) => first - self.started,
            _ => total,
        };
        self.capture(edge, total, outcome);
        // Last, so that what is counted is also captured.
        edge.stats.done(Some(took), failed);
    }

    fn capture(self, edge: &Inner, total: Duration, outcome: Outcome) {
        let (Some(mut request), Some(at)) = (self.request, self.at) else {
            return;
        };
        let mut response = self.response;
        request.finish(&edge.traffic.redaction());
        if let Some(response) = &mut response {
            response.finish(&edge.traffic.redaction());
        }
        edge.traffic.push(Raw::Exchange(RawExchange {
            edge: Arc::clone(&edge.id),
            protocol: Protocol::Http,
            started: at,
            request,
            response,
            trailers: Vec::new(),
            served: self.served,
            held: self.held,
            first_byte: self.first_byte.map(|then| then - self.started),
            total,
            trace: Some((self.trace, self.made_trace)),
            outcome,
            faults: self.faults,
        }));
    }
}
