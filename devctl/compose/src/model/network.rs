//! Networks, ports and names of hosts.

use indexmap::IndexMap;

use super::record::record;

record! {
    /// A network, `networks.NAME`.
    pub struct Network {
        /// Its name in the engine.
        name: Option<String>,
        /// Driver.
        driver: Option<String>,
        /// The driver's options.
        driver_opts: IndexMap<String, String>,
        /// Addresses.
        ipam: Ipam [inline],
        /// Whether it exists already and is not managed.
        external: bool,
        /// Whether it has no way out.
        internal: bool,
        /// Whether containers outside the project may join.
        attachable: bool,
        /// Labels.
        labels: IndexMap<String, String>,
        /// Whether it has IPv4.
        enable_ipv4: Option<bool>,
        /// Whether it has IPv6.
        enable_ipv6: Option<bool>,
    }
}

record! {
    /// Address management of a network.
    pub struct Ipam {
        /// Driver.
        driver: Option<String>,
        /// Address ranges.
        config: Vec<IpamPool>,
        /// The driver's options.
        options: IndexMap<String, String>,
    }
}

record! {
    /// An address range.
    pub struct IpamPool {
        /// Subnet.
        subnet: Option<String>,
        /// Gateway.
        gateway: Option<String>,
        /// Range from which containers get theirs.
        ip_range: Option<String>,
        /// Addresses taken by other things.
        aux_addresses: IndexMap<String, String>,
    }
}

record! {
    /// How a service is attached to a network.
    pub struct ServiceNetwork {
        /// Further names on this network.
        aliases: Vec<String>,
        /// The driver's options.
        driver_opts: IndexMap<String, String>,
        /// Which network gives the default gateway.
        gw_priority: i64,
        /// Name of the interface inside.
        interface_name: Option<String>,
        /// Fixed IPv4 address.
        ipv4_address: Option<String>,
        /// Fixed IPv6 address.
        ipv6_address: Option<String>,
        /// Link-local addresses.
        link_local_ips: Vec<String>,
        /// MAC address.
        mac_address: Option<String>,
        /// Order in which networks are joined.
        priority: i64,
    }
}

record! {
    /// A published port, `services.NAME.ports[]`.
    pub struct Port {
        /// A name for people.
        name: Option<String>,
        /// `ingress` or `host`.
        mode: Option<String>,
        /// Address on the host; every interface when `None`.
        host_ip: Option<String>,
        /// Port inside.
        target: u16,
        /// Port on the host, or a range such as `8000-8010` to choose from; the engine chooses when `None`.
        published: Option<String>,
        /// `tcp` or `udp`.
        protocol: Option<String>,
        /// Protocol above that, such as `http`.
        app_protocol: Option<String>,
    }
}

/// Extra names in `/etc/hosts`, each with its addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtraHosts(pub IndexMap<String, Vec<String>>);
