//! One provider, started alone with what it needs, and its promises replayed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use devctl_compose::model::Ready as Written;
use devctl_core::NodeId;
use devctl_drivers::log::{LogStore, Query, Stream};
use devctl_pact::index::{Contract, Interaction, Kind};
use devctl_pact::states::file::Declared;
use devctl_pact::states::http::HttpCaller;
use devctl_pact::states::postgres::Postgres;
use devctl_pact::states::serve::StateServer;
use devctl_pact::states::steps::Doers;
use devctl_pact::states::{self, Executor};
use devctl_pact::stub::Stub;
use devctl_pact::verify::{
    GrpcTarget, GrpcVerifier, HttpVerifier, NoStates, Outcome, ProviderStates, Verdict, Why, reference,
};
use devctl_wire::v1;
use jiff::Timestamp;
use url::Url;

use super::broker::Ways;
use super::doers::{Neighbours, database_name, database_url};
use super::graph::Graph;
use super::messages::{self, Bus, Producer, Receiver};
use super::ready::{failed, not_ready};
use super::reduce::{self, Needs};
use super::session::Session;
use super::stand::Stand;
use super::work::Work;
use super::{Serving, Told, documents};
use crate::live::Live;
use crate::prepare::pacticipant;
use crate::stubs::StandIn;

/// How long a provider and its servers may take until they are ready, beyond their own budgets.
pub(super) const READY_LIMIT: Duration = Duration::from_secs(300);
/// Lines of the provider's log that are told with a broken promise.
const LINES: usize = 20;
/// A service that needs a broker opens its connection before it is ready, or soon after.
const BROKER_LIMIT: Duration = Duration::from_secs(10);
/// What a provider prints about a request is there by then.
const LOG_DELAY: Duration = Duration::from_millis(60);

