//! Ending what is left: asked first, killed after the grace, by pid and start time.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;

use super::GRACE;
use crate::proc::{self, ProcessId, Stat};
use crate::process::RUN_VARIABLE;

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
/// both killed. One that has left its session and lost its parent is known by its environment: the mark of a run of `project`.
/// Returns those that were found alive. Blocks for as long as `grace`.
pub fn end_leftovers(recorded: &[ProcessId], project: &str, grace: Duration) -> Vec<ProcessId> {
    let table = proc::table();
    // Whoever calls may have been started from a shell that a service's environment was lent to.
    let own = own_line(&table);
    let marked = proc::marked(RUN_VARIABLE, &format!("{project}/"));
    let recorded = recorded.iter().copied().filter(|id| id.is_alive());
    let marked = marked.into_iter().filter(|stat| !stat.zombie).map(|stat| stat.id);
    let alive: BTreeSet<ProcessId> = recorded.chain(marked).filter(|id| !own.contains(&id.pid)).collect();
    let alive: Vec<ProcessId> = alive.into_iter().collect();
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

/// This process, and whatever it descends from.
fn own_line(table: &std::collections::BTreeMap<i32, Stat>) -> BTreeSet<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let parent = |pid: &i32| table.get(pid).map(|stat| stat.parent);
    std::iter::successors(Some(own), parent)
        .take_while(|pid| *pid > 1)
        .collect()
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
