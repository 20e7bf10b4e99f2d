//! The one loop: wait, name the event, step, perform. Nothing in it blocks.

mod commands;
mod host;
mod stand_ins;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use devctl_core::engine::{Create, Effect, Event, Exit, Node, NoticeKind, RunPhase, State, Status, Wanted};
use devctl_core::plan::Plan;
use devctl_core::{NodeId, Seconds, Time};
use devctl_drivers::docker::DockerError;
use devctl_drivers::guardian::Guarded;
use devctl_wire::v1;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::command::{Command, ProjectFacts};
use crate::convert;
use crate::feed::Feed;
use crate::live::Live;
use crate::outcome::Waiter;
use crate::perform::Performer;
use crate::records::{ContainerRecord, Records};
use crate::snapshot;
use crate::sync;
use crate::watch::Watch;
use crate::wiring::Wiring;

/// A daemon that has nothing to run and serves nobody ends itself after this time.
const IDLE: Duration = Duration::from_millis(1500);
/// One that was taken down has nothing left to hold but its ports, which others may want at once.
const DOWNED: Duration = Duration::from_millis(50);
/// What is being removed is waited for, but not for ever.
pub(crate) const REMOVING: Duration = Duration::from_secs(120);
/// One whose nodes are all stopped, but not taken down, is kept this long, so that `start` finds them.
const STOPPED: Duration = Duration::from_secs(900);

/// A reason to wake.
#[expect(clippy::large_enum_variant, reason = "each is moved once, through the queue")]
pub(crate) enum Wake {
    /// The engine's.
    Event(Event),
    /// A run is there; its `Started` follows.
    Live { run: u64, live: Box<Live> },
    /// An engine went away (`lost`: what it last said), or is back.
    Engine { host: String, lost: Option<String> },
    /// What runs in an engine that is back was looked at, in the look of this number.
    EngineLooked { host: String, look: u64 },
    /// A container of the project's was started: by this daemon, or by somebody else.
    StartedOutside { id: String },
    /// A container of the project's was held still, or let go on: by this daemon, or by somebody else.
    HeldOutside { id: String, still: bool },
    /// Something of a node could not be removed.
    Left { node: NodeId, error: DockerError },
    /// A client asks.
    Command(Command),
}

/// Everything that the loop owns.
pub(crate) struct Loop {
    pub(crate) state: State,
    pub(crate) performer: Performer,
    pub(crate) wiring: Wiring,
    pub(crate) plan: Plan,
    pub(crate) facts: ProjectFacts,
    pub(crate) clock: Clock,
    pub(crate) feed: Feed,
    watch: Watch,
    records: Records,
    state_dir: PathBuf,
    waiters: Vec<Waiter>,
    attached: u32,
    shown: HashMap<NodeId, Shown>,
    /// When it was told last that the files were changed.
    replanned: Option<Time>,
    /// The project was taken down.
    downed: bool,
    /// Since when there is nothing to do and nobody to serve.
    idle_since: Option<tokio::time::Instant>,
    /// Counts how often an engine went away or came back: what was looked at before is of no use then.
    looks: u64,
    /// How many containers have ended with each engine that is away.
    ended_with: HashMap<String, usize>,
    /// What the last `down` could not remove.
    pub(crate) left: Vec<(NodeId, DockerError)>,
    pacts: stand_ins::Pacts,
}

/// What subscribers were last told of a node.
#[derive(PartialEq)]
struct Shown {
    status: Status,
    run: Option<(u64, Option<u32>)>,
    holds: Vec<(&'static str, Option<NodeId>)>,
    restarts: u32,
    contracts: Option<v1::ContractsStatus>,
}

impl Loop {
    pub(crate) fn new(
        performer: Performer,
        wiring: Wiring,
        watch: Watch,
        feed: Feed,
        records: Records,
        state_dir: PathBuf,
    ) -> Self {
        let mut state = State::default();
        records.restore(&mut state);
        Self {
            state,
            performer,
            wiring,
            plan: Plan::default(),
            facts: ProjectFacts::default(),
            clock: Clock::start(),
            feed,
            watch,
            records,
            state_dir,
            waiters: Vec::new(),
            attached: 0,
            shown: HashMap::new(),
            replanned: None,
            downed: false,
            idle_since: None,
            looks: 0,
            ended_with: HashMap::new(),
            left: Vec::new(),
            pacts: stand_ins::Pacts::default(),
        }
    }

