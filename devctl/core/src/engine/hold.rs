//! Why a node is not running. Computed whenever someone asks: the scheduler, `ps`, `why`, the dashboard.

use std::fmt;
use std::time::Duration;

use super::contracts::Verdicts;
use super::node::{HealthState, Making, Node, RunPhase, Wanted};
use super::state::State;
use crate::plan::{Condition, Dependency};
use crate::{NodeId, Seconds, Time};

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Nobody wants it.
    Stopped,
    /// Its run from before has not ended yet.
    Ending,
    /// Its build is under way.
    Building {
        /// For how long.
        since: Duration,
    },
    /// What it runs in is being made already.
    Making,
    /// What it runs in does not answer.
    Away {
        /// The engine's address: `unix:///var/run/docker.sock`.
        host: String,
        /// For how long.
        since: Duration,
        /// What it last said.
        why: String,
    },
    /// It failed, and is not started again unless someone asks.
    Failed {
        /// How.
        why: String,
    },
    /// It ended by itself and is started again later.
    Backoff {
        /// In how long.
        left: Duration,
    },
    /// A dependency is not yet as it must be.
    Dependency {
        /// Which.
        on: NodeId,
        /// As it must be.
        condition: Condition,
        /// How far it is.
        state: String,
    },
    /// A dependency will not be as it must be.
    FailedDependency {
        /// Which.
        on: NodeId,
        /// As it must be.
        condition: Condition,
        /// Why not.
        why: String,
    },
}

impl Hold {
    /// One word for it, stable for scripts.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Hold::Stopped => "stopped",
            Hold::Ending => "ending",
            Hold::Building { .. } => "build",
            Hold::Making => "create",
            Hold::Away { .. } => "away",
            Hold::Failed { .. } => "failed",
            Hold::Backoff { .. } => "backoff",
            Hold::Dependency { .. } => "dependency",
            Hold::FailedDependency { .. } => "failed_dependency",
        }
    }

    /// What must be true of that node.
    #[must_use]
    pub fn condition(&self) -> Option<Condition> {
        match self {
            Hold::Dependency { condition, .. } | Hold::FailedDependency { condition, .. } => Some(*condition),
            _ => None,
        }
    }

    /// The node that it is about, where it is not the held one.
    #[must_use]
    pub fn on(&self) -> Option<&NodeId> {
        match self {
            Hold::Dependency { on, .. } | Hold::FailedDependency { on, .. } => Some(on),
            _ => None,
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hold::Stopped => write!(out, "stopped"),
            Hold::Ending => write!(out, "the run before has not ended yet"),
            Hold::Building { since } => write!(out, "building for {}", Seconds(*since)),
            Hold::Making => write!(out, "it is being created"),
            Hold::Away { host, since, .. } => write!(out, "Docker has not answered for {} (`{host}`)", Seconds(*since)),
            Hold::Failed { why } => write!(out, "{why}"),
            Hold::Backoff { left } => write!(out, "starting again in {}", Seconds(*left)),
            Hold::Dependency { on, state, .. } => write!(out, "waiting for {on} ({state})"),
            Hold::FailedDependency { on, why, .. } => write!(out, "needs {on}, which {why}"),
        }
    }
}

/// What a dependency lets happen.
enum Met {
    Yes,
    Not(String),
    Never(String),
}

impl State {
    /// The first reason why the node has no run. None: it may start now (or runs).
    #[must_use]
    pub fn hold(&self, id: &NodeId, now: Time) -> Option<Hold> {
        let node = self.nodes.get(id)?;
        self.own_hold(node, now)
            .or_else(|| self.dependency_holds(node, now).next())
            .or_else(|| self.data_hold(node, now))
    }

    /// Every reason, the node's own first; what will never come stands before what is still awaited.
    #[must_use]
    pub fn holds(&self, id: &NodeId, now: Time) -> Vec<Hold> {
        let Some(node) = self.nodes.get(id) else {
            return Vec::new();
        };
        self.own_hold(node, now)
            .into_iter()
            .chain(self.dependency_holds(node, now))
            .chain(self.data_hold(node, now))
            .collect()
    }

    /// What the node runs in does not answer: holds its next run, and says what is not known of the one that it has.
    #[must_use]
    pub fn away_hold(&self, node: &Node, now: Time) -> Option<Hold> {
        let away = self.away(node)?;
        Some(Hold::Away {
            host: node.plan.host.clone()?,
            since: now - away.since,
            why: away.why.clone(),
        })
    }

    fn own_hold(&self, node: &Node, now: Time) -> Option<Hold> {
        if node.wanted != Wanted::Up {
            return Some(Hold::Stopped);
        }
        if let Some(failure) = &node.failure {
            return Some(Hold::Failed {
                why: failure.what.clone(),
            });
        }
        if let Some((_, since, _)) = node.build.running {
            return Some(Hold::Building { since: now - since });
        }
        if node.build.due {
            return Some(Hold::Building { since: Duration::ZERO });
        }
        if let Some(hold) = self.away_hold(node, now) {
            return Some(hold);
        }
        if !node.leaving.is_empty() && node.run.is_none() {
            return Some(Hold::Ending);
        }
        if node.making != Making::No {
            return Some(Hold::Making);
        }
        node.not_before
            .filter(|at| *at > now)
            .map(|at| Hold::Backoff { left: at - now })
    }

