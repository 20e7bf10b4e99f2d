//! A client that waits, and what it is told in the end.

use devctl_core::engine::{Create, CriticalPath, Failure, Making, Node, Run, Verdict, Wanted};
use devctl_core::{NodeId, Time};
use devctl_wire::v1;

use crate::command::{Reply, Wait};
use crate::convert;
use crate::run_loop::Loop;

/// Log lines that a failure is told with.
const TAIL: usize = 15;

/// One client that waits for some nodes.
pub(crate) struct Waiter {
    wait: Wait,
    scope: Vec<NodeId>,
    since: Time,
    /// When it is told that its time is over.
    pub(crate) deadline: Option<Time>,
    /// It stays after it has been told, until everything has ended.
    pub(crate) stays: bool,
    /// It has asked for these nodes to be removed.
    pub(crate) removes: bool,
    /// What its plan has no place for any more: it is told once these are gone as well.
    pub(crate) surplus: Vec<NodeId>,
    reply: Reply,
}

impl Waiter {
    pub(crate) fn new(wait: Wait, scope: Vec<NodeId>, since: Time, reply: Reply) -> Self {
        Self {
            wait,
            scope,
            since,
            deadline: None,
            stays: false,
            removes: false,
            surplus: Vec::new(),
            reply,
        }
    }

    /// It has been told that all is up (or what failed), and stays for what comes of it.
    pub(crate) fn stays_for_what_runs(&self) -> bool {
        self.stays && self.wait == Wait::Ended && !self.reply.is_closed()
    }

    /// Tells the client what there is to tell; whether it goes on waiting.
    pub(crate) fn look(&mut self, all: &Loop, now: Time) -> bool {
        if self.reply.is_closed() {
            return false;
        }
        let Some(outcome) = self.outcome(all, now) else {
            return true;
        };
        let _gone = self.reply.send(convert::update(v1::update::What::Outcome(outcome)));
        if self.stays && self.wait != Wait::Ended {
            self.wait = Wait::Ended;
            self.deadline = None;
            return true;
        }
        false
    }

    /// Tells that all has ended by itself, and what of it not well; the client is told no more.
    pub(crate) fn ended(&self, all: &Loop, now: Time) -> bool {
        let mut outcome = match all.state.verdict(&self.scope, now) {
            Verdict::Failed(failed) => self.failed(all, failed, now),
            _ => self.base(all, None, now),
        };
        outcome.result = v1::Result::Ended.into();
        self.reply
            .send(convert::update(v1::update::What::Outcome(outcome)))
            .is_ok()
    }

