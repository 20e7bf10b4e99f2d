//! Which runtime a service gets (`--runtime auto|docker|native`), and why not another.

use std::collections::HashMap;
use std::net::SocketAddr;

use devctl_compose::model::{Project, Service};
use devctl_drivers::docker::{Engine, Image};
use devctl_drivers::server::{Requirement, Server, Version};
use devctl_drivers::{postgres, rabbitmq};
use devctl_wire::v1;
use indexmap::IndexMap;

/// How a service runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// A process of this host.
    Process,
    /// The machine's own PostgreSQL.
    Postgres(Requirement),
    /// The machine's own RabbitMQ.
    RabbitMq { version: Requirement, management: bool },
    /// A container.
    Container,
    /// Answered from contracts.
    Stub,
    /// Somewhere else.
    External(IndexMap<u16, SocketAddr>),
    /// Not at all, here.
    Impossible { why: String, help: String },
}

impl Choice {
    /// Goes into the node's hash: another runtime is another node.
    pub(crate) fn salt(&self) -> String {
        match self {
            Choice::External(ports) => format!("external {ports:?}"),
            Choice::Process => "process".to_owned(),
            Choice::Postgres(version) => format!("postgres {version}"),
            Choice::RabbitMq { version, management } => format!("rabbitmq {version} {management}"),
            Choice::Stub => "stub".to_owned(),
            Choice::Container | Choice::Impossible { .. } => "docker".to_owned(),
        }
    }
}

/// What this machine has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machine {
    postgres: Vec<Version>,
    rabbitmq: Vec<Version>,
}

impl Machine {
    /// Looks. `path`: the caller's `PATH`.
    pub(crate) fn look(path: &str) -> Self {
        Self {
            postgres: postgres::discover(path)
                .into_iter()
                .map(|found| found.version)
                .collect(),
            rabbitmq: rabbitmq::discover(path)
                .into_iter()
                .map(|found| found.version)
                .collect(),
        }
    }
}

/// Where containers would run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Docker {
    /// The engine that the caller means, where one is needed and answers.
    pub(crate) engine: Option<Engine>,
    /// Why there is none, and the next step.
    pub(crate) problem: Option<(String, Option<String>)>,
    /// The images that it has, of those that the project names.
    pub(crate) images: HashMap<String, Image>,
}

/// What is asked for one service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// `--runtime`.
    pub(crate) runtime: v1::Runtime,
    /// `--stub`.
    pub(crate) stubbed: bool,
    /// The machine's own server has data of this service already.
    pub(crate) has_data: bool,
}

/// The runtime of one service.
pub(crate) fn choose(project: &Project, service: &Service, asked: Asked, machine: &Machine, docker: &Docker) -> Choice {
    let x = &service.x_devctl;
    if asked.stubbed || x.stub {
        return Choice::Stub;
    }
    if !x.external.is_empty() {
        return external(service);
    }
    if asked.runtime != v1::Runtime::Docker && x.native.as_ref().is_some_and(|native| native.command.is_some()) {
        return Choice::Process;
    }
    if service.provider.is_some() {
        return Choice::Impossible {
            why: "`provider` hands it to a program, which devctl does not run".to_owned(),
            help: format!(
                "say where it runs (`x-devctl: {{external: {{PORT: ADDRESS}}}}` in service `{}`)",
                service.name
            ),
        };
    }
    let in_docker = service.image.is_some() || service.build.is_some();
    match (asked.runtime, &docker.engine) {
        (v1::Runtime::Docker, Some(_)) if in_docker => return Choice::Container,
        (v1::Runtime::Docker, _) if !in_docker => {
            return Choice::Impossible {
                why: "`--runtime docker` was asked for, and it has neither `image` nor `build`".to_owned(),
                help: format!(
                    "`--runtime docker --runtime {}=native` runs it as a process",
                    service.name
                ),
            };
        }
        (v1::Runtime::Docker, _) => return no_engine(service, docker),
        (v1::Runtime::Auto, Some(_)) if in_docker => {
            // The machine's own server goes on with the data that it has; and it stands in where nothing would have to be pulled.
            let there = docker.images.contains_key(&super::image(project, service)) || service.build.is_some();
            let stand_in = stand_in(service, machine);
            match stand_in {
                Some(own @ (Choice::Postgres(_) | Choice::RabbitMq { .. })) if asked.has_data || !there => return own,
                _ => return Choice::Container,
            }
        }
        _ => {}
    }
    match stand_in(service, machine) {
        Some(choice @ Choice::Impossible { .. }) if docker.problem.is_none() => choice,
        Some(Choice::Impossible { why, help }) => {
            let (problem, _) = docker.problem.clone().unwrap_or_default();
            Choice::Impossible {
                why: format!("{why}; nor is there an engine for a container: failed to {problem}"),
                help,
            }
        }
        Some(choice) => choice,
        None if asked.runtime == v1::Runtime::Native => no_process(service),
        None if !in_docker => no_process(service),
        None => no_engine(service, docker),
    }
}

