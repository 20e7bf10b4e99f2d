//! A listener per consumer and provider: hold, swap, faults, capture.
//!
//! An [`Edge`] is one consumer's way to one port of one provider. The consumer is given the edge's address instead of
//! the provider's, so that whoever listens knows who calls whom without looking at a header, and can change what
//! answers while the consumer goes on.
//!
//! ```no_run
//! # async fn example() -> Result<(), devctl_edge::EdgeError> {
//! use devctl_edge::{EdgeId, EdgeSpec, Edges, EdgesConfig, Target};
//! use std::{net::SocketAddr, time::Duration};
//!
//! let edges = Edges::new(EdgesConfig::default())?;
//! let listen: SocketAddr = ([127, 0, 0, 1], 0).into();
//! let edge = edges.open(EdgeSpec::new(EdgeId::new("api", "billing", 8080), listen)).await?;
//! // Requests to `edge.address()` wait until billing is there.
//! let billing: SocketAddr = ([127, 0, 0, 1], 41080).into();
//! let _nothing_before = edge.target(Target::real(billing));
//! // Another run is ready: turn the edge, let the old run finish what it has begun, then stop it.
//! let old = edge.target(Target::real(([127, 0, 0, 1], 41081).into()));
//! old.wait(Duration::from_secs(10)).await;
//! # Ok(())
//! # }
//! ```
//!
//! The crate knows nothing of projects, containers and contracts: the daemon tells it addresses, and a stub is a
//! [`Stub`] that somebody else implements.

mod admit;
mod amqp;
mod buffer;
mod capture;
mod connection;
mod detect;
mod edge;
mod edges;
mod error;
mod fault;
mod hold;
mod http1;
mod http2;
mod id;
mod listener;
mod recording;
mod relay;
mod spec;
mod stats;
mod stub;
mod swap;
mod tcp;
mod trace;

pub use amqp::{AmqpEvent, AmqpWhat, MessageInfo, Settled, Side};
pub use capture::{
    Body, CaptureLimits, Connection, Exchange, Filter, Followed, Outcome, Record, Redaction, Request, Response, Served,
    Subscription, Timing, TraceIds, Traffic, har,
};
pub use edge::{Edge, EdgeStatus};
pub use edges::{Edges, EdgesConfig};
pub use error::EdgeError;
pub use fault::{Fault, FaultKind, Stream};
pub use hold::HoldReport;
pub use id::{EdgeId, Protocol};
pub use recording::Recording;
pub use spec::{Cidr, CidrError, EdgeSpec, HoldLimits, Listen};
pub use stats::EdgeStats;
pub use stub::{Incoming, Part, Stub, StubBody};
pub use swap::{Drained, Draining, Target, TargetInfo};
