//! Where a provider stands while it is verified: a graph of its own with the servers that it needs, and its ways to the broker.
//!
//! One that is to be used again is cleared between two verifications: the provider is ended, its databases are put back to what they
//! were before it came, its virtual hosts are removed. So the next one waits for nothing but the provider's own start.

use std::collections::BTreeMap;

use devctl_drivers::postgres::Pristine;
use devctl_wire::v1;

use super::broker::Ways;
use super::cells;
use super::doers::{database_name, database_url};
use super::graph::Graph;
use super::ready::failed;
use super::reduce::{self, Needs, Role};
use super::session::Session;
use super::slot::READY_LIMIT;

/// A provider's place.
pub(super) struct Stand {
    pub(super) graph: Graph,
    pub(super) needs: Needs,
    pub(super) ways: Option<Ways>,
    service: String,
    /// Everything that stands beside the provider, in one word.
    beside: String,
    /// What puts the databases back; none where a stand is used but once, or cannot be cleared.
    pristine: Option<Vec<Pristine>>,
    /// The provider has not been in it since it was cleared.
    clear: bool,
}

impl Stand {
    /// The stand in `held` where it still is what the project says, another one else. It is in `held` then.
    pub(super) async fn take<'a>(
        session: &Session,
        service: &str,
        held: &'a mut Option<Self>,
    ) -> Result<&'a mut Self, v1::Failure> {
        let needs = reduce::needs(&session.project, service, &|name| session.has_contracts(name));
        let beside = beside(session, &needs);
        if let Some(old) = held.take() {
            match old.clear && old.beside == beside && old.is_up(session).await {
                true => *held = Some(old),
                false => old.end().await,
            }
        }
        let stand = match held.take() {
            Some(stand) => stand,
            None => Box::pin(Self::start(session, service, needs, beside)).await?,
        };
        let stand = held.insert(stand);
        stand.clear = false;
        Ok(stand)
    }

    async fn start(session: &Session, service: &str, needs: Needs, beside: String) -> Result<Self, v1::Failure> {
        let ways = ways(session, &needs, service).await?;
        let graph = Graph::start(session.dirs(service)).await;
        let graph = graph.map_err(|error| failure(crate::start::told(&error)))?;
        let mut stand = Self {
            graph,
            needs,
            ways,
            service: service.to_owned(),
            beside,
            pristine: None,
            clear: false,
        };
        if session.warm {
            let kept = tokio::select! {
                kept = stand.keep_databases(session) => kept,
                () = session.stop.cancelled() => Ok(None),
            };
            match kept {
                Ok(kept) => stand.pristine = kept,
                Err(failure) => {
                    stand.end().await;
                    return Err(failure);
                }
            }
        }
        Ok(stand)
    }

    /// Brings up what stands beside the provider and keeps its databases as they are. None: not all of it can be put back.
    async fn keep_databases(&self, session: &Session) -> Result<Option<Vec<Pristine>>, v1::Failure> {
        let project = &session.project;
        let role = |name: &String| project.services.get(name).map(|service| reduce::role(service, false));
        if self.needs.beside.iter().any(|name| role(name) == Some(Role::Server)) {
            return Ok(None);
        }
        let databases: Vec<&String> = self
            .needs
            .beside
            .iter()
            .filter(|name| role(name) == Some(Role::Database))
            .collect();
        if databases.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let none = BTreeMap::new();
        let brokers = self.ways.as_ref().map_or(&none, Ways::ports);
        let reduced = reduce::reduce(project, &self.service, &self.needs, brokers);
        let services = self.needs.beside.iter().cloned().collect();
        let what = (services, Vec::new());
        let outcome = self.graph.up(reduced, &session.source, what, READY_LIMIT).await;
        if let Some(failure) = failed(&outcome) {
            return Err(failure);
        }
        let mut kept = Vec::new();
        for name in databases {
            let Some(live) = self.graph.look(name).await else {
                return Ok(None);
            };
            let services = project.services.get(&self.service).zip(project.services.get(name));
            let named = |host: &str| live.ports.values().any(|at| at.ip().to_string() == host) || host == name;
            let own = services.map(|(provider, server)| database_name(provider, server, &named));
            let Some(config) = database_url(&live, "postgres") else {
                return Ok(None);
            };
            match Pristine::keep(&config, &own.unwrap_or_default()).await {
                Ok(Some(pristine)) => kept.push(pristine),
                Ok(None) => return Ok(None),
                Err(error) => {
                    tracing::warn!(%error, server = name, "a verification's databases could not be kept: it is started anew each time");
                    return Ok(None);
                }
            }
        }
        Ok(Some(kept))
    }

    /// Makes it as it was before the provider came. False: it cannot be used again.
    pub(super) async fn clear(&mut self) -> bool {
        let Some(pristine) = &self.pristine else { return false };
        self.graph.kill(&self.service).await;
        for server in pristine {
            if let Err(error) = server.put_back().await {
                tracing::warn!(%error, "a verification's databases could not be put back");
                return false;
            }
        }
        if let Some(ways) = &self.ways
            && let Err(error) = ways.renew().await
        {
            tracing::warn!(%error, "a verification's virtual host could not be removed");
            return false;
        }
        self.clear = true;
        true
    }

    /// Everything beside the provider still runs.
    async fn is_up(&self, session: &Session) -> bool {
        let is_server = |name: &&String| {
            let service = session.project.services.get(*name);
            service.is_some_and(|service| reduce::role(service, false) == Role::Database)
        };
        for name in self.needs.beside.iter().filter(is_server) {
            if self.graph.look(name).await.is_none() {
                return false;
            }
        }
        true
    }

    /// Ends everything in it.
    pub(super) async fn end(self) {
        self.graph.end().await;
    }
}

/// Ways to the brokers that the provider needs, which are booted where they are not yet.
async fn ways(session: &Session, needs: &Needs, service: &str) -> Result<Option<Ways>, v1::Failure> {
    if needs.brokers.is_empty() {
        return Ok(None);
    }
    let brokers = session.brokers().await?;
    let ways = brokers.ways(&needs.brokers, service).await;
    ways.map(Some)
        .map_err(|error| failure(format!("failed to listen for the broker: {error}")))
}

/// Everything that stands beside a provider: another one of it needs another stand.
fn beside(session: &Session, needs: &Needs) -> String {
    let servers = needs.beside.iter().chain(&needs.brokers);
    let servers: Vec<String> = servers.map(|name| cells::server(session, name)).collect();
    let brokers = session.ground.generation();
    format!("{needs:?} {servers:?} {brokers}")
}

fn failure(what: String) -> v1::Failure {
    v1::Failure {
        what,
        ..v1::Failure::default()
    }
}