    fn outcome(&self, all: &Loop, now: Time) -> Option<v1::Outcome> {
        let late = self.deadline.is_some_and(|deadline| deadline <= now);
        let result = match self.wait {
            Wait::Ended => {
                let ended = self.scope.iter().all(|id| {
                    all.state.node(id).is_none_or(|node| {
                        node.gone() && !matches!(node.wanted, devctl_core::engine::Wanted::Gone { .. })
                    })
                });
                match ended && (!self.stays || all.state.is_idle()) {
                    true => v1::Result::Stopped,
                    false => return None,
                }
            }
            Wait::Signalled => {
                let nodes = self.scope.iter().filter_map(|id| all.state.node(id));
                let open = nodes
                    .clone()
                    .filter(|node| node.run.iter().chain(&node.leaving).any(Run::is_stopping));
                match open.count() {
                    // Some may have handled it and go on.
                    0 if nodes.clone().any(|node| node.run.is_some()) => v1::Result::Done,
                    0 => v1::Result::Stopped,
                    _ => return None,
                }
            }
            Wait::Held { still } => return self.held(all, still, now),
            Wait::Created => {
                let nodes = || self.scope.iter().filter_map(|id| Some((id, all.state.node(id)?)));
                let is_open = |node: &Node| {
                    let is_made = node.create.is_open() || node.making != Making::No;
                    is_made || node.build.running.is_some() || node.replace.is_some()
                };
                if nodes().any(|(_, node)| is_open(node)) {
                    return None;
                }
                let failed: Vec<(NodeId, Failure)> = nodes()
                    .filter_map(|(id, node)| Some((id.clone(), node.failure.clone()?)))
                    .collect();
                if !failed.is_empty() {
                    return Some(self.failed(all, failed, now));
                }
                // Somebody has stopped it, or taken it down, before it was there.
                let is_missing =
                    |node: &Node| node.wanted != Wanted::Up && !node.has_run() && node.create != Create::Done;
                match self.scope.iter().any(|id| all.state.node(id).is_none_or(is_missing)) {
                    true => v1::Result::Stopped,
                    false => v1::Result::Done,
                }
            }
            Wait::Ready | Wait::Started => match all.state.verdict(&self.scope, now) {
                Verdict::Failed(failed) => return Some(self.failed(all, failed, now)),
                _ if self.surplus.iter().any(|id| all.state.node(id).is_some()) && !late => return None,
                Verdict::Ready => v1::Result::Ready,
                Verdict::Pending if self.wait == Wait::Started && all.all_started(&self.scope) => v1::Result::Ready,
                Verdict::Pending if all.state.is_idle() => v1::Result::Stopped,
                Verdict::Pending if late => return Some(self.late(all, now)),
                Verdict::Pending => return None,
            },
        };
        if result == v1::Result::Stopped && !all.left.is_empty() {
            return Some(self.left(all, now));
        }
        let path = all.state.critical_path(&self.scope, self.since);
        let changed = self.changed(all);
        let mut outcome = self.base(all, path, now);
        outcome.result = match result {
            v1::Result::Ready if changed == 0 => v1::Result::Unchanged,
            v1::Result::Stopped if self.removes => v1::Result::Removed,
            result => result,
        }
        .into();
        outcome.changed = changed;
        Some(outcome)
    }

    /// Those that run are as they were asked to be, or could not be.
    fn held(&self, all: &Loop, still: bool, now: Time) -> Option<v1::Outcome> {
        let runs = || {
            let runs = self
                .scope
                .iter()
                .filter_map(|id| Some((id, all.state.node(id)?.run.as_ref()?)));
            runs.filter(|(_, run)| !run.is_stopping())
        };
        if runs().any(|(_, run)| run.holding.is_some()) {
            return None;
        }
        let failed: Vec<(NodeId, Failure)> = runs()
            .filter(|(_, run)| run.paused.is_some() != still)
            .filter_map(|(id, run)| Some((id.clone(), run.not_held.clone()?)))
            .collect();
        if !failed.is_empty() {
            return Some(self.failed(all, failed, now));
        }
        let held = runs().filter(|(_, run)| run.paused.is_some() == still).count();
        let mut outcome = self.base(all, None, now);
        outcome.result = v1::Result::Done.into();
        outcome.changed = u32::try_from(held).unwrap_or(u32::MAX);
        Some(outcome)
    }

    /// How many nodes were started since the client asked.
    fn changed(&self, all: &Loop) -> u32 {
        let since = self.since;
        let started = |id: &&NodeId| {
            all.state.node(id).is_some_and(|node| {
                node.run
                    .iter()
                    .chain(&node.done)
                    .any(|run| run.issued >= since && !run.adopted)
            })
        };
        u32::try_from(self.scope.iter().filter(started).count() + self.surplus.len()).unwrap_or(u32::MAX)
    }

