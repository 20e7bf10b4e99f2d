//! The reading side: one cursor per run, merged by time. It works on the files alone; a follower is merely woken by the writer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::SystemTime;

use jiff::Timestamp;
use tokio::sync::watch;

use super::segments::{self, Segment};
use super::{Change, Query, Record, format};

/// Records handed out between two looks at the other runs.
const BATCH: usize = 256;

/// Records of a query, in order of time.
#[derive(Debug)]
pub struct Follow {
    root: PathBuf,
    query: Query,
    cursors: BTreeMap<(String, u64), Cursor>,
    ready: VecDeque<Record>,
    /// `None`: ends with what is there.
    changed: Option<watch::Receiver<Change>>,
    files_seen: Option<u64>,
}

/// How far one run has been read.
#[derive(Debug, Default)]
struct Cursor {
    /// The file that is being read; `None`: nothing of this run is wanted.
    segment: Option<Segment>,
    /// `None`: it could not be opened. Where it was removed meanwhile, the next one takes its place.
    file: Option<File>,
    /// There was no next file when the writer had begun so many.
    no_next_at: Option<u64>,
    buffer: Vec<u8>,
    /// How much of the buffer has been handed out.
    taken: usize,
    /// The next record to hand out.
    head: Option<Record>,
}

impl Follow {
    pub(super) fn new(root: PathBuf, query: Query, changed: Option<watch::Receiver<Change>>) -> Self {
        let mut follow = Self {
            root,
            query,
            cursors: BTreeMap::new(),
            ready: VecDeque::new(),
            changed,
            files_seen: None,
        };
        follow.find_runs();
        if let Some(count) = follow.query.tail {
            follow.keep_tail(count);
        }
        follow
    }

    /// The next record: `None` at the end of what is there (a [`super::LogStore::read`]), never while following. Cancel-safe.
    pub async fn next(&mut self) -> Option<Record> {
        loop {
            if let Some(record) = self.try_next() {
                return Some(record);
            }
            self.changed.as_mut()?.changed().await.ok()?;
        }
    }

    /// The next record that is there already.
    pub fn try_next(&mut self) -> Option<Record> {
        if self.ready.is_empty() {
            self.find_runs();
            while self.ready.len() < BATCH {
                let Some(record) = self.earliest() else { break };
                self.ready.push_back(record);
            }
        }
        self.ready.pop_front()
    }

    /// Makes a cursor for each run that has none. Directories are read only when the writer has made a file since.
    fn find_runs(&mut self) {
        if let Some(changed) = &mut self.changed {
            let files = changed.borrow_and_update().files;
            if self.files_seen == Some(files) {
                return;
            }
            self.files_seen = Some(files);
        } else if self.files_seen.is_some() {
            return;
        } else {
            self.files_seen = Some(0);
        }
        let nodes = match self.query.nodes.is_empty() {
            true => segments::nodes(&self.root).unwrap_or_default(),
            false => self.query.nodes.clone(),
        };
        let since = self.query.since.map(SystemTime::from);
        for node in nodes {
            for segment in segments::list(&segments::dir_of(&self.root, &node)) {
                let wanted = self.query.run.is_none_or(|run| run == segment.run);
                let too_old = since.is_some_and(|since| segment.not_after().is_some_and(|end| end < since));
                if wanted && !too_old {
                    // Files come oldest first: the cursor begins with the first that is wanted.
                    self.cursors
                        .entry((node.clone(), segment.run))
                        .or_insert_with(|| Cursor::at(segment));
                }
            }
        }
    }

    /// The earliest record of all runs.
    fn earliest(&mut self) -> Option<Record> {
        let following = self.changed.is_some();
        let files = self.files_seen.unwrap_or_default();
        let mut best: Option<((String, u64), Timestamp)> = None;
        for (key, cursor) in &mut self.cursors {
            while cursor.head.is_none() {
                match cursor.read(&key.0, key.1, following, files) {
                    Some(record) if self.query.wants(&record) => cursor.head = Some(record),
                    Some(_) => {}
                    None => break,
                }
            }
            if let Some(head) = &cursor.head
                && best.as_ref().is_none_or(|(_, time)| head.time < *time)
            {
                best = Some((key.clone(), head.time));
            }
        }
        self.cursors.get_mut(&best?.0)?.head.take()
    }

