//! Small values with a form of their own: byte sizes, limits, keys, conditions.

use super::*;

/// A number of bytes; -1 is without limit where the attribute allows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub i64);

/// A resource limit of processes.
#[derive(Debug, Clone, PartialEq)]
pub enum Ulimit {
    /// One value for both.
    Single(i64),
    /// Values of their own.
    Pair {
        /// Where a process is warned.
        soft: i64,
        /// What it can at most set for itself.
        hard: i64,
    },
}

/// SSH agents and keys, as name and path; the builder's agent when there is no path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SshKeys(pub IndexMap<String, Option<String>>);

/// The state of a service that another waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Condition {
    /// It was started.
    #[default]
    Started,
    /// Its health check succeeded.
    Healthy,
    /// It ended with exit status 0.
    CompletedSuccessfully,
}

/// When a container is started again, from `restart`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Never.
    No,
    /// Always.
    Always,
    /// After a failure.
    OnFailure {
        /// At most so often.
        max_retries: Option<u32>,
    },
    /// Unless a person stopped it.
    UnlessStopped,
}

/// When an image is pulled, from `pull_policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PullPolicy {
    /// Always.
    Always,
    /// Never.
    Never,
    /// Where it is not there yet.
    Missing,
    /// Built rather than pulled.
    Build,
    /// Where it was last pulled longer ago than this.
    Refresh(std::time::Duration),
}

impl Service {
    /// The restart policy; `no` where nothing or nothing known is written.
    pub fn restart_policy(&self) -> RestartPolicy {
        let written = self.restart.as_deref().unwrap_or("no");
        let (name, count) = written.split_once(':').unwrap_or((written, ""));
        match name {
            "always" => RestartPolicy::Always,
            "unless-stopped" => RestartPolicy::UnlessStopped,
            "on-failure" => RestartPolicy::OnFailure {
                max_retries: count.parse().ok(),
            },
            _ => RestartPolicy::No,
        }
    }

    /// When the image is pulled; [`PullPolicy::Missing`] where nothing is written.
    pub fn pull_policy(&self) -> PullPolicy {
        const DAY: u64 = 24 * 60 * 60;
        match self.pull_policy.as_deref().unwrap_or("missing") {
            "always" => PullPolicy::Always,
            "never" => PullPolicy::Never,
            "build" => PullPolicy::Build,
            "refresh" => PullPolicy::Refresh(std::time::Duration::ZERO),
            "daily" => PullPolicy::Refresh(std::time::Duration::from_secs(DAY)),
            "weekly" => PullPolicy::Refresh(std::time::Duration::from_secs(7 * DAY)),
            other => match other
                .strip_prefix("every_")
                .and_then(|rest| crate::codec::parse_duration(rest).ok())
            {
                Some(age) => PullPolicy::Refresh(age),
                None => PullPolicy::Missing,
            },
        }
    }

    /// How many containers: `scale`, else `deploy.replicas`, else 1.
    pub fn replicas(&self) -> u64 {
        let written = self
            .scale
            .or_else(|| self.deploy.as_ref().and_then(|deploy| deploy.replicas));
        written.map_or(1, |count| u64::try_from(count).unwrap_or(0))
    }
}
