//! What is typed (or piped) here, handed to a process of this machine by the pipe that it reads.
//!
//! A terminal gives each key as it is typed, so that the keys that leave are seen at once; what a terminal would do to a line (to show it, to
//! take a letter back) is done here. Ctrl-C stays a signal.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;

use nix::sys::termios::{InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr};
use tokio::io::{AsyncReadExt as _, Stdin};

use crate::error::Error;
use crate::foreground::Keys;

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
    pipe: File,
    stdin: Stdin,
    /// The terminal that it is typed at.
    terminal: Option<Cooked>,
    line: Line,
    keys: Keys,
    leave: Vec<u8>,
    ended: bool,
}

impl Typed {
    /// Opens the pipe; `leave` are the keys that leave.
    pub(crate) fn open(pipe: &Path, leave: Vec<u8>) -> Result<Self, Error> {
        let opened = File::options().write(true).open(pipe);
        let pipe = opened.map_err(|source| Error::Io {
            doing: format!("open `{}`, the process's stdin", pipe.display()),
            source,
            help: None,
        })?;
        let terminal = if io::stdin().is_terminal() {
            Some(Cooked::begin()?)
        } else {
            None
        };
        Ok(Self {
            pipe,
            stdin: tokio::io::stdin(),
            terminal,
            line: Line::default(),
            keys: Keys::default(),
            leave,
            ended: false,
        })
    }

    /// Hands on what is typed next. Pends for ever where there is nothing to read from, or no more.
    pub(crate) async fn next(typed: &mut Option<Self>) -> Result<Handed, Error> {
        match typed {
            Some(typed) if !typed.ended => typed.hand_on().await,
            _ => std::future::pending().await,
        }
    }

    async fn hand_on(&mut self) -> Result<Handed, Error> {
        let mut bytes = [0; 4096];
        let count = self.stdin.read(&mut bytes).await.unwrap_or_default();
        let bytes = &bytes[..count];
        if bytes.is_empty() {
            self.ended = true;
            return Ok(Handed::On);
        }
        if self.terminal.is_none() {
            self.write(bytes)?;
            return Ok(Handed::On);
        }
        if !self.leave.is_empty() && self.keys.completes(&self.leave, bytes) {
            return Ok(Handed::Left);
        }
        let mut shown = Vec::new();
        let mut whole = Vec::new();
        for byte in bytes
            .iter()
            .filter(|byte| !(self.leave.contains(byte) && byte.is_ascii_control()))
        {
            self.line.key(*byte, &mut shown, &mut whole);
        }
        io::stdout().write_all(&shown)?;
        io::stdout().flush()?;
        self.write(&whole)?;
        Ok(Handed::On)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.pipe.write_all(bytes).map_err(|source| Error::Io {
            doing: "hand on what was typed".into(),
            source,
            help: None,
        })
    }
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
