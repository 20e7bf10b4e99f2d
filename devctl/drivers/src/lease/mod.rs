//! Ports and loopback addresses, leased under a lock of the user instead of raced for.
//!
//! The same key gets the same port again, so that a restarted daemon changes no address. Ports lie below the range that the
//! kernel hands out by itself, so that no passing connection can sit on one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

mod listeners;

pub use listeners::{Listener, who_listens};

/// The leases of a user, in one file.
#[derive(Clone, Debug)]
pub struct Leases {
    file: PathBuf,
}

/// Whose port it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortKey {
    /// The project's id, unique on this machine.
    pub project: String,
    /// The node.
    pub node: String,
    /// Which of its ports, such as `5432/tcp` or `management`.
    pub port: String,
}

/// Whose loopback address it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EdgeKey {
    /// The project's id, unique on this machine.
    pub project: String,
    /// Who calls.
    pub consumer: String,
    /// Who is called.
    pub provider: String,
}

impl Leases {
    /// The leases kept in this file, which need not exist yet.
    pub fn at(file: &Path) -> Self {
        Self { file: file.to_owned() }
    }

    /// A port for that key, free on `ip` now: the one that it had, else `preferred`, else any.
    ///
    /// `state_dir` is the project's: once it is gone, so are the project's leases.
    ///
    /// # Errors
    /// Where the file cannot be locked, read or written, or no port is left.
    pub fn port(
        &self,
        _key: &PortKey,
        _ip: IpAddr,
        _preferred: Option<u16>,
        _state_dir: &Path,
    ) -> Result<u16, LeaseError> {
        let _ = &self.file;
        todo!()
    }

    /// A loopback address for that edge, nobody else's on this machine. Linux only: elsewhere only 127.0.0.1 answers.
    ///
    /// # Errors
    /// Where the file cannot be locked, read or written, or no address is left.
    pub fn address(&self, _key: &EdgeKey, _state_dir: &Path) -> Result<Ipv4Addr, LeaseError> {
        todo!()
    }

    /// Gives back everything of a project (`down -v`, a project that is removed).
    ///
    /// # Errors
    /// Where the file cannot be locked, read or written.
    pub fn release(&self, _project: &str) -> Result<(), LeaseError> {
        todo!()
    }
}

/// Why nothing could be leased.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The file of leases.
    #[error("{doing} `{}`", path.display())]
    Io {
        /// What was being done, such as `lock`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// Everything is taken.
    #[error("lease {what}: all are taken")]
    Exhausted {
        /// `a port` or `a loopback address`.
        what: &'static str,
    },
}

/// Whether something could listen on that address now.
pub fn is_free(_addr: SocketAddr) -> bool {
    todo!()
}
