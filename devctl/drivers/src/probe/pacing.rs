//! When to test next, and when to give up. Pure: it is told the time that has passed.
//!
//! Compose paces by `interval` alone (30 s unless the file says otherwise), so a service that is ready after 0.2 s is noticed
//! late. Here tests come often at first and then ever more slowly, up to the interval; and failure is a budget of *time*,
//! `start_period + interval x retries`, so that the extra tests use up nothing.

use std::time::Duration;

/// A Compose health check's own numbers, with Compose's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Between two tests of a healthy service. Default 30 s.
    pub interval: Duration,
    /// Of one test. Default 30 s.
    pub timeout: Duration,
    /// Failures in a row that make it unhealthy. Default 3.
    pub retries: u32,
    /// Failures within that time do not count. Default 0.
    pub start_period: Duration,
    /// Between two tests within the start period. Default 5 s.
    pub start_interval: Duration,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(30),
            retries: 3,
            start_period: Duration::ZERO,
            start_interval: Duration::from_secs(5),
        }
    }
}

/// How tests of a node that is not ready yet follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// The first delay. 20 ms.
    pub first: Duration,
    /// Each delay is this many percent of the one before. 150.
    pub growth_percent: u32,
    /// No delay is longer: the interval, but never more than a second.
    pub cap: Duration,
    /// How long it may stay unready: `start_period + interval x retries`.
    pub budget: Duration,
}

impl Pacing {
    /// The pacing that a health check asks for.
    pub fn of(health: &Health) -> Self {
        let interval = if health.start_period > Duration::ZERO {
            health.interval.min(health.start_interval)
        } else {
            health.interval
        };
        Self {
            first: Duration::from_millis(20),
            growth_percent: 150,
            cap: interval.min(Duration::from_secs(1)),
            budget: health.start_period + health.interval * health.retries.max(1),
        }
    }

    /// Whether a node that has been unready for that long has failed.
    pub fn is_spent(&self, unready_for: Duration) -> bool {
        unready_for >= self.budget
    }

    /// A fresh series of delays.
    pub fn pacer(&self) -> Pacer {
        Pacer {
            next: self.first.min(self.cap),
            pacing: *self,
        }
    }
}

/// One series of delays.
#[derive(Clone, Debug)]
pub struct Pacer {
    pacing: Pacing,
    next: Duration,
}

impl Pacer {
    /// How long to wait before the next test.
    pub fn delay(&mut self) -> Duration {
        let now = self.next;
        self.next = (now * self.pacing.growth_percent / 100).min(self.pacing.cap);
        now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_from_20_ms_to_one_second_whatever_the_interval() {
        let mut pacer = Pacing::of(&Health::default()).pacer();
        let delays: Vec<u128> = (0..12).map(|_| pacer.delay().as_millis()).collect();
        assert_eq!(delays, [20, 30, 45, 67, 101, 151, 227, 341, 512, 768, 1000, 1000]);
    }

    #[test]
    fn a_short_interval_is_kept() {
        let health = Health {
            interval: Duration::from_millis(10),
            ..Health::default()
        };
        assert_eq!(Pacing::of(&health).pacer().delay(), Duration::from_millis(10));
    }

    #[test]
    fn failure_is_a_budget_of_time_not_of_tests() {
        let health = Health {
            interval: Duration::from_secs(5),
            retries: 4,
            start_period: Duration::from_secs(10),
            ..Health::default()
        };
        let pacing = Pacing::of(&health);
        assert!(!pacing.is_spent(Duration::from_millis(29_999)));
        assert!(pacing.is_spent(Duration::from_secs(30)));
    }
}
