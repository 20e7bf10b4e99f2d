//! The one place that acts. Every task that it spawns is tracked and ends by sending exactly one event with its run's number.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use devctl_core::NodeId;
use devctl_core::engine::{Effect, Event, Failure, Started, Tested, Verification};
use devctl_core::plan::ContentHash;
use devctl_drivers::dirs::Dirs;
use devctl_drivers::lease::Leases;
use devctl_drivers::log::{LogStore, Redaction, RunLog};
use devctl_edge::Draining;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::build;
use crate::engines::Engines;
use crate::hooks;
use crate::live::Live;
use crate::product::Products;
use crate::remove;
use crate::run_loop::Wake;
use crate::spec::{NodeSpec, What};
use crate::start;
use crate::verify::beside::Beside;

/// Requests that never end (a stream, a long poll) keep an old run no longer than this.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// What acting needs. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Means {
    pub(crate) dirs: Arc<Dirs>,
    pub(crate) leases: Leases,
    pub(crate) engines: Engines,
    pub(crate) logs: LogStore,
    /// What verifies contracts while the graph runs; none in a graph that is made for a verification.
    pub(crate) beside: Option<Beside>,
    /// What builds have made.
    pub(crate) products: Products,
    pub(crate) tasks: TaskTracker,
    pub(crate) wake: mpsc::UnboundedSender<Wake>,
}

impl Means {
    /// A log for the run, its secrets left out.
    pub(crate) fn log(&self, spec: &NodeSpec, run: u64) -> RunLog {
        let redaction = Redaction::new(&spec.secrets).naming(&spec.redact);
        self.logs.run(&spec.id.to_string(), run, redaction)
    }

    /// The pipe that a run reads, where it reads what is typed.
    pub(crate) fn stdin(&self, node: &NodeId, run: u64) -> std::path::PathBuf {
        self.dirs.runtime.join(node.to_string()).join(format!("stdin-{run}"))
    }

    fn send(&self, event: Event) {
        // The loop is gone only when the daemon ends: then nobody is left to tell.
        let _ended = self.wake.send(Wake::Event(event));
    }
}

/// What is being done, by run.
pub(crate) struct Performer {
    pub(crate) means: Means,
    specs: HashMap<(NodeId, ContentHash), Arc<NodeSpec>>,
    starting: HashMap<u64, Starting>,
    building: HashMap<u64, CancellationToken>,
    /// What is made without being started.
    creating: HashMap<NodeId, CancellationToken>,
    live: HashMap<u64, Live>,
    /// Told to stop before they were there.
    to_stop: HashMap<u64, Duration>,
    /// Their containers go with the volumes that have no name.
    anonymous: HashSet<NodeId>,
}

/// A run that is on its way.
struct Starting {
    node: NodeId,
    place: u8,
    token: CancellationToken,
}

impl Performer {
    pub(crate) fn new(means: Means) -> Self {
        Self {
            means,
            specs: HashMap::new(),
            starting: HashMap::new(),
            building: HashMap::new(),
            creating: HashMap::new(),
            live: HashMap::new(),
            to_stop: HashMap::new(),
            anonymous: HashSet::new(),
        }
    }

    /// When these are removed, the volumes of their containers that have no name go as well.
    pub(crate) fn remove_anonymous(&mut self, nodes: impl Iterator<Item = NodeId>) {
        self.anonymous.extend(nodes);
    }

    /// Makes a node's spec known. One that a run is still using stays.
    pub(crate) fn know(&mut self, spec: Arc<NodeSpec>) {
        self.specs.insert((spec.id.clone(), spec.hash.clone()), spec);
    }

    /// The spec of that node under that plan.
    pub(crate) fn spec(&self, node: &NodeId, hash: &ContentHash) -> Option<&Arc<NodeSpec>> {
        self.specs.get(&(node.clone(), hash.clone()))
    }

    /// A run that is there.
    pub(crate) fn live(&self, run: u64) -> Option<&Live> {
        self.live.get(&run)
    }

    /// Every run that is there.
    pub(crate) fn all_live(&self) -> impl Iterator<Item = (u64, &Live)> {
        self.live.iter().map(|(run, live)| (*run, live))
    }

