//! A service's own output is no change of its sources.
//!
//! Two signs tell it. A file that one of the service's processes has open for writing is its output. And a change that has
//! followed the service's own start (or build) after the same time, three times in a row, each of which it caused itself, is the
//! service's answer to being started: no person saves like that. Either way the path no longer counts, and that is said once.
//! A program that saves whenever it sees the new answer is as regular; but what it saves makes another product, and nobody's
//! own output does that. Where there is no product, a process that has written less in all than the file is long did not write it.
//! And a path that is found guilty by its times alone counts again once it changes out of step.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use devctl_core::NodeId;

/// So often a change follows a start in step before it is taken for the start's doing.
const IN_STEP: u32 = 3;
/// Two times that differ by no more than this are the same. People are not that punctual, and who is started again and again is so
/// sooner or later.
const SAME: Duration = Duration::from_millis(60);

/// So often a path that is out of step counts again: what is written every other second is so each time.
const PARDONS: u32 = 2;

/// What has been learnt about each node.
#[derive(Debug, Default)]
pub(super) struct Loops {
    nodes: HashMap<NodeId, Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    own: HashMap<PathBuf, Own>,
    /// What came last, how long after the node's start, and how often in step.
    last: Option<(BTreeSet<PathBuf>, Duration, u32)>,
    /// The start that the last change came after: each counts once.
    anchor: Option<Instant>,
}

/// How it is known that a path is a service's own output.
#[derive(Debug)]
enum Own {
    /// A process had it open, or it was in step again and again.
    ForGood,
    /// By its times alone: the start that it followed last, and how long after it.
    InStep(Step, u32),
    /// It was out of step after all, so often.
    Pardoned(u32),
}

/// A start, and how long after it something changed.
type Step = (Instant, Duration);

/// What a change comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// What counts.
    pub(super) real: BTreeSet<PathBuf>,
    /// Own output that has not been named yet.
    pub(super) named: Vec<PathBuf>,
}

impl Loops {
    /// Looks at what has changed of a node at `now`. `began`: its last start or build, unless what is known of it speaks against its
    /// being the cause; `writes`: whether its processes have the file open for writing.
    pub(super) fn judge(
        &mut self,
        node: &NodeId,
        changed: BTreeSet<PathBuf>,
        (began, now): (Option<Instant>, Instant),
        writes: impl FnOnce(&BTreeSet<PathBuf>) -> BTreeSet<PathBuf>,
    ) -> Judged {
        let seen = self.nodes.entry(node.clone()).or_default();
        let mut judged = Judged {
            real: changed,
            named: Vec::new(),
        };
        judged.real.retain(|path| !seen.is_own(path, began, now));
        if judged.real.is_empty() {
            return judged;
        }
        let written = writes(&judged.real);
        judged.real.retain(|path| !written.contains(path));
        seen.own.extend(written.iter().map(|path| (path.clone(), Own::ForGood)));
        judged.named.extend(written);
        if !judged.real.is_empty()
            && let Some(step) = seen.in_step(&judged.real, began, now)
        {
            judged.named.extend(
                std::mem::take(&mut judged.real)
                    .into_iter()
                    .inspect(|path| seen.found_guilty(path, step)),
            );
        }
        judged
    }

    /// Forgets nodes that are no longer watched.
    pub(super) fn keep(&mut self, nodes: &HashSet<&NodeId>) {
        self.nodes.retain(|node, _| nodes.contains(node));
    }
}

impl Seen {
    /// Whether the path is known as own output, and nothing speaks against it now.
    fn is_own(&mut self, path: &Path, began: Option<Instant>, now: Instant) -> bool {
        let (anchor, before, pardons) = match self.own.get_mut(path) {
            Some(Own::ForGood) => return true,
            Some(Own::InStep((anchor, before), pardons)) => (anchor, *before, *pardons),
            Some(Own::Pardoned(_)) | None => return false,
        };
        if let Some(began) = began
            && began != *anchor
            && is_same(before, now.saturating_duration_since(began))
        {
            *anchor = began;
            return true;
        }
        self.own.insert(path.to_owned(), Own::Pardoned(pardons + 1));
        self.last = None;
        false
    }

    fn found_guilty(&mut self, path: &Path, step: Step) {
        let own = match self.own.get(path) {
            Some(Own::Pardoned(PARDONS..)) => Own::ForGood,
            Some(Own::Pardoned(pardons)) => Own::InStep(step, *pardons),
            _ => Own::InStep(step, 0),
        };
        self.own.insert(path.to_owned(), own);
    }

