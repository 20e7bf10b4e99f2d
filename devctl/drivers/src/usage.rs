//! What a run uses of the machine: of a process and all that came of it here, of a container in [`crate::docker::usage`].

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use crate::proc::{self, ProcessId, Stat};

/// One look at what a run uses. Counters are since its start; two looks make a rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// When it was looked.
    pub at: Instant,
    /// Time on a CPU, seconds.
    pub cpu_seconds: f64,
    /// Memory in use, bytes, without file caches.
    pub memory: u64,
    /// The most that it may use, bytes: its limit, or the machine's memory.
    pub memory_limit: u64,
    /// Bytes received; `None` where nobody counts (a process shares its host's network).
    pub received: Option<u64>,
    /// Bytes sent.
    pub sent: Option<u64>,
    /// Bytes read from disks.
    pub read: u64,
    /// Bytes written to disks.
    pub written: u64,
    /// Processes and threads.
    pub tasks: u64,
}

impl Usage {
    /// CPU use between an earlier look and this one: 100 is one core.
    #[must_use]
    pub fn cpu_percent(&self, earlier: &Self) -> f64 {
        let passed = self.at.saturating_duration_since(earlier.at).as_secs_f64();
        if passed <= 0.0 {
            return 0.0;
        }
        ((self.cpu_seconds - earlier.cpu_seconds) / passed * 100.0).max(0.0)
    }
}

/// Every process of a run: its first one and all descendants. Empty once it is gone.
#[must_use]
pub fn processes(root: i32) -> Vec<Stat> {
    of_table(&proc::table(), root)
}

fn of_table(table: &BTreeMap<i32, Stat>, root: i32) -> Vec<Stat> {
    let first = table.get(&root).filter(|stat| !stat.zombie).cloned();
    let Some(first) = first else { return Vec::new() };
    std::iter::once(first)
        .chain(proc::descendants(table, root).into_iter().filter(|stat| !stat.zombie))
        .collect()
}

/// Looks at a process and all its descendants; `None` once it is gone. Where there is no `/proc` (macOS), nothing is known.
#[must_use]
pub fn of_process(root: i32) -> Option<Usage> {
    let found = processes(root);
    if found.is_empty() {
        return None;
    }
    let mut usage = nothing();
    for process in &found {
        add(&mut usage, process.id);
    }
    Some(usage)
}

/// Looks at one process alone.
#[must_use]
pub fn of_one(id: ProcessId) -> Usage {
    let mut usage = nothing();
    add(&mut usage, id);
    usage
}

fn nothing() -> Usage {
    Usage {
        at: Instant::now(),
        cpu_seconds: 0.0,
        memory: 0,
        memory_limit: machine_memory(),
        received: None,
        sent: None,
        read: 0,
        written: 0,
        tasks: 0,
    }
}

fn add(usage: &mut Usage, id: ProcessId) {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)
        .ok()
        .flatten()
        .unwrap_or(100);
    let file = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", id.pid)).unwrap_or_default();
    let stat = file("stat");
    // After the name, which may hold anything, field 3 is the first.
    if let Some((_, rest)) = stat.rsplit_once(')') {
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| {
            fields
                .get(number - 3)
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or_default()
        };
        #[expect(clippy::cast_precision_loss, reason = "a count of clock ticks")]
        let seconds = (field(14) + field(15)) as f64 / ticks as f64;
        usage.cpu_seconds += seconds;
        usage.tasks += field(20);
    }
    // Shared pages would be counted once per process of a server that forks: proportional is the honest sum.
    usage.memory += match keyed(&file("smaps_rollup"), "Pss:") {
        Some(kib) => kib * 1024,
        None => keyed(&file("status"), "VmRSS:").unwrap_or_default() * 1024,
    };
    let io = file("io");
    usage.read += keyed(&io, "read_bytes:").unwrap_or_default();
    usage.written += keyed(&io, "write_bytes:").unwrap_or_default();
}

fn machine_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    keyed(&text, "MemTotal:").unwrap_or_default() * 1024
}

/// The number after a key at the beginning of a line.
fn keyed(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_something() {
        let own = i32::try_from(std::process::id()).unwrap();
        let before = of_process(own).unwrap();
        let mut sum = 0_u64;
        // Until the kernel has counted a tick.
        let after = loop {
            sum = (0..1_000_000_u64).fold(sum, |sum, next| sum.wrapping_mul(31) ^ next);
            let now = of_process(own).unwrap();
            if now.cpu_seconds > before.cpu_seconds {
                break now;
            }
        };
        assert_ne!(sum, 1);
        assert!(after.cpu_percent(&before) > 0.0);
        assert!(after.memory > 100_000 && after.memory < after.memory_limit && after.tasks >= 1);
    }

    #[test]
    fn children_count_and_the_dead_do_not() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let there = processes(own).iter().any(|stat| stat.id.pid == pid);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(there);
        assert_eq!(of_process(pid), None);
    }
}
