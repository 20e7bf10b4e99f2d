//! How a container reaches this host, where the edges are.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use devctl_compose::model::Project;
use devctl_core::NodeId;
use devctl_drivers::docker::{Engine, SeenNetwork};
use devctl_edge::Cidr;

use super::edges::Calls;
use crate::command::Remark;
use crate::specify::{self, Choice};

/// What edges of containers need to know.
pub(super) struct Containers<'a> {
    pub(super) project: &'a Project,
    pub(super) choices: &'a HashMap<String, Choice>,
    pub(super) networks: &'a HashMap<String, SeenNetwork>,
    pub(super) engine: Option<&'a Engine>,
}

/// How a container reaches this host.
pub(super) enum Reach {
    /// At the gateway of its network.
    Gateway(Ipv4Addr, Cidr),
    /// Under a name of the engine's: its networks are not this host's.
    Name,
    /// As this host does.
    Host,
}

impl Containers<'_> {
    /// None: it is no container.
    pub(super) fn reach(&self, consumer: &str) -> Option<Reach> {
        if self.choices.get(consumer) != Some(&Choice::Container) {
            return None;
        }
        let project = self.project;
        let service = project.services.get(consumer)?;
        if self.engine.is_some_and(|engine| engine.facts().far) {
            return Some(Reach::Name);
        }
        if service.network_mode.as_deref() == Some("host") {
            return Some(Reach::Host);
        }
        let network = specify::reachable_network(project, service)?;
        let seen = self.networks.get(&network.body.name)?;
        let (base, bits) = seen.subnet?;
        Some(Reach::Gateway(seen.gateway?, Cidr::new(IpAddr::V4(base), bits)))
    }

    /// Containers of a rootless engine have a network of their own user's, from which this host's loopback is shut out unless the
    /// engine was told otherwise. It does not say whether it was.
    pub(super) fn unreachable_host(&self, calls: &Calls) -> Option<Remark> {
        if !self.engine?.facts().rootless {
            return None;
        }
        let by_name = |consumer: &str| matches!(self.reach(consumer), Some(Reach::Name));
        let (consumer, providers) = calls.iter().find(|(consumer, _)| by_name(consumer))?;
        Some(Remark {
            node: Some(NodeId::from(consumer.as_str())),
            text: format!(
                "it calls {} on this host, which containers of a rootless engine reach only where the engine was started so",
                providers.keys().cloned().collect::<Vec<_>>().join(", ")
            ),
            help: Some(
                "start it with DOCKERD_ROOTLESS_ROOTLESSKIT_DISABLE_HOST_LOOPBACK=false and `--host-gateway-ip 10.0.2.2`, or run both as containers or both as processes"
                    .to_owned(),
            ),
        })
    }
}