    /// The start that all of it has followed in step, and how long after it; None where it has not.
    fn in_step(&mut self, changed: &BTreeSet<PathBuf>, began: Option<Instant>, now: Instant) -> Option<Step> {
        let Some(began) = began else {
            self.last = None;
            return None;
        };
        if self.anchor.replace(began) == Some(began) {
            // Nothing was started since the last change: it was not the cause of this one.
            self.last = None;
            return None;
        }
        let after = now.saturating_duration_since(began);
        let times = match &self.last {
            Some((paths, before, times)) if paths == changed && is_same(*before, after) => times + 1,
            _ => 1,
        };
        self.last = Some((changed.clone(), after, times));
        (times >= IN_STEP).then_some((began, after))
    }
}

fn is_same(one: Duration, other: Duration) -> bool {
    one.abs_diff(other) <= SAME
}

/// Those of `paths` that one of these processes, or what they have started, has open for writing.
#[cfg(target_os = "linux")]
pub(super) fn written_by(processes: &[i32], paths: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    let real: HashMap<PathBuf, &PathBuf> = paths
        .iter()
        .filter_map(|path| Some((path.canonicalize().ok()?, path)))
        .collect();
    let mut found = BTreeSet::new();
    let mut left = processes.to_vec();
    let mut known = HashSet::new();
    while let Some(pid) = left.pop() {
        if !known.insert(pid) {
            continue;
        }
        left.extend(children(pid));
        let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        for file in files.flatten() {
            let Ok(path) = std::fs::read_link(file.path()) else {
                continue;
            };
            if let Some(path) = real.get(&path)
                && is_for_writing(pid, &file.file_name())
            {
                found.insert((*path).clone());
            }
        }
    }
    found
}

#[cfg(target_os = "linux")]
fn children(pid: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let of_task =
        |task: std::io::Result<std::fs::DirEntry>| std::fs::read_to_string(task.ok()?.path().join("children")).ok();
    let lists: Vec<String> = tasks.filter_map(of_task).collect();
    lists
        .iter()
        .flat_map(|list| list.split_whitespace())
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

#[cfg(target_os = "linux")]
fn is_for_writing(pid: i32, fd: &std::ffi::OsStr) -> bool {
    let info = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("fdinfo").join(fd));
    let info = info.unwrap_or_default();
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    // The access mode is the last two bits: 0 reads (open(2)).
    flags.is_some_and(|flags| i64::from_str_radix(flags.trim(), 8).is_ok_and(|flags| flags & 3 != 0))
}

/// Whether one of the files is longer than all that these processes, and what they have started, have written to anywhere: then they
/// did not write it.
#[cfg(target_os = "linux")]
pub(super) fn cannot_have_written(processes: &[i32], paths: &BTreeSet<PathBuf>) -> bool {
    // One that ends meanwhile is counted by who started it, from then on: looked at again.
    let Some(written) = (0..3).find_map(|_| bytes_written(processes)) else {
        return false;
    };
    let is_longer = |path: &PathBuf| {
        let metadata = path.metadata().ok().filter(std::fs::Metadata::is_file);
        metadata.is_some_and(|metadata| metadata.len() > written)
    };
    paths.iter().any(is_longer)
}

/// How much these processes, and what they have started, have written to anywhere (`/proc/PID/io`, proc(5)). None where one has ended
/// meanwhile.
#[cfg(target_os = "linux")]
fn bytes_written(processes: &[i32]) -> Option<u64> {
    let (mut written, mut left, mut known) = (0, processes.to_vec(), HashSet::new());
    while let Some(pid) = left.pop() {
        if !known.insert(pid) {
            continue;
        }
        left.extend(children(pid));
        let counts = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
        let bytes = counts.lines().find_map(|line| line.strip_prefix("wchar:"))?;
        written += bytes.trim().parse::<u64>().ok()?;
    }
    Some(written)
}

/// Elsewhere nobody can say how much was written.
#[cfg(not(target_os = "linux"))]
pub(super) fn cannot_have_written(_processes: &[i32], _paths: &BTreeSet<PathBuf>) -> bool {
    false
}

