//! What is typed (or piped) here, handed to a process of this machine by the pipe that it reads.
//!
//! A terminal gives each key as it is typed, so that the keys that leave are seen at once; what a terminal would do to a line (to show it, to
//! take a letter back) is done here. Ctrl-C stays a signal.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use nix::sys::termios::{InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Stdin};
use tokio::net::unix::pipe::{self, Sender};

use crate::error::Error;
use crate::foreground::Keys;

/// So much is read ahead of a process that reads slowly, or not at all.
const AHEAD: usize = 1 << 16;
const CTRL_D: u8 = 4;
const CTRL_U: u8 = 21;
const DELETE: u8 = 127;

/// What came of what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// It is on its way, or there is no more.
    On,
    /// The keys that leave were typed.
    Left,
}

/// The way from here to a process.
#[derive(Debug)]
pub(crate) struct Typed {
    way: Way,
    stdin: Stdin,
    /// The terminal that it is typed at.
    terminal: Option<Cooked>,
    line: Line,
    keys: Keys,
    leave: Vec<u8>,
    /// There is no more to read here.
    read: bool,
}

impl Typed {
    /// Opens the pipe; `leave` are the keys that leave. None: the process has just ended.
    pub(crate) fn open(pipe: &Path, leave: Vec<u8>) -> Result<Option<Self>, Error> {
        let opened = Way::open(pipe).map_err(|source| Error::Io {
            doing: format!("open `{}`, the process's stdin", pipe.display()),
            source,
            help: None,
        })?;
        let Some(way) = opened else { return Ok(None) };
        let terminal = if io::stdin().is_terminal() {
            Some(Cooked::begin()?)
        } else {
            None
        };
        Ok(Some(Self {
            way,
            stdin: tokio::io::stdin(),
            terminal,
            line: Line::default(),
            keys: Keys::default(),
            leave,
            read: false,
        }))
    }

    /// Hands on what is typed next. Pends for ever where there is nothing to read from, or no more. Cancel-safe.
    pub(crate) async fn next(typed: &mut Option<Self>) -> Result<Handed, Error> {
        match typed {
            Some(typed) if !typed.is_over() => typed.hand_on().await,
            _ => std::future::pending().await,
        }
    }

    fn is_over(&self) -> bool {
        self.way.closed || self.read && self.way.pending.is_empty()
    }

    async fn hand_on(&mut self) -> Result<Handed, Error> {
        let mut bytes = [0; 4096];
        let count = tokio::select! {
            went = self.way.go_on(), if !self.way.pending.is_empty() => {
                went.map_err(|source| Error::Io {
                    doing: "hand on what was typed".into(),
                    source,
                    help: None,
                })?;
                return Ok(Handed::On);
            }
            count = self.stdin.read(&mut bytes), if !self.read && self.way.pending.len() < AHEAD => count.unwrap_or_default(),
        };
        let bytes = &bytes[..count];
        if bytes.is_empty() {
            self.read = true;
            return Ok(Handed::On);
        }
        if self.terminal.is_none() {
            self.way.pending.extend(bytes);
            return Ok(Handed::On);
        }
        if !self.leave.is_empty() && self.keys.completes(&self.leave, bytes) {
            return Ok(Handed::Left);
        }
        let mut shown = Vec::new();
        for byte in bytes
            .iter()
            .filter(|byte| !(self.leave.contains(byte) && byte.is_ascii_control()))
        {
            self.line.key(*byte, &mut shown, &mut self.way.pending);
        }
        io::stdout().write_all(&shown)?;
        io::stdout().flush()?;
        Ok(Handed::On)
    }
}

/// The pipe that a process reads, and what is on its way into it: a process that does not read holds nobody up.
#[derive(Debug)]
struct Way {
    pipe: Sender,
    pending: Vec<u8>,
    /// Nobody will read it any more.
    closed: bool,
}

impl Way {
    /// None: nobody reads it.
    fn open(pipe: &Path) -> io::Result<Option<Self>> {
        let pipe = match pipe::OpenOptions::new().open_sender(pipe) {
            Ok(pipe) => pipe,
            // The pipe goes with the process that reads it.
            Err(error) if error.kind() == ErrorKind::NotFound || is_unread(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Self {
            pipe,
            pending: Vec::new(),
            closed: false,
        }))
    }

