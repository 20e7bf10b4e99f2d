//! A command in the foreground: it has the terminal, and its end is devctl's.
//!
//! A process of this machine shares the terminal; a command in a container is talked to through the engine, and the
//! terminal is raw for as long: put back also when devctl panics or is told to end.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;

use devctl_drivers::docker::Attached;
use devctl_drivers::log::Stream;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;
use crate::exit::Exit;
use crate::standing::refused;

/// Runs a command of this machine to its end. Ctrl-C is its own to hear.
pub(crate) async fn process(mut command: tokio::process::Command) -> Result<Exit, Error> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    // Heard before it is there, so that no signal ends devctl and leaves the command behind.
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let mut quit = listen(SignalKind::quit())?;
    let mut child = command.spawn().map_err(|source| {
        let help = match source.kind() {
            io::ErrorKind::NotFound => Some("it is looked for in the service's own `PATH`".to_owned()),
            _ => None,
        };
        Error::Io {
            doing: format!("run `{program}`"),
            source,
            help,
        }
    })?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
    let forward = |signal| {
        if let Some(pid) = pid {
            let _gone = kill(Pid::from_raw(pid), signal);
        }
    };
    // Whoever types Ctrl-C types it to the command as well: both are of the terminal's foreground group.
    let from_terminal = io::stdin().is_terminal();
    loop {
        tokio::select! {
            ended = child.wait() => {
                let status = ended.map_err(|source| Error::Io { doing: format!("wait for `{program}`"), source, help: None })?;
                return Ok(match (status.code(), status.signal()) {
                    (Some(code), _) => of(code),
                    (None, signal) => Exit::Signal(signal.unwrap_or_default()),
                });
            }
            _ = interrupt.recv() => if !from_terminal { forward(Signal::SIGINT) },
            _ = quit.recv() => if !from_terminal { forward(Signal::SIGQUIT) },
            _ = terminate.recv() => forward(Signal::SIGTERM),
            _ = hangup.recv() => forward(Signal::SIGHUP),
        }
    }
}

/// How much of the terminal a command in a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wiring {
    /// It has a terminal of its own, which this one shows.
    pub(crate) tty: bool,
    /// It reads what is typed (or piped) here.
    pub(crate) stdin: bool,
    /// Typing this leaves it running.
    pub(crate) detach: Option<Vec<u8>>,
}

/// How a conversation with a command in a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The command ended with this status.
    Status(i32),
    /// devctl was told to end.
    Signal(Signal),
    /// Its user left.
    Left,
}

impl Ended {
    /// devctl's own exit status.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Status(code) => of(code),
            Self::Signal(signal) => Exit::Signal(signal as i32),
            Self::Left => Exit::Ok,
        }
    }
}

/// A status of a command's, as devctl's own.
pub(crate) fn of(code: i32) -> Exit {
    Exit::Of(u8::try_from(code & 0xff).unwrap_or(1))
}

/// Whether stdin and stdout are both somebody's terminal.
pub(crate) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Carries what is typed to the command and what it prints to here, until it ends. `on_interrupt` is told of a Ctrl-C that does
/// not go to the command's own terminal; without it, one ends the conversation.
pub(crate) async fn converse(
    mut attached: Attached,
    wiring: Wiring,
    mut on_signal: impl AsyncFnMut(Signal) -> bool,
) -> Result<Ended, Error> {
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    let mut resized = listen(SignalKind::window_change())?;
    let _raw = if wiring.tty { Some(Raw::begin()?) } else { None };
    if wiring.tty {
        resize(&attached).await;
    }
    let mut stdin = tokio::io::stdin();
    let mut typed = [0; 4096];
    let mut reads = wiring.stdin;
    let mut keys = Keys::default();
    let left = loop {
        tokio::select! {
            // Output first: what was printed before the end is shown before the end.
            biased;
            piece = attached.next() => match piece {
                Some((Stream::Stderr, bytes)) => write(&mut io::stderr(), &bytes)?,
                Some((_, bytes)) => write(&mut io::stdout(), &bytes)?,
                None => break None,
            },
            heard = async { tokio::select! {
                _ = interrupt.recv() => Signal::SIGINT,
                _ = terminate.recv() => Signal::SIGTERM,
                _ = hangup.recv() => Signal::SIGHUP,
            } } => if !on_signal(heard).await {
                break Some(Ended::Signal(heard));
            },
            _ = resized.recv() => if wiring.tty { resize(&attached).await },
            count = stdin.read(&mut typed), if reads => match count {
                Ok(0) | Err(_) => {
                    reads = false;
                    // The command reads its end of file; one that has ended needs none.
                    let _gone = attached.input.shutdown().await;
                }
                Ok(count) => {
                    let bytes = &typed[..count];
                    if wiring.detach.as_ref().is_some_and(|sequence| keys.completes(sequence, bytes)) {
                        break Some(Ended::Left);
                    }
                    if attached.input.write_all(bytes).await.is_err() || attached.input.flush().await.is_err() {
                        reads = false;
                    }
                }
            },
        }
    };
    match left {
        Some(ended) => Ok(ended),
        None => attached
            .exit()
            .await
            .map(Ended::Status)
            .map_err(|error| refused(&error)),
    }
}