/// The machine's own server in place of an official image. None: the image is of something else.
fn stand_in(service: &Service, machine: &Machine) -> Option<Choice> {
    let x = &service.x_devctl;
    let image = service.image.as_deref()?;
    let version = match x.native.as_ref().and_then(|native| native.version.as_deref()) {
        None => None,
        Some(written) => match written.parse::<Requirement>() {
            Ok(version) => Some(version),
            Err(error) => {
                return Some(Choice::Impossible {
                    why: format!("`x-devctl.native.version`: failed to {error}"),
                    help: error.help(),
                });
            }
        },
    };
    Some(match Server::recognise(image)? {
        Server::Postgres { version: tag } => {
            let wanted = version.unwrap_or(tag);
            match machine.postgres.iter().any(|found| wanted.accepts(found)) {
                true => Choice::Postgres(wanted),
                false => missing(
                    service,
                    "PostgreSQL",
                    image,
                    &wanted,
                    &machine.postgres,
                    "apt-get install postgresql",
                ),
            }
        }
        Server::RabbitMq {
            version: tag,
            management,
        } => {
            let wanted = version.unwrap_or(tag);
            match machine.rabbitmq.iter().any(|found| wanted.accepts(found)) {
                true => Choice::RabbitMq {
                    version: wanted,
                    management,
                },
                false => missing(
                    service,
                    "RabbitMQ",
                    image,
                    &wanted,
                    &machine.rabbitmq,
                    "apt-get install rabbitmq-server",
                ),
            }
        }
    })
}

fn external(service: &Service) -> Choice {
    let mut ports = IndexMap::new();
    for (port, written) in &service.x_devctl.external {
        let written = if written.contains(':') {
            written.clone()
        } else {
            format!("127.0.0.1:{written}")
        };
        let address = written.replace("localhost:", "127.0.0.1:");
        match address.parse() {
            Ok(address) => ports.insert(*port, address),
            Err(_) => {
                return Choice::Impossible {
                    why: format!("`x-devctl.external`: `{written}` is not an address"),
                    help: "write `PORT: 127.0.0.1:PORT`".to_owned(),
                };
            }
        };
    }
    Choice::External(ports)
}

fn missing(
    service: &Service,
    what: &str,
    image: &str,
    wanted: &Requirement,
    found: &[Version],
    install: &str,
) -> Choice {
    let has = match found {
        [] => format!("this machine has no {what}"),
        found => {
            let versions: Vec<String> = found.iter().map(ToString::to_string).collect();
            format!("this machine has {what} {}", versions.join(", "))
        }
    };
    let help = match found {
        [] => format!("`{install}` (or your system's way) installs it; no server of it has to be running"),
        _ => format!(
            "install that version, or let another one stand in: `x-devctl: {{native: {{version: \">={}\"}}}}` in service `{}`",
            found[0].0.first().copied().unwrap_or(0),
            service.name
        ),
    };
    Choice::Impossible {
        why: format!("`{image}` asks for {what} {wanted}, and {has}"),
        help,
    }
}

fn no_process(service: &Service) -> Choice {
    let image = match &service.image {
        Some(image) => format!("image `{image}` has no stand-in among the machine's own servers"),
        None => "it has no `image` that the machine's own servers could stand in for".to_owned(),
    };
    Choice::Impossible {
        why: format!("cannot run as a process: it has no `x-devctl.native.command`, and {image}"),
        help: elsewhere(service, "run it in a container (`--runtime auto`), "),
    }
}

fn no_engine(service: &Service, docker: &Docker) -> Choice {
    let (why, next) = docker
        .problem
        .clone()
        .unwrap_or_else(|| ("reach Docker".to_owned(), None));
    let next = next.map(|next| format!("{next}; or ")).unwrap_or_default();
    Choice::Impossible {
        why: format!("cannot run here: failed to {why}"),
        help: elsewhere(service, &next),
    }
}

fn elsewhere(service: &Service, first: &str) -> String {
    format!(
        "{first}say how it runs as a process (`x-devctl: {{native: {{command: ...}}}}` in service `{0}`), where it runs already (`x-devctl: {{external: {{PORT: ADDRESS}}}}`), or answer it from contracts (`devctl up --stub {0}`)",
        service.name
    )
}
