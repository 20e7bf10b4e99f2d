//! Networks: made where they are missing, looked at, removed when nobody uses them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptions};

use super::client::Engine;
use super::error::{DockerError, Problem};
use super::{api, labels};

/// A network that a project asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkSpec {
    /// As the engine is to make it, labels included.
    pub body: api::NetworkCreateRequest,
    /// It must be there already.
    pub external: bool,
}

/// A network as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenNetwork {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `bridge`, `host`, ...
    pub driver: String,
    /// Where this host is, on it.
    pub gateway: Option<Ipv4Addr>,
    /// Its addresses: base and length of the prefix.
    pub subnet: Option<(Ipv4Addr, u8)>,
    /// Its labels.
    pub labels: HashMap<String, String>,
}

/// A network that is there and is not as the files say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differs {
    /// Its name.
    pub name: String,
}

impl Engine {
    /// Looks at a network; `None`: there is none.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn network(&self, name: &str) -> Result<Option<SeenNetwork>, DockerError> {
        match self.docker().inspect_network(name, None::<InspectNetworkOptions>).await {
            Ok(seen) => Ok(Some(seen_network(seen))),
            Err(error) => match DockerError::new(format!("look at network `{name}`"), &error) {
                error if error.is_not_there() => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Makes a network that is not there. One that is there stays as it is; whether it is as the files say is told.
    ///
    /// # Errors
    /// What the engine said; where an external one is missing, that.
    pub async fn ensure_network(&self, spec: &NetworkSpec) -> Result<(SeenNetwork, Option<Differs>), DockerError> {
        let name = &spec.body.name;
        if let Some(seen) = self.network(name).await? {
            let wanted = spec
                .body
                .labels
                .as_ref()
                .and_then(|labels| labels.get(labels::CONFIG_HASH));
            let there = seen.labels.get(labels::CONFIG_HASH);
            let differs = !spec.external && there.is_some() && wanted.is_some() && there != wanted;
            return Ok((seen, differs.then(|| Differs { name: name.clone() })));
        }
        if spec.external {
            return Err(DockerError {
                doing: format!("use network `{name}`"),
                said: format!("it is external and not there; `docker network create {name}` makes it"),
                problem: Problem::NotThere,
            });
        }
        let doing = format!("create network `{name}`");
        if let Err(error) = self.docker().create_network(spec.body.clone()).await {
            // Somebody else may have made it at the same moment.
            if let Some(seen) = self.network(name).await? {
                return Ok((seen, None));
            }
            return Err(DockerError::new(doing, &error));
        }
        match self.network(name).await? {
            Some(seen) => Ok((seen, None)),
            None => Err(DockerError {
                doing,
                said: "it is not there afterwards".to_owned(),
                problem: Problem::Other,
            }),
        }
    }

    /// Removes a network that nobody uses. False: somebody does.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn remove_network(&self, name: &str) -> Result<bool, DockerError> {
        match self.docker().remove_network(name).await {
            Ok(()) => Ok(true),
            Err(error) => match DockerError::new(format!("remove network `{name}`"), &error) {
                error if error.is_not_there() => Ok(true),
                error if error.problem == Problem::InUse => Ok(false),
                error => Err(error),
            },
        }
    }

    /// The networks that carry this label, `NAME=VALUE`.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn networks(&self, label: &str) -> Result<Vec<SeenNetwork>, DockerError> {
        let options = ListNetworksOptions {
            filters: Some(HashMap::from([("label".to_owned(), vec![label.to_owned()])])),
        };
        let found = self
            .docker()
            .list_networks(Some(options))
            .await
            .map_err(|error| DockerError::new("list networks", &error))?;
        Ok(found
            .into_iter()
            .map(|network| SeenNetwork {
                id: network.id.unwrap_or_default(),
                name: network.name.unwrap_or_default(),
                driver: network.driver.unwrap_or_default(),
                gateway: None,
                subnet: None,
                labels: network.labels.unwrap_or_default(),
            })
            .collect())
    }
}

fn seen_network(seen: api::NetworkInspect) -> SeenNetwork {
    let pools = seen.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let subnet = pools.iter().find_map(|pool| {
        let (base, bits) = pool.subnet.as_deref()?.split_once('/')?;
        Some((base.parse::<Ipv4Addr>().ok()?, bits.parse().ok()?))
    });
    let gateway = pools.iter().find_map(|pool| {
        let written = pool.gateway.as_deref()?;
        match written.split('/').next()?.parse().ok()? {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        }
    });
    // An engine that was told a subnet and no gateway takes its first address.
    let first = subnet.map(|(base, _): (Ipv4Addr, u8)| Ipv4Addr::from(u32::from(base) + 1));
    SeenNetwork {
        id: seen.id.unwrap_or_default(),
        name: seen.name.unwrap_or_default(),
        driver: seen.driver.unwrap_or_default(),
        gateway: gateway.or(first),
        subnet,
        labels: seen.labels.unwrap_or_default(),
    }
}
