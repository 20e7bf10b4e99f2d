//! All edges of a project: the thread that serves them, and what they share.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::capture::{CaptureLimits, Redaction, Traffic};
use crate::edge::{Edge, EdgeStatus};
use crate::error::EdgeError;
use crate::id::EdgeId;
use crate::listener;
use crate::spec::EdgeSpec;

/// What is common to all edges.
#[derive(Debug, Clone, Default)]
pub struct EdgesConfig {
    /// How much traffic is kept; no records at all turns capturing off.
    pub capture: CaptureLimits,
    /// What is never captured.
    pub redact: Redaction,
}

/// All edges of a project.
///
/// One thread of their own serves them all: a request that stays on one core costs no wake-up of another, which on a
/// virtual machine is dearer than the request. Everything here may be called from any thread.
pub struct Edges {
    serving: Handle,
    /// Where stubs are answered: the runtime that made this.
    calling: Handle,
    traffic: Arc<Traffic>,
    open: Mutex<Option<BTreeMap<EdgeId, Edge>>>,
    /// Open, and without a name.
    aside: Mutex<Vec<Edge>>,
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl Edges {
    /// Starts the thread. Must be called within a tokio runtime: stubs answer there.
    ///
    /// # Errors
    ///
    /// If the system gives no thread or no reactor.
    pub fn new(config: EdgesConfig) -> Result<Self, EdgeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(EdgeError::Start)?;
        let calling = Handle::try_current().unwrap_or_else(|_| runtime.handle().clone());
        let (serving, stop, stopped) = (
            runtime.handle().clone(),
            CancellationToken::new(),
            CancellationToken::new(),
        );
        let (until, done) = (stop.clone(), stopped.clone().drop_guard());
        std::thread::Builder::new()
            .name("edges".into())
            .spawn(move || {
                let _done = done;
                runtime.block_on(until.cancelled());
                runtime.shutdown_background();
            })
            .map_err(EdgeError::Start)?;
        let traffic = Traffic::new(config.capture, config.redact);
        Ok(Self {
            serving,
            calling,
            traffic,
            open: Mutex::new(Some(BTreeMap::new())),
            aside: Mutex::new(Vec::new()),
            stop,
            stopped,
        })
    }

    /// Opens an edge. Until it is told its target it holds what comes.
    ///
    /// # Errors
    ///
    /// If the address cannot be bound, or an edge of this name is open.
    #[expect(
        clippy::unused_async,
        reason = "binding may come to wait, as with an address that is not there yet"
    )]
    pub async fn open(&self, spec: EdgeSpec) -> Result<Edge, EdgeError> {
        let id = spec.id.clone();
        let mut open = self.all();
        let edges = open.as_mut().ok_or_else(|| EdgeError::ShutDown(id.clone()))?;
        if edges.contains_key(&id) {
            return Err(EdgeError::Twice(id));
        }
        let (edge, listener) = {
            let _reactor = self.serving.enter();
            let (listener, address) = listener::bind(&id, spec.listen)?;
            let shared = (Arc::clone(&self.traffic), self.calling.clone());
            (
                Edge::new(id.clone(), address, spec.protocol, spec.hold, spec.allow_peers, shared),
                listener,
            )
        };
        self.serving.spawn(listener::accept(listener, Arc::clone(&edge.0)));
        edges.insert(id, edge.clone());
        Ok(edge)
    }

    /// The edge of this name, if it is open.
    pub fn get(&self, id: &EdgeId) -> Option<Edge> {
        self.all().as_ref()?.get(id).cloned()
    }

    /// Every open edge, in the order of their names.
    pub fn list(&self) -> Vec<Edge> {
        self.all().iter().flat_map(|edges| edges.values().cloned()).collect()
    }

    /// What `devctl edges` lists.
    pub fn status(&self) -> Vec<EdgeStatus> {
        self.list().iter().map(Edge::status).collect()
    }

    /// What went over the edges.
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// Closes one edge and its connections; returns when its address is free again. Whether there was one.
    pub async fn close(&self, id: &EdgeId) -> bool {
        let edge = self.all().as_mut().and_then(|edges| edges.remove(id));
        match edge {
            Some(edge) => {
                edge.close().await;
                true
            }
            None => false,
        }
    }

    /// Takes an edge's name away: it listens and leads on for whoever was told of it, and another one may have the name. The
    /// caller closes it.
    pub fn set_aside(&self, id: &EdgeId) -> Option<Edge> {
        let edge = self.all().as_mut().and_then(|edges| edges.remove(id))?;
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        aside.retain(|edge| !edge.is_closed());
        aside.push(edge.clone());
        Some(edge)
    }

    /// Where an edge of that name still listens that was set aside, if that is at `ip`.
    pub fn aside(&self, id: &EdgeId, ip: IpAddr) -> Option<SocketAddr> {
        let aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        let mut open = aside.iter().filter(|edge| edge.id() == id && !edge.is_closed());
        open.find_map(|edge| Some(edge.address()).filter(|at| at.ip() == ip))
    }

    /// Gives its name back to an edge that was set aside and still listens there.
    pub fn take_back(&self, id: &EdgeId, address: SocketAddr) -> Option<Edge> {
        let mut open = self.all();
        let edges = open.as_mut().filter(|edges| !edges.contains_key(id))?;
        let mut aside = self.aside.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |edge: &Edge| edge.id() == id && edge.address() == address && !edge.is_closed();
        let at = aside.iter().position(is_it)?;
        let edge = aside.swap_remove(at);
        edges.insert(id.clone(), edge.clone());
        Some(edge)
    }

    /// Closes every edge and ends the thread. New connections are refused at once; what is under way has until
    /// `deadline`.
    pub async fn shutdown(&self, deadline: Duration) {
        let named = self.all().take().unwrap_or_default();
        let aside = std::mem::take(&mut *self.aside.lock().unwrap_or_else(PoisonError::into_inner));
        let edges: Vec<Edge> = named.into_values().chain(aside).collect();
        for edge in &edges {
            edge.0.stop_listening();
        }
        let drained = futures::future::join_all(edges.iter().map(|edge| edge.quiesce(deadline)));
        drained.await;
        futures::future::join_all(edges.iter().map(Edge::close)).await;
        self.stop.cancel();
        self.stopped.cancelled().await;
    }

    fn all(&self) -> MutexGuard<'_, Option<BTreeMap<EdgeId, Edge>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Edges {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