    /// Runs until there is nothing to run and nobody to serve, or until the guardian or a signal says so.
    pub(crate) async fn run(
        mut self,
        mut inbox: mpsc::UnboundedReceiver<Wake>,
        mut guarded: Option<Guarded>,
    ) -> std::io::Result<Self> {
        let mut signals = Signals::new()?;
        let mut asked = 0_u32;
        loop {
            let due = self
                .state
                .next_deadline()
                .into_iter()
                .chain(self.waiters.iter().filter_map(|waiter| waiter.deadline))
                .min();
            // Counted from when it began to be idle: somebody who only looks, again and again, keeps up nothing that was taken down.
            let idle = match self.is_idle() {
                true => Some(*self.idle_since.get_or_insert_with(tokio::time::Instant::now)),
                false => {
                    self.idle_since = None;
                    None
                }
            };
            let patience = idle.map(|since| since + self.patience());
            tokio::select! {
                biased;
                () = signals.any() => {
                    asked += 1;
                    self.step(Event::Shutdown { kill: asked > 1 });
                }
                () = lost(&mut guarded) => {
                    guarded = None;
                    tracing::error!("the guardian has ended: taking everything down");
                    self.step(Event::Shutdown { kill: false });
                }
                wake = inbox.recv() => match wake {
                    Some(wake) => self.wake(wake),
                    None => return Ok(self),
                },
                () = at(&self.clock, due) => self.step(Event::Tick),
                () = until(patience) => return Ok(self),
            }
            if self.state.is_closing() && self.state.is_quiet() {
                self.answer();
                return Ok(self);
            }
        }
    }

    /// How long it is kept with nothing to do.
    fn patience(&self) -> Duration {
        let leaving = |node: &Node| matches!(node.wanted, Wanted::Gone { .. });
        match (self.state.nodes().next().is_some(), self.downed) {
            // What is left of it is being removed.
            (true, true) if self.state.nodes().all(|(_, node)| leaving(node)) => REMOVING,
            // Planned, for a command that needed to know of it, and never brought up: there is nothing that a `start` could find.
            (true, false) if self.state.nodes().all(|(_, node)| was_never_up(node)) => IDLE,
            (true, _) => STOPPED,
            (false, true) => DOWNED,
            (false, false) => IDLE,
        }
    }

    fn is_idle(&self) -> bool {
        self.attached == 0 && self.waiters.is_empty() && self.state.is_idle() && self.state.is_quiet()
    }

    fn wake(&mut self, wake: Wake) {
        match wake {
            Wake::Event(event) => {
                let over = match &event {
                    Event::Exited { run, .. } | Event::StartFailed { run, .. } => Some(*run),
                    _ => None,
                };
                if let Event::Exited {
                    run,
                    exit: Exit::WithEngine,
                    ..
                } = &event
                {
                    self.ended_with_engine(*run);
                }
                if let Some(run) = over {
                    // First, so that the run which follows it gets its ports.
                    self.performer.on_over(run);
                }
                self.step(event);
                if over.is_some() {
                    self.note_processes();
                }
            }
            Wake::Live { run, live } => {
                sync::first(&self.performer.means, &live, run);
                self.performer.on_live(run, *live);
                self.note_processes();
            }
            Wake::Command(command) => {
                if !self.downed {
                    // Whoever asks is about to ask for more.
                    self.idle_since = None;
                }
                self.command(command);
            }
            Wake::Left { node, error } => self.left.push((node, error)),
            Wake::Engine { host, lost } => self.engine(host, lost),
            Wake::EngineLooked { host, look } => self.engine_looked(host, look),
            Wake::HeldOutside { id, still } => {
                let held = self
                    .performer
                    .all_live()
                    .find(|(_, live)| live.handle.is_container(&id));
                if let Some((run, live)) = held {
                    let node = live.spec.id.clone();
                    self.step(Event::Held {
                        node,
                        run,
                        still,
                        outcome: Ok(()),
                    });
                }
            }
            Wake::StartedOutside { id } => {
                let known = self.records.containers.iter().find(|(_, known)| known.id == id);
                let ids: Vec<NodeId> = self.state.nodes().map(|(id, _)| id.clone()).collect();
                let node = known.and_then(|(name, _)| ids.into_iter().find(|id| id.to_string() == *name));
                if let Some(node) = node {
                    self.step(Event::StartedOutside { node });
                }
            }
        }
    }

