//! The engine's state, and the questions that can be asked of it.

use std::collections::HashMap;
use std::fmt;

use indexmap::IndexMap;

use super::away::Away;
use super::effect::Effect;
use super::event::Event;
use super::hold::Hold;
use super::node::{HealthState, Memory, Node, Run, RunPhase, Wanted};
use super::notice::{Notice, NoticeKind};
use crate::{NodeId, Time};

/// Everything that the engine knows.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub(super) nodes: IndexMap<NodeId, Node>,
    pub(super) dependents: HashMap<NodeId, Vec<NodeId>>,
    pub(super) memories: HashMap<NodeId, Memory>,
    pub(super) away: HashMap<String, Away>,
    pub(super) closing: bool,
    runs: u64,
    notices: u64,
}

/// What a node does, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Not wanted, and no run is there.
    Down,
    /// Wanted, and something holds it back.
    Waiting,
    /// Its build is under way, and no run is there.
    Building,
    /// On its way to being ready.
    Starting,
    /// Healthy, or running where there is no test.
    Ready,
    /// Its test fails beyond its budget.
    Unhealthy,
    /// A job that is done.
    Completed,
    /// It will not be started until someone asks again.
    Failed,
    /// On its way out.
    Stopping,
    /// To be started again later.
    Backoff,
    /// Held still.
    Paused,
}

/// Who answers at a node's addresses now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Serving {
    /// This run.
    Run(u64),
    /// Nobody yet, but somebody will: callers should wait.
    Soon,
    /// Nobody, and nobody will until something is done about it.
    Nobody {
        /// Why.
        why: String,
    },
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Status::Down => "down",
            Status::Waiting => "waiting",
            Status::Building => "building",
            Status::Starting => "starting",
            Status::Ready => "ready",
            Status::Unhealthy => "unhealthy",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Stopping => "stopping",
            Status::Backoff => "backing off",
            Status::Paused => "paused",
        })
    }
}

impl State {
    /// Takes in what happened at `now` and says what to do about it.
    #[must_use]
    pub fn step(&mut self, event: Event, now: Time) -> Vec<Effect> {
        let mut out = Vec::new();
        match event {
            Event::Up(up) => self.on_up(up, now, &mut out),
            Event::Act(act) => self.on_act(act, now, &mut out),
            Event::Down(down) => self.on_down(down, now, &mut out),
            Event::Shutdown { kill } => self.on_shutdown(kill, now, &mut out),
            Event::Changed { node, source, what } => self.on_changed(&node, source, &what, now, &mut out),
            Event::Synced {
                node,
                run,
                what,
                outcome,
                took,
                restart,
            } => self.on_synced(&node, run, (what, outcome, took), restart, now, &mut out),
            Event::Built { node, build, outcome } => self.on_built(&node, build, outcome, now, &mut out),
            Event::Started { node, run, started } => self.on_started(&node, run, started, now, &mut out),
            Event::StartFailed { node, run, failure } => self.on_start_failed(&node, run, failure, now, &mut out),
            Event::Probed { node, run, ok, output } => self.on_probed(&node, run, ok, output, now, &mut out),
            Event::Exited { node, run, exit } => self.on_exited(&node, run, exit, now, &mut out),
            Event::Verified { node, check, outcome } => self.on_verified(&node, check, outcome, now, &mut out),
            Event::Tested { node, check, outcome } => self.on_tested(&node, check, outcome, now, &mut out),
            Event::Expected { node, what } => self.on_expected(&node, what, now, &mut out),
            Event::LetGo { node } => self.on_let_go(&node),
            Event::Removed { node } => self.on_removed(&node, now, &mut out),
            Event::Away { host, why } => self.on_away(host, why, now),
            Event::Back { host } => self.on_back(&host, now),
            Event::StartedOutside { node } => self.on_started_outside(&node, now),
            Event::Held {
                node,
                run,
                still,
                outcome,
            } => self.on_held(&node, run, still, outcome, now, &mut out),
            Event::Created { node, outcome } => self.on_created(&node, outcome, now, &mut out),
            Event::Tick => {}
        }
        self.look_at_signalled(now, &mut out);
        self.schedule(now, &mut out);
        out
    }