/// Elsewhere nobody can say who writes.
#[cfg(not(target_os = "linux"))]
pub(super) fn written_by(_processes: &[i32], _paths: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
    BTreeSet::new()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn paths(names: &[&str]) -> BTreeSet<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    /// Each start at `starts`, and a change of `names` so many milliseconds after it: which of them counted.
    fn counted(names: &[&str], starts: &[(u32, u32)]) -> Vec<bool> {
        let (mut loops, zero) = (Loops::default(), Instant::now());
        let one = |(start, after): &(u32, u32)| {
            let began = zero + MS * *start;
            let now = began + MS * *after;
            let judged = loops.judge(&"api".into(), paths(names), (Some(began), now), |_| BTreeSet::new());
            judged.named.is_empty() && !judged.real.is_empty()
        };
        starts.iter().map(one).collect()
    }

    #[test]
    fn what_follows_each_start_in_step_is_the_starts_doing() {
        let steps = [(0, 300), (1000, 310), (2000, 290), (3000, 300)];
        assert_eq!(counted(&["cache.json"], &steps), [true, true, false, false]);
    }

    #[test]
    fn what_was_found_guilty_counts_once_it_is_out_of_step() {
        // Saved again with nothing started since, and five seconds after a start instead of a third of one.
        let steps = [
            (0, 300),
            (1000, 310),
            (2000, 290),
            (2000, 1800),
            (9000, 5000),
            (20_000, 700),
        ];
        assert_eq!(counted(&["main.py"], &steps), [true, true, false, true, true, true]);
        // Written every second, whatever happens: it is found guilty again each time, and the third time for good.
        let every_second: Vec<(u32, u32)> = [0, 1, 2, 2, 4, 5, 6, 6, 8, 9, 10, 10, 10, 10]
            .into_iter()
            .scan(0, |last, start| {
                *last += 1000;
                Some((start * 1000, *last - start * 1000))
            })
            .collect();
        let counts = counted(&["state.json"], &every_second);
        assert_eq!(counts.iter().filter(|counts| **counts).count(), 8);
        assert_eq!(counts[10..], [false; 4]);
    }

    #[test]
    fn a_person_is_not_in_step() {
        let steps = [(0, 300), (1000, 900), (2000, 400), (3000, 1500), (5000, 700)];
        assert_eq!(counted(&["main.rs"], &steps), [true; 5]);
        // The same start twice: it did not follow from the change.
        let steps = [(0, 300), (0, 310), (0, 320), (0, 330)];
        assert_eq!(counted(&["main.rs"], &steps), [true; 4]);
        let steps = [(0, 9_000), (10_000, 9_500), (20_000, 9_200), (30_000, 9_700)];
        assert_eq!(counted(&["main.rs"], &steps), [true; 4]);
    }

    #[test]
    fn what_speaks_against_it_begins_the_count_anew() {
        let (mut loops, zero) = (Loops::default(), Instant::now());
        for round in 0..9 {
            let began = zero + MS * 1000 * round;
            let cause = (round % 3 != 2).then_some(began);
            let judged = loops.judge(&"api".into(), paths(&["x"]), (cause, began + MS * 300), |_| {
                BTreeSet::new()
            });
            assert_eq!(judged.real, paths(&["x"]), "round {round}");
        }
    }

    #[test]
    fn what_a_process_writes_is_its_own_and_named_once() {
        let mut loops = Loops::default();
        let mut judge = |names: &[&str]| {
            let log = |changed: &BTreeSet<PathBuf>| changed.intersection(&paths(&["app.log"])).cloned().collect();
            loops.judge(&"api".into(), paths(names), (None, Instant::now()), log)
        };
        let first = judge(&["app.log", "main.rs"]);
        assert_eq!(
            (first.real, first.named),
            (paths(&["main.rs"]), vec![PathBuf::from("app.log")])
        );
        assert_eq!(judge(&["app.log"]), Judged::default());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_open_file_is_known_by_its_process() {
        let dir = tempfile::tempdir().unwrap();
        let (written, read) = (dir.path().join("written"), dir.path().join("read"));
        std::fs::write(&read, "x").unwrap();
        let mut writes = std::fs::File::create(&written).unwrap();
        let reads = std::fs::File::open(&read).unwrap();
        writes.write_all(b"x").unwrap();
        let both = BTreeSet::from([written.clone(), read]);
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(written_by(&[own], &both), BTreeSet::from([written]));
        drop((writes, reads));
        assert!(written_by(&[own], &both).is_empty());

        let long = dir.path().join("long");
        std::fs::File::create(&long).unwrap().set_len(1 << 40).unwrap();
        assert!(!cannot_have_written(&[own], &both));
        assert!(cannot_have_written(&[own], &BTreeSet::from([long])));
    }
}
