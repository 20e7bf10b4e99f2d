//! Builds a provider before its promises are replayed.

use std::collections::HashMap;
use std::sync::Arc;

use devctl_core::NodeId;
use devctl_core::plan::ContentHash;
use devctl_drivers::log::{LogStore, Redaction, Retention};
use devctl_pact::verify::Outcome;
use devctl_wire::v1;

use super::Told;
use super::ready::not_ready;
use super::session::Session;
use super::work::Work;
use crate::spec::NodeSpec;
use crate::specify::{self, Addresses, Choice, Ground};

/// Builds the service. Where it cannot be built, nothing is known of its promises.
pub(super) async fn build(session: &Session, work: &Work, service: &str) -> Result<(), Vec<Outcome>> {
    let Some(spec) = spec(session, service) else {
        return Ok(());
    };
    if spec.build.is_none() {
        return Ok(());
    }
    (session.tell)(Told::Building {
        provider: work.provider.clone(),
    });
    let logs = LogStore::new(&session.dirs(service).logs, Retention::default());
    let log = logs.run(service, 0, Redaction::new(&spec.secrets));
    let built = tokio::select! {
        built = crate::build::build(&spec, &log) => built,
        () = session.stop.cancelled() => return Err(Vec::new()),
    };
    built.map(drop).map_err(|failure| {
        let failure = v1::Failure {
            what: format!("its build: {}", failure.what),
            help: failure.help.unwrap_or_default(),
            log_tail: failure.output,
            ..v1::Failure::default()
        };
        let (verdict, log) = not_ready(service, &failure);
        work.all(&verdict, &log)
    })
}

/// The service as it is run, without the addresses that it is told.
fn spec(session: &Session, service: &str) -> Option<NodeSpec> {
    let source = &session.args.source;
    let written = session.project.services.get(service)?;
    // What runs in a container is built by the engine, when it is brought up.
    written.x_devctl.native.as_ref()?.command.as_ref()?;
    let choices = HashMap::from([(service.to_owned(), Choice::Process)]);
    let ground = Ground {
        project: &session.project,
        dirs: &session.dirs(service),
        caller: Arc::new(source.environment.clone().into_iter().collect()),
        engine: None,
        choices: &choices,
        addresses: &Addresses::new(&session.project),
        redact: crate::prepare::redacted(&session.project),
    };
    Some(specify::node(
        &ground,
        written,
        NodeId::from(service),
        ContentHash(String::new()),
    ))
}
