//! Counters of one edge. They are written on the edges' thread and read from anywhere, so they are relaxed atomics.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::Serialize;

use crate::id::Protocol;

/// What went over an edge since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EdgeStats {
    /// What is spoken: as configured or, for `auto`, as last seen.
    pub protocol: Protocol,
    /// Requests that ended; for protocols that are passed through, connections.
    pub requests: u64,
    /// Those of them that were answered with a 5xx or a failing gRPC status, or not at all.
    pub errors: u64,
    /// Half of the answers came within this time, first byte of the request to last byte of the answer. Connections
    /// that are passed through have no such time.
    pub p50: Option<Duration>,
    /// 99 of 100 answers came within this time.
    pub p99: Option<Duration>,
    /// Bytes from the consumer to the provider.
    pub bytes_out: u64,
    /// Bytes from the provider to the consumer.
    pub bytes_in: u64,
    /// Connections that are open now.
    pub open: u64,
    /// Connections that were accepted.
    pub connections: u64,
}

#[derive(Default)]
pub(crate) struct Stats {
    pub(crate) requests: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) connections: AtomicU64,
    seen: AtomicU8,
    times: Histogram,
}

const SEEN: [Protocol; 8] = [
    Protocol::Auto,
    Protocol::Http,
    Protocol::Http2,
    Protocol::Grpc,
    Protocol::Tcp,
    Protocol::Amqp,
    Protocol::Postgres,
    Protocol::Tls,
];

impl Stats {
    pub(crate) fn see(&self, protocol: Protocol) {
        let at = SEEN.iter().position(|known| *known == protocol).unwrap_or(0);
        self.seen.store(u8::try_from(at).unwrap_or(0), Relaxed);
    }

    /// Something ended; how long it took counts where it was an answer.
    pub(crate) fn done(&self, took: Option<Duration>, failed: bool) {
        self.requests.fetch_add(1, Relaxed);
        if failed {
            self.errors.fetch_add(1, Relaxed);
        }
        if let Some(took) = took {
            self.times.add(took);
        }
    }

    pub(crate) fn read(&self, configured: Protocol) -> EdgeStats {
        let seen = SEEN[usize::from(self.seen.load(Relaxed)) % SEEN.len()];
        EdgeStats {
            protocol: if seen == Protocol::Auto { configured } else { seen },
            requests: self.requests.load(Relaxed),
            errors: self.errors.load(Relaxed),
            p50: self.times.quantile(0.50),
            p99: self.times.quantile(0.99),
            bytes_out: self.bytes_out.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            open: self.open.load(Relaxed),
            connections: self.connections.load(Relaxed),
        }
    }
}

/// Times in buckets that grow with what they hold: every power of two of microseconds is cut in 16, so a quantile is
/// right to about 6 %, from a microsecond to an hour, in 4 KiB.
struct Histogram([AtomicU64; BUCKETS]);

const CUT: u32 = 4;
const BUCKETS: usize = 30 << CUT;

impl Default for Histogram {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Histogram {
    fn add(&self, took: Duration) {
        self.0[Self::bucket(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))].fetch_add(1, Relaxed);
    }

    fn bucket(micros: u64) -> usize {
        if micros < 1 << CUT {
            return usize::try_from(micros).unwrap_or(0);
        }
        let power = micros.ilog2();
        let within = (micros >> (power - CUT)) & ((1 << CUT) - 1);
        let at = (u64::from(power - CUT + 1) << CUT) + within;
        usize::try_from(at).unwrap_or(BUCKETS).min(BUCKETS - 1)
    }

    /// The middle of a bucket.
    fn value(bucket: usize) -> u64 {
        let bucket = bucket as u64;
        let (block, within) = (bucket >> CUT, bucket & ((1 << CUT) - 1));
        if block == 0 {
            return within;
        }
        let step = 1u64 << (block - 1);
        ((1 << CUT) + within) * step + step / 2
    }

    fn quantile(&self, part: f64) -> Option<Duration> {
        let counts: Vec<u64> = self.0.iter().map(|count| count.load(Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a count"
        )]
        let wanted = ((all as f64 * part).ceil() as u64).max(1);
        let mut below = 0;
        let found = counts.iter().position(|count| {
            below += count;
            below >= wanted
        })?;
        Some(Duration::from_micros(Self::value(found)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_six_percent() {
        let times = Histogram::default();
        assert_eq!(times.quantile(0.5), None);
        for micros in 1..=100_000 {
            times.add(Duration::from_micros(micros));
        }
        for (part, want) in [(0.5, 50_000.0), (0.99, 99_000.0), (0.001, 100.0)] {
            let got = times.quantile(part).unwrap().as_secs_f64() * 1e6;
            assert!((got / want - 1.0).abs() < 0.06, "{part}: {got} for {want}");
        }
    }

    #[test]
    fn no_time_is_outside() {
        let times = Histogram::default();
        times.add(Duration::MAX);
        times.add(Duration::ZERO);
        assert_eq!(times.quantile(0.5), Some(Duration::ZERO));
        assert!(times.quantile(1.0).unwrap() > Duration::from_secs(3600));
    }
}
