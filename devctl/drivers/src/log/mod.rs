//! What nodes printed: kept per run in text files, found again with or without a daemon, followed live.
//!
//! One record is one line: `2026-11-23T09:38:00.123456789Z out the text`. The files are the only truth: a follower is
//! woken by the writer and reads on from where it was, so that a slow one misses nothing and holds up nobody.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

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
    /// `true`: the line goes on in this node's next record of the same stream (lines longer than 64 KiB).
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

/// All logs of a project: a directory with one directory per node.
#[derive(Clone, Debug)]
pub struct LogStore {
    root: PathBuf,
}

/// Where one run writes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RunLog {
    node: String,
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
    /// The last so many (matching) lines of each node.
    pub tail: Option<usize>,
    /// Only lines that match.
    pub grep: Option<regex::bytes::Regex>,
    /// Only these streams; empty: all.
    pub streams: Vec<Stream>,
}

/// Secrets that are replaced by `***` before anything is stored.
#[derive(Clone, Debug, Default)]
pub struct Redaction {}

impl Redaction {
    /// Replaces each of these wherever it appears. Each line of a secret of several lines counts by itself; one of fewer than
    /// four characters would blot out everything and is left alone.
    pub fn new<S: AsRef<str>>(_secrets: impl IntoIterator<Item = S>) -> Self {
        todo!()
    }

    /// `text` without the secrets.
    pub fn apply<'a>(&self, _text: &'a [u8]) -> std::borrow::Cow<'a, [u8]> {
        todo!()
    }
}

impl LogStore {
    /// The logs under this directory (normally `.devctl/logs`), which need not exist yet. Touches nothing.
    pub fn new(_root: &Path, _retention: Retention) -> Self {
        todo!()
    }

    /// A log for one run, to be written. Its file is made with the first line.
    pub fn run(&self, _node: &str, _run: u64, _redaction: Redaction) -> RunLog {
        todo!()
    }

    /// The nodes that have a log.
    ///
    /// # Errors
    /// Where the directory is there and cannot be read.
    pub fn nodes(&self) -> std::io::Result<Vec<String>> {
        todo!()
    }

    /// The highest run number of a node that has a log, so that a restarted daemon counts on.
    pub fn last_run(&self, _node: &str) -> Option<u64> {
        todo!()
    }

    /// Reads what is there, several nodes merged by time.
    pub fn read(&self, _query: &Query) -> Follow {
        todo!()
    }

    /// Reads what is there, and then goes on as it is written. Only for the process that writes.
    pub fn follow(&self, _query: &Query) -> Follow {
        todo!()
    }

    /// Where the logs are.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl RunLog {
    /// A log that keeps nothing.
    pub fn discard() -> Self {
        todo!()
    }

    /// Writes one line (or several: each becomes a record). Never fails: what cannot be stored is counted, see [`RunLog::lost`].
    pub fn line(&self, _stream: Stream, _text: &[u8]) {
        todo!()
    }

    /// What could not be stored, and why: `None` while all is well.
    pub fn lost(&self) -> Option<Lost> {
        todo!()
    }

    /// The node that it is of.
    pub fn node(&self) -> &str {
        &self.node
    }
}

/// Lines that could not be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How many records.
    pub records: u64,
    /// Why the latest was lost, such as `no space left on device`.
    pub reason: String,
}

/// Records of a query, in order of time.
#[derive(Debug)]
pub struct Follow {}

impl Follow {
    /// The next record: `None` at the end of what is there (a [`LogStore::read`]), never while following. Cancel-safe.
    pub async fn next(&mut self) -> Option<Record> {
        todo!()
    }
}