async fn resize(attached: &Attached) {
    if let Ok((width, height)) = crossterm::terminal::size() {
        attached.resize(width, height).await;
    }
}

fn write(out: &mut impl io::Write, bytes: &[u8]) -> Result<(), Error> {
    out.write_all(bytes)?;
    out.flush()?;
    Ok(())
}

/// Hears a signal from now on.
pub(crate) fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, Error> {
    signal(kind).map_err(|source| Error::Io {
        doing: "listen for signals".into(),
        source,
        help: None,
    })
}

/// The terminal hands on each key as it is typed; until this is dropped.
struct Raw;

impl Raw {
    fn begin() -> Result<Self, Error> {
        crossterm::terminal::enable_raw_mode().map_err(|source| Error::Io {
            doing: "make the terminal raw".into(),
            source,
            help: None,
        })?;
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let _ = crossterm::terminal::disable_raw_mode();
            before(panic);
        }));
        Ok(Self)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = crossterm::terminal::disable_raw_mode();
        let _ = io::stdout().flush();
    }
}

/// The keys that leave a container, as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Sequence(pub(crate) Vec<u8>);

/// `ctrl-p,ctrl-q`, `a,b`: as `docker attach --detach-keys` has them.
pub(crate) fn sequence(text: &str) -> Result<Sequence, String> {
    let key = |word: &str| match (word.strip_prefix("ctrl-"), word.as_bytes()) {
        (Some(rest), _) => match rest.as_bytes() {
            [letter @ b'a'..=b'z'] => Ok(letter - b'a' + 1),
            [b'@'] => Ok(0),
            [sign @ b'['..=b'_'] => Ok(sign - b'[' + 27),
            _ => Err(format!(
                "`{word}` is no key: write `ctrl-` and a letter, or one of @ [ \\ ] ^ _"
            )),
        },
        (None, [byte]) => Ok(*byte),
        _ => Err(format!("`{word}` is no key: write one character, or `ctrl-LETTER`")),
    };
    let keys: Result<Vec<u8>, String> = text.split(',').map(key).collect();
    Ok(Sequence(keys?))
}

/// The last keys that were typed.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    recent: Vec<u8>,
}

impl Keys {
    /// Whether these keys bring the sequence to its end.
    pub(crate) fn completes(&mut self, sequence: &[u8], typed: &[u8]) -> bool {
        self.recent.extend_from_slice(typed);
        let complete = self.recent.windows(sequence.len()).any(|window| window == sequence);
        let keep = sequence.len().saturating_sub(1);
        self.recent.drain(..self.recent.len().saturating_sub(keep));
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_docker_has_them() {
        assert_eq!(sequence("ctrl-p,ctrl-q").unwrap().0, b"\x10\x11");
        assert_eq!(sequence("ctrl-],x").unwrap().0, b"\x1dx");
        assert!(sequence("ctrl-P").is_err());
        assert!(sequence("ab").is_err());
    }

    #[test]
    fn a_sequence_of_keys_is_seen_over_several_reads() {
        let mut keys = Keys::default();
        assert!(!keys.completes(b"\x10\x11", b"ls\x10"));
        assert!(keys.completes(b"\x10\x11", b"\x11"));
        assert!(!keys.completes(b"\x10\x11", b"\x11\x10"));
    }

    #[test]
    fn a_status_is_one_byte() {
        assert_eq!(of(300), Exit::Of(44));
        assert_eq!(Ended::Signal(Signal::SIGTERM).exit().status(), 143);
    }
}
