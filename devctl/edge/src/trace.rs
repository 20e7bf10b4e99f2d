//! W3C trace context: an incoming `traceparent` is kept, a missing one is made.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher};

/// A `traceparent`, version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TraceParent {
    pub(crate) trace: u128,
    pub(crate) span: u64,
}

impl TraceParent {
    /// Reads the header; what is malformed, all zero or of version ff is as good as missing.
    pub(crate) fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?.trim();
        let mut parts = text.split('-');
        let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
        let flags = parts.next()?;
        let hex = |text: &str, len: usize| {
            text.len() == len && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        if !hex(version, 2) || !hex(trace, 32) || !hex(span, 16) || !hex(flags, 2) || version == "ff" {
            return None;
        }
        let parent = Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
        };
        (parent.trace != 0 && parent.span != 0).then_some(parent)
    }

    /// A new trace, sampled.
    pub(crate) fn make() -> Self {
        Self {
            trace: u128::from(random()) << 64 | u128::from(random()),
            span: random(),
        }
    }

    /// The header's value.
    pub(crate) fn write(self) -> [u8; 55] {
        let mut out = *b"00-00000000000000000000000000000000-0000000000000000-01";
        let nibble = |value: u8| b"0123456789abcdef"[usize::from(value & 15)];
        for (at, byte) in self.trace.to_be_bytes().into_iter().enumerate() {
            out[3 + at * 2] = nibble(byte >> 4);
            out[4 + at * 2] = nibble(byte);
        }
        for (at, byte) in self.span.to_be_bytes().into_iter().enumerate() {
            out[36 + at * 2] = nibble(byte >> 4);
            out[37 + at * 2] = nibble(byte);
        }
        out
    }
}

/// A number that is random enough for ids, jitter and percentages; never zero. xorshift64*, seeded from the standard
/// library's own hash keys.
pub(crate) fn random() -> u64 {
    thread_local! {
        static STATE: Cell<u64> =
            Cell::new(std::collections::hash_map::RandomState::new().build_hasher().finish() | 1);
    }
    STATE.with(|state| {
        let mut x = state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        state.set(x);
        x.wrapping_mul(0x2545_F491_4F6C_DD1D).max(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let made = TraceParent::make();
        assert_eq!(TraceParent::parse(&made.write()), Some(made));
        assert_ne!(TraceParent::make().trace, made.trace);
    }

    #[test]
    fn what_is_malformed_is_missing() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(TraceParent::parse(good.as_bytes()).is_some());
        assert!(TraceParent::parse(good.replace("00-4", "01-4").as_bytes()).is_some());
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceParent::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
