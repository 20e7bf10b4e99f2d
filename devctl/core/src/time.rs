//! Time as the engine is told it.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment, counted from a start that only the caller knows (the daemon's own).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(pub Duration);

impl Time {
    /// The time since `earlier`; zero where that is later.
    #[must_use]
    pub fn since(self, earlier: Time) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    fn add(self, more: Duration) -> Time {
        Time(self.0.saturating_add(more))
    }
}

impl Sub for Time {
    type Output = Duration;
    fn sub(self, earlier: Time) -> Duration {
        self.since(earlier)
    }
}

/// A duration as people read it: `43 ms`, `0.4 s`, `12 s`, `3 min 5 s`.
#[derive(Debug, Clone, Copy)]
pub struct Seconds(pub Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs_f64();
        if self.0 < Duration::from_millis(100) && self.0.subsec_millis() != 0 {
            write!(out, "{} ms", self.0.as_millis())
        } else if seconds < 10.0 && self.0.subsec_millis() != 0 {
            write!(out, "{seconds:.1} s")
        } else if seconds < 120.0 {
            write!(out, "{seconds:.0} s")
        } else {
            let whole = self.0.as_secs();
            match (whole / 3600, whole / 60 % 60, whole % 60) {
                (0, minutes, 0) => write!(out, "{minutes} min"),
                (0, minutes, rest) => write!(out, "{minutes} min {rest} s"),
                (hours, 0, _) => write!(out, "{hours} h"),
                (hours, minutes, _) => write!(out, "{hours} h {minutes} min"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_a_person_would_say_it() {
        let told = |ms| Seconds(Duration::from_millis(ms)).to_string();
        assert_eq!(told(43), "43 ms");
        assert_eq!(told(430), "0.4 s");
        assert_eq!(told(12_000), "12 s");
        assert_eq!(told(185_000), "3 min 5 s");
        assert_eq!(told(7_260_000), "2 h 1 min");
    }
}
