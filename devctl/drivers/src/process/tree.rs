//! Who belongs to a process: its group, its descendants (whatever group or session they moved to), and whoever carries its mark.

use nix::sys::signal::Signal;

use super::ProcessId;
use crate::proc::{self, Stat};

/// Ended as long as new ones turn up; a fork bomb is not chased for ever.
const ROUNDS: usize = 20;

/// All that belong to the process `root` now.
pub(super) fn members(root: ProcessId, mark: Option<&str>) -> Vec<ProcessId> {
    let table = proc::table();
    // Another process with this pid is no root, and then a group with this number is not ours either.
    let ours = table.get(&root.pid).is_none_or(|stat| stat.id == root);
    let in_group = |stat: &&Stat| {
        let young_enough = stat.id.start_time >= root.start_time;
        (ours && stat.group == root.pid && young_enough)
            || mark.is_some_and(|mark| proc::environment_holds(stat.id.pid, mark))
    };
    let mut found: Vec<Stat> = table.values().filter(in_group).cloned().collect();
    let mut roots: Vec<i32> = found.iter().map(|stat| stat.id.pid).collect();
    if ours {
        roots.push(root.pid);
    }
    for root in roots {
        found.extend(proc::descendants(&table, root));
    }
    let mut ids: Vec<ProcessId> = found
        .into_iter()
        .filter(|stat| !stat.zombie)
        .map(|stat| stat.id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Kills all that belong to `root`, and `known` that belonged to it before.
pub(super) fn kill(root: ProcessId, mark: Option<&str>, known: &[ProcessId]) {
    for id in known {
        id.signal(Signal::SIGKILL);
    }
    for _ in 0..ROUNDS {
        let sent = members(root, mark)
            .into_iter()
            .filter(|id| id.signal(Signal::SIGKILL))
            .count();
        if sent == 0 {
            return;
        }
    }
}
