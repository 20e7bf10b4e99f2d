//! The broker of a verification: one for all providers, with virtual hosts for each.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use devctl_compose::model::Project;
use devctl_drivers::dirs::Dirs;
use devctl_wire::v1;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::graph::Graph;
use super::ready::failed;
use super::reduce;
use super::vhost::Relay;
use crate::start::{AMQP_PORT, MANAGEMENT_PORT};

/// How long a broker may take to boot on a slow machine.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// How long one call to the management plugin may take.
const CALL_LIMIT: Duration = Duration::from_secs(10);

/// Every broker of the project that some provider needs, running.
pub(super) struct Brokers {
    graph: Graph,
    running: BTreeMap<String, Running>,
}

struct Running {
    ports: BTreeMap<u16, SocketAddr>,
    hosts: Arc<VirtualHosts>,
}

/// One provider's ways to the brokers.
pub(super) struct Ways {
    relays: BTreeMap<String, Relay>,
    ports: BTreeMap<String, BTreeMap<u16, SocketAddr>>,
}

/// Makes virtual hosts, by means of the management plugin.
pub(super) struct VirtualHosts {
    client: Client,
    api: String,
    pub(super) user: String,
    pub(super) password: String,
    pub(super) amqp: SocketAddr,
}

/// Why a virtual host could not be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum HostError {
    /// No answer.
    #[error("ask the broker's management plugin: {0}")]
    Call(String),
    /// An answer that is none.
    #[error("ask the broker's management plugin for `{what}`: status {status}")]
    Refused { what: String, status: u16 },
}

impl Brokers {
    /// Boots them. An error is what to tell of every provider that needs one.
    pub(super) async fn start(
        source: &v1::Source,
        dirs: Dirs,
        project: &Project,
        names: &BTreeSet<String>,
    ) -> Result<Self, v1::Failure> {
        let graph = Graph::start(dirs).await.map_err(|error| v1::Failure {
            what: crate::start::told(&error),
            ..v1::Failure::default()
        })?;
        let native: BTreeSet<&String> = source.runtimes.keys().collect();
        let reduced = reduce::brokers(project, names, &|name| native.contains(name));
        let outcome = graph.up(reduced, source, (Vec::new(), Vec::new()), BOOT_LIMIT).await;
        if let Some(failure) = failed(&outcome) {
            graph.end().await;
            return Err(failure);
        }
        let mut running = BTreeMap::new();
        for name in names {
            let Some(live) = graph.look(name).await else { continue };
            let (Some(amqp), Some(management)) = (live.ports.get(&AMQP_PORT), live.ports.get(&MANAGEMENT_PORT)) else {
                graph.end().await;
                return Err(v1::Failure {
                    node: name.clone(),
                    what: "its image has no management plugin, which makes a virtual host for each provider".to_owned(),
                    help: "take the `-management` variant of the image".to_owned(),
                    ..v1::Failure::default()
                });
            };
            let set = |name: &str| {
                live.spec
                    .environment
                    .get(name)
                    .filter(|value| !value.is_empty())
                    .cloned()
            };
            let hosts = VirtualHosts {
                client: Client::builder()
                    .no_proxy()
                    .timeout(CALL_LIMIT)
                    .build()
                    .unwrap_or_default(),
                api: format!("http://{management}/api"),
                user: set("RABBITMQ_DEFAULT_USER").unwrap_or_else(|| "guest".to_owned()),
                password: set("RABBITMQ_DEFAULT_PASS").unwrap_or_else(|| "guest".to_owned()),
                amqp: *amqp,
            };
            running.insert(
                name.clone(),
                Running {
                    ports: live.ports.iter().map(|(port, at)| (*port, *at)).collect(),
                    hosts: Arc::new(hosts),
                },
            );
        }
        Ok(Self { graph, running })
    }

    /// Ways for the provider that `mark` names.
    pub(super) async fn ways(&self, names: &BTreeSet<String>, mark: &str) -> std::io::Result<Ways> {
        let mut ways = Ways {
            relays: BTreeMap::new(),
            ports: BTreeMap::new(),
        };
        for (name, running) in self.running.iter().filter(|(name, _)| names.contains(*name)) {
            let relay = Relay::start(running.hosts.amqp, running.hosts.clone(), mark.to_owned()).await?;
            let mut ports = running.ports.clone();
            ports.insert(AMQP_PORT, relay.address);
            ways.ports.insert(name.clone(), ports);
            ways.relays.insert(name.clone(), relay);
        }
        Ok(ways)
    }

