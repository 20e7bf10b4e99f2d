//! What the daemon says about an edge when it opens it: address, protocol, limits, who may connect.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use crate::id::{EdgeId, Protocol};

/// Everything that an edge needs in order to listen.
#[derive(Debug)]
pub struct EdgeSpec {
    /// Who calls whom.
    pub id: EdgeId,
    /// Where the consumer finds it.
    pub listen: Listen,
    /// What is spoken there.
    pub protocol: Protocol,
    /// How much may wait, and for how long, while the provider is away.
    pub hold: HoldLimits,
    /// Peers outside this network are closed at once; `None` lets anybody connect who can reach the address.
    pub allow_peers: Option<Cidr>,
}

impl EdgeSpec {
    /// An edge with default limits whose protocol is found by looking.
    pub fn new(id: EdgeId, listen: impl Into<Listen>) -> Self {
        Self {
            id,
            listen: listen.into(),
            protocol: Protocol::Auto,
            hold: HoldLimits::default(),
            allow_peers: None,
        }
    }

    /// The same with a protocol that is known.
    #[must_use]
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// The same with other limits.
    #[must_use]
    pub fn hold(mut self, hold: HoldLimits) -> Self {
        self.hold = hold;
        self
    }

    /// The same, for peers of one network alone.
    #[must_use]
    pub fn allow_peers(mut self, network: Cidr) -> Self {
        self.allow_peers = Some(network);
        self
    }
}

/// Where an edge listens.
#[derive(Debug)]
pub enum Listen {
    /// An address to bind; port 0 takes a free one.
    Address(SocketAddr),
    /// A listener that somebody bound before, to know its address early.
    Bound(std::net::TcpListener),
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl From<std::net::TcpListener> for Listen {
    fn from(listener: std::net::TcpListener) -> Self {
        Self::Bound(listener)
    }
}

/// How much may wait at one edge while its provider is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldLimits {
    /// Connections (TCP) or requests (HTTP) that wait at the same time; the next one is refused.
    pub requests: usize,
    /// Bytes of all of them that are kept in memory; beyond it the sender is not read any more.
    pub bytes: usize,
    /// How long one of them waits before it is refused.
    pub time: Duration,
    /// How long a provider that is said to serve may refuse connections before that is believed: a crash is noticed
    /// by the caller before it is noticed by whoever watches the process.
    pub refused: Duration,
    /// After a swap, a passed-through connection to the old run that has been silent for so long counts as drained.
    pub quiet: Duration,
}

impl Default for HoldLimits {
    fn default() -> Self {
        Self {
            requests: 10_000,
            bytes: 64 << 20,
            time: Duration::from_secs(60),
            refused: Duration::from_secs(1),
            quiet: Duration::from_secs(2),
        }
    }
}

/// A network in `address/bits` notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

impl Cidr {
    /// The network of the first `bits` bits of `address`; too many bits mean the address alone.
    pub fn new(address: IpAddr, bits: u8) -> Self {
        let most = if address.is_ipv4() { 32 } else { 128 };
        Self {
            address,
            bits: bits.min(most),
        }
    }

    /// Whether `peer` belongs to it. An IPv4 peer seen through an IPv6 socket is looked at as IPv4.
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.address, peer.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(peer)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                u32::from(net) & mask == u32::from(peer) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(peer)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                u128::from(net) & mask == u128::from(peer) & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Self, CidrError> {
        let wrong = || CidrError(text.to_owned());
        let (address, bits) = text.split_once('/').unwrap_or((text, "128"));
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        Ok(Self::new(address, bits.parse().map_err(|_| wrong())?))
    }
}

/// A text that is no network.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a network such as `172.18.0.0/16`")]
pub struct CidrError(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_knows_its_peers() {
        let net: Cidr = "172.18.0.0/16".parse().unwrap();
        assert!(net.contains("172.18.3.4".parse().unwrap()));
        assert!(net.contains("::ffff:172.18.3.4".parse().unwrap()));
        assert!(!net.contains("172.19.0.1".parse().unwrap()));
        assert!(!net.contains("::1".parse().unwrap()));
        assert!(
            "0.0.0.0/0"
                .parse::<Cidr>()
                .unwrap()
                .contains("8.8.8.8".parse().unwrap())
        );
        assert!("fd00::/8".parse::<Cidr>().unwrap().contains("fd12::1".parse().unwrap()));
        assert!(
            "127.0.0.1"
                .parse::<Cidr>()
                .unwrap()
                .contains("127.0.0.1".parse().unwrap())
        );
        assert_eq!(
            "172.18/16".parse::<Cidr>().unwrap_err().to_string(),
            "`172.18/16` is not a network such as `172.18.0.0/16`"
        );
    }
}
