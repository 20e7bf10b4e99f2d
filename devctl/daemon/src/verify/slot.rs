//! One provider, started alone with what it needs, and its promises replayed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devctl_compose::model::Ready as Written;
use devctl_core::NodeId;
use devctl_drivers::log::{LogStore, Query, Stream};
use devctl_pact::states::file::Declared;
use devctl_pact::states::http::HttpCaller;
use devctl_pact::states::postgres::Postgres;
use devctl_pact::states::steps::Doers;
use devctl_pact::states::{self, Executor};
use devctl_pact::stub::Stub;
use devctl_pact::verify::{HttpVerifier, NoStates, Outcome, ProviderStates, Verdict, Why, reference};
use devctl_wire::v1;
use jiff::Timestamp;
use url::Url;

use super::Told;
use super::broker::Ways;
use super::doers::{Neighbours, database_name, database_url};
use super::graph::{Graph, Stubs};
use super::ready::{failed, not_ready};
use super::reduce::{self, Needs};
use super::session::Session;
use super::work::Work;
use crate::live::Live;
use crate::prepare::pacticipant;

/// How long a provider and its servers may take until they are ready, beyond their own budgets.
const READY_LIMIT: Duration = Duration::from_secs(300);
/// Lines of the provider's log that are told with a broken promise.
const LINES: usize = 20;
/// What a provider prints about a request is there by then.
const LOG_DELAY: Duration = Duration::from_millis(60);

/// Replays a provider's promises at the service that it is. Nothing of it is left afterwards.
pub(super) async fn verify(session: &Session, work: &Work, service: &str) -> Vec<Outcome> {
    (session.tell)(Told::Starting {
        provider: work.provider.clone(),
    });
    let began = Instant::now();
    let has_contracts = |name: &str| {
        let provider = pacticipant(&session.project, name, true);
        session.index.of_provider(&provider).next().is_some()
    };
    let needs = reduce::needs(&session.project, service, &has_contracts);
    let ways = match ways(session, &needs, service).await {
        Ok(ways) => ways,
        Err(failure) => return unready(work, service, &failure),
    };
    let graph = match Graph::start(session.dirs(service)).await {
        Ok(graph) => graph,
        Err(error) => {
            let failure = v1::Failure {
                what: crate::start::told(&error),
                ..v1::Failure::default()
            };
            return unready(work, service, &failure);
        }
    };
    let slot = Slot {
        session,
        work,
        service,
        needs: &needs,
        ways: ways.as_ref(),
        graph: &graph,
    };
    let outcomes = tokio::select! {
        outcomes = slot.run(began) => outcomes,
        () = session.stop.cancelled() => Vec::new(),
    };
    graph.end().await;
    outcomes
}

/// Replays a provider's promises where it runs. Its states are its own business: nothing of it is known here.
pub(super) async fn verify_url(session: &Session, work: &Work, url: &Url) -> Vec<Outcome> {
    let target = session.target(url.clone());
    let replay = async {
        if session.args.reference {
            return reference::verify_all(&target, &work.promises, Arc::new(NoStates)).await;
        }
        match HttpVerifier::new(target) {
            Ok(verifier) => {
                let told = |outcome: &Outcome| session.heard(outcome);
                verifier.verify_all(&work.promises, &NoStates, told).await
            }
            Err(error) => unready_because(work, &crate::start::told(&error)),
        }
    };
    tokio::select! {
        outcomes = replay => outcomes,
        () = session.stop.cancelled() => Vec::new(),
    }
}

/// Ways to the brokers that the provider needs, which are booted where they are not yet.
async fn ways(session: &Session, needs: &Needs, service: &str) -> Result<Option<Ways>, v1::Failure> {
    if needs.brokers.is_empty() {
        return Ok(None);
    }
    let brokers = session.brokers().await?;
    let ways = brokers
        .ways(&needs.brokers, service)
        .await
        .map_err(|error| v1::Failure {
            what: format!("failed to listen for the broker: {error}"),
            ..v1::Failure::default()
        })?;
    Ok(Some(ways))
}

fn unready(work: &Work, service: &str, failure: &v1::Failure) -> Vec<Outcome> {
    let (verdict, log) = not_ready(service, failure);
    work.all(&verdict, &log)
}