    /// A task has brought a run up.
    pub(crate) fn on_live(&mut self, run: u64, live: Live) {
        self.starting.remove(&run);
        let means = self.means.clone();
        let (node, handle) = (live.spec.id.clone(), live.handle.clone());
        self.live.insert(run, live.clone());
        self.means.tasks.spawn(async move {
            let exit = handle.wait().await;
            means.send(Event::Exited { node, run, exit });
        });
        if let Some(grace) = self.to_stop.remove(&run) {
            self.means
                .tasks
                .spawn(end(live, grace, Vec::new(), self.means.clone(), run, false));
        }
    }

    /// A run is over: what was known of it is let go.
    pub(crate) fn on_over(&mut self, run: u64) {
        self.starting.remove(&run);
        if let Some(live) = self.live.remove(&run) {
            // Nobody reads it any more; most have none.
            let _was_not_there = std::fs::remove_file(self.means.stdin(&live.spec.id, run));
        }
        self.to_stop.remove(&run);
    }

    /// Does one thing. `plan` is the plan of the node now, `draining` what its edges still have under way at the old run.
    pub(crate) fn perform(&mut self, effect: Effect, plan: Option<&ContentHash>, draining: Vec<Draining>) {
        match effect {
            Effect::Start { node, run, hash, fresh } => self.start(&node, run, &hash, fresh),
            Effect::Adopt { node, run, hash } => self.adopt(&node, run, &hash),
            Effect::Build { node, build, first } => self.build(&node, build, first, plan),
            Effect::CancelBuild { build, .. } => {
                if let Some(token) = self.building.remove(&build) {
                    token.cancel();
                }
            }
            Effect::Probe { node, run, timeout } => self.probe(node, run, timeout),
            Effect::Stop {
                node,
                run,
                grace,
                drain,
            } => {
                let draining = if drain { draining } else { Vec::new() };
                // Nobody starts its container again where the node is no container any more.
                let successor = plan.and_then(|plan| self.spec(&node, plan));
                let last = successor.is_some_and(|spec| !matches!(spec.what, What::Container(_)));
                self.stop(run, grace, draining, last);
            }
            Effect::Signal { run, signal, .. } => {
                if let (Some(live), Ok(signal)) = (self.live.get(&run), signal.parse()) {
                    live.handle.signal(signal);
                } else if let Some(starting) = self.starting.get(&run) {
                    self.to_stop.insert(run, Duration::ZERO);
                    starting.token.cancel();
                }
            }
            Effect::Hold { node, run, still } => {
                let Some(handle) = self.live.get(&run).map(|live| live.handle.clone()) else {
                    let outcome = Err(Failure::new("it does not run"));
                    self.means.send(Event::Held {
                        node,
                        run,
                        still,
                        outcome,
                    });
                    return;
                };
                let means = self.means.clone();
                self.means.tasks.spawn(async move {
                    let outcome = handle.hold(still).await;
                    means.send(Event::Held {
                        node,
                        run,
                        still,
                        outcome,
                    });
                });
            }
            Effect::Create { node, hash, fresh } => {
                let spec = self.spec(&node, &hash).cloned();
                let means = self.means.clone();
                let told = CancellationToken::new();
                self.creating.insert(node.clone(), told.clone());
                self.means.tasks.spawn(async move {
                    let outcome = match spec {
                        Some(spec) => start::create(&means, &spec, fresh, &told).await,
                        None => Err(Failure::new("its configuration is not known any more")),
                    };
                    means.send(Event::Created { node, outcome });
                });
            }
            Effect::CancelCreate { node } => {
                if let Some(told) = self.creating.remove(&node) {
                    told.cancel();
                }
            }
            Effect::Remove { node, volumes } => {
                let anonymous = self.anonymous.remove(&node);
                let specs: Vec<_> = self
                    .specs
                    .extract_if(|(id, _), _| *id == node)
                    .map(|(_, spec)| spec)
                    .collect();
                let means = self.means.clone();
                self.means.tasks.spawn(async move {
                    if let Some(error) = remove::node(&means, &node, specs, (volumes, anonymous)).await {
                        let left = Wake::Left {
                            node: node.clone(),
                            error,
                        };
                        // The loop is gone only when the daemon ends.
                        let _ended = means.wake.send(left);
                    }
                    means.send(Event::Removed { node });
                });
            }
            Effect::Verify { node, check } => match &self.means.beside {
                Some(beside) => beside.verify(node, check),
                None => self.means.send(Event::Verified {
                    node,
                    check,
                    outcome: Verification::default(),
                }),
            },
            Effect::Test { node, check } => match &self.means.beside {
                Some(beside) => beside.test(node, check),
                None => self.means.send(Event::Tested {
                    node,
                    check,
                    outcome: Ok(Tested::default()),
                }),
            },
            Effect::CancelCheck { check, .. } => {
                if let Some(beside) = &self.means.beside {
                    beside.cancel(check);
                }
            }
            Effect::LetGo { node } => match &self.means.beside {
                Some(beside) => beside.let_go(node),
                None => self.means.send(Event::LetGo { node }),
            },
            Effect::Notice(_) => {}
        }
    }