    /// How virtual hosts are made at a broker.
    pub(super) fn hosts(&self, name: &str) -> Option<&Arc<VirtualHosts>> {
        self.running.get(name).map(|running| &running.hosts)
    }

    /// Whether all of them still run.
    pub(super) async fn are_up(&self) -> bool {
        for name in self.running.keys() {
            if self.graph.look(name).await.is_none() {
                return false;
            }
        }
        true
    }

    pub(super) async fn end(self) {
        self.graph.end().await;
    }
}

impl Ways {
    /// Where each broker is reached, by container port.
    pub(super) fn ports(&self) -> &BTreeMap<String, BTreeMap<u16, SocketAddr>> {
        &self.ports
    }

    /// Makes them as if the provider had never come.
    pub(super) async fn renew(&self) -> Result<(), HostError> {
        for relay in self.relays.values() {
            relay.renew().await?;
        }
        Ok(())
    }

    /// The first broker and the provider's own virtual host there; waits until the provider has opened it.
    pub(super) async fn opened(&self) -> Option<(String, String)> {
        let (name, relay) = self.relays.first_key_value()?;
        Some((name.clone(), relay.opened().await?))
    }
}

impl VirtualHosts {
    /// Makes `own` what `original` is: its exchanges, queues and bindings, and whoever may use it.
    pub(super) async fn copy(&self, original: &str, own: &str) -> Result<(), HostError> {
        let (from, to) = (encoded(original), encoded(own));
        self.call(Method::PUT, &format!("vhosts/{to}"), Some(json!({}))).await?;
        let rights = self
            .call(Method::GET, &format!("vhosts/{from}/permissions"), None)
            .await?;
        for right in rights.as_array().into_iter().flatten() {
            let user = encoded(right["user"].as_str().unwrap_or_default());
            let body = json!({ "configure": right["configure"], "write": right["write"], "read": right["read"] });
            self.call(Method::PUT, &format!("permissions/{to}/{user}"), Some(body))
                .await?;
        }
        let everything = json!({ "configure": ".*", "write": ".*", "read": ".*" });
        let me = encoded(&self.user);
        self.call(Method::PUT, &format!("permissions/{to}/{me}"), Some(everything))
            .await?;
        let definitions = self.call(Method::GET, &format!("definitions/{from}"), None).await?;
        self.call(Method::POST, &format!("definitions/{to}"), Some(definitions))
            .await?;
        Ok(())
    }

    /// Removes it, and whoever is connected to it.
    pub(super) async fn remove(&self, own: &str) -> Result<(), HostError> {
        let what = format!("vhosts/{}", encoded(own));
        self.call(Method::DELETE, &what, None).await.map(drop)
    }

    /// What the plugin says of something of a virtual host, such as its `queues`.
    pub(super) async fn list(&self, what: &str, own: &str) -> Result<Vec<Value>, HostError> {
        let listed = self
            .call(Method::GET, &format!("{what}/{}", encoded(own)), None)
            .await?;
        Ok(listed.as_array().cloned().unwrap_or_default())
    }

    async fn call(&self, method: Method, what: &str, body: Option<Value>) -> Result<Value, HostError> {
        let failed = |error: reqwest::Error| HostError::Call(error.without_url().to_string());
        let mut request = self
            .client
            .request(method, format!("{}/{what}", self.api))
            .basic_auth(&self.user, Some(&self.password));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        if !status.is_success() {
            return Err(HostError::Refused {
                what: what.to_owned(),
                status: status.as_u16(),
            });
        }
        let text = response.bytes().await.map_err(failed)?;
        Ok(serde_json::from_slice(&text).unwrap_or_default())
    }
}

/// A name as one segment of a path.
pub(super) fn encoded(name: &str) -> String {
    name.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_virtual_host_is_one_segment() {
        assert_eq!(encoded("/"), "%2F");
        assert_eq!(encoded("shop~api"), "shop~api");
    }
}