fn unready_because(work: &Work, what: &str) -> Vec<Outcome> {
    let failure = v1::Failure {
        what: what.to_owned(),
        ..v1::Failure::default()
    };
    unready(work, "", &failure)
}

struct Slot<'a> {
    session: &'a Session,
    work: &'a Work,
    service: &'a str,
    needs: &'a Needs,
    ways: Option<&'a Ways>,
    graph: &'a Graph,
}

impl Slot<'_> {
    async fn run(&self, began: Instant) -> Vec<Outcome> {
        let none = BTreeMap::new();
        let brokers = self.ways.map_or(&none, Ways::ports);
        let reduced = reduce::reduce(&self.session.project, self.service, self.needs, brokers);
        let (stubs, neighbours) = self.stubs();
        let outcome = self.graph.up(reduced, &self.session.source, stubs, READY_LIMIT).await;
        if let Some(failure) = failed(&outcome) {
            return unready(self.work, self.service, &failure);
        }
        let Some(live) = self.graph.look(self.service).await else {
            return unready_because(self.work, "it ended as soon as it was ready");
        };
        self.session.one_started();
        (self.session.tell)(Told::Ready {
            provider: self.work.provider.clone(),
            took: began.elapsed(),
            promises: self.work.promises.len(),
        });
        let Some(base) = self.http(&live) else {
            return unready_because(self.work, "it has no port that promises could be replayed at");
        };
        let states = match self.states(&base, neighbours).await {
            Ok(states) => states,
            Err(what) => return unready_because(self.work, &what),
        };
        self.replay(&live, base, states).await
    }

    /// Stand-ins for the neighbours, each answering from its contract with this provider.
    fn stubs(&self) -> (Stubs, Neighbours) {
        let project = &self.session.project;
        let consumer = pacticipant(project, self.service, false);
        let mut made = Stubs::new();
        let mut known = BTreeMap::new();
        for neighbour in &self.needs.neighbours {
            let provider = pacticipant(project, neighbour, true);
            let contracts = self.session.index.between(&consumer, &provider);
            if contracts.is_empty() {
                continue;
            }
            let stub = Arc::new(Stub::new(&contracts));
            for name in Neighbours::names(project, neighbour) {
                known.insert(name, stub.clone());
            }
            made.push((self.service.to_owned(), neighbour.clone(), crate::stubs::at_edge(stub)));
        }
        (made, Neighbours::new(known))
    }

    /// Where it is asked: the port that shows its readiness, else its first one.
    fn http(&self, live: &Live) -> Option<Url> {
        let native = self
            .session
            .project
            .services
            .get(self.service)?
            .x_devctl
            .native
            .as_ref();
        let of_readiness = native.and_then(|native| match native.ready {
            Some(Written::Http { port, .. }) => port.or_else(|| native.ports.keys().next().copied()),
            _ => None,
        });
        let first = || {
            live.spec
                .ports
                .iter()
                .copied()
                .find(|port| live.ports.contains_key(port))
        };
        let at = live.ports.get(&of_readiness.or_else(first)?)?;
        Url::parse(&format!("http://{at}")).ok()
    }

    /// What sets the provider's states. An error is why nothing can be replayed.
    async fn states(&self, base: &Url, neighbours: Neighbours) -> Result<Arc<dyn ProviderStates>, String> {
        let declared = self.declared()?;
        let mut doers = Doers {
            stubs: Some(Arc::new(neighbours)),
            ..Doers::default()
        };
        doers.http = HttpCaller::new(base.clone()).ok().map(|http| Arc::new(http) as _);
        if let Some(server) = self.needs.databases.first() {
            let sql = self.database(server).await?;
            doers.sql = Some(Arc::new(sql));
        }
        Ok(Arc::new(Executor::new(declared, doers)))
    }

    fn declared(&self) -> Result<Declared, String> {
        let project = &self.session.project;
        match self.session.states_file(self.service) {
            Some(path) => {
                let text = std::fs::read_to_string(&path)
                    .map_err(|error| format!("failed to read `{}`: {error}", path.display()))?;
                let shown = path.strip_prefix(&project.working_dir).unwrap_or(&path);
                states::parse(&shown.display().to_string(), &text).map_err(|error| crate::start::told(&error))
            }
            None => Ok(Declared {
                origin: format!(
                    "`x-devctl.contracts.states` of service `{}`, which names no file",
                    self.service
                ),
                ..Declared::default()
            }),
        }
    }

    async fn database(&self, server: &str) -> Result<Postgres, String> {
        let project = &self.session.project;
        let live = self.graph.look(server).await;
        let services = project.services.get(self.service).zip(project.services.get(server));
        let (Some(live), Some((provider, service))) = (live, services) else {
            return Err(format!("its database server `{server}` is gone"));
        };
        let named = |host: &str| live.ports.values().any(|at| at.ip().to_string() == host) || host == server;
        let name = database_name(provider, service, &named);
        let config = database_url(&live, &name).ok_or_else(|| format!("`{server}` has no port"))?;
        let connected = Postgres::connect(&config).await;
        connected.map_err(|error| {
            format!(
                "failed to connect to the database `{name}` of `{server}`: {}",
                crate::start::told(&error)
            )
        })
    }

    async fn replay(&self, live: &Live, base: Url, states: Arc<dyn ProviderStates>) -> Vec<Outcome> {
        let target = self.session.target(base);
        if self.session.args.reference {
            let outcomes = reference::verify_all(&target, &self.work.promises, states).await;
            return outcomes
                .into_iter()
                .inspect(|outcome| {
                    self.session.heard(outcome);
                })
                .collect();
        }
        let verifier = match HttpVerifier::new(target) {
            Ok(verifier) => verifier,
            Err(error) => return unready_because(self.work, &crate::start::told(&error)),
        };
        let mut outcomes = Vec::with_capacity(self.work.promises.len());
        for (contract, interaction) in &self.work.promises {
            let began = Timestamp::now();
            let mut outcome = verifier.verify(contract, interaction, states.as_ref()).await;
            if outcome.verdict != Verdict::Passed {
                outcome.logs = printed(&self.graph.logs, self.service, began, outcome.trace.as_deref()).await;
            }
            let gone = self.gone(live, &outcome).await;
            let on = self.session.heard(&outcome);
            outcomes.push(outcome);
            if let Some(what) = gone {
                let rest = &self.work.promises[outcomes.len()..];
                let (verdict, _) = not_ready(
                    self.service,
                    &v1::Failure {
                        what,
                        ..v1::Failure::default()
                    },
                );
                outcomes.extend(rest.iter().map(|(contract, interaction)| {
                    Outcome::new(contract, interaction, verdict.clone(), Duration::ZERO)
                }));
                break;
            }
            if !on {
                break;
            }
        }
        outcomes
    }

    /// How the provider ended, if it did: what is left cannot be asked of it.
    async fn gone(&self, live: &Live, outcome: &Outcome) -> Option<String> {
        let lost = matches!(
            outcome.verdict,
            Verdict::CouldNotRun {
                why: Why::Unreachable { .. } | Why::ConnectionLost { .. }
            }
        );
        if !lost {
            return None;
        }
        // A connection may be lost for other reasons than the end of the process.
        let exit = tokio::time::timeout(LOG_DELAY, live.handle.wait()).await.ok()?;
        Some(format!("it ended in the middle of `{}`: {exit}", outcome.title()))
    }
}

/// What the provider printed since then, those lines first that name the exchange's trace.
async fn printed(logs: &LogStore, service: &str, since: Timestamp, trace: Option<&str>) -> Vec<String> {
    // Lines come through a pipe: the answer may be faster.
    tokio::time::sleep(LOG_DELAY).await;
    let query = Query {
        nodes: vec![NodeId::from(service).to_string()],
        since: Some(since),
        streams: vec![Stream::Stdout, Stream::Stderr],
        ..Query::default()
    };
    let mut follow = logs.read(&query);
    let lines: Vec<String> = std::iter::from_fn(move || follow.try_next())
        .map(|record| String::from_utf8_lossy(&record.bytes).into_owned())
        .collect();
    let of_trace: Vec<String> = lines
        .iter()
        .filter(|line| trace.is_some_and(|trace| line.contains(trace)))
        .cloned()
        .collect();
    let mut shown = if of_trace.is_empty() { lines } else { of_trace };
    shown.drain(..shown.len().saturating_sub(LINES));
    shown
}