    fn start(&mut self, node: &NodeId, run: u64, hash: &ContentHash, fresh: bool) {
        let means = self.means.clone();
        let node = node.clone();
        let Some(spec) = self.spec(&node, hash).cloned() else {
            let failure = Failure::new("its configuration is not known any more; `devctl up` reads it again");
            means.send(Event::StartFailed { node, run, failure });
            return;
        };
        let token = CancellationToken::new();
        let place = self.free_place(&node);
        let beside = self.live.values().any(|live| live.spec.id == node)
            || self.starting.values().any(|starting| starting.node == node);
        let starting = Starting {
            node: node.clone(),
            place,
            token: token.clone(),
        };
        self.starting.insert(run, starting);
        self.means.tasks.spawn(async move {
            let log = means.log(&spec, run);
            let run_of = start::Run {
                number: run,
                place,
                beside,
                fresh,
            };
            let started = start::start(&means, &spec, run_of, &log, &token).await;
            match started {
                None => means.send(Event::StartFailed {
                    node,
                    run,
                    failure: Failure::new("it was told to stop"),
                }),
                Some(Err(failure)) => {
                    log.line(devctl_drivers::log::Stream::Devctl, failure.what.as_bytes());
                    means.send(Event::StartFailed { node, run, failure });
                }
                Some(Ok((live, started))) => up(&means, run, live, started, &log).await,
            }
        });
    }

    fn adopt(&mut self, node: &NodeId, run: u64, hash: &ContentHash) {
        let means = self.means.clone();
        let node = node.clone();
        // A run of another configuration is held by the one of now until it is replaced.
        let spec = self.spec(&node, hash).or_else(|| {
            let mut of_node = self.specs.iter().filter(|((id, _), _)| *id == node);
            of_node.next().map(|(_, spec)| spec)
        });
        let Some(spec) = spec.cloned() else {
            let exit = devctl_core::engine::Exit::Unknown;
            means.send(Event::Exited { node, run, exit });
            return;
        };
        let starting = Starting {
            node: node.clone(),
            place: self.free_place(&node),
            token: CancellationToken::new(),
        };
        self.starting.insert(run, starting);
        self.means.tasks.spawn(async move {
            let log = means.log(&spec, run);
            match start::adopt(&means, &spec, run, &log).await {
                Some((live, started)) => {
                    let held = live.handle.is_held().await;
                    let told = Wake::Live {
                        run,
                        live: Box::new(live),
                    };
                    if means.wake.send(told).is_ok() {
                        let id = node.clone();
                        means.send(Event::Started { node, run, started });
                        if held {
                            let outcome = Ok(());
                            let still = true;
                            means.send(Event::Held {
                                node: id,
                                run,
                                still,
                                outcome,
                            });
                        }
                    }
                }
                None => {
                    let exit = devctl_core::engine::Exit::Unknown;
                    means.send(Event::Exited { node, run, exit });
                }
            }
        });
    }

    /// Two runs that overlap need two sets of ports; one that no other run of the node uses.
    fn free_place(&self, node: &NodeId) -> u8 {
        let live = self
            .live
            .values()
            .filter(|live| live.spec.id == *node)
            .map(|live| live.place);
        let starting = self
            .starting
            .values()
            .filter(|starting| starting.node == *node)
            .map(|starting| starting.place);
        let taken: Vec<u8> = live.chain(starting).collect();
        (0..=u8::MAX).find(|place| !taken.contains(place)).unwrap_or_default()
    }

