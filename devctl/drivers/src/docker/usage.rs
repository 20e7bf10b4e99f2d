//! What a container uses of its host, counted by the engine.

use std::time::Instant;

use bollard::errors::Error as Api;
use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::StatsOptionsBuilder;
use futures::StreamExt as _;

use super::Engine;
use super::error::brief;
use crate::usage::Usage;

/// The engine could not tell.
#[derive(Debug, thiserror::Error)]
#[error("ask what `{container}` uses: {}", brief(source))]
pub struct UsageError {
    /// Of which container.
    pub container: String,
    /// What the engine said.
    #[source]
    pub source: Box<Api>,
}

impl Engine {
    /// One look at what a container uses; `None` for one that does not run.
    ///
    /// # Errors
    /// Where there is no such container, or the engine does not answer.
    pub async fn usage(&self, container: &str) -> Result<Option<Usage>, UsageError> {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let first = std::pin::pin!(self.docker().stats(container, Some(options)))
            .next()
            .await;
        match first {
            Some(Ok(found)) => Ok(read(&found)),
            None => Ok(None),
            Some(Err(source)) => Err(UsageError {
                container: container.to_owned(),
                source: Box::new(source),
            }),
        }
    }
}

fn read(found: &ContainerStatsResponse) -> Option<Usage> {
    let cpu = found.cpu_stats.as_ref()?.cpu_usage.as_ref()?.total_usage?;
    let memory = found.memory_stats.as_ref()?;
    // A container that does not run has no memory.
    let used = memory.usage?;
    // The kernel's file cache is given back when it is needed (`docker stats` leaves it out as well): cgroup v2 and v1 name it differently.
    let cache = memory.stats.as_ref().and_then(|stats| {
        ["inactive_file", "total_inactive_file"]
            .iter()
            .find_map(|name| stats.get(*name))
    });
    let traffic = found.networks.as_ref();
    let sum = |get: fn(&bollard::models::ContainerNetworkStats) -> Option<u64>| {
        traffic.map(|networks| networks.values().filter_map(get).sum())
    };
    let blocks = found
        .blkio_stats
        .as_ref()
        .and_then(|stats| stats.io_service_bytes_recursive.as_ref());
    let moved = |operation: &str| {
        let entries = blocks.into_iter().flatten();
        entries
            .filter(|entry| entry.op.as_deref().is_some_and(|op| op.eq_ignore_ascii_case(operation)))
            .filter_map(|entry| entry.value)
            .sum()
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of nanoseconds")]
    let cpu_seconds = cpu as f64 / 1e9;
    Some(Usage {
        at: Instant::now(),
        cpu_seconds,
        memory: used.saturating_sub(cache.copied().unwrap_or_default()),
        memory_limit: memory.limit.unwrap_or_default(),
        received: sum(|network| network.rx_bytes),
        sent: sum(|network| network.tx_bytes),
        read: moved("read"),
        written: moved("write"),
        tasks: found
            .pids_stats
            .as_ref()
            .and_then(|pids| pids.current)
            .unwrap_or_default(),
    })
}
