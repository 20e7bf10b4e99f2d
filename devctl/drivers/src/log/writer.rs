//! The writing side: one file at a time per run, one `write` per batch, nothing held back in memory but the unfinished line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::format::{self, LONGEST};
use super::segments::{self, Segment};
use super::{Change, Losing, Redaction, Retention, Stream};

/// Where one run writes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RunLog {
    writer: Option<Arc<Writer>>,
}

/// Lines that could not be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How many records.
    pub records: u64,
    /// Why the latest was lost, such as `no space left on device`.
    pub reason: String,
}

#[derive(Debug)]
struct Writer {
    node: String,
    run: u64,
    dir: PathBuf,
    retention: Retention,
    redaction: Redaction,
    changed: Arc<watch::Sender<Change>>,
    losing: Arc<watch::Sender<Option<Losing>>>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: Option<(Segment, File)>,
    size: u64,
    last: Option<Timestamp>,
    /// A write was cut short: the next one begins on a line of its own.
    torn: bool,
    lost: Option<Lost>,
}

impl RunLog {
    pub(super) fn new(
        node: &str,
        run: u64,
        dir: PathBuf,
        retention: Retention,
        redaction: Redaction,
        (changed, losing): (Arc<watch::Sender<Change>>, Arc<watch::Sender<Option<Losing>>>),
    ) -> Self {
        let state = Mutex::default();
        let node = node.to_owned();
        Self {
            writer: Some(Arc::new(Writer {
                node,
                run,
                dir,
                retention,
                redaction,
                changed,
                losing,
                state,
            })),
        }
    }

    /// A log that keeps nothing.
    pub fn discard() -> Self {
        Self { writer: None }
    }

    /// Writes one line (or several: each becomes a record). Never fails: what cannot be stored is counted, see [`RunLog::lost`].
    pub fn line(&self, stream: Stream, text: &[u8]) {
        let mut sink = self.sink(stream);
        sink.push(text);
        sink.finish();
        if let (true, Some(writer)) = (text.is_empty(), &self.writer) {
            writer.store(stream, b"", false, None);
        }
    }

    /// Takes what a process writes, in pieces of any size, and stores it line by line.
    pub fn sink(&self, stream: Stream) -> Sink {
        Sink {
            log: self.clone(),
            stream,
            pending: Vec::new(),
            cut: false,
            at: None,
        }
    }

    /// What could not be stored, and why: `None` while all is well.
    pub fn lost(&self) -> Option<Lost> {
        self.writer.as_ref()?.lock().lost.clone()
    }

    /// The node that it is of; empty for a log that keeps nothing.
    pub fn node(&self) -> &str {
        self.writer.as_ref().map_or("", |writer| &writer.node)
    }

    /// The number of its run.
    pub fn run(&self) -> u64 {
        self.writer.as_ref().map_or(0, |writer| writer.run)
    }
}

/// The way of one stream into a log.
#[derive(Debug)]
pub struct Sink {
    log: RunLog,
    stream: Stream,
    pending: Vec<u8>,
    /// Whether the beginning of the pending line has been stored already.
    cut: bool,
    /// When it was printed, where somebody else has noted that.
    at: Option<Timestamp>,
}

impl Sink {
    /// As [`Sink::push`], for what was printed at a time that somebody else has noted: a container's engine.
    pub fn push_at(&mut self, time: Timestamp, bytes: &[u8]) {
        self.at = Some(time);
        self.push(bytes);
    }

    /// Takes the next bytes. Complete lines are stored before it returns.
    pub fn push(&mut self, bytes: &[u8]) {
        let Some(writer) = self.log.writer.clone() else { return };
        self.pending.extend_from_slice(bytes);
        if let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') {
            let rest = self.pending.split_off(end + 1);
            self.pending.pop();
            writer.store(self.stream, &self.pending, false, self.at);
            self.pending = rest;
            self.cut = false;
        }
        // What may be the beginning of a secret is held back.
        let overlap = writer.redaction.overlap();
        while self.pending.len() >= LONGEST + overlap {
            let mut text = writer.redaction.apply(&self.pending).into_owned();
            let keep = text.split_off(text.len().min(LONGEST));
            writer.store(self.stream, &text, true, self.at);
            self.pending = keep;
            self.cut = true;
        }
    }

    /// Stores what is left of an unfinished line.
    pub fn finish(&mut self) {
        let Some(writer) = &self.log.writer else { return };
        if !self.pending.is_empty() || self.cut {
            writer.store(self.stream, &self.pending, false, self.at);
        }
        self.pending.clear();
        self.cut = false;
    }
}

