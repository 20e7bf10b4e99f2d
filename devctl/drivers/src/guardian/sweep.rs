//! Ending what is left: asked first, killed after the grace, by pid and start time.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;

use super::GRACE;
use crate::proc::{self, ProcessId, Stat};

/// A killed process goes within milliseconds; this bounds the wait for one that the kernel does not let go.
const LAST_WAIT: Duration = Duration::from_millis(900);
/// Processes whose death is not told by a signal are looked at this often.
const LOOK: Duration = Duration::from_millis(20);

/// Ends every descendant of this process. The signals wake it as its children end.
pub(super) fn end_all(signals: &SignalFd) -> io::Result<()> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let left = || -> Vec<Stat> {
        super::reap(None);
        proc::descendants(&proc::table(), own)
            .into_iter()
            .filter(|stat| !stat.zombie)
            .collect()
    };
    let pause = |limit| -> io::Result<()> {
        super::wait_for(signals, Some(limit))?;
        while super::next_signal(signals)?.is_some() {}
        Ok(())
    };
    end(left, pause)
}

/// Ends those of `recorded` that still run, and their descendants: asked first, killed after `grace`. Used when daemon and guardian were
/// both killed. Returns those that were found alive. Blocks for as long as `grace`.
pub fn end_leftovers(recorded: &[ProcessId], grace: Duration) -> Vec<ProcessId> {
    let alive: Vec<ProcessId> = recorded.iter().copied().filter(|id| id.is_alive()).collect();
    let table = proc::table();
    let mut known: BTreeSet<ProcessId> = alive.iter().copied().collect();
    let groups: BTreeSet<i32> = alive.iter().map(|id| id.pid).collect();
    let collect = |known: &mut BTreeSet<ProcessId>, table: &std::collections::BTreeMap<i32, Stat>| {
        let roots: Vec<i32> = known
            .iter()
            .filter(|id| table.get(&id.pid).is_some_and(|s| s.id == **id))
            .map(|id| id.pid)
            .collect();
        known.extend(
            roots
                .iter()
                .flat_map(|root| proc::descendants(table, *root))
                .map(|stat| stat.id),
        );
        known.extend(
            table
                .values()
                .filter(|stat| groups.contains(&stat.group))
                .map(|stat| stat.id),
        );
    };
    collect(&mut known, &table);
    let left = || -> Vec<Stat> {
        let table = proc::table();
        collect(&mut known, &table);
        known
            .iter()
            .filter_map(|id| table.get(&id.pid).filter(|s| s.id == *id && !s.zombie))
            .cloned()
            .collect()
    };
    let pause = |limit: Duration| {
        std::thread::sleep(limit);
        Ok(())
    };
    // The pause cannot fail.
    let _ = end_within(left, pause, grace);
    alive
}

fn end(left: impl FnMut() -> Vec<Stat>, pause: impl Fn(Duration) -> io::Result<()>) -> io::Result<()> {
    end_within(left, pause, GRACE)
}

/// `left` looks who is there; `pause` waits for a change, or for so long.
fn end_within(
    mut left: impl FnMut() -> Vec<Stat>,
    pause: impl Fn(Duration) -> io::Result<()>,
    grace: Duration,
) -> io::Result<()> {
    let began = Instant::now();
    let mut asked = BTreeSet::new();
    loop {
        let processes = left();
        if processes.is_empty() || began.elapsed() >= grace + LAST_WAIT {
            return Ok(());
        }
        let over = began.elapsed() >= grace;
        for stat in processes {
            if over {
                stat.id.signal(Signal::SIGKILL);
            } else if asked.insert(stat.id) {
                stat.id.signal(polite(&stat));
            }
        }
        pause(LOOK)?;
    }
}

/// PostgreSQL waits on SIGTERM until its last client has gone; on SIGINT it ends them.
fn polite(stat: &Stat) -> Signal {
    match stat.name.as_str() {
        "postgres" | "postmaster" => Signal::SIGINT,
        _ => Signal::SIGTERM,
    }
}
