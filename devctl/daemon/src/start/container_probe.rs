//! How a container is known to be ready: by the file's test, its image's, or the protocol of a server that has neither.

use std::net::{IpAddr, SocketAddr};

use devctl_drivers::docker::{ExecSpec, Image, Seen};
use devctl_drivers::probe::{AmqpLogin, Inside, PostgresHost, PostgresLogin, Probe};
use devctl_drivers::server::Server;

use super::{AMQP_PORT, POSTGRES_PORT};
use crate::spec::{ContainerPlan, Test};

/// The test of a container that runs.
pub(super) fn probe(plan: &ContainerPlan, image: &Image, seen: &Seen, ip: Option<IpAddr>) -> Probe {
    let at = |port: u16| match ip {
        Some(ip) => Some(SocketAddr::new(ip, port)),
        None => seen.published.get(&port).copied(),
    };
    let server = match &plan.server {
        Some(Server::Postgres { .. }) => at(POSTGRES_PORT),
        Some(Server::RabbitMq { .. }) => at(AMQP_PORT),
        None => None,
    };
    match (command(&plan.test, image), server) {
        // A server's first start runs one for its own scripts, which its clients cannot reach: the test inside would take it for ready.
        (Some(command), Some(at)) => Probe::All(vec![Probe::Tcp(at), inside(plan, seen, command)]),
        (Some(command), None) => inside(plan, seen, command),
        (None, Some(at)) if plan.test != Test::None => handshake(plan, at),
        (None, _) => Probe::Started,
    }
}

fn inside(plan: &ContainerPlan, seen: &Seen, command: Vec<String>) -> Probe {
    Probe::Inside(Box::new(Inside {
        engine: plan.engine.clone(),
        container: seen.id.clone(),
        command: ExecSpec {
            command,
            ..ExecSpec::default()
        },
    }))
}

fn command(test: &Test, image: &Image) -> Option<Vec<String>> {
    let shell = |line: String| vec!["/bin/sh".to_owned(), "-c".to_owned(), line];
    match test {
        Test::None => None,
        Test::Command(words) => Some(words.clone()),
        Test::Shell(line) => Some(shell(line.clone())),
        Test::Image => match image.health.as_ref()?.test.split_first() {
            Some((kind, words)) if kind == "CMD" => Some(words.to_vec()),
            Some((kind, words)) if kind == "CMD-SHELL" => Some(shell(words.join(" "))),
            _ => None,
        },
    }
}

fn handshake(plan: &ContainerPlan, at: SocketAddr) -> Probe {
    let variables = plan.spec.body.env.as_deref().unwrap_or_default();
    let value = |name: &str| {
        let given = variables.iter().filter_map(|pair| pair.split_once('='));
        given
            .filter(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
            .next_back()
    };
    match &plan.server {
        Some(Server::Postgres { .. }) if value("POSTGRES_PASSWORD_FILE").is_none() => {
            let user = value("POSTGRES_USER").unwrap_or_else(|| "postgres".to_owned());
            Probe::Postgres(PostgresLogin {
                host: PostgresHost::Tcp(at),
                database: value("POSTGRES_DB").unwrap_or_else(|| user.clone()),
                password: value("POSTGRES_PASSWORD"),
                user,
            })
        }
        Some(Server::RabbitMq { .. }) => Probe::Amqp(AmqpLogin {
            addr: at,
            user: value("RABBITMQ_DEFAULT_USER").unwrap_or_else(|| "guest".to_owned()),
            password: value("RABBITMQ_DEFAULT_PASS").unwrap_or_else(|| "guest".to_owned()),
            vhost: value("RABBITMQ_DEFAULT_VHOST").unwrap_or_else(|| "/".to_owned()),
            // `guest` may only come from the container itself.
            refusal_is_ready: true,
        }),
        _ => Probe::Tcp(at),
    }
}