    /// When to send [`Event::Tick`] if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.nodes
            .values()
            .flat_map(|node| {
                let probes = node.run.iter().chain(&node.next).filter_map(|run| run.health.next);
                let signalled = node.run.iter().filter_map(|run| run.signalled);
                let backoff = node
                    .not_before
                    .filter(|_| node.wanted == Wanted::Up && node.run.is_none() && node.failure.is_none());
                probes.chain(signalled).chain(backoff)
            })
            .min()
    }

    /// Every node, in the plan's order; orphans last.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeId, &Node)> {
        self.nodes.iter()
    }

    /// One node.
    #[must_use]
    pub fn node(&self, id: &NodeId) -> Option<&Node> {
        self.nodes.get(id)
    }

    /// The number of the last notice.
    #[must_use]
    pub fn last_notice(&self) -> u64 {
        self.notices
    }

    /// Nothing runs, nothing is built, nothing is on its way out.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.nodes
            .values()
            .all(|node| node.gone() && node.build.running.is_none() && !node.create.is_open())
    }

    /// Nothing is wanted: what still runs is on its way out.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.nodes.values().all(|node| node.wanted != Wanted::Up)
    }

    /// All that is wanted has ended, done or failed, and nothing brings it back but a person or a change.
    #[must_use]
    pub fn is_over(&self, now: Time) -> bool {
        let is_blocked = |id| matches!(self.hold(id, now), Some(Hold::FailedDependency { .. }));
        let mut wanted = self.nodes.iter().filter(|(_, node)| node.wanted == Wanted::Up);
        self.is_quiet()
            && wanted.all(|(id, node)| {
                let ended = node.completed.is_some() || node.failure.is_some() || is_blocked(id);
                ended && !node.build.due
            })
    }

    /// [`Event::Shutdown`] has been seen.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing
    }

    /// What the node does, in one word. Derived, like all that is shown.
    #[must_use]
    pub fn status(&self, id: &NodeId, now: Time) -> Status {
        let Some(node) = self.nodes.get(id) else {
            return Status::Down;
        };
        match &node.run {
            Some(run) if run.is_stopping() => Status::Stopping,
            Some(_) if self.away(node).is_some() => Status::Waiting,
            Some(run) if run.paused.is_some() => Status::Paused,
            Some(run) if run.phase == RunPhase::Starting => Status::Starting,
            Some(run) => match run.health.state {
                HealthState::Starting => Status::Starting,
                HealthState::Healthy => Status::Ready,
                HealthState::Unhealthy => Status::Unhealthy,
            },
            None if node.completed.is_some() => Status::Completed,
            None if node.wanted != Wanted::Up && !node.leaving.is_empty() => Status::Stopping,
            None if node.failure.is_some() => Status::Failed,
            None if node.wanted != Wanted::Up => Status::Down,
            None => match self.hold(id, now) {
                Some(Hold::Building { .. }) => Status::Building,
                Some(Hold::Backoff { .. }) => Status::Backoff,
                Some(Hold::FailedDependency { .. }) => Status::Failed,
                _ => Status::Waiting,
            },
        }
    }

    /// Who answers at the node's addresses.
    #[must_use]
    pub fn serving(&self, id: &NodeId, now: Time) -> Serving {
        let Some(node) = self.nodes.get(id) else {
            return Serving::Nobody {
                why: "it is not part of the project".to_owned(),
            };
        };
        if let Some(run) = &node.run
            && run.phase == RunPhase::Running
            && run.health.state != HealthState::Starting
        {
            return Serving::Run(run.number);
        }
        match (node.wanted, &node.failure) {
            (_, Some(failure)) if node.run.is_none() => Serving::Nobody {
                why: failure.what.clone(),
            },
            (Wanted::Up, _) => match self.hold(id, now) {
                Some(Hold::FailedDependency { on, why, .. }) => Serving::Nobody {
                    why: format!("it needs {on}, which {why}"),
                },
                _ if node.completed.is_some() => Serving::Nobody {
                    why: "it has completed".to_owned(),
                },
                _ => Serving::Soon,
            },
            _ => Serving::Nobody {
                why: "it is stopped".to_owned(),
            },
        }
    }

    pub(super) fn notice(&mut self, node: Option<&NodeId>, kind: NoticeKind, at: Time, out: &mut Vec<Effect>) {
        self.notices += 1;
        out.push(Effect::Notice(Notice {
            number: self.notices,
            at,
            node: node.cloned(),
            kind,
        }));
    }

    /// The next number, for a run or a build.
    pub(super) fn number(&mut self) -> u64 {
        self.runs += 1;
        self.runs
    }

    /// Lets the caller tell something of its own in the one numbered sequence.
    pub fn tell(&mut self, node: Option<&NodeId>, kind: NoticeKind, at: Time) -> Notice {
        self.notices += 1;
        Notice {
            number: self.notices,
            at,
            node: node.cloned(),
            kind,
        }
    }

    /// Continues the numbers of an earlier daemon, so that a run's log is never written over.
    pub fn resume_numbers(&mut self, runs: u64) {
        self.runs = self.runs.max(runs);
    }

    /// The highest run number so far.
    #[must_use]
    pub fn last_run(&self) -> u64 {
        self.runs
    }

    pub(super) fn index_dependents(&mut self) {
        self.dependents.clear();
        for (id, node) in &self.nodes {
            for dep in &node.plan.dependencies {
                self.dependents.entry(dep.on.clone()).or_default().push(id.clone());
            }
        }
    }

    pub(super) fn run_of<'a>(&'a mut self, id: &NodeId, number: u64) -> Option<(&'a mut Node, RunPlace)> {
        let node = self.nodes.get_mut(id)?;
        let is = |run: &Run| run.number == number;
        let place = if node.run.as_ref().is_some_and(is) {
            RunPlace::Run
        } else if node.next.as_ref().is_some_and(is) {
            RunPlace::Next
        } else if node.leaving.iter().any(is) {
            RunPlace::Leaving
        } else {
            return None;
        };
        Some((node, place))
    }
}

/// Where in a node a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunPlace {
    /// It serves, or is to be the first to.
    Run,
    /// It is to take the serving one's place.
    Next,
    /// It no longer serves.
    Leaving,
}
