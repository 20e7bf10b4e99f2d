//! `contracts ls`: every contract of the project.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::Args;
use devctl_daemon::verify::{self, LastVerdict};
use devctl_pact::index::{Contract, Kind, Origin};
use serde_json::json;

use super::{Shape, committed, shown};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::style::Style;
use crate::render::{table, text::seconds};

/// List the contracts: who expects how much of whom, of which kind, in which file, and what the last verification came to
#[derive(Args, Debug)]
pub(crate) struct Ls {
    /// A table, or one JSON object per contract and line
    #[arg(long, value_enum, default_value_t = Shape::Table)]
    format: Shape,
}

impl Ls {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project()?;
        let mut contracts = context.block_on(async { committed(&project).await })?;
        let verdicts = verify::last(&project.dirs.state);
        let verdict = |contract: &Contract| {
            let is = |one: &&LastVerdict| one.consumer == contract.consumer && one.provider == contract.provider;
            verdicts.iter().find(is)
        };
        contracts.sort_by(|one, other| (&one.consumer, &one.provider).cmp(&(&other.consumer, &other.provider)));
        let mut out = io::stdout().lock();
        if self.format == Shape::Json {
            for contract in &contracts {
                let line = json!({
                    "consumer": contract.consumer,
                    "provider": contract.provider,
                    "interactions": contract.interactions.len(),
                    "kinds": kinds(contract),
                    "specification": contract.specification.to_string(),
                    "origin": contract.origin.to_string(),
                    "last": verdict(contract).map(|last| json!({
                        "kept": last.kept,
                        "broken": last.broken,
                        "could_not_run": last.could_not_run,
                        "time_unix_ms": last.time_unix_ms,
                    })),
                });
                writeln!(out, "{line}")?;
            }
            return Ok(Exit::Ok);
        }
        let head = [
            "CONSUMER",
            "PROVIDER",
            "INTERACTIONS",
            "KIND",
            "LAST VERDICT",
            "PACT",
            "FILE",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(contracts.iter().map(|contract| {
            let file = match &contract.origin {
                Origin::File(path) => shown(path),
                other => other.to_string(),
            };
            vec![
                contract.consumer.clone(),
                contract.provider.clone(),
                contract.interactions.len().to_string(),
                kinds(contract).into_iter().collect::<Vec<_>>().join(", "),
                verdict(contract).map_or_else(|| "-".to_owned(), |last| told(last, context.terminal.out)),
                contract.specification.to_string(),
                file,
            ]
        }));
        for line in table::lines(&rows) {
            writeln!(out, "{line}")?;
        }
        Ok(Exit::Ok)
    }
}

/// `1 broken, 3 min ago`.
fn told(last: &LastVerdict, style: Style) -> String {
    let now = jiff::Timestamp::now().as_millisecond();
    let ago = seconds(u64::try_from(now - last.time_unix_ms).unwrap_or(0));
    match last {
        LastVerdict { broken: 1.., .. } => style.error(&format!("{} broken, {ago} ago", last.broken)),
        LastVerdict { could_not_run: 1.., .. } => style.warn(&format!("could not run, {ago} ago")),
        _ => style.good(&format!("kept, {ago} ago")),
    }
}

fn kinds(contract: &Contract) -> BTreeSet<&'static str> {
    let kind = |kind: &Kind| match kind {
        Kind::SyncMessage(message) if message.transport.as_deref() == Some("grpc") => "grpc",
        other => other.name(),
    };
    contract.interactions.iter().map(|one| kind(&one.kind)).collect()
}
