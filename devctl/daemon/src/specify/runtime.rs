//! Which runtime a service gets (`--runtime auto|docker|native`), and why not another.

use std::net::SocketAddr;

use devctl_compose::model::Service;
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
            Choice::Impossible { .. } => "docker".to_owned(),
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

/// The runtime of one service. `stubbed`: asked for with `--stub`.
pub(crate) fn choose(service: &Service, asked: v1::Runtime, stubbed: bool, machine: &Machine) -> Choice {
    let x = &service.x_devctl;
    if stubbed || x.stub {
        return Choice::Stub;
    }
    if !x.external.is_empty() {
        return external(service);
    }
    if asked == v1::Runtime::Docker {
        return no_docker(service, "`--runtime docker` was asked for");
    }
    if x.native.as_ref().is_some_and(|native| native.command.is_some()) {
        return Choice::Process;
    }
    let Some(image) = service.image.as_deref() else {
        return no_docker(
            service,
            "it has no `image` that the machine's own servers could stand in for",
        );
    };
    let version = match x.native.as_ref().and_then(|native| native.version.as_deref()) {
        None => None,
        Some(written) => match written.parse::<Requirement>() {
            Ok(version) => Some(version),
            Err(error) => {
                return Choice::Impossible {
                    why: format!("`x-devctl.native.version`: failed to {error}"),
                    help: error.help(),
                };
            }
        },
    };
    match Server::recognise(image) {
        Some(Server::Postgres { version: tag }) => {
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
        Some(Server::RabbitMq {
            version: tag,
            management,
        }) => {
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
        None => no_docker(
            service,
            &format!("image `{image}` has no stand-in among the machine's own servers"),
        ),
    }
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

fn no_docker(service: &Service, why: &str) -> Choice {
    Choice::Impossible {
        why: format!("cannot run here: {why}, and this devctl runs nothing in containers yet"),
        help: format!(
            "say how it runs as a process (`x-devctl: {{native: {{command: ...}}}}` in service `{0}`), where it runs already (`x-devctl: {{external: {{PORT: ADDRESS}}}}`), or answer it from contracts (`devctl up --stub {0}`)",
            service.name
        ),
    }
}
