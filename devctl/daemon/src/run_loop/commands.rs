//! What clients ask of the loop: each request is turned into an event of the engine's, and into somebody who waits for its outcome.

use std::time::Duration;

use devctl_core::NodeId;
use devctl_core::engine::{Act, Down, Event, NoticeKind, Verb, Wanted, ends_a_process};
use devctl_core::plan::{Action, Direction, NodePlan};
use devctl_wire::v1;

use super::Loop;
use crate::command::{Command, Remark, UpCommand, Wait};
use crate::convert;
use crate::outcome::Waiter;
use crate::records::KNOWN_PROJECT;
use crate::snapshot;
use crate::spec::What;
use crate::sync;
use crate::watch::{Contained, Watched};

impl Loop {
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Up(up) => self.up(*up),
            Command::Replan(up) => self.replan(*up),
            Command::Down { request, reply } => {
                self.left.clear();
                self.downed = request.services.is_empty();
                let nodes = self.named(&request.services);
                let scope: Vec<NodeId> = nodes
                    .clone()
                    .unwrap_or_else(|| self.state.nodes().map(|(id, _)| id.clone()).collect());
                self.wait(Wait::Ended, scope, 0, reply);
                if let Some(waiter) = self.waiters.last_mut().filter(|_| nodes.is_some()) {
                    waiter.removes = true;
                }
                let grace = request.timeout_s.map(|seconds| Duration::from_secs(seconds.into()));
                if request.anonymous_volumes {
                    self.performer.remove_anonymous(nodes.iter().flatten().cloned());
                }
                self.step(Event::Down(Down {
                    nodes,
                    volumes: request.volumes,
                    grace,
                    kill: request.kill,
                }));
            }
            Command::Act { verb, request, reply } => {
                let act = self.act(verb, &request);
                let wait = match (&act.verb, request.wait) {
                    (Verb::Pause, _) => Wait::Held { still: true },
                    (Verb::Unpause, _) => Wait::Held { still: false },
                    (Verb::Kill { signal }, _) if signal != "SIGKILL" => Wait::Signalled,
                    (Verb::Stop | Verb::Kill { .. }, _) => Wait::Ended,
                    (_, true) => Wait::Ready,
                    (_, false) => Wait::Started,
                };
                if let Verb::Kill { signal } = &act.verb
                    && !ends_a_process(signal)
                {
                    // A signal that ends nothing: there is nothing to wait for.
                    self.wait(Wait::Started, Vec::new(), 0, reply);
                } else {
                    let scope = match (&act.verb, act.alone) {
                        (Verb::Restart, false) => self.followers(&act.nodes),
                        _ => act.nodes.clone(),
                    };
                    self.wait(wait, scope, request.wait_timeout_s, reply);
                }
                self.step(Event::Act(act));
            }
            Command::Status { request, reply } => {
                let _gone = reply.send(snapshot::status(self, &request));
            }
            Command::Spec { service, reply } => {
                let _gone = reply.send(crate::inside::spec(self, &service));
            }
            Command::Inside { request, reply } => {
                let _gone = reply.send(crate::inside::inside(self, &request));
            }
            Command::Look { node, reply } => {
                let run = self.state.node(&node).and_then(|node| node.run.as_ref());
                let live = run.and_then(|run| self.performer.live(run.number));
                let _gone = reply.send(live.cloned());
            }
            Command::Hello { reply } => {
                let _gone = reply.send(self.attached);
            }
            Command::Stub {
                services,
                off,
                stubs,
                reply,
            } => {
                for stand_in in stubs {
                    self.wiring.add_stub(stand_in);
                }
                for service in services {
                    self.wiring.answer_from_contracts(&service, !off);
                }
                self.turn();
                let _gone = reply.send(self.wiring.answered_from_contracts());
            }
            Command::Sync { node, batch, what } => {
                let run = self
                    .state
                    .node(&node)
                    .and_then(|node| node.run.as_ref())
                    .map(|run| run.number);
                // One that is not there gets its files with its next start.
                if let Some((run, live)) = run.and_then(|run| Some((run, self.performer.live(run)?))) {
                    if !batch.exec.is_empty() {
                        // What its command writes may be seen as a change again.
                        self.watch.began(&node, None);
                    }
                    sync::sync(&self.performer.means, live, run, batch, what);
                }
            }
            Command::Contracts { paths } => {
                self.pacts_changed();
                if let Some(beside) = &self.performer.means.beside {
                    beside.changed(paths);
                }
            }
            Command::StandIns { change, read } => self.stand_ins(change, read),
            Command::Remark(remark) => self.remark(remark),
            Command::Attached => self.attached += 1,
            Command::Release { kill, reply } => {
                let last = self.attached <= 1;
                if last {
                    self.step(Event::Shutdown { kill });
                }
                let _gone = reply.send(last);
            }
            Command::Detached => {
                self.attached = self.attached.saturating_sub(1);
                if self.attached == 0 && !self.state.is_idle() {
                    self.step(Event::Shutdown { kill: false });
                }
            }
        }
    }

    fn act(&self, verb: Verb, request: &v1::ActRequest) -> Act {
        let named = self.named(&request.services);
        let mut nodes = named.unwrap_or_else(|| self.plan.nodes.keys().cloned().collect());
        if verb == Verb::Start && !request.no_deps {
            nodes = self.plan.reach(&nodes, Direction::Dependencies);
        }
        if matches!(verb, Verb::Restart) {
            // A job that has done its work is not run again by a restart of everything.
            let named_any = !request.services.is_empty();
            nodes.retain(|id| named_any || self.state.node(id).is_some_and(|node| node.completed.is_none()));
        }
        let grace = request.timeout_s.map(|seconds| Duration::from_secs(seconds.into()));
        // What is named is meant; what it only needs may be done.
        let again = match verb {
            Verb::Start => self.named(&request.services).unwrap_or_default(),
            _ => Vec::new(),
        };
        Act {
            verb,
            nodes,
            grace,
            again,
            alone: request.no_deps,
        }
    }

    /// Those that a restart of `nodes` restarts as well, by `restart: true` of their `depends_on`.
    fn followers(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        let mut all = nodes.to_vec();
        let mut at = 0;
        while let Some(id) = all.get(at).cloned() {
            let follows = |plan: &&NodePlan| plan.dependencies.iter().any(|dep| dep.on == id && dep.restart);
            let runs = |id: &NodeId| self.state.node(id).is_some_and(|node| node.run.is_some());
            let more = self.plan.nodes.values().filter(follows).map(|plan| plan.id.clone());
            let more: Vec<NodeId> = more.filter(|id| !all.contains(id) && runs(id)).collect();
            all.extend(more);
            at += 1;
        }
        all
    }

    /// The nodes of these services; None where none is named.
    fn named(&self, services: &[String]) -> Option<Vec<NodeId>> {
        if services.is_empty() {
            return None;
        }
        let is_named = |id: &NodeId| {
            services
                .iter()
                .any(|name| name == id.service() || *name == id.to_string())
        };
        Some(
            self.state
                .nodes()
                .map(|(id, _)| id)
                .filter(|id| is_named(id))
                .cloned()
                .collect(),
        )
    }

    /// The files have changed: what is up follows them. What somebody has stopped, paused or taken down stays so.
    fn replan(&mut self, mut command: UpCommand) {
        if self.downed || self.state.is_closing() || self.state.is_idle() {
            return;
        }
        let is_stopped = |id: &NodeId| {
            let node = self.state.node(id);
            node.is_some_and(|node| {
                let is_held = node.run.as_ref().is_some_and(|run| run.paused.is_some());
                let planned = command.up.plan.nodes.get(id);
                let has_ended = node.completed.is_some()
                    && node.completion.is_none()
                    && planned.is_some_and(|plan| plan.hash == node.plan.hash);
                node.wanted == Wanted::Down || is_held || has_ended
            })
        };
        command.up.scope.retain(|id| !is_stopped(id));
        // Nobody has asked for these now.
        command.up.again.clear();
        self.up(command);
    }

    fn up(&mut self, mut command: UpCommand) {
        self.downed = false;
        for found in &mut command.up.found {
            let recorded = self.records.containers.get(&found.node.to_string());
            let container = command.containers.get(&found.node);
            found.number = recorded
                .filter(|known| Some(&known.id) == container)
                .map(|known| known.run);
        }
        let resolved = |spec: &std::sync::Arc<crate::spec::NodeSpec>| v1::ResolvedNode {
            node: spec.id.to_string(),
            resolved: Some(snapshot::resolve(spec)),
            runtime: spec.what.word().to_owned(),
        };
        let told = if command.dry_run { command.specs.as_slice() } else { &[] };
        let changes = devctl_core::plan::changes(&command.up, &self.state);
        let surplus = changes.iter().filter(|change| change.action == Action::Remove);
        let surplus: Vec<NodeId> = surplus.map(|change| change.node.clone()).collect();
        let plan = v1::Plan {
            changes: changes.iter().map(convert::change).collect(),
            warnings: command.warnings,
            resolved: told.iter().map(resolved).collect(),
        };
        let differ = plan.changes.iter().filter(|change| change.action != "keep");
        let differ: Vec<String> = differ
            .map(|change| format!("{} {}", change.action, change.node))
            .collect();
        let _gone = command.reply.send(convert::update(v1::update::What::Plan(plan)));
        if command.dry_run {
            let outcome = v1::Outcome {
                result: v1::Result::Planned.into(),
                ..v1::Outcome::default()
            };
            let _gone = command.reply.send(convert::update(v1::update::What::Outcome(outcome)));
            return;
        }
        for spec in command.specs {
            self.performer.know(spec);
        }
        for (id, opened) in command.edges {
            self.wiring.add(id, opened, &self.performer);
        }
        for stand_in in command.stubs {
            self.wiring.add_stub(stand_in);
        }
        let wanted = command.wanted_edges;
        self.wiring.prune(|id| wanted.contains(id), &self.performer);
        self.wiring.add_found(wanted.iter(), &self.performer);
        // Nobody of this daemon holds them: they were an earlier one's, or somebody else's.
        let held = |id: &str| self.performer.all_live().any(|(_, live)| live.handle.is_container(id));
        for (_, engine, id) in command.superseded.into_iter().filter(|(_, _, id)| !held(id)) {
            self.performer.means.tasks.spawn(async move {
                if let Err(error) = engine.remove(&id, false).await {
                    tracing::warn!(%error, "a container of a service that runs otherwise now could not be removed");
                }
            });
        }
        self.facts = command.project;
        // For clients whose files cannot be read any more: who it is that runs here.
        let known = serde_json::json!({ "name": self.facts.name, "directory": self.facts.directory });
        if let Err(error) = std::fs::write(self.state_dir.join(KNOWN_PROJECT), known.to_string()) {
            tracing::warn!(%error, "the project's name could not be kept");
        }
        self.plan = command.up.plan.clone();
        let now = self.clock.now();
        let told_lately = self.replanned.is_some_and(|at| now - at < Duration::from_secs(1));
        // An editor that writes in two steps is told once that nothing has come of it.
        if command.again && !(differ.is_empty() && told_lately) {
            self.replanned = Some(now);
            let changes = NoticeKind::Replanned { changes: differ };
            let notice = self.state.tell(None, changes, now);
            self.feed.notice(convert::notice(&notice, &self.clock));
        }
        if let Some(beside) = &self.performer.means.beside {
            beside.set(command.subject);
        }
        for remark in command.remarks {
            self.remark(remark);
        }
        let specs = self.plan.nodes.iter().map(|(id, node)| {
            let spec = self.performer.spec(id, &node.hash);
            (id, spec.and_then(|spec| spec.build.as_ref().or(spec.reads.as_ref())))
        });
        let nodes = crate::watch::of_nodes(specs);
        let containers = self.plan.nodes.iter().filter_map(|(id, node)| {
            let spec = self.performer.spec(id, &node.hash)?;
            (!spec.watch.is_empty()).then(|| Contained {
                node: id.clone(),
                rules: spec.watch.clone(),
                build: spec.image_build().cloned().map(Box::new),
                is_process: !matches!(spec.what, What::Container(_)),
            })
        });
        self.watch.set(Watched {
            nodes,
            containers: containers.collect(),
            files: command.files,
            contracts: command.contracts,
            request: command.request,
        });
        let scope = command.up.scope.clone();
        let since = self.clock.now();
        let mut waiter = Waiter::new(command.wait, scope, since, command.reply);
        waiter.deadline = command.timeout.map(|timeout| since + timeout);
        waiter.stays = command.attach;
        waiter.surplus = surplus;
        self.waiters.push(waiter);
        self.step(Event::Up(command.up));
        self.pacts_prepared(command.promised, command.pacts_read);
    }

    pub(super) fn remark(&mut self, remark: Remark) {
        let Remark { node, text, help } = remark;
        let notice = self
            .state
            .tell(node.as_ref(), NoticeKind::Warning { text, help }, self.clock.now());
        self.feed.notice(convert::notice(&notice, &self.clock));
    }

    fn wait(&mut self, wait: Wait, scope: Vec<NodeId>, timeout_s: u32, reply: crate::command::Reply) {
        let now = self.clock.now();
        let mut waiter = Waiter::new(wait, scope, now, reply);
        // Ending has a limit of its own: the grace period, then the kill.
        let limited = timeout_s > 0 && wait != Wait::Ended;
        waiter.deadline = limited.then(|| now + Duration::from_secs(timeout_s.into()));
        self.waiters.push(waiter);
    }
}
