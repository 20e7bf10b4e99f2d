//! Scripted stories: what happens on the left, what the engine wants done about it below.

mod adopting;
mod away;
mod builds;
mod contracts;
mod creating;
mod health;
mod jobs;
mod pausing;
mod replacing;
mod requests;
mod starting;
mod stopping;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::{Act, Built, Down, Effect, Event, Exit, Failure, Started, State, Up, Verb};
use crate::plan::{Condition, ContentHash, Dependency, HealthTest, Kind, NodePlan, Plan, RestartPolicy, Swap};
use crate::{NodeId, Time};

/// A state, its clock, and the transcript so far.
pub(super) struct Story {
    pub(super) state: State,
    pub(super) now: Time,
    transcript: String,
    /// The last verification, or tests, of each node.
    checks: HashMap<NodeId, u64>,
}

/// A node in a few words: `node("api").needs("db", Healthy).tested()`.
pub(super) fn node(name: &str) -> NodePlan {
    NodePlan::new(name.into(), ContentHash("v1".to_owned()))
}

pub(super) trait Wording: Sized {
    fn needs(self, on: &str, condition: Condition) -> Self;
    fn tested(self) -> Self;
    fn with(self, change: impl FnOnce(&mut NodePlan)) -> Self;
    fn job(self) -> Self {
        self.with(|node| node.kind = Kind::Job)
    }
    fn overlapping(self) -> Self {
        self.with(|node| node.swap = Swap::Overlap)
    }
    fn built(self) -> Self {
        self.with(|node| node.builds = true)
    }
    fn restarting(self, policy: RestartPolicy) -> Self {
        self.with(|node| node.restart = policy)
    }
    fn hash(self, hash: &str) -> Self {
        self.with(|node| node.hash = ContentHash(hash.to_owned()))
    }
}

impl Wording for NodePlan {
    fn needs(mut self, on: &str, condition: Condition) -> Self {
        self.dependencies.push(Dependency {
            on: on.into(),
            condition,
            required: true,
            restart: false,
        });
        self
    }
    fn tested(mut self) -> Self {
        self.health = Some(HealthTest {
            interval: Duration::from_secs(10),
            retries: 3,
            ..HealthTest::default()
        });
        self
    }
    fn with(mut self, change: impl FnOnce(&mut NodePlan)) -> Self {
        change(&mut self);
        self
    }
}

pub(super) fn up(nodes: &[NodePlan]) -> Up {
    let plan = Plan {
        project: "p".to_owned(),
        nodes: nodes.iter().map(|node| (node.id.clone(), node.clone())).collect(),
    };
    let scope = plan.nodes.keys().cloned().collect();
    let sources = nodes
        .iter()
        .filter(|node| node.builds)
        .map(|node| (node.id.clone(), "s1".to_owned()))
        .collect();
    Up {
        plan,
        scope,
        sources,
        ..Up::default()
    }
}

impl Story {
    pub(super) fn new() -> Self {
        Self {
            state: State::default(),
            now: Time::default(),
            transcript: String::new(),
            checks: HashMap::new(),
        }
    }

    pub(super) fn step(&mut self, said: &str, event: Event) {
        let _ = writeln!(self.transcript, "{} {said}", clock(self.now));
        for effect in self.state.step(event, self.now) {
            if let Effect::Verify { node, check } | Effect::Test { node, check } = &effect {
                self.checks.insert(node.clone(), *check);
            }
            let line = match &effect {
                Effect::Notice(notice) => match &notice.node {
                    Some(node) => format!("  | {node} {}", notice.kind),
                    None => format!("  | {}", notice.kind),
                },
                Effect::Build { node, build, first } => {
                    let first: String = first.iter().map(|first| format!(" with {first}")).collect();
                    format!("  build {node} #{build}{first}")
                }
                Effect::CancelBuild { node, build } => format!("  cancel build {node} #{build}"),
                Effect::Adopt { node, run, .. } => format!("  adopt {node} #{run}"),
                Effect::Start { node, run, .. } => format!("  start {node} #{run}"),
                Effect::Probe { node, run, .. } => format!("  probe {node} #{run}"),
                Effect::Stop {
                    node,
                    run,
                    grace,
                    drain,
                } => {
                    let drain = if *drain { ", after draining" } else { "" };
                    format!("  stop {node} #{run} within {} s{drain}", grace.as_secs())
                }
                Effect::Verify { node, check } => format!("  verify {node} #{check}"),
                Effect::Test { node, check } => format!("  test {node} #{check}"),
                Effect::CancelCheck { node, check } => format!("  cancel check {node} #{check}"),
                Effect::LetGo { node } => format!("  let go of {node}"),
                Effect::Hold { node, run, still } => format!("  hold {node} #{run} still: {still}"),
                Effect::Create { node, .. } => format!("  create {node}"),
                Effect::CancelCreate { node } => format!("  cancel create {node}"),
                Effect::Signal { node, run, signal } => format!("  signal {node} #{run} {signal}"),
                Effect::Remove { node, volumes } => {
                    format!("  remove {node}{}", if *volumes { " and its data" } else { "" })
                }
            };
            let _ = writeln!(self.transcript, "{line}");
        }
    }

