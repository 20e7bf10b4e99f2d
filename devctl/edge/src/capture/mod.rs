//! What went over the edges: exchanges, connections and AMQP messages, bounded in number and bytes.
//!
//! The thread that serves the edges copies heads and the beginnings of bodies, secrets left out, and nothing else;
//! they become readable records only when somebody asks.

mod har;
mod raw;
mod record;
mod redact;
mod traffic;

pub use har::har;
pub use record::{Body, Connection, Exchange, Outcome, Record, Request, Response, Served, Timing, TraceIds};
pub use redact::Redaction;
pub use traffic::{CaptureLimits, Filter, Followed, Subscription, Traffic};

pub(crate) use raw::{Raw, RawExchange, Saved};
pub(crate) use redact::REDACTED;
