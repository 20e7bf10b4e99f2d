//! Where an edge leads, and how that changes while it is in use.
//!
//! Every change makes a new generation. Whoever sends a request or opens a connection enters the current one and stays
//! in it until it is done, so that the old provider can be stopped when its generation is empty.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::stub::Stub;

/// Where an edge leads.
#[derive(Clone)]
pub enum Target {
    /// Nowhere yet: connections and requests wait.
    Hold {
        /// What they wait for, in words for a person.
        why: String,
    },
    /// To the provider, at one address or, where it has replicas, at several in turn.
    Real(Vec<SocketAddr>),
    /// To a stand-in that answers in this process. Connections that are not HTTP are closed.
    Stub(Arc<dyn Stub>),
    /// To a provider that will not come: HTTP is answered with 503, everything else closed.
    Refused {
        /// Why it will not, in words for a person.
        why: String,
    },
}

impl Target {
    /// Wait, because of `why`.
    pub fn hold(why: impl Into<String>) -> Self {
        Self::Hold { why: why.into() }
    }

    /// The provider at one address.
    pub fn real(address: SocketAddr) -> Self {
        Self::Real(vec![address])
    }

    /// Refuse, because of `why`.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into() }
    }

    /// What it is, in a form that can be shown and sent.
    pub fn info(&self) -> TargetInfo {
        match self {
            Self::Hold { why } => TargetInfo::Hold { why: why.clone() },
            Self::Real(addresses) => TargetInfo::Real {
                addresses: addresses.clone(),
            },
            Self::Stub(_) => TargetInfo::Stub,
            Self::Refused { why } => TargetInfo::Refused { why: why.clone() },
        }
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.info().fmt(f)
    }
}

/// A [`Target`] as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum TargetInfo {
    /// Requests wait.
    Hold {
        /// What for.
        why: String,
    },
    /// The provider answers.
    Real {
        /// Where it is.
        addresses: Vec<SocketAddr>,
    },
    /// A stub answers.
    Stub,
    /// Requests are refused.
    Refused {
        /// Why.
        why: String,
    },
}

/// The time from one change of the target to the next.
pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) target: Target,
    inside: AtomicUsize,
    empty: Notify,
    turn: AtomicUsize,
    /// Set when another generation has taken over: what is idle lets go, what is busy finishes.
    pub(crate) retired: CancellationToken,
    /// Set when the deadline has come: what is still busy is closed.
    pub(crate) cut: CancellationToken,
}

impl Generation {
    pub(crate) fn new(number: u64, target: Target) -> Arc<Self> {
        Arc::new(Self {
            number,
            target,
            inside: AtomicUsize::new(0),
            empty: Notify::new(),
            turn: AtomicUsize::new(0),
            retired: CancellationToken::new(),
            cut: CancellationToken::new(),
        })
    }

    /// The next replica's address, in turn.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.target {
            Target::Real(addresses) if addresses.len() > 1 => {
                Some(addresses[self.turn.fetch_add(1, SeqCst) % addresses.len()])
            }
            Target::Real(addresses) => addresses.first().copied(),
            _ => None,
        }
    }

    pub(crate) fn busy(&self) -> usize {
        self.inside.load(SeqCst)
    }
}

/// A request or connection inside a generation; leaving is dropping it.
pub(crate) struct InFlight(Arc<Generation>);

impl InFlight {
    /// Enters what is current. Entering and swapping cannot miss each other: whoever enters looks again afterwards.
    pub(crate) fn enter(current: &watch::Receiver<Arc<Generation>>) -> Self {
        loop {
            let generation = Arc::clone(&current.borrow());
            generation.inside.fetch_add(1, SeqCst);
            let entered = Self(generation);
            if current.borrow().number == entered.0.number {
                return entered;
            }
        }
    }

    pub(crate) fn generation(&self) -> &Arc<Generation> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.inside.fetch_sub(1, SeqCst) == 1 {
            self.0.empty.notify_waiters();
        }
    }
}

/// What a change of target leaves behind: the work that is still under way at the old one.
///
/// Dropping it lets that work go on for as long as it likes.
#[must_use = "the old target may be stopped once this is drained"]
pub struct Draining(pub(crate) Vec<Arc<Generation>>);

impl Draining {
    /// How many requests and connections are still at the old target.
    pub fn busy(&self) -> usize {
        self.0.iter().map(|generation| generation.busy()).sum()
    }

    /// Waits until nothing is under way at the old target, at most for `deadline`; then closes what is left, and waits
    /// until that is closed.
    pub async fn wait(self, deadline: Duration) -> Drained {
        let until = Instant::now() + deadline;
        let mut cut = 0;
        for generation in &self.0 {
            loop {
                let empty = generation.empty.notified();
                tokio::pin!(empty);
                // Registered before the look, so that the last one out is not missed.
                empty.as_mut().enable();
                if generation.busy() == 0 {
                    break;
                }
                if generation.cut.is_cancelled() {
                    empty.await;
                } else if tokio::time::timeout_at(until, empty).await.is_err() {
                    cut += generation.busy();
                    generation.cut.cancel();
                }
            }
        }
        Drained { cut }
    }
}

/// How draining ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Requests and connections that were still under way at the deadline, and were closed.
    pub cut: usize,
}