    /// Reads everything that is there, and keeps the last `count` of each node.
    fn keep_tail(&mut self, count: usize) {
        let mut kept: BTreeMap<String, VecDeque<Record>> = BTreeMap::new();
        self.skip_what_tail_cannot_need(count);
        while let Some(record) = self.earliest() {
            let last = kept.entry(record.node.clone()).or_default();
            last.push_back(record);
            if last.len() > count {
                last.pop_front();
            }
        }
        let mut all: Vec<Record> = kept.into_values().flatten().collect();
        all.sort_by_key(|record| record.time);
        self.ready.extend(all);
    }

    /// Moves the cursors to where the last `count` records of each node can begin, so that old files are not read for them. With a tail
    /// of none that is the end.
    fn skip_what_tail_cannot_need(&mut self, count: usize) {
        let nodes: BTreeSet<String> = self.cursors.keys().map(|(node, _)| node.clone()).collect();
        for node in nodes {
            let mut segments = segments::list(&segments::dir_of(&self.root, &node));
            segments.retain(|segment| self.cursors.contains_key(&(node.clone(), segment.run)));
            if count == 0 {
                for last in segments {
                    // The last of each run stays, since they come in order.
                    let run = last.run;
                    let mut cursor = Cursor::at(last);
                    cursor.skip_to_end();
                    self.cursors.insert((node.clone(), run), cursor);
                }
                continue;
            }
            for (run, first) in self.needed(&node, segments, count) {
                let key = (node.clone(), run);
                match first {
                    Some(segment) => self.cursors.insert(key, Cursor::at(segment)),
                    None => self.cursors.insert(key, Cursor::default()),
                };
            }
        }
    }

    /// For each run the first of its files that can hold one of the last `count` records; `None`: it has ended before those.
    fn needed(&self, node: &str, mut segments: Vec<Segment>, count: usize) -> BTreeMap<u64, Option<Segment>> {
        let mut first: BTreeMap<u64, Option<Segment>> = segments.iter().map(|segment| (segment.run, None)).collect();
        segments.sort_by_key(Segment::not_after);
        let mut times: Vec<Timestamp> = Vec::new();
        for segment in segments.into_iter().rev() {
            let newest = segment.not_after();
            let oldest_kept = times.len().checked_sub(count).map(|at| SystemTime::from(times[at]));
            // What can still be written to is always followed.
            let last_of_run = first.get(&segment.run).is_some_and(Option::is_none);
            if oldest_kept.is_some_and(|kept| newest.is_some_and(|newest| newest < kept)) {
                if last_of_run && self.changed.is_some() {
                    first.insert(segment.run, Some(segment));
                }
                continue;
            }
            let mut cursor = Cursor::at(segment.clone());
            while let Some(record) = cursor.read_here(node, segment.run) {
                if self.query.wants(&record) {
                    times.push(record.time);
                }
            }
            times.sort_unstable();
            first.insert(segment.run, Some(segment));
        }
        first
    }
}

impl Query {
    fn wants(&self, record: &Record) -> bool {
        self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time <= until)
            && (self.streams.is_empty() || self.streams.contains(&record.stream))
            && self.grep.as_ref().is_none_or(|pattern| pattern.is_match(&record.bytes))
    }
}

impl Cursor {
    fn at(segment: Segment) -> Self {
        Self {
            file: File::open(&segment.path).ok(),
            segment: Some(segment),
            ..Self::default()
        }
    }

    /// The next record of this run. `following`: a line without an end is still being written. `files`: how many the writer has begun.
    fn read(&mut self, node: &str, run: u64, following: bool, files: u64) -> Option<Record> {
        loop {
            if let Some(record) = self.take_line(node, run) {
                return Some(record);
            }
            if self.fill() {
                continue;
            }
            if self.no_next_at != Some(files) {
                if self.next_file() {
                    continue;
                }
                self.no_next_at = Some(files);
            }
            if following || self.buffer.is_empty() {
                return None;
            }
            // What was being written when the daemon was killed.
            let line = std::mem::take(&mut self.buffer);
            return record_of(node, run, &line);
        }
    }

