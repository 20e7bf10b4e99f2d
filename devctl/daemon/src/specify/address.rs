//! Names of services in what a consumer is told: found, and replaced by the address of the consumer's own edge.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

use devctl_compose::model::{Project, Service};
use devctl_core::plan::reference::{find, rewrite};
use indexmap::IndexMap;

use crate::spec::Rewrite;

/// Who is called by which consumer, and at which port. None: at every port.
pub(crate) type Reference = (String, Option<u16>);

/// What each consumer is told in place of a name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Addresses {
    /// Consumer -> (name, port) -> where its edge listens.
    pub(crate) edges: HashMap<String, BTreeMap<(String, u16), SocketAddr>>,
    /// Consumer -> name -> service.
    pub(crate) names: HashMap<String, HashMap<String, String>>,
    /// Consumer -> what it calls this host, where that is no address.
    pub(crate) called: HashMap<String, String>,
    /// Consumer -> names that its container's `/etc/hosts` leads to edges, each with the address.
    pub(crate) hosts: HashMap<String, BTreeMap<String, String>>,
}

impl Addresses {
    /// The names by which each service may call each other one: its name, host name, container name, network aliases and links.
    pub(crate) fn new(project: &Project) -> Self {
        let mut common: HashMap<String, String> = HashMap::new();
        for service in project.services.values() {
            let aliases = service
                .networks
                .values()
                .flatten()
                .flat_map(|network| network.aliases.iter());
            for name in service.hostname.iter().chain(&service.container_name).chain(aliases) {
                common.insert(name.clone(), service.name.clone());
            }
        }
        // A service's own name wins over another one's alias.
        common.extend(project.services.keys().map(|name| (name.clone(), name.clone())));
        let names = project.services.values().map(|service| {
            let mut names = common.clone();
            for link in &service.links {
                let (target, alias) = link.split_once(':').unwrap_or((link, link));
                names.insert(alias.to_owned(), target.to_owned());
            }
            // A service's own name is what it advertises, not whom it calls.
            names.retain(|_, service_named| *service_named != service.name);
            (service.name.clone(), names)
        });
        Self {
            edges: HashMap::new(),
            names: names.collect(),
            called: HashMap::new(),
            hosts: HashMap::new(),
        }
    }

    /// Every name by which that consumer may call that service.
    pub(crate) fn names_of(&self, consumer: &str, service: &str) -> Vec<String> {
        let names = self.names.get(consumer).into_iter().flatten();
        names
            .filter(|(_, named)| *named == service)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// `name:address` for a container's `/etc/hosts`.
    pub(super) fn hosts_of(&self, consumer: &str) -> Vec<String> {
        let hosts = self.hosts.get(consumer).into_iter().flatten();
        hosts.map(|(name, address)| format!("{name}:{address}")).collect()
    }

    fn service<'a>(&'a self, consumer: &str, name: &str) -> Option<&'a String> {
        self.names.get(consumer)?.get(name)
    }

    fn address(&self, consumer: &str, provider: &str, port: Option<u16>) -> Option<(String, Option<u16>)> {
        let edges = self.edges.get(consumer)?;
        let host = |at: &SocketAddr| match self.called.get(consumer) {
            Some(name) => name.clone(),
            None => at.ip().to_string(),
        };
        match port {
            Some(port) => {
                let at = edges.get(&(provider.to_owned(), port))?;
                Some((host(at), (at.port() != port).then_some(at.port())))
            }
            None => {
                let mut of_provider = edges.iter().filter(|((name, _), _)| name == provider);
                let ((_, port), first) = of_provider.next()?;
                // A bare name can only be told another address where the port, which stands elsewhere, remains.
                (first.port() == *port).then(|| (host(first), None))
            }
        }
    }
}

/// Whom a service names, in its environment and in the command that it runs as a process or in a container.
pub(crate) fn references(addresses: &Addresses, service: &Service, in_container: bool) -> BTreeSet<Reference> {
    let mut found = BTreeSet::new();
    let mut look = |key: Option<&str>, text: &str| {
        for reference in find(key, text, |name| addresses.service(&service.name, name).is_some()) {
            if let Some(provider) = addresses.service(&service.name, &reference.name) {
                found.insert((provider.clone(), reference.port));
            }
        }
    };
    for (key, value) in &service.environment {
        if let Some(value) = value {
            look(Some(key), value);
        }
    }
    if in_container {
        for word in service.command.iter().chain(&service.entrypoint).flatten() {
            look(None, word);
        }
        return found;
    }
    if let Some(native) = &service.x_devctl.native {
        native.env.iter().for_each(|(key, value)| look(Some(key), value));
        native.command.iter().flatten().for_each(|word| look(None, word));
    }
    found
}

/// The environment with addresses in the place of names.
pub(super) fn environment(
    addresses: &Addresses,
    consumer: &str,
    environment: &IndexMap<String, String>,
    rewrites: &mut Vec<Rewrite>,
) -> IndexMap<String, String> {
    let told = |(key, value): (&String, &String)| (key.clone(), tell(addresses, consumer, Some(key), value, rewrites));
    environment.iter().map(told).collect()
}

/// A command with addresses in the place of names.
pub(super) fn command(
    addresses: &Addresses,
    consumer: &str,
    command: &[String],
    rewrites: &mut Vec<Rewrite>,
) -> Vec<String> {
    command
        .iter()
        .map(|word| tell(addresses, consumer, None, word, rewrites))
        .collect()
}

fn tell(addresses: &Addresses, consumer: &str, key: Option<&str>, text: &str, rewrites: &mut Vec<Rewrite>) -> String {
    let found = find(key, text, |name| addresses.service(consumer, name).is_some());
    let told = rewrite(text, &found, |reference| {
        let provider = addresses.service(consumer, &reference.name)?;
        addresses.address(consumer, provider, reference.port)
    });
    if told != text {
        rewrites.push(Rewrite {
            place: key.unwrap_or("command").to_owned(),
            written: text.to_owned(),
            told: told.clone(),
        });
    }
    told
}

/// A digest of all that a consumer is told: a container that was told something else has to be made anew.
pub(super) fn digest(addresses: &Addresses, consumer: &str, rewrites: &[Rewrite]) -> String {
    use sha2::{Digest, Sha256};
    let mut hasher = Sha256::new();
    for rewrite in rewrites {
        hasher.update(format!("{}={}\0", rewrite.place, rewrite.told));
    }
    for host in addresses.hosts_of(consumer) {
        hasher.update(format!("{host}\0"));
    }
    hasher
        .finalize()
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