    /// Tells the engine, leads the edges to whoever serves now, and does what the engine says, in this order: a run is
    /// only stopped when nobody is led to it any more.
    fn step(&mut self, event: Event) {
        let now = self.clock.now();
        let effects = self.state.step(event, now);
        self.turn();
        let mut records = false;
        let reloaded: Vec<NodeId> = effects.iter().filter_map(reloaded).cloned().collect();
        for node in &reloaded {
            let known = self.state.node(node).and_then(|node| node.build.artefact.as_ref());
            if known.is_some() {
                self.watch.proven(node);
            }
        }
        for effect in effects {
            match &effect {
                Effect::Notice(notice) => {
                    let mut told = convert::notice(notice, &self.clock);
                    if let Some(node) = &notice.node {
                        self.tell_held(node, &mut told, reloaded.contains(node));
                    }
                    self.feed.notice(told);
                    records |= matches!(
                        notice.kind,
                        NoticeKind::Completed { .. }
                            | NoticeKind::Built { .. }
                            | NoticeKind::Removed { .. }
                            | NoticeKind::Starting { .. }
                    );
                }
                Effect::Stop { node, drain, .. } => {
                    let draining = if *drain {
                        self.wiring.take_draining(node.service())
                    } else {
                        Vec::new()
                    };
                    let plan = self.state.node(node).map(|node| node.plan.hash.clone());
                    self.performer.perform(effect, plan.as_ref(), draining);
                }
                Effect::Build { node, .. } => {
                    self.watch.began(node, None);
                    let plan = self.state.node(node).map(|node| node.plan.hash.clone());
                    self.performer.perform(effect, plan.as_ref(), Vec::new());
                }
                Effect::Start { node, run, .. } => {
                    self.watch.began(node, Some(*run));
                    self.performer.perform(effect, None, Vec::new());
                }
                _ => self.performer.perform(effect, None, Vec::new()),
            }
        }
        if records {
            self.keep_records();
        }
        self.show();
        self.answer();
    }

    /// Adds what waited for the node: to the line of its reload, which comes after that of its readiness, or to that one.
    fn tell_held(&mut self, node: &NodeId, told: &mut v1::Notice, reloaded: bool) {
        if let Some(reload) = &mut told.reload {
            let waited = self.wiring.waited(node.service());
            (reload.held, reload.longest_seconds) = (waited.held, waited.longest.as_secs_f64());
            reload.refused = waited.refused;
            let longest = Seconds(waited.longest);
            told.text.push_str(&match waited.held {
                0 => ", no request held".to_owned(),
                1 => format!(", one request held for {longest}"),
                count => format!(", {count} requests held, the longest for {longest}"),
            });
            if waited.refused > 0 {
                let refused = format!(", {} refused (at the limits of `hold`)", waited.refused);
                told.text.push_str(&refused);
            }
        } else if told.kind == "ready" && !reloaded {
            let waited = self.wiring.waited(node.service());
            let longest = Seconds(waited.longest);
            told.text.push_str(&match waited.held {
                0 => String::new(),
                1 => format!("; one request had waited {longest}"),
                count => format!("; {count} requests had waited, the longest {longest}"),
            });
        }
    }

    fn turn(&mut self) {
        self.wiring.turn(&self.state, &self.performer, self.clock.now());
    }

