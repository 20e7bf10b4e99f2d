//! A run that is there: its process, where it answers, how it is tested and ended.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use devctl_core::engine::{Exit, Failure};
use devctl_drivers::probe::Probe;
use devctl_drivers::process::{self, Process, ProcessId};
use devctl_drivers::{postgres, rabbitmq};
use nix::sys::signal::Signal;
use tokio_util::sync::CancellationToken;

use crate::container::Container;
use crate::hooks::Place;
use crate::spec::NodeSpec;

/// One run. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Live {
    pub(crate) spec: Arc<NodeSpec>,
    pub(crate) handle: Handle,
    /// Container port -> where it really listens.
    pub(crate) ports: HashMap<u16, SocketAddr>,
    /// It has an address of its own, at which ports answer that no file names.
    pub(crate) ip: Option<IpAddr>,
    pub(crate) probe: Probe,
    /// Which of the node's sets of ports it uses.
    pub(crate) place: u8,
    /// What hooks run in: the process's own environment and directory, or its container.
    pub(crate) context: Option<Place>,
}

impl Live {
    /// Where that port of it answers.
    pub(crate) fn at(&self, port: u16) -> Option<SocketAddr> {
        let known = self.ports.get(&port).copied();
        known.or_else(|| self.ip.map(|ip| SocketAddr::new(ip, port)))
    }
}

/// What there is to hold on to.
#[derive(Clone)]
pub(crate) enum Handle {
    /// A process.
    Process(Process),
    /// PostgreSQL.
    Postgres(Process),
    /// RabbitMQ and its port mapper.
    RabbitMq(rabbitmq::Running),
    /// A container.
    Container(Arc<Container>),
    /// No process: a stub, or something that runs elsewhere. Ended by word alone.
    Word(CancellationToken),
}

impl Handle {
    /// The main process.
    pub(crate) fn id(&self) -> Option<ProcessId> {
        match self {
            Handle::Process(process) | Handle::Postgres(process) => Some(process.id()),
            Handle::RabbitMq(running) => Some(running.broker.id()),
            Handle::Container(_) | Handle::Word(_) => None,
        }
    }

    /// The engine's id of it, where it is a container.
    pub(crate) fn container_id(&self) -> Option<&str> {
        match self {
            Handle::Container(container) => Some(&container.id),
            _ => None,
        }
    }

    /// Whether it is that container.
    pub(crate) fn is_container(&self, id: &str) -> bool {
        matches!(self, Handle::Container(container) if container.id == id)
    }

    /// Every process that must not be left behind.
    pub(crate) fn processes(&self) -> Vec<ProcessId> {
        match self {
            Handle::RabbitMq(running) => vec![running.broker.id(), running.epmd.id()],
            other => other.id().into_iter().collect(),
        }
    }

    /// Waits for the run's end.
    pub(crate) async fn wait(&self) -> Exit {
        match self {
            Handle::Process(process) | Handle::Postgres(process) => exit(process.wait().await),
            Handle::RabbitMq(running) => {
                let ended = exit(running.broker.wait().await);
                running.kill();
                ended
            }
            Handle::Container(container) => container.wait().await,
            Handle::Word(done) => {
                done.cancelled().await;
                Exit::Code(0)
            }
        }
    }

    /// Asks it to end, and ends it after `grace`.
    pub(crate) async fn stop(&self, signal: Signal, grace: Duration) {
        match self {
            Handle::Process(process) if grace.is_zero() => process.kill_tree(),
            Handle::Postgres(process) if grace.is_zero() => process.kill_tree(),
            Handle::RabbitMq(running) if grace.is_zero() => running.kill(),
            Handle::Process(process) => {
                process.stop(signal, grace).await;
            }
            Handle::Postgres(process) => {
                process.stop(postgres::STOP_SIGNAL, grace).await;
            }
            Handle::RabbitMq(running) => {
                running.stop(grace).await;
            }
            Handle::Container(container) => container.stop(grace).await,
            Handle::Word(done) => done.cancel(),
        }
    }

    /// Holds it still, or lets it go on.
    pub(crate) async fn hold(&self, still: bool) -> Result<(), Failure> {
        match self {
            Handle::Process(process) | Handle::Postgres(process) => process.hold(still),
            Handle::RabbitMq(running) => running.broker.hold(still),
            Handle::Container(container) => {
                let done = match still {
                    true => container.engine.pause(&container.id).await,
                    false => container.engine.unpause(&container.id).await,
                };
                done.map_err(|error| Failure {
                    what: format!("failed to {error}"),
                    help: error.help(),
                    output: Vec::new(),
                })?;
            }
            Handle::Word(_) => return Err(Failure::new("nothing of it runs here")),
        }
        Ok(())
    }

    /// Whether an earlier daemon, or somebody else, has left it held still.
    pub(crate) async fn is_held(&self) -> bool {
        match self {
            Handle::Container(container) => {
                let seen = container.engine.look(&container.id).await;
                seen.ok().flatten().is_some_and(|seen| seen.paused)
            }
            _ => false,
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        match self {
            Handle::Process(process) | Handle::Postgres(process) => process.signal(signal),
            Handle::RabbitMq(running) => running.broker.signal(signal),
            Handle::Container(container) => container.signal(signal),
            Handle::Word(done) => done.cancel(),
        }
    }
}

/// The driver's word for an end, in the engine's.
pub(crate) fn exit(exit: process::Exit) -> Exit {
    match exit {
        process::Exit::Code(code) => Exit::Code(code),
        process::Exit::Signal(number) => Exit::Signal(
            Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.to_string()),
        ),
    }
}