    /// Waits until some of it can go, and lets it go. Cancel-safe.
    async fn go_on(&mut self) -> io::Result<()> {
        match self.pipe.write(&self.pending).await {
            Ok(count) => {
                self.pending.drain(..count);
            }
            // The process has ended, and how is told otherwise.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.closed = true,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// What fifo(7) says of a pipe that is opened for writing, where nobody has it open for reading.
fn is_unread(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::ENXIO as i32)
}

/// A line that is being typed.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
}

impl Line {
    /// One key: `shown` is what the terminal is to show of it, `whole` what is complete now.
    fn key(&mut self, key: u8, shown: &mut Vec<u8>, whole: &mut Vec<u8>) {
        match key {
            b'\r' | b'\n' => {
                shown.push(b'\n');
                self.bytes.push(b'\n');
                whole.append(&mut self.bytes);
            }
            // As a terminal has it: what is there goes, without an end of line.
            CTRL_D => whole.append(&mut self.bytes),
            DELETE | 8 => {
                self.take_back(shown);
            }
            CTRL_U => while self.take_back(shown) {},
            key => {
                self.bytes.push(key);
                shown.push(key);
            }
        };
    }

    /// Takes the last letter back, all of its bytes.
    fn take_back(&mut self, shown: &mut Vec<u8>) -> bool {
        while let Some(byte) = self.bytes.pop() {
            if byte & 0b1100_0000 != 0b1000_0000 {
                shown.extend(b"\x08 \x08");
                return true;
            }
        }
        false
    }
}

/// A terminal that hands on each key, and is as before when this is dropped.
#[derive(Debug)]
struct Cooked {
    before: Termios,
}

impl Cooked {
    fn begin() -> Result<Self, Error> {
        let failed = |errno: nix::errno::Errno| Error::Io {
            doing: "change how the terminal reads".into(),
            source: errno.into(),
            help: None,
        };
        let stdin = io::stdin();
        let before = tcgetattr(stdin.as_fd()).map_err(failed)?;
        let mut now = before.clone();
        now.local_flags
            .remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::IEXTEN);
        // Ctrl-Q belongs to the keys that leave.
        now.input_flags.remove(InputFlags::IXON);
        now.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        now.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &now).map_err(failed)?;
        Ok(Self { before })
    }
}

impl Drop for Cooked {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing put back.
        let _gone = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_process_that_does_not_read_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdin");
        assert!(Way::open(&path).unwrap().is_none(), "it is gone with the process");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(Way::open(&path).unwrap().is_none(), "nobody reads it any more");
        let mut process = pipe::OpenOptions::new().open_receiver(&path).unwrap();
        let mut way = Way::open(&path).unwrap().unwrap();
        let text: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        way.pending.extend(&text);
        let mut went = 0;
        // Until the pipe is full: whoever else there is goes on.
        while tokio::select! {
            biased;
            gone = way.go_on() => { gone.unwrap(); true }
            () = tokio::task::yield_now() => false,
        } {
            went += 1;
            assert!(went < text.len(), "a pipe is full some day");
        }
        let mut read = vec![0; text.len()];
        let write = async {
            while !way.pending.is_empty() {
                way.go_on().await.unwrap();
            }
        };
        let (got, ()) = tokio::join!(process.read_exact(&mut read), write);
        got.unwrap();
        assert!(read == text, "all of it, in this order");
        drop(process);
        way.pending.extend(b"more");
        way.go_on().await.unwrap();
        assert!(way.closed, "its end is no error");
    }

    fn typed(keys: &str) -> (String, String) {
        let (mut line, mut shown, mut whole) = (Line::default(), Vec::new(), Vec::new());
        keys.bytes().for_each(|key| line.key(key, &mut shown, &mut whole));
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (text(whole), text(shown))
    }

    #[test]
    fn a_line_goes_when_it_is_complete() {
        assert_eq!(typed("ab\r"), ("ab\n".to_owned(), "ab\n".to_owned()));
        assert_eq!(typed("ab").0, "", "the line is still being typed");
        assert_eq!(typed("ab\x04").0, "ab");
    }

    #[test]
    fn letters_can_be_taken_back() {
        assert_eq!(typed("ax\x7fb\r").0, "ab\n");
        assert_eq!(typed("aé\x7fb\r").0, "ab\n", "all bytes of one letter");
        assert_eq!(typed("\x7f\x7fa\r").0, "a\n");
        assert_eq!(typed("abc\x15d\r").0, "d\n");
    }
}