    /// Tells subscribers which nodes have changed.
    fn show(&mut self) {
        let now = self.clock.now();
        let ids: Vec<NodeId> = self.state.nodes().map(|(id, _)| id.clone()).collect();
        for id in ids {
            let Some(node) = self.state.node(&id) else { continue };
            let run = node.run.as_ref().map(|run| (run.number, run.pid));
            let status = self.state.status(&id, now);
            let holds = match &node.run {
                None => self
                    .state
                    .holds(&id, now)
                    .iter()
                    .map(|hold| (hold.word(), hold.on().cloned()))
                    .collect(),
                Some(_) => {
                    let away = self.state.away_hold(node, now);
                    away.iter().map(|hold| (hold.word(), None)).collect()
                }
            };
            let shown = Shown {
                status,
                run,
                holds,
                restarts: node.restarts,
                contracts: snapshot::contracts(self, node),
            };
            if self.shown.get(&id) != Some(&shown) {
                let status = snapshot::node(self, &id, false);
                self.feed.node(status);
                self.shown.insert(id, shown);
            }
        }
    }

    /// Answers clients whose wait is over.
    fn answer(&mut self) {
        let now = self.clock.now();
        let mut waiters = std::mem::take(&mut self.waiters);
        waiters.retain_mut(|waiter| waiter.look(self, now));
        let over = waiters.iter().any(Waiter::stays_for_what_runs) && self.is_over();
        waiters.retain(|waiter| !(over && waiter.stays_for_what_runs() && waiter.ended(self, now)));
        self.waiters = waiters;
        if over {
            self.step(Event::Shutdown { kill: false });
        }
    }

    /// Nothing runs any more, and no save brings anything back.
    fn is_over(&self) -> bool {
        let is_followed = |(id, node): (&NodeId, &devctl_core::plan::NodePlan)| {
            let wanted = self.state.node(id).is_some_and(|node| node.wanted == Wanted::Up);
            let spec = self.performer.spec(id, &node.hash);
            wanted && spec.is_some_and(|spec| spec.build.is_some() || spec.reads.is_some() || !spec.watch.is_empty())
        };
        !self.state.is_closing() && self.state.is_over(self.clock.now()) && !self.plan.nodes.iter().any(is_followed)
    }

    fn note_processes(&mut self) {
        for (run, live) in self.performer.all_live() {
            if let crate::live::Handle::Container(container) = &live.handle {
                let known = ContainerRecord {
                    id: container.id.clone(),
                    run,
                };
                self.records.containers.insert(live.spec.id.to_string(), known);
            }
        }
        let processes = self.performer.all_live().flat_map(|(run, live)| {
            let of_node = live.handle.processes().into_iter();
            of_node.map(move |process| (&live.spec.id, run, process.pid))
        });
        self.watch.processes(processes);
        self.records.processes = self
            .performer
            .all_live()
            .flat_map(|(_, live)| live.handle.processes())
            .collect();
        self.keep_records();
    }

    fn keep_records(&mut self) {
        self.records.gather(&self.state);
        if let Err(error) = self.records.write(&self.state_dir) {
            tracing::warn!(%error, "the records could not be written");
        }
    }

    /// The last thing: what is known now is what a later daemon begins with.
    pub(crate) fn finish(mut self) {
        self.records.processes = self
            .performer
            .all_live()
            .flat_map(|(_, live)| live.handle.processes())
            .collect();
        self.keep_records();
    }

    /// Every node of `scope` has been started, is done, or has failed.
    pub(crate) fn all_started(&self, scope: &[NodeId]) -> bool {
        scope.iter().filter_map(|id| self.state.node(id)).all(|node| {
            node.completed.is_some()
                || node.failure.is_some()
                || node
                    .run
                    .as_ref()
                    .is_some_and(|run| run.phase == RunPhase::Running && node.replace.is_none())
        })
    }
}

fn was_never_up(node: &Node) -> bool {
    let ran = node.last.is_some() || node.completion.is_some() || node.failure.is_some();
    node.gone() && !ran && node.create == Create::No
}

/// The node that a notice says to be reloaded.
fn reloaded(effect: &Effect) -> Option<&NodeId> {
    match effect {
        Effect::Notice(notice) if matches!(notice.kind, NoticeKind::Replaced { .. }) => notice.node.as_ref(),
        _ => None,
    }
}

async fn at(clock: &Clock, due: Option<devctl_core::Time>) {
    match due {
        Some(due) => tokio::time::sleep_until(clock.instant(due)).await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn lost(guarded: &mut Option<Guarded>) {
    match guarded {
        Some(guarded) => guarded.lost().await,
        None => std::future::pending().await,
    }
}

/// The signals that end a daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
