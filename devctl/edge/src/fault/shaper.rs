//! When each byte of one direction of one connection may go on: latency, bandwidth, slices, and how it all ends.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::{Fault, FaultKind, Stream};
use crate::trace::random;

/// Bytes that may go on when their time has come.
pub(crate) struct Piece {
    pub(crate) due: Instant,
    pub(crate) data: Vec<u8>,
}

/// How a fault ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Closed as usual.
    Close,
    /// Reset.
    Reset,
}

/// The faults of one direction of one connection or message, and how far they have come.
pub(crate) struct Shaper {
    faults: Vec<Fault>,
    /// When the last piece goes; the next cannot overtake it.
    last: Instant,
    /// Bytes that `limit_data` still lets through.
    left: Option<u64>,
    swallow: bool,
    /// Something was swallowed.
    lost: bool,
    end: Option<(Instant, End)>,
    started: bool,
}

impl Shaper {
    pub(crate) fn new(picked: &[Fault], stream: Stream, now: Instant) -> Self {
        let faults: Vec<Fault> = picked.iter().filter(|fault| fault.stream == stream).cloned().collect();
        let mut shaper = Self {
            faults,
            last: now,
            left: None,
            swallow: false,
            lost: false,
            end: None,
            started: false,
        };
        for fault in &shaper.faults {
            match fault.kind {
                FaultKind::Timeout { timeout } => {
                    shaper.swallow = true;
                    if !timeout.is_zero() {
                        shaper.end = Some((now + timeout, End::Close));
                    }
                }
                FaultKind::ResetPeer { timeout } => {
                    shaper.swallow = true;
                    shaper.end = Some((now + timeout, End::Reset));
                }
                FaultKind::LimitData { bytes } => shaper.left = Some(bytes),
                _ => {}
            }
        }
        shaper
    }

    /// When the connection ends by itself, and how.
    pub(crate) fn end(&self) -> Option<(Instant, End)> {
        self.end
    }

    /// Whether nothing comes through any more.
    pub(crate) fn swallows(&self) -> bool {
        self.swallow
    }

    /// Whether bytes were swallowed: what comes through after them would make no sense.
    pub(crate) fn has_lost(&self) -> bool {
        self.lost
    }

    /// How much longer the connection stays open after its last byte.
    pub(crate) fn linger(&self) -> Duration {
        let delay = |fault: &Fault| match fault.kind {
            FaultKind::SlowClose { delay } => delay,
            _ => Duration::ZERO,
        };
        self.faults.iter().map(delay).sum()
    }

    /// Cuts what was read into pieces with a time each. `message` says that latency is for the first bytes alone.
    pub(crate) fn push(&mut self, mut data: &[u8], now: Instant, message: bool, out: &mut VecDeque<Piece>) {
        if self.swallow {
            self.lost |= !data.is_empty();
            return;
        }
        if let Some(left) = self.left {
            let keep = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
            self.left = Some(left - keep as u64);
            data = &data[..keep];
        }
        let mut due = now;
        if !message || !self.started {
            due += self.latency();
        }
        self.started = true;
        due = due.max(self.last);
        for (at, slice) in self.slices(data).into_iter().enumerate() {
            if at > 0 {
                due += self.pause();
            }
            // A piece that the rate lets through in a tenth of a second at most, so that it trickles and not jumps.
            let most = self
                .rate()
                .map_or(slice.len(), |rate| usize::try_from(rate / 10).unwrap_or(1).max(1));
            for part in slice.chunks(most.max(1)) {
                if let Some(rate) = self.rate() {
                    due += Duration::from_secs_f64(part.len() as f64 / rate.max(1) as f64);
                }
                out.push_back(Piece {
                    due,
                    data: part.to_vec(),
                });
            }
        }
        self.last = due;
        if self.left == Some(0) {
            self.end = Some((due, End::Close));
            self.swallow = true;
        }
    }

    /// When a message's head may go on. Its latency is used up with that.
    pub(crate) fn delay(&mut self, now: Instant) -> Instant {
        let due = if self.started { now } else { now + self.latency() };
        self.started = true;
        self.last = due;
        due
    }

