//! The ring of captures and those who follow it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use tokio::sync::mpsc;

use crate::capture::{Raw, Record, Redaction};
use crate::id::EdgeId;

/// Records that a follower may be behind before it misses some.
const BEHIND: usize = 8192;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureLimits {
    /// Records.
    pub records: usize,
    /// Bytes of all of them.
    pub bytes: usize,
    /// Bytes of one body.
    pub body: usize,
}

impl Default for CaptureLimits {
    fn default() -> Self {
        Self {
            records: 5_000,
            bytes: 64 << 20,
            body: 16 << 10,
        }
    }
}

/// Which records somebody wants; what is `None` does not matter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this consumer.
    pub consumer: Option<String>,
    /// Of this provider.
    pub provider: Option<String>,
    /// Of this port of the provider.
    pub port: Option<u16>,
    /// After this number: a client that comes back goes on where it was.
    pub after: Option<u64>,
}

impl Filter {
    /// Everything on one edge.
    pub fn edge(id: &EdgeId) -> Self {
        Self {
            consumer: Some(id.consumer.clone()),
            provider: Some(id.provider.clone()),
            port: Some(id.port),
            after: None,
        }
    }

    fn wants(&self, number: u64, edge: &EdgeId) -> bool {
        self.consumer.as_ref().is_none_or(|wanted| *wanted == edge.consumer)
            && self.provider.as_ref().is_none_or(|wanted| *wanted == edge.provider)
            && self.port.is_none_or(|wanted| wanted == edge.port)
            && self.after.is_none_or(|after| number > after)
    }
}

/// Everything that was captured on all edges, as far as it is still kept.
pub struct Traffic {
    pub(crate) limits: CaptureLimits,
    redaction: RwLock<Arc<Redaction>>,
    on: AtomicBool,
    ring: Mutex<Ring>,
    followers: RwLock<Vec<Weak<Follower>>>,
}

#[derive(Default)]
struct Ring {
    /// The number of the first record of `kept`.
    first: u64,
    kept: VecDeque<Arc<Raw>>,
    bytes: usize,
}

struct Follower {
    filter: Filter,
    to: mpsc::Sender<(u64, Arc<Raw>)>,
    missed: AtomicU64,
}

impl Traffic {
    pub(crate) fn new(limits: CaptureLimits, redaction: Redaction) -> Arc<Self> {
        Arc::new(Self {
            limits,
            redaction: RwLock::new(Arc::new(redaction)),
            on: AtomicBool::new(limits.records > 0),
            ring: Mutex::new(Ring {
                first: 1,
                ..Ring::default()
            }),
            followers: RwLock::default(),
        })
    }

    /// Captures, or not: what is kept stays.
    pub fn capture(&self, on: bool) {
        self.on.store(on, Relaxed);
    }

    /// Leaves out what `redaction` names from now on. What was captured under other rules is forgotten: it may hold what
    /// must not be shown any more.
    pub fn redact(&self, redaction: Redaction) {
        let mut rules = self.redaction.write().unwrap_or_else(PoisonError::into_inner);
        if **rules == redaction {
            return;
        }
        *rules = Arc::new(redaction);
        drop(rules);
        let mut ring = self.ring();
        ring.first += ring.kept.len() as u64;
        ring.kept.clear();
        ring.bytes = 0;
    }

    /// What is left out now.
    pub(crate) fn redaction(&self) -> Arc<Redaction> {
        Arc::clone(&self.redaction.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }

    pub(crate) fn push(&self, raw: Raw) {
        if !self.is_on() {
            return;
        }
        let raw = Arc::new(raw);
        let mut ring = self.ring();
        let number = ring.first + ring.kept.len() as u64;
        ring.bytes += raw.weight();
        ring.kept.push_back(Arc::clone(&raw));
        while ring.kept.len() > self.limits.records || ring.bytes > self.limits.bytes {
            let Some(old) = ring.kept.pop_front() else { break };
            ring.bytes -= old.weight();
            ring.first += 1;
        }
        // Told while the ring is locked, so that a new follower misses nothing and gets nothing twice.
        for follower in self
            .followers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter_map(Weak::upgrade)
        {
            if follower.filter.wants(number, raw.edge()) && follower.to.try_send((number, Arc::clone(&raw))).is_err() {
                follower.missed.fetch_add(1, Relaxed);
            }
        }
    }

    /// The last `most` of the records that are wanted, oldest first.
    pub fn records(&self, filter: &Filter, most: usize) -> Vec<Record> {
        let found = self.ring().wanted(filter, most);
        found.into_iter().map(|(number, raw)| raw.record(number)).collect()
    }

    /// What is kept of the records that are wanted, and all that come.
    pub fn follow(&self, filter: Filter) -> Subscription {
        let (to, from) = mpsc::channel(BEHIND);
        let follower = Arc::new(Follower {
            filter: filter.clone(),
            to,
            missed: AtomicU64::new(0),
        });
        let ring = self.ring();
        let kept = if filter.after.is_some() {
            ring.wanted(&filter, usize::MAX)
        } else {
            Vec::new()
        };
        let mut followers = self.followers.write().unwrap_or_else(PoisonError::into_inner);
        followers.retain(|known| known.strong_count() > 0);
        followers.push(Arc::downgrade(&follower));
        Subscription {
            kept: kept.into(),
            from,
            follower,
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn wanted(&self, filter: &Filter, most: usize) -> Vec<(u64, Arc<Raw>)> {
        let numbered = (self.first..).zip(&self.kept);
        let wanted = numbered.filter(|(number, raw)| filter.wants(*number, raw.edge()));
        let mut found: Vec<_> = wanted.map(|(number, raw)| (number, Arc::clone(raw))).collect();
        let skip = found.len().saturating_sub(most);
        found.drain(..skip);
        found
    }
}

/// Follows what is captured. With [`Filter::after`] it begins with what is kept behind that number, otherwise with
/// the next record.
pub struct Subscription {
    kept: VecDeque<(u64, Arc<Raw>)>,
    from: mpsc::Receiver<(u64, Arc<Raw>)>,
    follower: Arc<Follower>,
}

/// What a [`Subscription`] yields.
#[derive(Debug)]
pub enum Followed {
    /// The next record.
    Record(Record),
    /// So many records were missed, because they came faster than they were taken.
    Missed(u64),
}

impl Subscription {
    /// The next record; `None` when the edges are gone.
    pub async fn next(&mut self) -> Option<Followed> {
        if let Some((number, raw)) = self.kept.pop_front() {
            return Some(Followed::Record(raw.record(number)));
        }
        if self.from.is_empty() {
            let missed = self.follower.missed.swap(0, Relaxed);
            if missed > 0 {
                return Some(Followed::Missed(missed));
            }
        }
        let (number, raw) = self.from.recv().await?;
        Some(Followed::Record(raw.record(number)))
    }
}