    fn build(&mut self, node: &NodeId, build: u64, first: Vec<NodeId>, plan: Option<&ContentHash>) {
        let means = self.means.clone();
        let node = node.clone();
        let spec = plan.and_then(|hash| self.spec(&node, hash)).cloned();
        let token = CancellationToken::new();
        self.building.retain(|_, token| !token.is_cancelled());
        self.building.insert(build, token.clone());
        self.means.tasks.spawn(async move {
            let outcome = match &spec {
                None => Err(Failure::new(
                    "its configuration is not known any more; `devctl up` reads it again",
                )),
                Some(spec) => {
                    let log = means.log(spec, build);
                    match token
                        .run_until_cancelled(build::build(spec, &log, &first, Some(&means.products)))
                        .await
                    {
                        Some(outcome) => outcome,
                        None => return,
                    }
                }
            };
            means.send(Event::Built { node, build, outcome });
        });
    }

    fn probe(&self, node: NodeId, run: u64, timeout: Duration) {
        let Some(live) = self.live.get(&run).cloned() else {
            return;
        };
        let means = self.means.clone();
        self.means.tasks.spawn(async move {
            // A run that ends is not waited for by its own test.
            let result = tokio::select! {
                result = live.probe.test(timeout) => result,
                _ = live.handle.wait() => return,
            };
            let ok = result.ok;
            means.send(Event::Probed {
                node,
                run,
                ok,
                output: result.output,
            });
            // Told first: whoever waits for the broker need not wait for what is done to it afterwards.
            if ok && let crate::live::Handle::RabbitMq(running) = &live.handle {
                running.booted().await;
            }
        });
    }

    fn stop(&mut self, run: u64, grace: Duration, draining: Vec<Draining>, last: bool) {
        if let Some(live) = self.live.get(&run).cloned() {
            self.means
                .tasks
                .spawn(end(live, grace, draining, self.means.clone(), run, last));
        } else if let Some(starting) = self.starting.get(&run) {
            self.to_stop.insert(run, grace);
            starting.token.cancel();
        }
    }
}

/// The run is there: its `post_start` hooks come before it counts as started (Compose specification, `post_start`).
async fn up(means: &Means, run: u64, live: Live, started: Started, log: &RunLog) {
    let node = live.spec.id.clone();
    let hooks = live.spec.post_start.clone();
    let context = live.context.clone();
    let handle = live.handle.clone();
    if means
        .wake
        .send(Wake::Live {
            run,
            live: Box::new(live),
        })
        .is_err()
    {
        return;
    }
    let failed = tokio::select! {
        result = hooks::run("post_start", &hooks, context.as_ref(), log) => result.err(),
        _ = handle.wait() => None,
    };
    match failed {
        None => means.send(Event::Started { node, run, started }),
        Some(failure) => {
            // Told first: the end that follows is then that of a run that nobody waits for.
            means.send(Event::StartFailed { node, run, failure });
            handle
                .stop(nix::sys::signal::Signal::SIGTERM, Duration::from_secs(2))
                .await;
        }
    }
}

/// Ends a run: what its edges still have under way first, then its hooks, its stop signal, the grace period, the kill.
async fn end(live: Live, grace: Duration, draining: Vec<Draining>, means: Means, run: u64, last: bool) {
    for old in draining {
        old.wait(DRAIN_LIMIT.min(grace)).await;
    }
    if !grace.is_zero() && !live.spec.pre_stop.is_empty() {
        let log = means.log(&live.spec, run);
        let hooks = hooks::run("pre_stop", &live.spec.pre_stop, live.context.as_ref(), &log);
        // The grace period is for the process; a hook that hangs must not keep a graph from coming down.
        if let Ok(Err(failure)) = tokio::time::timeout(grace.max(DRAIN_LIMIT), hooks).await {
            log.line(devctl_drivers::log::Stream::Devctl, failure.what.as_bytes());
        }
    }
    live.handle.stop(live.spec.stop_signal, grace).await;
    if let crate::live::Handle::Container(container) = &live.handle {
        container.remove_if_replaced(last).await;
    }
}