    fn base(&self, all: &Loop, path: Option<CriticalPath>, now: Time) -> v1::Outcome {
        let path = path.unwrap_or_default();
        let own_share = match path.total.as_secs_f64() {
            total if total > 0.0 => path.own.as_secs_f64() / total,
            _ => 0.0,
        };
        let nodes = || self.scope.iter().filter_map(|id| all.state.node(id));
        v1::Outcome {
            seconds: (now - self.since).as_secs_f64(),
            critical_path: path.steps.iter().map(convert::step).collect(),
            own_share,
            ready: u32::try_from(
                nodes()
                    .filter(|node| node.run.as_ref().is_some_and(Run::is_ready))
                    .count(),
            )
            .unwrap_or(u32::MAX),
            starting: u32::try_from(
                nodes()
                    .filter(|node| node.run.as_ref().is_some_and(|run| !run.is_ready()))
                    .count(),
            )
            .unwrap_or(u32::MAX),
            completed: u32::try_from(nodes().filter(|node| node.completed.is_some()).count()).unwrap_or(u32::MAX),
            ..v1::Outcome::default()
        }
    }

    fn failed(&self, all: &Loop, failed: Vec<(NodeId, Failure)>, now: Time) -> v1::Outcome {
        let failures = failed
            .into_iter()
            .map(|(id, failure)| self.failure(all, &id, failure))
            .collect();
        let mut outcome = self.base(all, None, now);
        outcome.result = v1::Result::Failed.into();
        outcome.failures = failures;
        outcome
    }

    /// Everything has ended, and something of it is still there.
    fn left(&self, all: &Loop, now: Time) -> v1::Outcome {
        let failures = all.left.iter().map(|(id, error)| v1::Failure {
            node: id.to_string(),
            what: format!("its container is left: {}", crate::start::told(error)),
            help: "start Docker again; another `devctl down` then removes it".to_owned(),
            ..v1::Failure::default()
        });
        let mut outcome = self.base(all, None, now);
        outcome.result = v1::Result::Failed.into();
        outcome.failures = failures.collect();
        outcome
    }

    fn late(&self, all: &Loop, now: Time) -> v1::Outcome {
        let failures = self
            .scope
            .iter()
            .filter(|id| matches!(all.state.verdict(std::slice::from_ref(*id), now), Verdict::Pending))
            .map(|id| {
                let what = match all.state.hold(id, now) {
                    Some(hold) => hold.to_string(),
                    None => format!("still {}", all.state.status(id, now)),
                };
                self.failure(all, id, Failure::new(what))
            })
            .collect();
        let mut outcome = self.base(all, None, now);
        outcome.result = v1::Result::TimedOut.into();
        outcome.failures = failures;
        outcome
    }

    fn failure(&self, all: &Loop, id: &NodeId, failure: Failure) -> v1::Failure {
        let node = all.state.node(id);
        let exit_code = node
            .and_then(|node| node.last.as_ref())
            .and_then(|last| match last.exit {
                devctl_core::engine::Exit::Code(code) if last.told.is_none() => Some(code),
                _ => None,
            });
        let run = node.and_then(|node| node.run.as_ref());
        // A run that could not be started is over: its words are the newest in the log.
        let number = run
            .map(|run| run.number)
            .or_else(|| all.performer.means.logs.last_run(&id.to_string()));
        let log_tail = match (failure.output.is_empty(), number) {
            (true, Some(number)) => tail(all, id, number),
            _ => failure.output,
        };
        v1::Failure {
            node: id.to_string(),
            what: failure.what,
            why: String::new(),
            help: failure.help.unwrap_or_default(),
            exit_code,
            probe_output: run.map(|run| run.health.output.clone()).unwrap_or_default(),
            log_tail,
        }
    }
}

/// The last lines that a run printed.
fn tail(all: &Loop, id: &NodeId, run: u64) -> Vec<String> {
    let query = devctl_drivers::log::Query {
        nodes: vec![id.to_string()],
        run: Some(run),
        tail: Some(TAIL),
        ..devctl_drivers::log::Query::default()
    };
    let mut follow = all.performer.means.logs.read(&query);
    std::iter::from_fn(move || follow.try_next())
        .map(|record| String::from_utf8_lossy(&record.bytes).into_owned())
        .collect()
}
