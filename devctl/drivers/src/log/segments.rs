//! The files of the logs: `NODE/RUN.log`, `NODE/RUN.1.log`, ... in the order in which they were written, and how many are kept.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::Retention;

/// One file of one run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    pub(super) run: u64,
    pub(super) number: u64,
    pub(super) path: PathBuf,
}

impl Segment {
    pub(super) fn new(dir: &Path, run: u64, number: u64) -> Self {
        let name = if number == 0 {
            format!("{run}.log")
        } else {
            format!("{run}.{number}.log")
        };
        Self {
            run,
            number,
            path: dir.join(name),
        }
    }

    fn parse(path: PathBuf) -> Option<Self> {
        let stem = path.file_name()?.to_str()?.strip_suffix(".log")?;
        let (run, number) = stem.split_once('.').unwrap_or((stem, "0"));
        Some(Self {
            run: run.parse().ok()?,
            number: number.parse().ok()?,
            path,
        })
    }

    /// Nothing in it is newer than this (file times lag behind the clock by some milliseconds; the margin is ample).
    pub(super) fn not_after(&self) -> Option<SystemTime> {
        Some(fs::metadata(&self.path).ok()?.modified().ok()? + std::time::Duration::from_secs(1))
    }
}

/// The directory of a node. A name that is no file name is made one.
pub(super) fn dir_of(root: &Path, node: &str) -> PathBuf {
    match node {
        "." | ".." => root.join(node.replace('.', "_")),
        _ => root.join(node.replace('/', "_")),
    }
}

/// The nodes that have a directory.
pub(super) fn nodes(root: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// A node's files, oldest first.
pub(super) fn list(dir: &Path) -> Vec<Segment> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut found: Vec<Segment> = entries
        .flatten()
        .filter_map(|entry| Segment::parse(entry.path()))
        .collect();
    found.sort();
    found
}

/// Removes a node's oldest files until there is room for one more. What is `current` stays.
pub(super) fn prune(dir: &Path, retention: &Retention, current: &Segment) {
    let segments = list(dir);
    let mut room = retention.file_size.saturating_mul(retention.files.saturating_sub(1));
    let mut runs = vec![current.run];
    for segment in segments.iter().rev().filter(|segment| *segment != current) {
        if !runs.contains(&segment.run) {
            runs.push(segment.run);
        }
        let size = fs::metadata(&segment.path).map_or(0, |data| data.len());
        if size > room || runs.len() > retention.runs {
            // Everything older goes too, or a gap would be left in the middle.
            room = 0;
            // A file that cannot be removed costs room and nothing else.
            let _ = fs::remove_file(&segment.path);
        } else {
            room -= size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_sort_by_run_and_number_not_by_name() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["10.log", "9.log", "9.10.log", "9.2.log", "notes.txt", "x.log"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let names: Vec<(u64, u64)> = list(dir.path()).iter().map(|s| (s.run, s.number)).collect();
        assert_eq!(names, [(9, 0), (9, 2), (9, 10), (10, 0)]);
    }

    #[test]
    fn the_oldest_go_first_and_leave_no_gap() {
        let dir = tempfile::tempdir().unwrap();
        for (run, size) in [(1, 10), (2, 90), (3, 60), (4, 30)] {
            fs::write(Segment::new(dir.path(), run, 0).path, vec![b'x'; size]).unwrap();
        }
        let retention = Retention {
            file_size: 50,
            files: 3,
            runs: 10,
        };
        prune(dir.path(), &retention, &Segment::new(dir.path(), 5, 0));
        let runs: Vec<u64> = list(dir.path()).iter().map(|s| s.run).collect();
        assert_eq!(runs, [3, 4]);
    }

    #[test]
    fn many_short_runs_are_bounded_too() {
        let dir = tempfile::tempdir().unwrap();
        for run in 1..=5 {
            fs::write(Segment::new(dir.path(), run, 0).path, "x").unwrap();
        }
        let retention = Retention {
            runs: 3,
            ..Retention::default()
        };
        prune(dir.path(), &retention, &Segment::new(dir.path(), 6, 0));
        let runs: Vec<u64> = list(dir.path()).iter().map(|s| s.run).collect();
        assert_eq!(runs, [4, 5]);
    }
}
