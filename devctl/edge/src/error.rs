//! What can go wrong when edges are opened; what goes wrong on a connection is answered there and counted.

use std::io;
use std::net::SocketAddr;

use crate::id::EdgeId;

/// Why an edge could not be opened. Its text fits after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The thread or the reactor that serves the edges could not be started.
    #[error("start the thread that serves the edges")]
    Start(#[source] io::Error),
    /// Somebody else listens on the address.
    #[error("listen on `{address}` for `{edge}`: the address is in use")]
    AddressInUse {
        /// Who wanted it.
        edge: EdgeId,
        /// What is taken.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The address belongs to no interface of this machine.
    #[error("listen on `{address}` for `{edge}`: this machine has no such address")]
    NoSuchAddress {
        /// Who wanted it.
        edge: EdgeId,
        /// What is missing.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The port is privileged.
    #[error("listen on `{address}` for `{edge}`: not permitted")]
    NotPermitted {
        /// Who wanted it.
        edge: EdgeId,
        /// What is guarded.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Anything else that the system said.
    #[error("listen on `{address}` for `{edge}`")]
    Listen {
        /// Who wanted it.
        edge: EdgeId,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An edge of this name is open.
    #[error("open `{0}`: it is open already")]
    Twice(EdgeId),
    /// The edges were shut down before.
    #[error("open `{0}`: the edges are shut down")]
    ShutDown(EdgeId),
}

impl EdgeError {
    pub(crate) fn listen(edge: EdgeId, address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse { edge, address, source },
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress { edge, address, source },
            io::ErrorKind::PermissionDenied => Self::NotPermitted { edge, address, source },
            _ => Self::Listen { edge, address, source },
        }
    }

    /// What to do next, where there is something to do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::AddressInUse { address, .. } => Some(format!(
                "`ss -ltnp 'sport = :{}'` shows who listens there; stop it, or publish another port",
                address.port()
            )),
            Self::NoSuchAddress { address, .. } if address.ip().is_loopback() => Some(format!(
                "only Linux gives every 127.x.y.z address to the loopback interface; elsewhere `{}` has to be added by hand",
                address.ip()
            )),
            Self::NoSuchAddress { .. } => Some("create the network before the edge that listens on its gateway".into()),
            Self::NotPermitted { address, .. } => Some(format!(
                "ports below 1024 need a right of their own; take a higher one instead of {}, or lower `net.ipv4.ip_unprivileged_port_start`",
                address.port()
            )),
            _ => None,
        }
    }
}
