//! The machine's own PostgreSQL in place of a `postgres` image.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use devctl_core::engine::{Failure, Started};
use devctl_drivers::log::{RunLog, Stream};
use devctl_drivers::postgres::{self, PostgresError, PostgresSpec};
use devctl_drivers::probe::Probe;
use devctl_drivers::process;

use super::LOOPBACK;
use crate::hooks::Place;
use crate::live::{Handle, Live};
use crate::perform::Means;
use crate::spec::{NodeSpec, PostgresPlan};

/// PostgreSQL's port inside of its image.
pub(crate) const PORT: u16 = 5432;

pub(super) async fn start(
    means: &Means,
    spec: &Arc<NodeSpec>,
    plan: &PostgresPlan,
    log: &RunLog,
) -> Result<(Live, Started), Failure> {
    let listen = SocketAddr::new(LOOPBACK, means.port(spec, "5432/tcp", None)?);
    let wanted = PostgresSpec {
        version: plan.version.clone(),
        env: plan.env.clone(),
        init: plan.init.clone(),
        command: plan.command.clone(),
        data_dir: plan.data.dir.clone(),
        socket_dir: means.dirs.runtime.join(spec.id.to_string()),
        cache_dir: means.dirs.cache.clone(),
        listen,
    };
    let prepared = postgres::prepare(&wanted, log).await.map_err(|error| failure(&error))?;
    for note in &prepared.notes {
        log.line(Stream::Devctl, note.as_bytes());
    }
    let server = process::spawn(&prepared.process, log).map_err(|error| Failure {
        what: super::told(&error),
        help: error.help(),
        output: Vec::new(),
    })?;
    let live = Live {
        spec: spec.clone(),
        handle: Handle::Postgres(server),
        ports: HashMap::from([(PORT, listen)]),
        ip: None,
        probe: Probe::Postgres(prepared.login),
        place: 0,
        context: Some(Place::Host(prepared.process)),
    };
    let started = Started {
        data: super::data_identity(&plan.data, prepared.first_start),
        version: Some(format!("PostgreSQL {}", prepared.version)),
        ..Started::default()
    };
    Ok((live, started))
}

fn failure(error: &PostgresError) -> Failure {
    Failure {
        what: super::told(error),
        help: error.help(),
        output: Vec::new(),
    }
}
