//! Where a body ends. The framing itself is passed on untouched.

/// How a body ends, and how far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// After so many more bytes.
    Length(u64),
    /// With the chunk that says so.
    Chunked(Chunk),
    /// With the connection.
    UntilClose,
}

/// Where in a chunked body the next byte belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// To a chunk's size, of which so much is read; the flag is set by the first digit.
    Size(u64, bool),
    /// To an extension, which ends with the line.
    Extension(u64),
    /// To data, of which so much is missing.
    Data(u64),
    /// To the line end behind data.
    DataEnd,
    /// To the first byte of a trailer line.
    Trailer,
    /// To the rest of a trailer line.
    TrailerLine,
    /// To the line feed of the empty line that ends it all.
    Last,
    /// Behind the end.
    Done,
}

/// A chunk's framing that cannot be understood: where the body ends is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BadChunk;

impl Framing {
    pub(crate) const NONE: Self = Self::Length(0);
    pub(crate) const CHUNKED: Self = Self::Chunked(Chunk::START);

    pub(crate) fn is_done(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Done))
    }

    /// How many of the bytes belong to the body. They are counted: the next call is about what follows them.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<usize, BadChunk> {
        match self {
            Self::UntilClose => Ok(bytes.len()),
            Self::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                Ok(count)
            }
            Self::Chunked(chunk) => chunk.scan(bytes, |_| {}),
        }
    }
}

impl Chunk {
    pub(crate) const START: Self = Self::Size(0, false);

    /// As [`Framing::scan`]; `data` is shown the bytes without their framing.
    pub(crate) fn scan(&mut self, bytes: &[u8], mut data: impl FnMut(&[u8])) -> Result<usize, BadChunk> {
        let mut at = 0;
        while at < bytes.len() && *self != Self::Done {
            if let Self::Data(left) = *self {
                let count = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                data(&bytes[at..at + count]);
                at += count;
                let left = left - count as u64;
                *self = if left == 0 { Self::DataEnd } else { Self::Data(left) };
                continue;
            }
            *self = self.step(bytes[at])?;
            at += 1;
        }
        Ok(at)
    }

    fn step(self, byte: u8) -> Result<Self, BadChunk> {
        Ok(match (self, byte) {
            (Self::Size(size, _), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                let size = size
                    .checked_mul(16)
                    .and_then(|size| size.checked_add(digit))
                    .ok_or(BadChunk)?;
                Self::Size(size, true)
            }
            (Self::Size(size, true), b'\r' | b';' | b' ' | b'\t') => Self::Extension(size),
            (Self::Size(0, true) | Self::Extension(0), b'\n') => Self::Trailer,
            (Self::Size(size, true) | Self::Extension(size), b'\n') => Self::Data(size),
            (Self::Extension(size), _) => Self::Extension(size),
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size(0, false),
            (Self::Trailer, b'\r') => Self::Last,
            (Self::Trailer | Self::Last, b'\n') => Self::Done,
            (Self::Trailer | Self::TrailerLine, byte) if byte != b'\n' => Self::TrailerLine,
            (Self::TrailerLine, _) => Self::Trailer,
            _ => return Err(BadChunk),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(bytes: &[u8], step: usize) -> Result<(usize, Vec<u8>, bool), BadChunk> {
        let mut chunk = Chunk::Size(0, false);
        let (mut used, mut all) = (0, Vec::new());
        for part in bytes.chunks(step) {
            used += chunk.scan(part, |data| all.extend_from_slice(data))?;
        }
        Ok((used, all, chunk == Chunk::Done))
    }

    #[test]
    fn a_chunked_body_ends_where_it_says() {
        let body = b"5\r\nhello\r\nA;x=\"1\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n";
        let mut next = body.to_vec();
        next.extend_from_slice(b"GET /");
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(
                whole(&next, step),
                Ok((body.len(), b"hello0123456789".to_vec(), true)),
                "{step}"
            );
        }
        assert_eq!(whole(b"0\r\n\r\n", 1), Ok((5, Vec::new(), true)));
        assert_eq!(whole(b"3\r\nab", 1), Ok((5, b"ab".to_vec(), false)));
    }

    #[test]
    fn what_is_no_chunk_is_an_error() {
        for bad in [
            &b"\r\n"[..],
            b"x\r\n",
            b"-1\r\n",
            b"3\r\nabcd\r\n",
            b"fffffffffffffffff\r\n",
            b"0\r\n\rX",
        ] {
            assert_eq!(whole(bad, 1), Err(BadChunk), "{}", bad.escape_ascii());
        }
    }

    #[test]
    fn a_length_is_counted_down() {
        let mut framing = Framing::Length(5);
        assert_eq!(framing.scan(b"abc"), Ok(3));
        assert!(!framing.is_done());
        assert_eq!(framing.scan(b"defg"), Ok(2));
        assert!(framing.is_done());
    }
}
