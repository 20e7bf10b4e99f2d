//! The waiting room: who waits for a provider that is away, how many they are, and for how long they did.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::spec::HoldLimits;

/// What waited at an edge since the target last changed to [`Hold`](crate::Target::Hold).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct HoldReport {
    /// Which time it is that this edge holds: no two of them have the same number.
    pub number: u64,
    /// Waiting now.
    pub waiting: usize,
    /// Requests and connections that waited, those that wait now included.
    pub held: u64,
    /// The longest of these waits, those that go on included.
    pub longest: Duration,
    /// Refused, because too many waited or for too long.
    pub refused: u64,
    /// Gone before the provider came back.
    pub left: u64,
}

/// Why somebody may not wait, or not any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Number(usize),
    Time(Duration),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(limit) => write!(f, "{limit} requests wait already (x-devctl.edges: hold.requests)"),
            Self::Time(limit) => write!(f, "waited {limit:?} (x-devctl.edges: hold.time)"),
        }
    }
}

/// The waiting room of one edge.
pub(crate) struct Gate {
    pub(crate) limits: HoldLimits,
    number: AtomicU64,
    waiting: AtomicUsize,
    bytes: AtomicUsize,
    held: AtomicU64,
    refused: AtomicU64,
    left: AtomicU64,
    /// When those who wait came, and the longest wait of those who do not any more. Touched only while holding.
    times: Mutex<Times>,
}

#[derive(Default)]
struct Times {
    next: u64,
    since: std::collections::BTreeMap<u64, Instant>,
    longest: Duration,
}

impl Gate {
    pub(crate) fn new(limits: HoldLimits) -> Self {
        Self {
            limits,
            number: AtomicU64::new(0),
            waiting: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            held: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            left: AtomicU64::new(0),
            times: Mutex::default(),
        }
    }

    /// Lets one more wait, who keeps `bytes` in memory.
    pub(crate) fn wait(&self, bytes: usize) -> Result<Waiting<'_>, Refusal> {
        if self.waiting.fetch_add(1, Relaxed) >= self.limits.requests {
            self.waiting.fetch_sub(1, Relaxed);
            self.refused.fetch_add(1, Relaxed);
            return Err(Refusal::Number(self.limits.requests));
        }
        self.held.fetch_add(1, Relaxed);
        let since = Instant::now();
        let mut times = self.times();
        let number = times.next;
        times.next += 1;
        times.since.insert(number, since);
        drop(times);
        let waiting = Waiting {
            gate: self,
            number,
            since,
            bytes: AtomicUsize::new(0),
        };
        waiting.keep(bytes);
        Ok(waiting)
    }

    /// Forgets what was, when a new wait begins: the report is about one reload.
    pub(crate) fn begin(&self) {
        self.number.fetch_add(1, Relaxed);
        self.held.store(self.waiting.load(Relaxed) as u64, Relaxed);
        self.refused.store(0, Relaxed);
        self.left.store(0, Relaxed);
        self.times().longest = Duration::ZERO;
    }

    pub(crate) fn report(&self) -> HoldReport {
        let times = self.times();
        let now = times.since.values().next().map(Instant::elapsed).unwrap_or_default();
        HoldReport {
            number: self.number.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            held: self.held.load(Relaxed),
            longest: times.longest.max(now),
            refused: self.refused.load(Relaxed),
            left: self.left.load(Relaxed),
        }
    }

    fn times(&self) -> std::sync::MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// One who waits; the wait ends when it is dropped.
pub(crate) struct Waiting<'a> {
    gate: &'a Gate,
    number: u64,
    since: Instant,
    bytes: AtomicUsize,
}

impl Waiting<'_> {
    /// Keeps `more` bytes while waiting; whether there is room for others.
    pub(crate) fn keep(&self, more: usize) -> bool {
        self.bytes.fetch_add(more, Relaxed);
        self.gate.bytes.fetch_add(more, Relaxed) + more < self.gate.limits.bytes
    }

    pub(crate) fn until(&self) -> Instant {
        self.since + self.gate.limits.time
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// It waited for as long as anybody may.
    pub(crate) fn too_long(&self) -> Refusal {
        self.gate.refused.fetch_add(1, Relaxed);
        Refusal::Time(self.gate.limits.time)
    }

    /// The caller has gone.
    pub(crate) fn left(&self) {
        self.gate.left.fetch_add(1, Relaxed);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.gate.waiting.fetch_sub(1, Relaxed);
        self.gate.bytes.fetch_sub(self.bytes.load(Relaxed), Relaxed);
        let mut times = self.gate.times();
        times.since.remove(&self.number);
        times.longest = times.longest.max(self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_room_refuses_and_says_which_limit() {
        let gate = Gate::new(HoldLimits {
            requests: 2,
            bytes: 10,
            ..HoldLimits::default()
        });
        let one = gate.wait(4).ok().unwrap();
        let two = gate.wait(5).ok().unwrap();
        assert_eq!(gate.wait(0).err(), Some(Refusal::Number(2)));
        assert!(!two.keep(1), "the sender is not read any more");
        drop(two);
        assert!(one.keep(1));
        one.left();
        drop(one);
        let report = gate.report();
        assert_eq!((report.waiting, report.held, report.refused, report.left), (0, 2, 1, 1));
        assert!(gate.wait(0).ok().unwrap().keep(9));
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_wait_is_that_of_one_reload() {
        let gate = Gate::new(HoldLimits::default());
        let first = gate.wait(0).ok().unwrap();
        tokio::time::advance(Duration::from_millis(40)).await;
        assert_eq!(gate.report().longest, Duration::from_millis(40));
        drop(first);
        gate.begin();
        let next = HoldReport {
            number: 1,
            ..HoldReport::default()
        };
        assert_eq!(gate.report(), next);
    }
}
