//! Spec of a process: its command, its directory, all of its environment.

use devctl_compose::model::Ready as Written;
use devctl_compose::model::Service;
use indexmap::IndexMap;

use super::{Ground, address};
use crate::spec::{ProcessPlan, Ready, Rewrite};

/// Variables of the caller that a process of this host cannot do without; everything else must stand in the file, as for a
/// container.
const INHERITED: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

pub(super) fn plan(
    ground: &Ground<'_>,
    service: &Service,
    environment: IndexMap<String, String>,
    rewrites: &mut Vec<Rewrite>,
) -> ProcessPlan {
    let native = service.x_devctl.native.clone().unwrap_or_default();
    let caller = ground
        .caller
        .iter()
        .filter(|(key, _)| INHERITED.contains(&key.as_str()) || key.starts_with("LC_"));
    let mut env: IndexMap<String, String> = caller.map(|(key, value)| (key.clone(), value.clone())).collect();
    env.extend(environment);
    env.extend(address::environment(
        ground.addresses,
        &service.name,
        &native.env,
        rewrites,
    ));
    let command = native.command.clone().unwrap_or_default();
    let command = address::command(ground.addresses, &service.name, &command, rewrites);
    let dir = native.dir.as_ref().map_or_else(
        || ground.project.working_dir.clone(),
        |dir| ground.project.working_dir.join(dir),
    );
    let ready = ready(service, &native.ports);
    ProcessPlan {
        command,
        dir: super::normal(&dir),
        env,
        port_variables: native.ports,
        ready,
        reads: service.stdin_open || service.tty,
    }
}

/// `x-devctl.native.ready` where it is there, otherwise the file's own health check, run here.
fn ready(service: &Service, ports: &IndexMap<u16, String>) -> Ready {
    let first = ports.keys().next().copied();
    match service
        .x_devctl
        .native
        .as_ref()
        .and_then(|native| native.ready.as_ref())
    {
        Some(Written::Http { path, port }) => match port.or(first) {
            Some(port) => Ready::Http {
                path: path.clone(),
                port,
            },
            None => Ready::Running,
        },
        Some(Written::Grpc { service, port }) => match port.or(first) {
            Some(port) => Ready::Grpc {
                service: service.clone(),
                port,
            },
            None => Ready::Running,
        },
        Some(Written::Command(command)) => Ready::Command(command.clone()),
        None => match &service.healthcheck {
            Some(check) if !check.disable => match check.test.split_first() {
                Some((kind, words)) if kind == "CMD" && !words.is_empty() => Ready::Command(words.to_vec()),
                Some((kind, words)) if kind == "CMD-SHELL" && !words.is_empty() => {
                    Ready::Command(vec!["/bin/sh".to_owned(), "-c".to_owned(), words.join(" ")])
                }
                _ => Ready::Running,
            },
            _ => Ready::Running,
        },
    }
}

/// Whether there is a way to test it.
pub(crate) fn is_tested(service: &Service) -> bool {
    let ports = service
        .x_devctl
        .native
        .as_ref()
        .map(|native| native.ports.clone())
        .unwrap_or_default();
    ready(service, &ports) != Ready::Running
}
