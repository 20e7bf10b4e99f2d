//! Edges that several containers share: at the gateway of their network, under the provider's own name and port, for whatever names it
//! where nothing can be put in its place: a configuration file, a name that is compiled in.
//!
//! Only towards what is no container itself: containers find each other by Docker's own names.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use devctl_compose::model::Project;
use devctl_core::NodeId;
use devctl_edge::EdgeId;

use super::Preparer;
use super::edges::{Opened, Wanted, open_one};
use super::reach::{Containers, Reach};
use crate::command::Remark;
use crate::specify::{self, Addresses, Choice};

/// Who an edge of several containers is of.
pub(super) const CONTAINERS: &str = "containers";

/// The edges that are shared, each with its consumers.
pub(super) type Shared = BTreeMap<EdgeId, BTreeSet<String>>;

/// Whom containers may name without saying so where it could be seen: what they depend on, link to, or call.
pub(super) fn wanted(project: &Project, choices: &HashMap<String, Choice>, addresses: &Addresses) -> Shared {
    let mut shared = Shared::new();
    for consumer in project.services.values() {
        if choices.get(&consumer.name) != Some(&Choice::Container) || consumer.network_mode.is_some() {
            continue;
        }
        let called = specify::references(addresses, consumer, true);
        let bare = called
            .iter()
            .filter(|(_, port)| port.is_none())
            .map(|(provider, _)| provider.clone());
        // Who is named with a port is told another address there: nothing of it depends on how the provider runs.
        let told = |provider: &&String| !called.iter().any(|(named, port)| named == *provider && port.is_some());
        let needed = consumer.depends_on.keys().filter(told).cloned();
        let providers: BTreeSet<String> = needed.chain(bare).collect();
        for provider in providers {
            let (Some(service), Some(choice)) = (project.services.get(&provider), choices.get(&provider)) else {
                continue;
            };
            if matches!(choice, Choice::Container | Choice::Stub | Choice::Impossible { .. }) {
                continue;
            }
            for port in specify::declared_ports(service, choice) {
                let id = EdgeId::new(CONTAINERS, &provider, port);
                shared.entry(id).or_default().insert(consumer.name.clone());
            }
        }
    }
    shared
}

/// Opens them, and lets each consumer's `/etc/hosts` lead there. A port that another provider has already is told: its name leads
/// nowhere then.
pub(super) async fn open(
    preparer: &Preparer,
    containers: &Containers<'_>,
    wanted: &Wanted,
    dry_run: bool,
    addresses: &mut Addresses,
    remarks: &mut Vec<Remark>,
) -> Opened {
    let mut opened = Opened::new();
    let mut taken: HashMap<SocketAddr, String> = HashMap::new();
    for (id, consumers) in &wanted.shared {
        for consumer in consumers {
            let Some(Reach::Gateway(ip, network)) = containers.reach(consumer) else {
                continue;
            };
            let listen = SocketAddr::new(IpAddr::V4(ip), id.port);
            match taken.get(&listen) {
                Some(other) if *other != id.provider => {
                    remarks.push(Remark {
                        node: Some(NodeId::from(consumer.as_str())),
                        text: format!(
                            "`{}:{}` leads nowhere where it is no variable's value: `{other}` has that port at the containers' gateway",
                            id.provider, id.port
                        ),
                        help: Some("name it in `environment` or `command`, where an address can be put in".to_owned()),
                    });
                    continue;
                }
                Some(_) => {}
                None => {
                    taken.insert(listen, id.provider.clone());
                    if !dry_run {
                        opened.extend(open_one(preparer, wanted, id.clone(), listen, Some(network)).await);
                    }
                }
            }
            let names = addresses.names_of(consumer, &id.provider);
            let hosts = addresses.hosts.entry(consumer.clone()).or_default();
            hosts.extend(names.into_iter().map(|name| (name, ip.to_string())));
        }
    }
    opened
}
