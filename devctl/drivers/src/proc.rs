//! What the kernel says about processes: `/proc`, read with nothing but `std`, so that the guardian can use it too.
//!
//! A pid alone is no identity, since pids are used again; a pid and its start time are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// One process, once and for all: no later process has the same pid and the same start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process id.
    pub pid: i32,
    /// When it started, in clock ticks since the machine's boot (field 22 of `/proc/PID/stat`); 0 where it cannot be read.
    pub start_time: u64,
}

/// A row of the process table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Who it is.
    pub id: ProcessId,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// `true` for a zombie: dead, but not yet reaped by its parent.
    pub zombie: bool,
    /// The executable's short name (15 bytes at most).
    pub name: String,
}

impl ProcessId {
    /// The identity of the process that has this pid now; `None` when there is none.
    pub fn of(pid: i32) -> Option<Self> {
        stat(pid).map(|stat| stat.id)
    }

    /// Whether that very process still runs. A zombie does not.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.id == self && !stat.zombie)
    }

    /// Sends a signal, unless the pid belongs to another process by now. Returns whether it was sent.
    pub fn signal(self, signal: Signal) -> bool {
        self.is_alive() && kill(Pid::from_raw(self.pid), signal).is_ok()
    }
}

#[cfg(test)]
impl ProcessId {
    /// Waits for its death, which follows SIGKILL in its own time. Fails the test when it does not come.
    pub(crate) async fn gone(self) {
        for _ in 0..5000 {
            if !self.is_alive() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        panic!("{self:?} is still there");
    }
}

/// Reads one row of the process table.
pub fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The whole process table as it is now, by pid. Processes that end while it is read may be missing.
pub fn table() -> BTreeMap<i32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return BTreeMap::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect()
}

/// Every process below `root` by its chain of parents, `root` itself left out, parents before children.
pub fn descendants(table: &BTreeMap<i32, Stat>, root: i32) -> Vec<Stat> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([root]);
    let mut layer = vec![root];
    while !layer.is_empty() {
        let next: Vec<&Stat> = table.values().filter(|stat| layer.contains(&stat.parent)).collect();
        layer = next
            .iter()
            .map(|stat| stat.id.pid)
            .filter(|pid| seen.insert(*pid))
            .collect();
        found.extend(next.into_iter().filter(|stat| layer.contains(&stat.id.pid)).cloned());
    }
    found
}

/// The command line, arguments joined by spaces; the short name in brackets when there is none.
pub fn command_line(pid: i32) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words: Vec<String> = bytes
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(lossy)
        .collect();
    if words.is_empty() {
        stat(pid).map(|stat| format!("[{}]", stat.name))
    } else {
        Some(words.join(" "))
    }
}

/// Whether the environment that the process was started with holds exactly this `NAME=value`.
pub fn environment_holds(pid: i32, entry: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|found| found == entry.as_bytes()))
}

/// Every process in whose environment `name` begins with `value`, as far as the environments can be read.
pub fn marked(name: &str, value: &str) -> Vec<Stat> {
    let entry = format!("{name}={value}").into_bytes();
    let carries = |stat: &Stat| {
        fs::read(format!("/proc/{}/environ", stat.id.pid))
            .is_ok_and(|bytes| bytes.split(|byte| *byte == 0).any(|found| found.starts_with(&entry)))
    };
    table().into_values().filter(carries).collect()
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `PID (NAME) STATE PPID PGRP SESSION ... STARTTIME`: the name may hold spaces and brackets, so it ends at the last one.
fn parse_stat(bytes: &[u8]) -> Option<Stat> {
    let open = bytes.iter().position(|byte| *byte == b'(')?;
    let close = bytes.iter().rposition(|byte| *byte == b')')?;
    let pid = lossy(&bytes[..open]).trim().parse().ok()?;
    let rest = lossy(&bytes[close + 1..]);
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        id: ProcessId {
            pid,
            start_time: fields.get(19)?.parse().ok()?,
        },
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        zombie: matches!(*fields.first()?, "Z" | "X"),
        name: lossy(&bytes[open + 1..close]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let row = b"42 (a) b (c) S 7 42 40 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 2 3";
        let stat = parse_stat(row).unwrap();
        assert_eq!(
            stat.id,
            ProcessId {
                pid: 42,
                start_time: 98765
            }
        );
        assert_eq!((stat.parent, stat.group, stat.session), (7, 42, 40));
        assert_eq!(stat.name, "a) b (c");
        assert!(!stat.zombie);
    }

    #[test]
    fn this_process_is_alive_and_another_with_its_pid_is_not() {
        let pid = i32::try_from(std::process::id()).unwrap();
        let id = ProcessId::of(pid).unwrap();
        assert!(id.is_alive());
        assert!(
            !ProcessId {
                start_time: id.start_time + 1,
                ..id
            }
            .is_alive()
        );
    }

    #[test]
    fn descendants_are_found_across_layers_and_cycles_end() {
        let row = |pid, parent| {
            let id = ProcessId { pid, start_time: 1 };
            (
                pid,
                Stat {
                    id,
                    parent,
                    group: pid,
                    session: pid,
                    zombie: false,
                    name: String::new(),
                },
            )
        };
        let table = BTreeMap::from([row(1, 0), row(2, 1), row(3, 2), row(4, 9), row(5, 3), row(6, 6)]);
        let found: Vec<i32> = descendants(&table, 2).iter().map(|stat| stat.id.pid).collect();
        assert_eq!(found, [3, 5]);
    }
}