impl Writer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stores the lines of `text`, which does not end with a newline; `continues` holds for the last of them.
    fn store(&self, stream: Stream, text: &[u8], continues: bool, at: Option<Timestamp>) {
        let text = self.redaction.apply(text);
        let mut state = self.lock();
        let mut files = 0;
        let mut buffer = Vec::with_capacity(text.len() + 64);
        let mut records = 0;
        let mut lines = text.split(|byte| *byte == b'\n').peekable();
        while let Some(line) = lines.next() {
            let last_line = lines.peek().is_none();
            let mut pieces = line.chunks(LONGEST).peekable();
            if line.is_empty() {
                format::append(&mut buffer, state.stamp(at), stream, continues && last_line, b"");
                records += 1;
            }
            while let Some(piece) = pieces.next() {
                let more = pieces.peek().is_some() || (continues && last_line);
                format::append(&mut buffer, state.stamp(at), stream, more, piece);
                records += 1;
            }
        }
        match self.write(&mut state, &buffer) {
            Ok(new) => {
                files += u64::from(new);
                if self.losing.borrow().is_some() {
                    self.losing.send_replace(None);
                }
            }
            Err(error) => {
                state.torn = true;
                let before = state.lost.take().map_or(0, |lost| lost.records);
                let reason = match crate::dirs::is_disk_full(&error) {
                    true => "no space left on device".into(),
                    false => error.to_string(),
                };
                self.losing.send_if_modified(|losing| {
                    let first = losing.is_none();
                    losing.get_or_insert_with(|| Losing {
                        node: self.node.clone(),
                        reason: reason.clone(),
                    });
                    first
                });
                state.lost = Some(Lost {
                    records: before + records,
                    reason,
                });
            }
        }
        drop(state);
        self.changed.send_modify(|change| {
            change.files += files;
            change.writes += 1;
        });
    }

    /// Returns whether a new file was begun.
    fn write(&self, state: &mut State, buffer: &[u8]) -> io::Result<bool> {
        let mut new = false;
        if state.size >= self.retention.file_size {
            state.open = None;
        }
        if state.open.is_none() {
            new = true;
            self.open(state)?;
        }
        let Some((_, file)) = &mut state.open else {
            return Ok(new);
        };
        if state.torn {
            file.write_all(b"\n")?;
            state.size += 1;
            state.torn = false;
        }
        file.write_all(buffer)?;
        state.size += buffer.len() as u64;
        Ok(new)
    }

    /// Opens the file to write to: the run's last one if it has room (a daemon that was started again), else the next.
    fn open(&self, state: &mut State) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let last = segments::list(&self.dir)
            .into_iter()
            .rfind(|segment| segment.run == self.run);
        let segment = match last {
            Some(last) if fs::metadata(&last.path)?.len() < self.retention.file_size => last,
            Some(last) => Segment::new(&self.dir, self.run, last.number + 1),
            None => Segment::new(&self.dir, self.run, 0),
        };
        segments::prune(&self.dir, &self.retention, &segment);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&segment.path)?;
        state.size = file.metadata()?.len();
        if state.size > 0 {
            let mut end = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut end)?;
            state.torn = end != *b"\n";
        }
        state.open = Some((segment, file));
        Ok(())
    }
}

impl State {
    /// Now (or the time that is known), but after the record before: a clock that is set back does not turn lines round.
    fn stamp(&mut self, at: Option<Timestamp>) -> Timestamp {
        let now = at.unwrap_or_else(Timestamp::now);
        let next = self
            .last
            .and_then(|last| last.checked_add(jiff::SignedDuration::from_nanos(1)).ok());
        let time = next.map_or(now, |next| next.max(now));
        self.last = Some(time);
        time
    }
}
