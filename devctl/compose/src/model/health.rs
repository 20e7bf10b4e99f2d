//! Health: `services.NAME.healthcheck`.

use std::time::Duration;

use super::record::record;

record! {
    /// How a container's health is found out.
    pub struct Healthcheck {
        /// `CMD` and arguments, `CMD-SHELL` and a line, or `NONE`.
        test: Vec<String> [test],
        /// How long one attempt may take; Docker's default is 30 s.
        timeout: Option<Duration>,
        /// Pause between attempts; Docker's default is 30 s.
        interval: Option<Duration>,
        /// Failures in a row that make it unhealthy; Docker's default is 3.
        retries: Option<u64>,
        /// Time at the start in which failures do not count.
        start_period: Option<Duration>,
        /// Pause between attempts in that time; Docker's default is 5 s.
        start_interval: Option<Duration>,
        /// Whether the image's check is turned off.
        disable: bool,
    }
}
