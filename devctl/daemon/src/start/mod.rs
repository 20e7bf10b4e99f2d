//! Brings one run up: each kind of node in a file of its own.

mod container;
mod container_probe;
mod postgres;
mod process;
mod rabbitmq;

pub(crate) use postgres::PORT as POSTGRES_PORT;
pub(crate) use rabbitmq::{MANAGEMENT as MANAGEMENT_PORT, PORT as AMQP_PORT};

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use devctl_core::engine::{Failure, Started};
use devctl_drivers::lease::{LeaseError, PortKey};
use devctl_drivers::log::{RunLog, Stream};
use devctl_drivers::probe::Probe;
use tokio_util::sync::CancellationToken;

use crate::live::{Handle, Live};
use crate::perform::Means;
use crate::spec::{DataPlace, NodeSpec, What};

/// Where runs listen.
pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Which start of a node it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// The run's number.
    pub(crate) number: u64,
    /// Which of the node's sets of ports it uses.
    pub(crate) place: u8,
    /// Another run of the node is there, and serves.
    pub(crate) beside: bool,
    /// A container that is as the files say is made anew all the same.
    pub(crate) fresh: bool,
}

/// Takes over a run that an earlier daemon had started. None: it has gone meanwhile.
pub(crate) async fn adopt(
    means: &Means,
    spec: &std::sync::Arc<NodeSpec>,
    run: u64,
    log: &RunLog,
) -> Option<(Live, Started)> {
    match &spec.what {
        What::Container(plan) => Box::pin(container::adopt(means, spec, plan, run, log)).await,
        _ => None,
    }
}

/// Makes what a node runs in, and starts nothing: of a process there is nothing to make but its build. Once it is `told`, nothing more is
/// begun.
pub(crate) async fn create(
    means: &Means,
    spec: &std::sync::Arc<NodeSpec>,
    fresh: bool,
    told: &CancellationToken,
) -> Result<(), Failure> {
    match &spec.what {
        What::Container(plan) => Box::pin(container::create(means, spec, plan, fresh, told)).await,
        What::Impossible { why, help } => Err(Failure {
            what: why.clone(),
            help: Some(help.clone()),
            output: Vec::new(),
        }),
        _ => Ok(()),
    }
}

/// Starts a run. Nothing is left of one that fails. None: `told` came first, and there is nothing to stop. Of a container, what the engine
/// has begun is waited for: it would be done all the same, and nobody would know of it.
pub(crate) async fn start(
    means: &Means,
    spec: &std::sync::Arc<NodeSpec>,
    run: Run,
    log: &RunLog,
    told: &CancellationToken,
) -> Option<Result<(Live, Started), Failure>> {
    match &spec.what {
        What::Container(plan) => {
            for note in &spec.notes {
                log.line(Stream::Devctl, note.as_bytes());
            }
            Box::pin(container::start(means, spec, plan, run, log, told)).await
        }
        _ => told.run_until_cancelled(here(means, spec, run, log)).await,
    }
}

/// Of what runs here. Nothing is left of one whose future is dropped.
async fn here(
    means: &Means,
    spec: &std::sync::Arc<NodeSpec>,
    run: Run,
    log: &RunLog,
) -> Result<(Live, Started), Failure> {
    let began = Instant::now();
    for note in &spec.notes {
        log.line(Stream::Devctl, note.as_bytes());
    }
    let (live, mut started) = match &spec.what {
        What::Process(plan) => process::start(means, spec, plan, (run.number, run.place), log)?,
        What::Postgres(plan) => postgres::start(means, spec, plan, log).await?,
        What::RabbitMq(plan) => rabbitmq::start(means, spec, plan, log).await?,
        What::Container(_) => return Err(Failure::new("it runs in a container")),
        What::Stub => (word(spec, HashMap::new()), Started::default()),
        What::External { ports, .. } => (
            word(spec, ports.iter().map(|(port, at)| (*port, *at)).collect()),
            Started::default(),
        ),
        What::Impossible { why, help } => {
            return Err(Failure {
                what: why.clone(),
                help: Some(help.clone()),
                output: Vec::new(),
            });
        }
    };
    if let Some(id) = live.handle.id() {
        started.pid = u32::try_from(id.pid).ok();
    }
    if started.data.is_some() {
        // What a server does before its first process is its own work: `initdb`, templates, init scripts.
        started.prepared = began.elapsed();
    }
    Ok((live, started))
}

fn word(spec: &std::sync::Arc<NodeSpec>, ports: HashMap<u16, SocketAddr>) -> Live {
    Live {
        spec: spec.clone(),
        handle: Handle::Word(CancellationToken::new()),
        ports,
        ip: None,
        probe: Probe::Started,
        place: 0,
        context: None,
    }
}

impl Means {
    /// The port of a node's run, the same one again next time.
    fn port(&self, spec: &NodeSpec, what: &str, preferred: Option<u16>) -> Result<u16, Failure> {
        let key = PortKey {
            project: self.dirs.id.clone(),
            node: spec.id.to_string(),
            port: what.to_owned(),
        };
        self.leases
            .port(&key, LOOPBACK, preferred, &self.dirs.state)
            .map_err(|error| lease_failure(&error))
    }
}

fn lease_failure(error: &LeaseError) -> Failure {
    let source = std::error::Error::source(error)
        .map(|source| format!(": {source}"))
        .unwrap_or_default();
    Failure::new(format!("failed to {error}{source}"))
}

/// What a driver says, and what lies below it.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let mut text = format!("failed to {error}");
    let mut source = error.source();
    while let Some(below) = source {
        text.push_str(&format!(": {below}"));
        source = below.source();
    }
    text
}

/// The identity of a data directory: made with it, gone with it. `fresh`: the directory has just been made.
fn data_identity(place: &DataPlace, fresh: bool) -> Option<String> {
    let file = crate::remove::identity(&place.dir);
    if !fresh && let Ok(id) = std::fs::read_to_string(&file) {
        return Some(id);
    }
    let id = format!("{}-{}", jiff::Timestamp::now().as_nanosecond(), std::process::id());
    std::fs::write(&file, &id).ok()?;
    Some(id)
}
