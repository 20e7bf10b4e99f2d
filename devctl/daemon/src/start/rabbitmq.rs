//! The machine's own RabbitMQ in place of a `rabbitmq` image.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use devctl_core::engine::{Failure, Started};
use devctl_drivers::log::{RunLog, Stream};
use devctl_drivers::probe::Probe;
use devctl_drivers::rabbitmq::{self, RabbitError, RabbitSpec};

use super::LOOPBACK;
use crate::hooks::Place;
use crate::live::{Handle, Live};
use crate::perform::Means;
use crate::spec::{NodeSpec, RabbitPlan};

/// AMQP inside of the image.
pub(crate) const PORT: u16 = 5672;
/// The management plugin inside of the image.
pub(crate) const MANAGEMENT: u16 = 15672;

pub(super) async fn start(
    means: &Means,
    spec: &Arc<NodeSpec>,
    plan: &RabbitPlan,
    log: &RunLog,
) -> Result<(Live, Started), Failure> {
    let listen = SocketAddr::new(LOOPBACK, means.port(spec, "5672/tcp", None)?);
    let management = match plan.management {
        true => Some(SocketAddr::new(LOOPBACK, means.port(spec, "15672/tcp", None)?)),
        false => None,
    };
    let wanted = RabbitSpec {
        version: plan.version.clone(),
        env: plan.env.clone(),
        mounts: plan.mounts.clone(),
        name: format!("{}-{}", means.dirs.id, spec.id),
        data_dir: plan.data.dir.clone(),
        cache_dir: means.dirs.cache.clone(),
        listen,
        management,
        dist_port: means.port(spec, "25672/dist", None)?,
        epmd_port: means.port(spec, "4369/epmd", None)?,
    };
    let fresh = !plan.data.dir.exists();
    let prepared = rabbitmq::prepare(&wanted).await.map_err(|error| failure(&error))?;
    for note in &prepared.notes {
        log.line(Stream::Devctl, note.as_bytes());
    }
    let data = super::data_identity(&plan.data, fresh);
    let running = rabbitmq::start(&prepared, log).await.map_err(|error| failure(&error))?;
    let mut ports = HashMap::from([(PORT, listen)]);
    ports.extend(management.map(|at| (MANAGEMENT, at)));
    let live = Live {
        spec: spec.clone(),
        handle: Handle::RabbitMq(running),
        ports,
        ip: None,
        probe: Probe::Amqp(prepared.login),
        place: 0,
        context: Some(Place::Host(prepared.process)),
    };
    let started = Started {
        data,
        version: Some(format!("RabbitMQ {}", prepared.version)),
        ..Started::default()
    };
    Ok((live, started))
}

fn failure(error: &RabbitError) -> Failure {
    Failure {
        what: super::told(error),
        help: error.help(),
        output: Vec::new(),
    }
}
