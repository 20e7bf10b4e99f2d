//! "Port taken by whom": the listener of an address, by `/proc/net/tcp` and the open files of processes.

use std::net::SocketAddr;

/// Who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its process; `None` where it belongs to another user and cannot be seen.
    pub pid: Option<i32>,
    /// Its command line, as far as it can be seen.
    pub command: Option<String>,
}

/// Who keeps `addr` from being listened on: whoever listens on that very address, or on its port on every address.
/// `None`: nobody.
pub fn who_listens(_addr: SocketAddr) -> Option<Listener> {
    todo!()
}
