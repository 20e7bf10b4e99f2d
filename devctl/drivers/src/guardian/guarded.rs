//! The daemon's side: how it learns of its guardian's death.

use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;

use tokio::net::unix::pipe::Receiver;

use super::GUARDIAN_VARIABLE;
use crate::proc::{self, ProcessId};

/// The daemon's end of the pipe.
#[derive(Debug)]
pub struct Guarded {
    /// The guardian.
    pub guardian: ProcessId,
    pipe: Receiver,
}

impl Guarded {
    /// Takes the pipe, if this process was started by a guardian. Once, early in the daemon's life, inside a tokio runtime.
    pub fn take() -> Option<Self> {
        let pid: i32 = std::env::var(GUARDIAN_VARIABLE).ok()?.parse().ok()?;
        let guardian = ProcessId::of(pid)?;
        let own = proc::stat(i32::try_from(std::process::id()).ok()?)?;
        let stdin = std::io::stdin();
        // The variable alone proves nothing: a process further down inherits it.
        if own.parent != pid || stdin.is_terminal() {
            return None;
        }
        // A copy that is closed at exec; standard input itself is replaced in every child that is started.
        let pipe = stdin.as_fd().try_clone_to_owned().ok()?;
        Some(Self {
            guardian,
            pipe: Receiver::from_owned_fd(pipe).ok()?,
        })
    }

    /// Waits for the guardian's death. Cancel-safe.
    pub async fn lost(&mut self) {
        let mut buffer = [0; 16];
        // Nothing is ever written: what comes is the end.
        while self.pipe.readable().await.is_ok() {
            match self.pipe.try_read(&mut buffer) {
                Ok(1..) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}
