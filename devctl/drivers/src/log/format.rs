//! A record as a line of text: `2026-11-23T09:38:00.123456789Z out the text`. `out+` says that the line goes on in the next record.
//!
//! Text, so that `grep` and `less` work on the files; the newline is the only byte that a record cannot hold.

use jiff::Timestamp;

use super::Stream;

/// Longer lines are cut into records of this many bytes.
pub(super) const LONGEST: usize = 64 * 1024;

/// What a line of a file says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed<'a> {
    pub(super) time: Timestamp,
    pub(super) stream: Stream,
    pub(super) continues: bool,
    pub(super) bytes: &'a [u8],
}

/// Appends one record to `buffer`.
pub(super) fn append(buffer: &mut Vec<u8>, time: Timestamp, stream: Stream, continues: bool, bytes: &[u8]) {
    let mark = if continues { "+" } else { "" };
    buffer.extend_from_slice(format!("{time:.9} {}{mark} ", stream.tag()).as_bytes());
    buffer.extend_from_slice(bytes);
    buffer.push(b'\n');
}

/// Reads one line, without its newline. `None`: it is no record (the rest of one that a crash cut off).
pub(super) fn parse(line: &[u8]) -> Option<Parsed<'_>> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
    let tag = parts.next()?;
    let bytes = parts.next()?;
    let (tag, continues) = match tag.strip_suffix(b"+") {
        Some(tag) => (tag, true),
        None => (tag, false),
    };
    let stream = [Stream::Stdout, Stream::Stderr, Stream::Devctl]
        .into_iter()
        .find(|s| s.tag().as_bytes() == tag)?;
    Some(Parsed {
        time,
        stream,
        continues,
        bytes,
    })
}

impl Stream {
    /// Its name in a file.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Stdout => "out",
            Self::Stderr => "err",
            Self::Devctl => "dev",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let time: Timestamp = "2026-11-23T09:38:00.1Z".parse().unwrap();
        for (stream, continues, bytes) in [
            (Stream::Stdout, false, &b"plain  text "[..]),
            (Stream::Stderr, true, &b"\xff\x00\r no utf-8"[..]),
            (Stream::Devctl, false, &b""[..]),
        ] {
            let mut line = Vec::new();
            append(&mut line, time, stream, continues, bytes);
            assert_eq!(line.pop(), Some(b'\n'));
            assert_eq!(
                parse(&line),
                Some(Parsed {
                    time,
                    stream,
                    continues,
                    bytes
                })
            );
        }
    }

    #[test]
    fn the_file_is_what_a_person_expects_to_grep() {
        let mut line = Vec::new();
        append(&mut line, Timestamp::UNIX_EPOCH, Stream::Stdout, false, b"hello");
        assert_eq!(line, b"1970-01-01T00:00:00.000000000Z out hello\n");
    }

    #[test]
    fn what_a_crash_cut_off_is_no_record() {
        for line in [
            "",
            "2026-11-23T09:3",
            "2026-11-23T09:38:00.123456789Z",
            "2026-11-23T09:38:00.1Z out",
            "x y z",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }
}
