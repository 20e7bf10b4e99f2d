//! What each service would get on this machine, without a daemon: for `devctl doctor`. The daemon's own choice and the daemon's own
//! rules, so that what is told before is what happens then.

use devctl_compose::model::{Project, Service};
use devctl_drivers::dirs::Dirs;
use devctl_drivers::docker::{ConnectError, Engine};
use devctl_wire::v1;
use indexmap::IndexMap;

pub use crate::specify::Attributes;
use crate::specify::{self, Asked, Choice, Docker, Kind, Machine};

/// What a service would get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// `native`, `postgres`, `rabbitmq`, `docker`, `stub`, `external`; empty where it cannot run.
    pub runtime: &'static str,
    /// How it would run, or why it cannot.
    pub how: String,
    /// What to do about it, where it cannot.
    pub help: Option<String>,
    /// What becomes of its attributes.
    pub attributes: Attributes,
}

/// What this machine has for the project.
pub struct Ground<'a> {
    project: &'a Project,
    dirs: &'a Dirs,
    machine: Machine,
    docker: Docker,
}

impl<'a> Ground<'a> {
    /// Looks at the machine with the caller's environment; at the engine's images as well, where one answers.
    pub async fn look(project: &'a Project, dirs: &'a Dirs, env: &IndexMap<String, String>) -> Self {
        let machine = Machine::look(env.get("PATH").map_or("", String::as_str));
        let docker = match Engine::connect(env).await {
            Ok(engine) => {
                let mut images = std::collections::HashMap::new();
                for service in project.services.values() {
                    let name = specify::image(project, service);
                    if let Ok(Some(image)) = engine.image(&name).await {
                        images.insert(name, image);
                    }
                }
                Docker {
                    engine: Some(engine),
                    problem: None,
                    images,
                }
            }
            Err(error) => Docker {
                problem: Some((error.to_string(), ConnectError::help(&error))),
                ..Docker::default()
            },
        };
        Self {
            project,
            dirs,
            machine,
            docker,
        }
    }

    /// What the service would get, if this runtime was asked for.
    #[must_use]
    pub fn assess(&self, service: &Service, runtime: v1::Runtime) -> Assessment {
        let asked = Asked {
            runtime,
            stubbed: false,
            has_data: specify::has_data(self.dirs, service),
        };
        let image = specify::image(self.project, service);
        let choice = specify::choose(self.project, service, asked, &self.machine, &self.docker);
        let (runtime, how, help) = match &choice {
            Choice::Process => ("native", "a process, as `x-devctl.native` says".to_owned(), None),
            Choice::Postgres(version) => (
                "postgres",
                format!("this machine's PostgreSQL {version} stands in for `{image}`"),
                None,
            ),
            Choice::RabbitMq { version, .. } => (
                "rabbitmq",
                format!("this machine's RabbitMQ {version} stands in for `{image}`"),
                None,
            ),
            Choice::Container => {
                let version = self
                    .docker
                    .engine
                    .as_ref()
                    .map_or("", |engine| engine.facts().version.as_str());
                let origin = match (self.docker.images.contains_key(&image), service.build.is_some()) {
                    (true, _) => "",
                    (false, true) => ", to be built",
                    (false, false) => ", to be pulled",
                };
                (
                    "docker",
                    format!("a container of `{image}`{origin} (Docker {version})"),
                    None,
                )
            }
            Choice::Stub => ("stub", "answered from contracts, never run".to_owned(), None),
            Choice::External(_) => (
                "external",
                "runs elsewhere, as `x-devctl.external` says".to_owned(),
                None,
            ),
            Choice::Impossible { why, help } => ("", why.clone(), Some(help.clone())),
        };
        let kind = match (&choice, &self.docker.engine) {
            (Choice::Process, _) => Some(Kind::Process),
            (Choice::Postgres(_) | Choice::RabbitMq { .. }, _) => Some(Kind::Server),
            (Choice::Container, Some(engine)) => Some(Kind::Container(self.project, engine.facts())),
            _ => None,
        };
        Assessment {
            runtime,
            how,
            help,
            attributes: kind.map(|kind| specify::attributes(service, kind)).unwrap_or_default(),
        }
    }
}
