//! What nodes printed: kept per run in text files, found again with or without a daemon, followed live.
//!
//! One record is one line: `2026-11-23T09:38:00.123456789Z out the text`. The files are the only truth: a follower is
//! woken by the writer and reads on from where it was, so that a slow one misses nothing and holds up nobody.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

mod format;
mod reader;
mod redact;
mod segments;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::Follow;
pub use redact::Redaction;
pub use writer::{Lost, RunLog, Sink};

/// Which way a line came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// devctl's own remark on the run.
    Devctl,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// When it was read from the process.
    pub time: Timestamp,
    /// The node that it is of.
    pub node: String,
    /// The run that it is of.
    pub run: u64,
    /// Which way it came.
    pub stream: Stream,
    /// The line without its end. Any bytes but a newline.
    pub bytes: Vec<u8>,
    /// `true`: the line goes on in this run's next record of the same stream (lines longer than 64 KiB).
    pub continues: bool,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Bytes after which a file is closed and the next begun. Default 10 MiB.
    pub file_size: u64,
    /// Files' worth of bytes kept per node. Default 5.
    pub files: u64,
    /// Runs kept per node, however small. Default 100.
    pub runs: usize,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            file_size: 10 * 1024 * 1024,
            files: 5,
            runs: 100,
        }
    }
}

/// What to read.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The nodes; empty: all that have a log.
    pub nodes: Vec<String>,
    /// One run of each only.
    pub run: Option<u64>,
    /// Nothing older.
    pub since: Option<Timestamp>,
    /// Nothing newer.
    pub until: Option<Timestamp>,
    /// The last so many (matching) lines of each node. While following: of what was there before.
    pub tail: Option<usize>,
    /// Only lines that match.
    pub grep: Option<regex::bytes::Regex>,
    /// Only these streams; empty: all.
    pub streams: Vec<Stream>,
}

/// All logs of a project: a directory with one directory per node. Cheap to clone; clones wake each other's followers.
#[derive(Clone, Debug)]
pub struct LogStore {
    root: PathBuf,
    retention: Retention,
    changed: Arc<watch::Sender<Change>>,
    losing: Arc<watch::Sender<Option<Losing>>>,
}

/// Lines are being lost: a log cannot be written to. Over as soon as something is stored again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Losing {
    /// The node whose line was the first.
    pub node: String,
    /// Why, such as `no space left on device`.
    pub reason: String,
}

/// What followers are told: how many files were begun, and how many writes there were.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    files: u64,
    writes: u64,
}

impl LogStore {
    /// The logs under this directory (normally `.devctl/logs`), which need not exist yet. Touches nothing.
    pub fn new(root: &Path, retention: Retention) -> Self {
        Self {
            root: root.to_owned(),
            retention,
            changed: Arc::new(watch::Sender::new(Change::default())),
            losing: Arc::new(watch::Sender::new(None)),
        }
    }

    /// A log for one run, to be written. Its file is made with the first line.
    pub fn run(&self, node: &str, run: u64, redaction: Redaction) -> RunLog {
        let dir = segments::dir_of(&self.root, node);
        let tell = (self.changed.clone(), self.losing.clone());
        RunLog::new(node, run, dir, self.retention, redaction, tell)
    }

    /// Whether lines are being lost.
    pub fn losing(&self) -> watch::Receiver<Option<Losing>> {
        self.losing.subscribe()
    }

    /// The nodes that have a log.
    ///
    /// # Errors
    /// Where the directory is there and cannot be read.
    pub fn nodes(&self) -> std::io::Result<Vec<String>> {
        segments::nodes(&self.root)
    }

    /// The highest run number of a node that has a log, so that a restarted daemon counts on.
    pub fn last_run(&self, node: &str) -> Option<u64> {
        segments::list(&segments::dir_of(&self.root, node))
            .last()
            .map(|segment| segment.run)
    }

    /// Reads what is there, several nodes merged by time.
    pub fn read(&self, query: &Query) -> Follow {
        Follow::new(self.root.clone(), query.clone(), None)
    }

    /// Reads what is there, and then goes on as it is written. Only in the process that writes.
    pub fn follow(&self, query: &Query) -> Follow {
        Follow::new(self.root.clone(), query.clone(), Some(self.changed.subscribe()))
    }

    /// Where the logs are.
    pub fn root(&self) -> &Path {
        &self.root
    }
}
