//! A project's containers where no daemon holds them: one that was killed, or one that `docker compose` has started.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use devctl_drivers::docker::{DockerError, Engine, Listed, labels};
use devctl_wire::v1::{NodeStatus, PortStatus, State, StatusReply};
use futures::future::join_all;

use crate::args::Runtime;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::{Render, now_ms};
use crate::standing;

/// As under Docker Compose.
const GRACE: Duration = Duration::from_secs(10);

/// The project's containers, and the engine that has them. None: no engine answers, or it has none of them.
pub(crate) struct Containers {
    engine: Engine,
    pub(crate) all: Vec<Listed>,
}

/// What was removed.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// In words, in the order in which it went.
    pub(crate) lines: Vec<String>,
    /// What could not be, each with the reason.
    pub(crate) problems: Vec<DockerError>,
}

impl Removed {
    /// Tells it, and whether all of it went.
    pub(crate) fn tell(&self, render: &mut dyn Render) -> Result<Exit, Error> {
        for line in &self.lines {
            render.remark(line, now_ms())?;
        }
        for problem in &self.problems {
            render.remark(&format!("failed to {problem}"), now_ms())?;
        }
        render.finish(now_ms())?;
        Ok(if self.problems.is_empty() {
            Exit::Ok
        } else {
            Exit::Failed
        })
    }
}

impl Containers {
    /// Looks, unless nothing may run in containers.
    pub(crate) async fn look(context: &Context, project: &Project) -> Option<Self> {
        if context.global.runtime() == Runtime::Native {
            return None;
        }
        let engine = Engine::connect(&standing::environment()).await.ok()?;
        let mut all = engine
            .containers(&[format!("{}={}", labels::PROJECT, project.docker_name())])
            .await
            .ok()?;
        // Another checkout's containers of the same name are not this one's.
        let here = [
            project.directory.display().to_string(),
            project.model.working_dir.display().to_string(),
        ];
        all.retain(|container| {
            container
                .label(labels::WORKING_DIR)
                .is_none_or(|dir| here.iter().any(|known| known == dir))
        });
        Some(Self { engine, all })
    }

    /// The engine that has them.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// As the daemon would tell of them, with every other service of the files as down.
    pub(crate) fn status(&self, project: &Project) -> StatusReply {
        let mut status = project.as_down();
        let there: Vec<&Listed> = self.all.iter().filter(|container| !container.is_one_off()).collect();
        let services: HashSet<&str> = there.iter().map(|container| container.service()).collect();
        status.nodes.retain(|node| !services.contains(node.service.as_str()));
        let mut nodes: Vec<NodeStatus> = there.into_iter().map(node).collect();
        nodes.sort_by(|a, b| a.id.cmp(&b.id));
        nodes.append(&mut status.nodes);
        status.nodes = nodes;
        status
    }

    /// The containers of `run`: no daemon holds them.
    pub(crate) fn one_offs(&self) -> impl Iterator<Item = NodeStatus> {
        let one_offs = self.all.iter().filter(|container| container.is_one_off());
        one_offs.map(|container| NodeStatus {
            id: container.name.clone(),
            kind: "run".to_owned(),
            ..node(container)
        })
    }

    /// Stops and removes them, dependants first, then the networks (and volumes) that are left. `services` empty: all of the files,
    /// and the `orphans` where asked for.
    pub(crate) async fn down(
        &self,
        project: &Project,
        services: &[String],
        orphans: bool,
        volumes: bool,
        grace: Option<u32>,
    ) -> Removed {
        let named = |container: &&Listed| match services {
            [] => orphans || project.model.service(container.service()).is_some(),
            services => services.iter().any(|service| service == container.service()),
        };
        let going: Vec<&Listed> = self.all.iter().filter(named).collect();
        let mut removed = self.remove(project, &going, volumes, grace).await;
        if services.is_empty() {
            self.leave(project, volumes, &mut removed).await;
        }
        removed
    }

    /// Stops and removes these, dependants first.
    pub(crate) async fn remove(
        &self,
        project: &Project,
        going: &[&Listed],
        volumes: bool,
        grace: Option<u32>,
    ) -> Removed {
        let mut removed = Removed::default();
        let mut left = going.to_vec();
        while !left.is_empty() {
            let needed = needed(&left);
            let (mut now, mut later): (Vec<_>, Vec<_>) = left
                .into_iter()
                .partition(|container| !needed.contains(container.service()));
            if now.is_empty() {
                // A circle: nobody can be first.
                std::mem::swap(&mut now, &mut later);
            }
            let ended = join_all(now.iter().map(|container| self.end(project, container, volumes, grace))).await;
            for (container, ended) in now.iter().zip(ended) {
                match ended {
                    Ok(()) => removed.lines.push(format!("container {} removed", container.name)),
                    Err(error) => removed.problems.push(error),
                }
            }
            left = later;
        }
        removed
    }