/// Replays a provider's promises at the service that it is, where it stood the last time if that will do. What is left of it then
/// is in `stand`.
pub(super) async fn verify(session: &Session, work: &Work, service: &str, stand: &mut Option<Stand>) -> Vec<Outcome> {
    (session.tell)(Told::Starting {
        provider: work.provider.clone(),
    });
    let began = Instant::now();
    let stand = match Box::pin(Stand::take(session, service, stand)).await {
        Ok(stand) => stand,
        Err(failure) => return unready(work, service, &failure),
    };
    let slot = Slot {
        session,
        work,
        service,
        needs: &stand.needs,
        ways: stand.ways.as_ref(),
        graph: &stand.graph,
    };
    tokio::select! {
        outcomes = slot.run(began) => outcomes,
        () = session.stop.cancelled() => Vec::new(),
    }
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

/// A provider that is ready, with everything that its promises are replayed with.
struct Provider {
    states: Arc<dyn ProviderStates>,
    declared: Declared,
    doers: Doers,
    bus: Option<Arc<Bus>>,
    base: Option<Url>,
    http: Option<HttpVerifier>,
    grpc: Option<GrpcVerifier>,
    grpc_address: Option<String>,
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
        let outcome = self
            .graph
            .up(reduced, &self.session.source, (Vec::new(), stubs), READY_LIMIT)
            .await;
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
            promises: self.work.len(),
        });
        let provider = match self.provider(&live, neighbours).await {
            Ok(provider) => provider,
            Err(what) => return unready_because(self.work, &what),
        };
        if self.session.args.serve {
            return self.serve(&live, &provider).await;
        }
        self.replay(&live, &provider).await
    }

    /// Waits for the verifiers of others, with an endpoint for its states, until it ends.
    async fn serve(&self, live: &Live, provider: &Provider) -> Vec<Outcome> {
        let states = match StateServer::start(provider.states.clone()).await {
            Ok(states) => states,
            Err(error) => return unready_because(self.work, &format!("no port for its states: {error}")),
        };
        let http = self.work.promises.iter();
        let http = http.filter(|(_, interaction)| matches!(interaction.kind, Kind::Http(_)));
        let mut pacts: Vec<String> = http.map(|(contract, _)| contract.origin.to_string()).collect();
        pacts.dedup();
        let calls = self.work.promises.iter();
        let calls = calls.filter(|(_, interaction)| matches!(interaction.kind, Kind::SyncMessage(_)));
        (self.session.tell)(Told::Serving(Box::new(Serving {
            provider: self.work.provider.clone(),
            url: provider
                .base
                .as_ref()
                .map(|base| base.as_str().trim_end_matches('/').to_owned()),
            grpc: provider.grpc_address.clone().filter(|_| calls.count() > 0),
            states: format!("http://{}", states.address()),
            pacts,
        })));
        let exit = live.handle.wait().await;
        unready_because(self.work, &format!("it ended: {exit}"))
    }

    /// Everything that promises are replayed with. An error is why nothing can be.
    async fn provider(&self, live: &Live, neighbours: Neighbours) -> Result<Provider, String> {
        let base = self.http(live);
        let declared = self.declared()?;
        let mut doers = Doers {
            stubs: Some(Arc::new(neighbours)),
            ..Doers::default()
        };
        let http = base.clone().and_then(|base| HttpCaller::new(base).ok());
        doers.http = http.map(|http| Arc::new(http) as _);
        if let Some(server) = self.needs.databases.first() {
            doers.sql = Some(Arc::new(self.database(server).await?));
        }
        let bus = match self.ways {
            Some(ways) => self.bus(ways).await?.map(Arc::new),
            None => None,
        };
        doers.amqp = bus.clone().map(|bus| bus as _);
        let documents = documents::of(&self.session.project, self.service);
        let http = match &base {
            Some(base) => {
                let target = self.session.target(base.clone());
                let verifier = HttpVerifier::new(target).map_err(|error| crate::start::told(&error))?;
                Some(match documents::schema(&documents)? {
                    Some(schema) => verifier.with_schema(schema),
                    None => verifier,
                })
            }
            None => None,
        };
        let grpc = self.grpc(live);
        let proto = documents::proto(&documents)?;
        Ok(Provider {
            states: Arc::new(Executor::new(declared.clone(), doers.clone())),
            declared,
            doers,
            bus,
            base,
            http,
            grpc: grpc.as_ref().map(|address| {
                let verifier = GrpcVerifier::new(GrpcTarget {
                    answer_within: self.session.args.answer_within,
                    ..GrpcTarget::new(address)
                });
                match &proto {
                    Some(proto) => verifier.with_proto(proto.clone()),
                    None => verifier,
                }
            }),
            grpc_address: grpc,
        })
    }

    /// A connection to the provider's own virtual host, where messages are verified or states publish some.
    async fn bus(&self, ways: &Ways) -> Result<Option<Bus>, String> {
        let opened = tokio::time::timeout(BROKER_LIMIT, ways.opened()).await;
        let Ok(Some((broker, vhost))) = opened else {
            // A service that needs no broker so far: whoever asks for a message will be told.
            return Ok(None);
        };
        let brokers = self.session.brokers().await.map_err(|failure| failure.what)?;
        let Some(hosts) = brokers.hosts(&broker) else {
            return Ok(None);
        };
        let bus = Bus::connect(hosts.clone(), &vhost).await;
        bus.map(Some).map_err(|error| format!("failed to {error}"))
    }

    /// Stand-ins for the neighbours, each answering from its contract with this provider.
    fn stubs(&self) -> (Vec<StandIn>, Neighbours) {
        let project = &self.session.project;
        let consumer = pacticipant(project, self.service, false);
        let mut made = Vec::new();
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
            made.push(StandIn::new(self.service, neighbour, &contracts, stub));
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

    /// Where gRPC is spoken: the port whose variable says so, else the only other one, else the only one.
    fn grpc(&self, live: &Live) -> Option<String> {
        let service = self.session.project.services.get(self.service)?;
        let named = service.x_devctl.native.iter().flat_map(|native| &native.ports);
        let named = named
            .filter(|(_, variable)| variable.to_uppercase().contains("GRPC"))
            .map(|(port, _)| *port)
            .next();
        let http = self.http(live)?;
        let other = || {
            let others = live.ports.iter().filter(|(_, at)| Some(at.port()) != http.port());
            others.map(|(port, _)| *port).min()
        };
        let port = named.or_else(other);
        let at = port.and_then(|port| live.ports.get(&port)).map(ToString::to_string);
        at.or_else(|| Some(http.authority().to_owned()))
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

    async fn replay(&self, live: &Live, provider: &Provider) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(self.work.len());
        let mut gone: Option<Verdict> = None;
        for ((contract, interaction), receives) in self.work.all_promises() {
            if let Some(verdict) = &gone {
                let mut outcome = Outcome::new(contract, interaction, verdict.clone(), Duration::ZERO);
                if receives {
                    messages::as_received(&mut outcome);
                }
                outcomes.push(outcome);
                continue;
            }
            let began = Timestamp::now();
            let mut outcome = match receives {
                true => self.receive(provider, contract, interaction).await,
                false => self.one(provider, contract, interaction).await,
            };
            if outcome.verdict != Verdict::Passed {
                outcome.logs = printed(&self.graph.logs, self.service, began, outcome.trace.as_deref()).await;
            }
            let ended = self.gone(live, &outcome).await;
            gone = ended.map(|what| {
                not_ready(
                    self.service,
                    &v1::Failure {
                        what,
                        ..v1::Failure::default()
                    },
                )
                .0
            });
            let on = self.session.heard(&outcome);
            outcomes.push(outcome);
            if !on {
                break;
            }
        }
        outcomes
    }

    /// Replays one promise, by what kind it is of.
    async fn one(&self, provider: &Provider, contract: &Arc<Contract>, interaction: &Arc<Interaction>) -> Outcome {
        let states = provider.states.as_ref();
        let without = |what: &str| {
            let why = Why::NotReady {
                what: what.to_owned(),
                help: None,
            };
            Outcome::new(contract, interaction, Verdict::CouldNotRun { why }, Duration::ZERO)
        };
        match &interaction.kind {
            Kind::Http(_) if self.session.args.reference => {
                let Some(base) = &provider.base else {
                    return without("it has no port for HTTP");
                };
                let one = [(contract.clone(), interaction.clone())];
                let target = self.session.target(base.clone());
                let outcomes = reference::verify_all(&target, &one, provider.states.clone()).await;
                outcomes
                    .into_iter()
                    .next()
                    .unwrap_or_else(|| without("the reference said nothing"))
            }
            Kind::Http(_) => match &provider.http {
                Some(http) => http.verify(contract, interaction, states).await,
                None => without("it has no port for HTTP"),
            },
            Kind::SyncMessage(_) => match &provider.grpc {
                Some(grpc) => grpc.verify(contract, interaction, states).await,
                None => without("it has no port for gRPC"),
            },
            Kind::Message(_) => match &provider.bus {
                Some(bus) => {
                    let producer = Producer {
                        bus,
                        declared: &provider.declared,
                        doers: &provider.doers,
                        states,
                        index: &self.session.index,
                        grpc: provider.grpc_address.clone(),
                        within: self.session.args.answer_within,
                        reference: self.session.args.reference,
                    };
                    producer.verify(contract, interaction).await
                }
                None => without("it has opened no connection to a broker"),
            },
        }
    }

    /// Gives the service a message that it is promised.
    async fn receive(&self, provider: &Provider, contract: &Arc<Contract>, interaction: &Arc<Interaction>) -> Outcome {
        let Some(bus) = &provider.bus else {
            let why = Why::NotReady {
                what: "it has opened no connection to a broker".to_owned(),
                help: None,
            };
            let mut outcome = Outcome::new(contract, interaction, Verdict::CouldNotRun { why }, Duration::ZERO);
            messages::as_received(&mut outcome);
            return outcome;
        };
        let receiver = Receiver {
            service: self.service,
            bus,
            edges: &self.graph.edges,
            declared: &provider.declared,
            doers: &provider.doers,
            states: provider.states.as_ref(),
            within: self.session.args.answer_within,
        };
        receiver.verify(contract, interaction).await
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
