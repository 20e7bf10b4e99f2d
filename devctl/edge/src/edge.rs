//! One edge, as the daemon holds it: where it leads, what goes wrong on it, what it has seen.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::capture::Traffic;
use crate::fault::{Fault, Faults};
use crate::hold::{Gate, HoldReport};
use crate::id::{EdgeId, Protocol};
use crate::spec::{Cidr, HoldLimits};
use crate::stats::{EdgeStats, Stats};
use crate::swap::{Drained, Draining, Generation, Target, TargetInfo};

/// A handle of an open edge. Clones are the same edge; dropping all of them does not close it.
#[derive(Clone)]
pub struct Edge(pub(crate) Arc<Inner>);

/// An edge, as the thread that serves it sees it.
pub(crate) struct Inner {
    pub(crate) id: Arc<EdgeId>,
    pub(crate) address: SocketAddr,
    pub(crate) protocol: Protocol,
    pub(crate) allow: Option<Cidr>,
    pub(crate) gate: Gate,
    pub(crate) stats: Stats,
    pub(crate) faults: Faults,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) calling: Handle,
    pub(crate) target: watch::Sender<Arc<Generation>>,
    /// Generations that may still be busy.
    old: Mutex<Vec<Weak<Generation>>>,
    /// No new connections.
    pub(crate) deaf: CancellationToken,
    /// No connections at all.
    pub(crate) closed: CancellationToken,
    /// The listener and every connection.
    pub(crate) tasks: TaskTracker,
    pub(crate) next_connection: AtomicU64,
}

/// An edge as it is listed.
#[derive(Debug, Clone, Serialize)]
pub struct EdgeStatus {
    /// Who calls whom.
    pub id: EdgeId,
    /// What the consumer is given.
    pub address: SocketAddr,
    /// Where it leads.
    pub target: TargetInfo,
    /// What goes wrong on purpose.
    pub faults: Vec<Fault>,
    /// What went over it.
    pub stats: EdgeStats,
    /// What waited at it.
    pub hold: HoldReport,
}

impl Edge {
    pub(crate) fn new(
        id: EdgeId,
        address: SocketAddr,
        protocol: Protocol,
        hold: HoldLimits,
        allow: Option<Cidr>,
        (traffic, calling): (Arc<Traffic>, Handle),
    ) -> Self {
        let first = Generation::new(0, Target::hold(format!("{} has not been started", id.provider)));
        Self(Arc::new(Inner {
            id: Arc::new(id),
            address,
            protocol,
            allow,
            gate: Gate::new(hold),
            stats: Stats::default(),
            faults: Faults::default(),
            traffic,
            calling,
            target: watch::Sender::new(first),
            old: Mutex::default(),
            deaf: CancellationToken::new(),
            closed: CancellationToken::new(),
            tasks: TaskTracker::new(),
            next_connection: AtomicU64::new(1),
        }))
    }

    /// Who calls whom.
    pub fn id(&self) -> &EdgeId {
        &self.0.id
    }

    /// The address that the consumer is given.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// What is spoken there, as it was opened.
    pub fn protocol(&self) -> Protocol {
        self.0.protocol
    }

    /// How much may wait, as it was opened.
    pub fn limits(&self) -> HoldLimits {
        self.0.gate.limits
    }

    /// Leads the edge somewhere else, at once: new connections, and new requests on kept-alive ones, go there. What is
    /// returned tells when the old target has nothing left to do.
    ///
    /// The same addresses once more change nothing: a plan that is made again cuts no idle connection.
    pub fn target(&self, target: Target) -> Draining {
        let mut was_holding = false;
        let holds = matches!(target, Target::Hold { .. });
        let mut target = Some(target);
        let mut old = None;
        self.0.target.send_if_modified(|current| {
            if let (Target::Real(now), Some(Target::Real(next))) = (&current.target, &target)
                && now == next
            {
                return false;
            }
            was_holding = matches!(current.target, Target::Hold { .. });
            if let Some(target) = target.take() {
                let next = Generation::new(current.number + 1, target);
                if holds && !was_holding {
                    self.0.gate.begin();
                }
                old = Some(std::mem::replace(current, next));
            }
            true
        });
        let old: Vec<_> = old.into_iter().collect();
        let mut known = self.0.old.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|generation| generation.upgrade().is_some_and(|generation| generation.busy() > 0));
        for generation in &old {
            generation.retired.cancel();
            known.push(Arc::downgrade(generation));
        }
        Draining(old)
    }

    /// Where it leads.
    pub fn current(&self) -> TargetInfo {
        self.0.target.borrow().target.info()
    }

    /// Waits until no target but the current one has anything under way; at `deadline` closes what is left there.
    pub async fn drain_old(&self, deadline: Duration) -> Drained {
        let old = {
            let known = self.0.old.lock().unwrap_or_else(PoisonError::into_inner);
            known.iter().filter_map(Weak::upgrade).collect()
        };
        Draining(old).wait(deadline).await
    }

    /// What waited here since the target last became [`Target::Hold`].
    pub fn held(&self) -> HoldReport {
        self.0.gate.report()
    }

    /// What went over it.
    pub fn stats(&self) -> EdgeStats {
        self.0.stats.read(self.0.protocol)
    }

    /// Everything that a listing shows.
    pub fn status(&self) -> EdgeStatus {
        EdgeStatus {
            id: EdgeId::clone(&self.0.id),
            address: self.0.address,
            target: self.current(),
            faults: self.faults(),
            stats: self.stats(),
            hold: self.held(),
        }
    }

    /// Puts a fault in, in place of one with the same name. Open connections meet it as well.
    pub fn add_fault(&self, fault: Fault) {
        self.0.faults.add(fault);
    }

    /// Takes a fault out; whether there was one of this name.
    pub fn remove_fault(&self, name: &str) -> bool {
        self.0.faults.remove(name)
    }

    /// Takes every fault out.
    pub fn clear_faults(&self) {
        self.0.faults.clear();
    }

    /// The faults that are in, oldest first.
    pub fn faults(&self) -> Vec<Fault> {
        self.0.faults.list().to_vec()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.is_cancelled()
    }

    /// Refuses new connections, and waits until nothing is under way; at the deadline closes what is left.
    pub(crate) async fn quiesce(&self, deadline: Duration) {
        self.0.stop_listening();
        let current = self.target(Target::refused("the edge is being closed"));
        current.wait(deadline).await;
    }

    /// Closes listener and connections, and waits until they are gone. For an edge that was set aside: one with a name is closed
    /// by it, with [`Edges::close`](crate::Edges::close).
    pub async fn close(&self) {
        self.0.deaf.cancel();
        self.0.closed.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }
}

impl Inner {
    pub(crate) fn stop_listening(&self) {
        self.deaf.cancel();
    }

    pub(crate) fn connection_number(&self) -> u64 {
        self.next_connection.fetch_add(1, Relaxed)
    }
}
