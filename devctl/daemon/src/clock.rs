//! The one place that reads a clock for the engine.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use devctl_core::Time;

/// Turns the machine's clocks into the engine's time and back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
    wall: SystemTime,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            start: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    pub(crate) fn now(&self) -> Time {
        Time(self.start.elapsed())
    }

    pub(crate) fn instant(&self, at: Time) -> tokio::time::Instant {
        (self.start + at.0).into()
    }

    /// Milliseconds since 1970.
    pub(crate) fn unix_ms(&self, at: Time) -> i64 {
        let since = (self.wall + at.0).duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}
