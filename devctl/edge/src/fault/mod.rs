//! Faults of one edge, put in and taken out while it is in use. The words are Toxiproxy's where it has one.

mod shaped;
mod shaper;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub(crate) use shaped::{Shaped, poll_send};
pub(crate) use shaper::{End, Shaper};

use crate::trace::random;

/// Something that goes wrong on purpose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// How it is named when it is taken out again; unique on its edge.
    pub name: String,
    /// What goes wrong.
    pub kind: FaultKind,
    /// Which way the bytes go that it happens to.
    #[serde(default)]
    pub stream: Stream,
    /// How many of a hundred requests (HTTP) or connections (everything else) it happens to.
    #[serde(default = "always")]
    pub percent: f64,
}

fn always() -> f64 {
    100.0
}

impl Fault {
    /// A fault that always happens, to what the provider answers, named as its kind and direction.
    pub fn new(kind: FaultKind) -> Self {
        let stream = Stream::Downstream;
        Self {
            name: format!("{}_{}", kind.word(), stream.word()),
            kind,
            stream,
            percent: always(),
        }
    }

    /// The same, for `percent` of a hundred.
    #[must_use]
    pub fn percent(mut self, percent: f64) -> Self {
        self.percent = percent.clamp(0.0, 100.0);
        self
    }

    /// The same, for what the consumer sends.
    #[must_use]
    pub fn upstream(mut self) -> Self {
        self.stream = Stream::Upstream;
        self.name = format!("{}_{}", self.kind.word(), self.stream.word());
        self
    }
}

/// A way the bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// From the consumer to the provider.
    Upstream,
    /// From the provider to the consumer.
    #[default]
    Downstream,
}

impl Stream {
    fn word(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type")]
pub enum FaultKind {
    /// Everything comes later, by `latency` give or take `jitter`. For HTTP once per message.
    Latency {
        /// How much later.
        latency: Duration,
        /// At most so much earlier or later than that.
        #[serde(default)]
        jitter: Duration,
    },
    /// No more than so many bytes in a second.
    Bandwidth {
        /// Bytes per second.
        rate: u64,
    },
    /// The connection stays open for a while after its last byte.
    SlowClose {
        /// How long.
        delay: Duration,
    },
    /// Nothing comes through; the connection is closed after the time, or never if that is zero.
    Timeout {
        /// How long the connection stays open.
        timeout: Duration,
    },
    /// The connection is reset (RST; for HTTP/2 the one stream) after the time.
    ResetPeer {
        /// How long it stays open.
        #[serde(default)]
        timeout: Duration,
    },
    /// Bytes come in small pieces.
    Slicer {
        /// Bytes of a piece.
        average_size: usize,
        /// At most so many bytes more or fewer.
        #[serde(default)]
        size_variation: usize,
        /// Time between two pieces.
        #[serde(default)]
        delay: Duration,
    },
    /// The connection is closed after so many bytes.
    LimitData {
        /// Bytes that come through.
        bytes: u64,
    },
    /// HTTP alone: this status is answered in the provider's place, for gRPC the status code that belongs to it.
    Error {
        /// An HTTP status from 400 to 599.
        status: u16,
    },
}

impl FaultKind {
    /// Toxiproxy's name for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Bandwidth { .. } => "bandwidth",
            Self::SlowClose { .. } => "slow_close",
            Self::Timeout { .. } => "timeout",
            Self::ResetPeer { .. } => "reset_peer",
            Self::Slicer { .. } => "slicer",
            Self::LimitData { .. } => "limit_data",
            Self::Error { .. } => "error",
        }
    }
}