    async fn end(
        &self,
        project: &Project,
        container: &Listed,
        volumes: bool,
        grace: Option<u32>,
    ) -> Result<(), DockerError> {
        let written = project.model.service(container.service());
        let own = written.and_then(|service| service.stop_grace_period).unwrap_or(GRACE);
        let grace = grace.map_or(own, |seconds| Duration::from_secs(seconds.into()));
        if container.is_running() {
            self.engine.stop(&container.id, grace).await?;
        }
        self.engine.remove(&container.id, volumes).await
    }

    async fn leave(&self, project: &Project, volumes: bool, removed: &mut Removed) {
        let label = format!("{}={}", labels::PROJECT, project.docker_name());
        match self.engine.networks(&label).await {
            Ok(networks) => {
                for network in networks {
                    match self.engine.remove_network(&network.name).await {
                        Ok(true) => removed.lines.push(format!("network {} removed", network.name)),
                        Ok(false) => removed
                            .lines
                            .push(format!("network {} is in use, and stays", network.name)),
                        Err(error) => removed.problems.push(error),
                    }
                }
            }
            Err(error) => removed.problems.push(error),
        }
        if !volumes {
            return;
        }
        match self.engine.volumes(&label).await {
            Ok(names) => {
                for name in names {
                    match self.engine.remove_volume(&name).await {
                        Ok(true) => removed.lines.push(format!("volume {name} removed")),
                        Ok(false) => removed.lines.push(format!("volume {name} is in use, and stays")),
                        Err(error) => removed.problems.push(error),
                    }
                }
            }
            Err(error) => removed.problems.push(error),
        }
    }
}

/// The services that others of these still need, by the label that each container carries.
fn needed(left: &[&Listed]) -> HashSet<String> {
    let there: HashSet<&str> = left.iter().map(|container| container.service()).collect();
    let mut needed = HashSet::new();
    for container in left {
        let written = container.label(labels::DEPENDS_ON).unwrap_or_default();
        let on = written.split(',').filter_map(|dependency| dependency.split(':').next());
        needed.extend(
            on.filter(|service| there.contains(service) && *service != container.service())
                .map(str::to_owned),
        );
    }
    needed
}

fn node(container: &Listed) -> NodeStatus {
    let (service, number) = (container.service().to_owned(), container.number());
    let state = match container.state.as_str() {
        "running" if container.status.contains("(unhealthy)") => State::Unhealthy,
        "running" if container.status.contains("health: starting") => State::Starting,
        "running" => State::Ready,
        "paused" => State::Paused,
        "restarting" => State::Backoff,
        "removing" => State::Stopping,
        "exited" if container.status.starts_with("Exited (0)") => State::Completed,
        "exited" | "dead" => State::Failed,
        _ => State::Waiting,
    };
    let mut ports: BTreeMap<(u16, String), PortStatus> = BTreeMap::new();
    for (at, target, protocol) in &container.ports {
        let told = PortStatus {
            target: u32::from(*target),
            protocol: protocol.clone(),
            published: at.map(|at| at.to_string()).unwrap_or_default(),
            ..PortStatus::default()
        };
        // Docker lists an address of either family for one port.
        ports.entry((*target, protocol.clone())).or_insert(told);
    }
    NodeStatus {
        id: if number > 1 {
            format!("{service}[{number}]")
        } else {
            service.clone()
        },
        service,
        index: number,
        kind: "service".to_owned(),
        runtime: "docker".to_owned(),
        image: container.image.clone(),
        command: container.command.clone(),
        state: state.into(),
        summary: container.status.clone(),
        container_name: container.name.clone(),
        container_id: container.id.clone(),
        ports: ports.into_values().collect(),
        wanted: state == State::Ready,
        ..NodeStatus::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(service: &str, depends_on: &str) -> Listed {
        let mut container = Listed::default();
        container.labels.insert(labels::SERVICE.to_owned(), service.to_owned());
        container
            .labels
            .insert(labels::DEPENDS_ON.to_owned(), depends_on.to_owned());
        container
    }

    #[test]
    fn what_another_one_depends_on_goes_later() {
        let (web, api, db) = (
            container("web", "api:service_started:false"),
            container("api", "db:service_healthy:false,cache:service_started:true"),
            container("db", ""),
        );
        assert_eq!(
            needed(&[&web, &api, &db]),
            HashSet::from(["api".to_owned(), "db".to_owned()])
        );
        assert_eq!(needed(&[&api, &db]), HashSet::from(["db".to_owned()]));
        assert!(needed(&[&db]).is_empty());
    }
}