    /// What the node waits for of others.
    pub(super) fn dependency_holds<'a>(&'a self, node: &'a Node, now: Time) -> impl Iterator<Item = Hold> + 'a {
        let mut awaited = Vec::new();
        let mut never = Vec::new();
        let holds = |dep: &&Dependency| dep.condition != Condition::Verified || !node.let_through;
        for dep in node.plan.dependencies.iter().filter(holds) {
            match self.met(dep, now) {
                Met::Yes => {}
                Met::Not(state) => {
                    awaited.push(Hold::Dependency {
                        on: dep.on.clone(),
                        condition: dep.condition,
                        state,
                    });
                }
                Met::Never(_) if !dep.required => {}
                Met::Never(why) => never.push(Hold::FailedDependency {
                    on: dep.on.clone(),
                    condition: dep.condition,
                    why,
                }),
            }
        }
        never.into_iter().chain(awaited)
    }

    /// A job that was done before: whether that still holds is only known once all the data that it had worked on has been looked at. What
    /// it depends on may be there earlier, where that was taken over.
    fn data_hold(&self, node: &Node, now: Time) -> Option<Hold> {
        let done = self.done_before(node)?;
        let (on, input) = self.nodes.iter().find(|(id, input)| {
            let starting = input.run.as_ref().is_some_and(|run| run.phase == RunPhase::Starting);
            starting && done.inputs.contains_key(&id.to_string())
        })?;
        Some(Hold::Dependency {
            on: on.clone(),
            condition: Condition::Started,
            state: self.progress(input, now),
        })
    }

    fn met(&self, dep: &Dependency, now: Time) -> Met {
        let Some(on) = self.nodes.get(&dep.on) else {
            return Met::Never("is not part of the project".to_owned());
        };
        if dep.condition == Condition::Verified
            && let Some(met) = self.kept(on, now)
        {
            return met;
        }
        if on.completed.is_some() {
            return match dep.condition {
                Condition::Started | Condition::Completed => Met::Yes,
                Condition::Verified => Met::Never("has completed, and answers nobody".to_owned()),
                Condition::Healthy => Met::Never("has completed, and so cannot be healthy".to_owned()),
            };
        }
        // A run that is about to be replaced is not the one that was asked for.
        let stays = on.replace.is_none() && on.next.is_none();
        if let Some(run) = &on.run
            && run.phase == RunPhase::Running
            && self.away(on).is_none()
        {
            let met = match dep.condition {
                Condition::Started => true,
                Condition::Healthy => run.health.state == HealthState::Healthy,
                Condition::Completed | Condition::Verified => false,
            };
            if met && stays {
                return Met::Yes;
            }
            if dep.condition == Condition::Healthy && run.health.state == HealthState::Unhealthy {
                return Met::Never(match run.health.output.lines().last() {
                    Some(line) => format!("is not healthy: {line}"),
                    None => "is not healthy".to_owned(),
                });
            }
        }
        if on.wanted != Wanted::Up {
            return Met::Never("is stopped".to_owned());
        }
        if on.run.is_none() {
            if let Some(failure) = &on.failure {
                return Met::Never(failure.what.clone());
            }
            if let Some(Hold::FailedDependency { on, why, .. }) = self
                .dependency_holds(on, now)
                .find(|hold| matches!(hold, Hold::FailedDependency { .. }))
            {
                return Met::Never(format!("needs {on}, which {why}"));
            }
        }
        Met::Not(self.progress(on, now))
    }

    /// Whether a provider keeps its contracts; None while it has not come so far that they could be verified.
    fn kept(&self, on: &Node, now: Time) -> Option<Met> {
        let contracts = &on.contracts;
        if let Some(since) = contracts.since() {
            let waits = Seconds(now - since);
            return Some(Met::Not(format!("its contracts are being verified, {waits}")));
        }
        let last = contracts.current()?;
        Some(match last.outcome.verdicts() {
            Verdicts::None | Verdicts::Kept => Met::Yes,
            Verdicts::Broken | Verdicts::CouldNotRun => Met::Never(last.outcome.reason()),
        })
    }

    /// How far a node is, for those who wait for it: `starting, 0.4 s of 60 s`.
    fn progress(&self, node: &Node, now: Time) -> String {
        let status = self.status(&node.plan.id, now);
        match (&node.run, &node.plan.health) {
            _ if self.away(node).is_some() && node.failure.is_none() => match self.away_hold(node, now) {
                Some(hold) => hold.to_string(),
                None => status.to_string(),
            },
            (Some(run), Some(test)) if run.health.state == HealthState::Starting && !run.is_stopping() => {
                let since = now - run.started.unwrap_or(run.issued);
                format!("starting, {} of {}", Seconds(since), Seconds(test.budget()))
            }
            (Some(run), _) if run.phase == RunPhase::Running && node.replace.is_some() => {
                "about to be replaced".to_owned()
            }
            (Some(run), _) if run.phase == RunPhase::Running => {
                format!("running for {}", Seconds(now - run.started.unwrap_or(run.issued)))
            }
            _ => match self.hold(&node.plan.id, now) {
                Some(Hold::Building { since }) => format!("building, {}", Seconds(since)),
                Some(Hold::Backoff { left }) => format!("starts again in {}", Seconds(left)),
                _ => status.to_string(),
            },
        }
    }
}