    /// The next record of the open file alone.
    fn read_here(&mut self, node: &str, run: u64) -> Option<Record> {
        loop {
            if let Some(record) = self.take_line(node, run) {
                return Some(record);
            }
            if !self.fill() {
                return None;
            }
        }
    }

    /// The next record of those that are in memory.
    fn take_line(&mut self, node: &str, run: u64) -> Option<Record> {
        while let Some(end) = self.buffer[self.taken..].iter().position(|byte| *byte == b'\n') {
            let record = record_of(node, run, &self.buffer[self.taken..self.taken + end]);
            self.taken += end + 1;
            if record.is_some() {
                return record;
            }
        }
        self.buffer.drain(..self.taken);
        self.taken = 0;
        None
    }

    /// Reads on in the open file; `false` at its end.
    fn fill(&mut self) -> bool {
        let Some(file) = &mut self.file else { return false };
        let mut chunk = [0; 32 * 1024];
        match file.read(&mut chunk) {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.buffer.extend_from_slice(&chunk[..count]);
                true
            }
        }
    }

    /// Goes on to the run's next file, if there is one; it is made only after the last write to this one.
    fn next_file(&mut self) -> bool {
        // One that is found may be removed before it is opened; each turn finds a later one.
        while let Some(next) = self.find_next() {
            if self.fill() {
                return true;
            }
            self.buffer.clear();
            let opened = File::open(&next.path);
            self.segment = Some(next);
            match opened {
                Ok(file) => {
                    self.file = Some(file);
                    return true;
                }
                Err(error) => {
                    self.file = None;
                    if error.kind() != std::io::ErrorKind::NotFound {
                        return false;
                    }
                }
            }
        }
        false
    }

    fn find_next(&self) -> Option<Segment> {
        let current = self.segment.as_ref()?;
        let dir = current.path.parent()?;
        if self.file.is_none() && current.path.exists() {
            return Some(current.clone());
        }
        let next = Segment::new(dir, current.run, current.number + 1);
        if next.path.exists() {
            return Some(next);
        }
        // Files in between may have been removed meanwhile.
        segments::list(dir)
            .into_iter()
            .find(|other| other.run == current.run && other > current)
    }

    fn skip_to_end(&mut self) {
        use std::io::{Seek as _, SeekFrom};
        if let Some(file) = &mut self.file {
            // A file that cannot be sought is read from its beginning: more than asked for, and nothing lost.
            let _ = file.seek(SeekFrom::End(0));
        }
    }
}

fn record_of(node: &str, run: u64, line: &[u8]) -> Option<Record> {
    let parsed = format::parse(line)?;
    Some(Record {
        time: parsed.time,
        node: node.to_owned(),
        run,
        stream: parsed.stream,
        bytes: parsed.bytes.to_vec(),
        continues: parsed.continues,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{LogStore, Redaction, Retention, Stream};
    use super::*;

    #[test]
    fn files_that_go_between_being_seen_and_being_opened_do_not_end_their_run() {
        let dir = tempfile::tempdir().unwrap();
        let small = Retention {
            file_size: 30,
            files: 100,
            ..Retention::default()
        };
        let log = LogStore::new(dir.path(), small).run("a", 1, Redaction::default());
        for number in 0..5 {
            log.line(Stream::Stdout, format!("{number}").as_bytes());
        }
        let seen = segments::list(&dir.path().join("a"));
        for gone in &seen[..2] {
            std::fs::remove_file(&gone.path).unwrap();
        }
        let mut cursor = Cursor::at(seen[0].clone());
        let mut read = |files| {
            std::iter::from_fn(|| cursor.read("a", 1, true, files))
                .map(|record| record.bytes)
                .collect::<Vec<_>>()
        };
        assert_eq!(read(5), [b"2", b"3", b"4"]);
        log.line(Stream::Stdout, b"5");
        assert_eq!(read(6), [b"5"]);
    }
}