impl Fault {
    /// Whether nothing comes through while it is in.
    fn is_wall(&self) -> bool {
        matches!(self.kind, FaultKind::Timeout { .. })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FaultKind::Latency { latency, jitter } if jitter.is_zero() => write!(f, "latency {latency:?}")?,
            FaultKind::Latency { latency, jitter } => write!(f, "latency {latency:?} ± {jitter:?}")?,
            FaultKind::Bandwidth { rate } => write!(f, "bandwidth {rate} B/s")?,
            FaultKind::SlowClose { delay } => write!(f, "slow_close {delay:?}")?,
            FaultKind::Timeout { timeout } if timeout.is_zero() => write!(f, "timeout")?,
            FaultKind::Timeout { timeout } => write!(f, "timeout {timeout:?}")?,
            FaultKind::ResetPeer { timeout } if timeout.is_zero() => write!(f, "reset_peer")?,
            FaultKind::ResetPeer { timeout } => write!(f, "reset_peer after {timeout:?}")?,
            FaultKind::Slicer { average_size, .. } => write!(f, "slicer {average_size} B")?,
            FaultKind::LimitData { bytes } => write!(f, "limit_data {bytes} B")?,
            FaultKind::Error { status } => write!(f, "error {status}")?,
        }
        if self.stream == Stream::Upstream {
            write!(f, " upstream")?;
        }
        if self.percent < 100.0 {
            write!(f, " ({} %)", self.percent)?;
        }
        Ok(())
    }
}

/// The faults of one edge. Without any, a look at one atomic is all that they cost.
#[derive(Default)]
pub(crate) struct Faults {
    any: AtomicBool,
    changed: watch::Sender<u64>,
    list: RwLock<Arc<Vec<Fault>>>,
}

impl Faults {
    /// Puts one in, in place of one with the same name.
    pub(crate) fn add(&self, fault: Fault) {
        self.change(|list| {
            list.retain(|known| known.name != fault.name);
            list.push(fault);
        });
    }

    pub(crate) fn remove(&self, name: &str) -> bool {
        let mut found = false;
        self.change(|list| {
            let before = list.len();
            list.retain(|known| known.name != name);
            found = list.len() < before;
        });
        found
    }

    pub(crate) fn clear(&self) {
        self.change(Vec::clear);
    }

    pub(crate) fn list(&self) -> Arc<Vec<Fault>> {
        Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn any(&self) -> bool {
        self.any.load(Relaxed)
    }

    /// Tells of every change of the list.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The faults that happen to one request or connection: the dice are thrown here.
    pub(crate) fn pick(&self) -> Vec<Fault> {
        if !self.any() {
            return Vec::new();
        }
        self.list()
            .iter()
            .filter(|fault| happens(fault.percent))
            .cloned()
            .collect()
    }

    /// Ends when one of `picked` that lets nothing through has been taken out: what met it will not come any more.
    pub(crate) async fn lifted(&self, picked: &[Fault]) {
        let mut changed = self.watch();
        let is_lifted = |list: &[Fault]| picked.iter().any(|fault| fault.is_wall() && !list.contains(fault));
        while picked.iter().any(Fault::is_wall) {
            if is_lifted(&self.list()) {
                return;
            }
            if changed.changed().await.is_err() {
                break;
            }
        }
        std::future::pending().await
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Fault>)) {
        let mut list = self.list.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut list));
        self.any.store(!list.is_empty(), Relaxed);
        drop(list);
        self.changed.send_modify(|version| *version += 1);
    }
}

fn happens(percent: f64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "53 bits are enough for a dice")]
    let dice = (random() >> 11) as f64 / (1u64 << 53) as f64;
    dice * 100.0 < percent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_replaces_its_namesake_and_goes_by_name() {
        let faults = Faults::default();
        let latency = |ms| FaultKind::Latency {
            latency: Duration::from_millis(ms),
            jitter: Duration::ZERO,
        };
        faults.add(Fault::new(latency(200)));
        faults.add(Fault::new(latency(300)));
        faults.add(Fault::new(FaultKind::Error { status: 503 }).percent(20.0));
        let words: Vec<String> = faults.list().iter().map(ToString::to_string).collect();
        assert_eq!(words, ["latency 300ms", "error 503 (20 %)"]);
        assert!(faults.remove("latency_downstream"));
        assert!(!faults.remove("latency_downstream"));
        assert!(faults.any());
        faults.clear();
        assert!(!faults.any());
    }

    #[test]
    fn percent_is_of_a_hundred() {
        let faults = Faults::default();
        faults.add(Fault::new(FaultKind::Error { status: 503 }).percent(20.0));
        let hit = (0..10_000).filter(|_| !faults.pick().is_empty()).count();
        assert!((1_700..2_300).contains(&hit), "{hit}");
    }
}