    fn latency(&self) -> Duration {
        let one = |fault: &Fault| match fault.kind {
            FaultKind::Latency { latency, jitter } => {
                let spread = u64::try_from(jitter.as_nanos() * 2).unwrap_or(u64::MAX);
                let dice = if spread == 0 {
                    0
                } else {
                    random() % spread.saturating_add(1)
                };
                (latency + Duration::from_nanos(dice)).saturating_sub(jitter)
            }
            _ => Duration::ZERO,
        };
        self.faults.iter().map(one).sum()
    }

    fn rate(&self) -> Option<u64> {
        let one = |fault: &Fault| match fault.kind {
            FaultKind::Bandwidth { rate } => Some(rate.max(1)),
            _ => None,
        };
        self.faults.iter().filter_map(one).min()
    }

    fn pause(&self) -> Duration {
        let one = |fault: &Fault| match fault.kind {
            FaultKind::Slicer { delay, .. } => delay,
            _ => Duration::ZERO,
        };
        self.faults.iter().map(one).sum()
    }

    fn slices<'a>(&self, data: &'a [u8]) -> Vec<&'a [u8]> {
        let slicer = self.faults.iter().find_map(|fault| match fault.kind {
            FaultKind::Slicer {
                average_size,
                size_variation,
                ..
            } => Some((average_size.max(1), size_variation)),
            _ => None,
        });
        let Some((average, variation)) = slicer else {
            return if data.is_empty() { Vec::new() } else { vec![data] };
        };
        let (mut rest, mut slices) = (data, Vec::new());
        while !rest.is_empty() {
            let dice = usize::try_from(random() % (variation as u64 * 2 + 1)).unwrap_or(0);
            let size = (average + dice).saturating_sub(variation).clamp(1, rest.len());
            let (slice, behind) = rest.split_at(size);
            slices.push(slice);
            rest = behind;
        }
        slices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(kinds: &[FaultKind], data: &[u8]) -> (Vec<(u128, usize)>, Shaper) {
        let faults: Vec<Fault> = kinds.iter().cloned().map(Fault::new).collect();
        let now = Instant::now();
        let mut shaper = Shaper::new(&faults, Stream::Downstream, now);
        let mut out = VecDeque::new();
        shaper.push(data, now, false, &mut out);
        (
            out.iter()
                .map(|piece| ((piece.due - now).as_millis(), piece.data.len()))
                .collect(),
            shaper,
        )
    }

    #[test]
    fn bytes_come_when_the_faults_let_them() {
        let ms = Duration::from_millis;
        let latency = FaultKind::Latency {
            latency: ms(200),
            jitter: Duration::ZERO,
        };
        let slicer = FaultKind::Slicer {
            average_size: 4,
            size_variation: 0,
            delay: ms(10),
        };
        assert_eq!(shape(&[], b"abc").0, [(0, 3)]);
        assert_eq!(shape(std::slice::from_ref(&latency), b"abc").0, [(200, 3)]);
        assert_eq!(
            shape(&[latency, slicer], b"0123456789").0,
            [(200, 4), (210, 4), (220, 2)]
        );
        assert_eq!(
            shape(&[FaultKind::Bandwidth { rate: 100 }], &[0; 25]).0,
            [(100, 10), (200, 10), (250, 5)]
        );
    }

    #[test]
    fn an_end_is_told() {
        let (pieces, shaper) = shape(&[FaultKind::LimitData { bytes: 2 }], b"abc");
        assert_eq!(pieces, [(0, 2)]);
        assert_eq!(shaper.end().map(|(_, end)| end), Some(End::Close));
        let (pieces, shaper) = shape(
            &[FaultKind::ResetPeer {
                timeout: Duration::ZERO,
            }],
            b"abc",
        );
        assert!(pieces.is_empty());
        assert_eq!(shaper.end().map(|(_, end)| end), Some(End::Reset));
        let (pieces, shaper) = shape(
            &[FaultKind::Timeout {
                timeout: Duration::ZERO,
            }],
            b"abc",
        );
        assert!(pieces.is_empty() && shaper.end().is_none());
    }

    #[test]
    fn jitter_stays_within_its_bounds() {
        let jitter = FaultKind::Latency {
            latency: Duration::from_millis(20),
            jitter: Duration::from_millis(5),
        };
        for _ in 0..200 {
            let at = shape(std::slice::from_ref(&jitter), b"a").0[0].0;
            assert!((15..=25).contains(&at), "{at}");
        }
    }
}
