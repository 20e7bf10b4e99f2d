//! A process of this host, told where everything is.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use devctl_core::engine::{Failure, Started};
use devctl_drivers::log::RunLog;
use devctl_drivers::probe::Probe;
use devctl_drivers::process::{self, ProcessSpec, RUN_VARIABLE, Stdin};

use super::LOOPBACK;
use crate::hooks::Place;
use crate::live::{Handle, Live};
use crate::perform::Means;
use crate::spec::{NodeSpec, ProcessPlan, Ready};

pub(super) fn start(
    means: &Means,
    spec: &Arc<NodeSpec>,
    plan: &ProcessPlan,
    (run, place): (u64, u8),
    log: &RunLog,
) -> Result<(Live, Started), Failure> {
    let mut env = plan.env.clone();
    let mut ports = HashMap::new();
    for (port, variable) in &plan.port_variables {
        // Each place has ports of its own, the same ones over all reloads.
        let what = match place {
            0 => format!("{port}/tcp"),
            place => format!("{port}/tcp#{place}"),
        };
        let leased = means.port(spec, &what, None)?;
        env.insert(variable.clone(), leased.to_string());
        ports.insert(*port, SocketAddr::new(LOOPBACK, leased));
    }
    env.insert(RUN_VARIABLE.to_owned(), format!("{}/{}#{run}", means.dirs.id, spec.id));
    let Some((program, args)) = plan.command.split_first() else {
        return Err(Failure::new("`x-devctl.native.command` is empty"));
    };
    let process = ProcessSpec {
        program: program.clone(),
        args: args.to_vec(),
        env,
        dir: plan.dir.clone(),
        user: None,
        stdin: Stdin::Null,
        nofile: None,
    };
    let mut first = process.clone();
    if plan.reads {
        let path = means.stdin(&spec.id, run);
        process::named_pipe(&path)
            .map_err(|error| Failure::new(format!("failed to make `{}`, its stdin: {error}", path.display())))?;
        first.stdin = Stdin::Named(path);
    }
    let started = process::spawn(&first, log).map_err(|error| Failure {
        what: super::told(&error),
        help: error.help(),
        output: Vec::new(),
    })?;
    let probe = probe(&plan.ready, &ports, &process);
    let live = Live {
        spec: spec.clone(),
        handle: Handle::Process(started),
        ports,
        ip: None,
        probe,
        place,
        context: Some(Place::Host(process)),
    };
    Ok((live, Started::default()))
}

fn probe(ready: &Ready, ports: &HashMap<u16, SocketAddr>, process: &ProcessSpec) -> Probe {
    let at = |port: &u16| {
        ports
            .get(port)
            .copied()
            .unwrap_or_else(|| SocketAddr::new(LOOPBACK, *port))
    };
    match ready {
        Ready::Running => Probe::Started,
        Ready::Http { path, port } => Probe::Http {
            addr: at(port),
            path: path.clone(),
            host: None,
        },
        Ready::Grpc { service, port } => Probe::Grpc {
            addr: at(port),
            service: service.clone(),
        },
        Ready::Command(command) => {
            let words: Vec<String> = command.iter().map(|word| local_ports(word, ports)).collect();
            let Some((program, args)) = words.split_first() else {
                return Probe::Started;
            };
            Probe::Command(Box::new(ProcessSpec {
                program: program.clone(),
                args: args.to_vec(),
                ..process.clone()
            }))
        }
    }
}

/// A health test is written for inside of a container: `localhost:8080` there is the process's own port here.
fn local_ports(word: &str, ports: &HashMap<u16, SocketAddr>) -> String {
    let names = ["localhost", "127.0.0.1", "0.0.0.0"];
    let found = devctl_core::plan::reference::find(Some("HOST"), word, |name| names.contains(&name));
    devctl_core::plan::reference::rewrite(word, &found, |reference| {
        let at = ports.get(&reference.port?)?;
        Some((at.ip().to_string(), Some(at.port())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_own_port_becomes_the_processs() {
        let ports = HashMap::from([(8080, SocketAddr::new(LOOPBACK, 20001))]);
        assert_eq!(
            local_ports("http://localhost:8080/healthz", &ports),
            "http://127.0.0.1:20001/healthz"
        );
        assert_eq!(
            local_ports("curl -f http://127.0.0.1:8080/ || exit 1", &ports),
            "curl -f http://127.0.0.1:20001/ || exit 1"
        );
        assert_eq!(local_ports("http://localhost:9000/", &ports), "http://localhost:9000/");
    }
}