    pub(super) fn after(&mut self, milliseconds: u64) -> &mut Self {
        self.now = self.now + Duration::from_millis(milliseconds);
        self
    }

    /// Sends the tick that is due next, at its time.
    pub(super) fn tick(&mut self) {
        self.now = self.now.max(self.state.next_deadline().expect("nothing is due"));
        self.step("tick", Event::Tick);
    }

    pub(super) fn up(&mut self, nodes: &[NodePlan]) {
        self.step("up", Event::Up(up(nodes)));
    }

    fn newest(&self, name: &str) -> u64 {
        let node = self.state.node(&name.into()).expect("no such node");
        let run = node.next.as_ref().or(node.run.as_ref()).or(node.leaving.last());
        run.expect("it has no run").number
    }

    pub(super) fn started(&mut self, name: &str) {
        let run = self.newest(name);
        self.step(
            &format!("{name} #{run} started"),
            Event::Started {
                node: name.into(),
                run,
                started: Started::default(),
            },
        );
    }

    pub(super) fn started_on(&mut self, name: &str, data: &str) {
        let run = self.newest(name);
        let started = Started {
            data: Some(data.to_owned()),
            ..Started::default()
        };
        self.step(
            &format!("{name} #{run} started on data {data}"),
            Event::Started {
                node: name.into(),
                run,
                started,
            },
        );
    }

    pub(super) fn start_failed(&mut self, name: &str, why: &str) {
        let run = self.newest(name);
        self.step(
            &format!("{name} #{run} could not start"),
            Event::StartFailed {
                node: name.into(),
                run,
                failure: Failure::new(why),
            },
        );
    }

    pub(super) fn probed(&mut self, name: &str, ok: bool) {
        let run = self.newest(name);
        let said = format!("{name} #{run} test {}", if ok { "passed" } else { "failed" });
        let output = if ok {
            String::new()
        } else {
            "connection refused".to_owned()
        };
        self.step(
            &said,
            Event::Probed {
                node: name.into(),
                run,
                ok,
                output,
            },
        );
    }

    pub(super) fn ready(&mut self, name: &str) {
        self.started(name);
        self.probed(name, true);
    }

    pub(super) fn exited(&mut self, name: &str, code: i32) {
        let run = self
            .state
            .node(&name.into())
            .and_then(|node| node.leaving.first().or(node.run.as_ref()))
            .expect("no run")
            .number;
        self.exited_run(name, run, code);
    }

    pub(super) fn exited_run(&mut self, name: &str, run: u64, code: i32) {
        self.step(
            &format!("{name} #{run} exited with {code}"),
            Event::Exited {
                node: name.into(),
                run,
                exit: Exit::Code(code),
            },
        );
    }

    pub(super) fn built(&mut self, name: &str, artefact: &str) {
        let build = self.building(name);
        let built = Built {
            artefact: Some(ContentHash(artefact.to_owned())),
            ran: None,
        };
        self.step(
            &format!("{name} build #{build} made {artefact}"),
            Event::Built {
                node: name.into(),
                build,
                outcome: Ok(built),
            },
        );
    }

    pub(super) fn build_failed(&mut self, name: &str) {
        let build = self.building(name);
        let outcome = Err(Failure::new("`cargo build` exited with 101"));
        self.step(
            &format!("{name} build #{build} failed"),
            Event::Built {
                node: name.into(),
                build,
                outcome,
            },
        );
    }

    fn building(&self, name: &str) -> u64 {
        let node = self.state.node(&name.into()).expect("no such node");
        node.build.running.as_ref().expect("no build is under way").0
    }

    pub(super) fn act(&mut self, verb: Verb, names: &[&str]) {
        let said = format!("asked: {verb:?} {}", names.join(" "));
        self.step(
            &said,
            Event::Act(Act {
                verb,
                nodes: names.iter().map(|name| (*name).into()).collect(),
                grace: None,
                again: Vec::new(),
                alone: false,
            }),
        );
    }

    pub(super) fn down(&mut self) {
        self.step("down", Event::Down(Down::default()));
    }

    pub(super) fn why(&self, name: &str) -> String {
        let holds = self.state.holds(&NodeId::from(name), self.now);
        holds.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn told(&mut self) -> String {
        std::mem::take(&mut self.transcript)
    }
}

fn clock(now: Time) -> String {
    format!("{:>5.2}", now.0.as_secs_f64())
}
