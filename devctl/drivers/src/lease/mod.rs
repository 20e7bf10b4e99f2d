//! Ports and loopback addresses, leased under a lock of the user instead of raced for.
//!
//! The same key gets the same port again, so that a restarted daemon changes no address. Ports lie below the range that the
//! kernel hands out by itself, so that no passing connection can sit on one.

use std::collections::HashSet;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

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

/// The first port that is leased where the kernel's own range leaves room: most fixed ports of services lie below.
const FIRST_PORT: u16 = 20_000;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Book {
    #[serde(default)]
    ports: Vec<PortLease>,
    #[serde(default)]
    addresses: Vec<AddressLease>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PortLease {
    project: String,
    node: String,
    port: String,
    number: u16,
    state_dir: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct AddressLease {
    project: String,
    consumer: String,
    provider: String,
    address: Ipv4Addr,
    state_dir: PathBuf,
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
    pub fn port(&self, key: &PortKey, ip: IpAddr, preferred: Option<u16>, state_dir: &Path) -> Result<u16, LeaseError> {
        self.change(|book| {
            let own =
                |lease: &PortLease| (&lease.project, &lease.node, &lease.port) == (&key.project, &key.node, &key.port);
            let had = book.ports.iter().find(|lease| own(lease)).map(|lease| lease.number);
            let only = |number: &u16| book.ports.iter().filter(|lease| lease.number == *number).count() == 1;
            if let Some(number) = had.filter(only)
                && is_free(SocketAddr::new(ip, number))
            {
                return Ok(number);
            }
            book.ports.retain(|lease| !own(lease));
            let taken: HashSet<u16> = book.ports.iter().map(|lease| lease.number).collect();
            let range = port_range();
            // Where to begin is a matter of the key, so that a lost file gives the same ports again.
            let begin = usize::from(spread(&[&key.project, &key.node, &key.port]) as u16) % range.len();
            let others = range.clone().skip(begin).chain(range.take(begin));
            let number = had
                .into_iter()
                .chain(preferred)
                .chain(others)
                .find(|number| !taken.contains(number) && is_free(SocketAddr::new(ip, *number)))
                .ok_or(LeaseError::Exhausted { what: "a port" })?;
            let PortKey { project, node, port } = key.clone();
            book.ports.push(PortLease {
                project,
                node,
                port,
                number,
                state_dir: state_dir.to_owned(),
            });
            Ok(number)
        })
    }

    /// The port that the key has, whoever listens there now: it may be the node itself.
    ///
    /// # Errors
    /// Where the file cannot be locked, read or written.
    pub fn known_port(&self, key: &PortKey) -> Result<Option<u16>, LeaseError> {
        self.change(|book| {
            let own =
                |lease: &&PortLease| (&lease.project, &lease.node, &lease.port) == (&key.project, &key.node, &key.port);
            Ok(book.ports.iter().find(own).map(|lease| lease.number))
        })
    }

    /// A loopback address for that edge, nobody else's on this machine. Linux only: elsewhere only 127.0.0.1 answers.
    ///
    /// # Errors
    /// Where the file cannot be locked, read or written, or no address is left.
    pub fn address(&self, key: &EdgeKey, state_dir: &Path) -> Result<Ipv4Addr, LeaseError> {
        self.change(|book| {
            let own = |lease: &&AddressLease| {
                (&lease.project, &lease.consumer, &lease.provider) == (&key.project, &key.consumer, &key.provider)
            };
            if let Some(lease) = book.addresses.iter().find(own) {
                return Ok(lease.address);
            }
            let taken: HashSet<Ipv4Addr> = book.addresses.iter().map(|lease| lease.address).collect();
            let begin = spread(&[&key.project, &key.consumer, &key.provider]);
            // 127.64.0.0/10: far from 127.0.0.x, which resolvers and others use.
            let address = (0..1_u32 << 22)
                .map(|step| (begin as u32).wrapping_add(step) & 0x3f_ffff)
                .filter(|low| !matches!(low & 0xff, 0 | 255))
                .map(|low| Ipv4Addr::from(0x7f40_0000 | low))
                .find(|address| !taken.contains(address))
                .ok_or(LeaseError::Exhausted {
                    what: "a loopback address",
                })?;
            let EdgeKey {
                project,
                consumer,
                provider,
            } = key.clone();
            book.addresses.push(AddressLease {
                project,
                consumer,
                provider,
                address,
                state_dir: state_dir.to_owned(),
            });
            Ok(address)
        })
    }

    /// Gives back everything of a project (`down -v`, a project that is removed).
    ///
    /// # Errors
    /// Where the file cannot be locked, read or written.
    pub fn release(&self, project: &str) -> Result<(), LeaseError> {
        self.change(|book| {
            book.ports.retain(|lease| lease.project != project);
            book.addresses.retain(|lease| lease.project != project);
            Ok(())
        })
    }

    /// Changes the book under the lock. It is replaced as a whole, so that a crash leaves the old one.
    fn change<T>(&self, work: impl FnOnce(&mut Book) -> Result<T, LeaseError>) -> Result<T, LeaseError> {
        let failed = |doing| {
            move |source| LeaseError::Io {
                doing,
                path: self.file.clone(),
                source,
            }
        };
        if let Some(dir) = self.file.parent() {
            fs::create_dir_all(dir).map_err(failed("make room for"))?;
        }
        let lock = File::create(self.file.with_extension("lock")).map_err(failed("lock"))?;
        lock.lock().map_err(failed("lock"))?;
        let mut book: Book = match fs::read(&self.file) {
            // A book that cannot be read is begun anew: leases are a convenience, and each port is tried before it is given.
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Book::default(),
            Err(error) => return Err(failed("read")(error)),
        };
        let before = book.clone();
        book.ports.retain(|lease| lease.state_dir.exists());
        book.addresses.retain(|lease| lease.state_dir.exists());
        let done = work(&mut book)?;
        if book == before {
            return Ok(done);
        }
        let text = serde_json::to_vec_pretty(&book).map_err(|error| failed("write")(error.into()))?;
        let new = self.file.with_extension("new");
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &self.file))
            .map_err(failed("write"))?;
        Ok(done)
    }
}

/// Ports that the kernel gives to nobody by itself.
fn port_range() -> std::ops::Range<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let low = text
        .split_whitespace()
        .next()
        .and_then(|low| low.parse().ok())
        .unwrap_or(32_768);
    match low {
        21_000.. => FIRST_PORT..low,
        6_000.. => 5_000..low,
        _ => FIRST_PORT..32_768,
    }
}

/// A number that depends on these words alone.
fn spread(words: &[&str]) -> u64 {
    let hash = Sha256::digest(words.join("\0").as_bytes());
    hash.iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
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

impl LeaseError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Io { source, .. } if crate::dirs::is_disk_full(source) => {
                Some("the disk is full: free some space (`df -h`)".into())
            }
            Self::Io { path, .. } => Some(format!("make `{}` writable", path.display())),
            Self::Exhausted { .. } => Some("take down projects that are no longer used (`devctl down -v`)".into()),
        }
    }
}

/// Whether something could listen on that address now.
pub fn is_free(addr: SocketAddr) -> bool {
    TcpListener::bind(addr).is_ok()
}

#[cfg(test)]
mod tests;
