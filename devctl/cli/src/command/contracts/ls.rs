//! `contracts ls`: every contract of the project.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::Args;
use devctl_pact::index::{Contract, Kind, Origin};
use serde_json::json;

use super::{Shape, committed, shown};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::table;

/// List the contracts: who expects how much of whom, of which kind, in which file
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
                });
                writeln!(out, "{line}")?;
            }
            return Ok(Exit::Ok);
        }
        let head = ["CONSUMER", "PROVIDER", "INTERACTIONS", "KIND", "PACT", "FILE"];
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

fn kinds(contract: &Contract) -> BTreeSet<&'static str> {
    let kind = |kind: &Kind| match kind {
        Kind::SyncMessage(message) if message.transport.as_deref() == Some("grpc") => "grpc",
        other => other.name(),
    };
    contract.interactions.iter().map(|one| kind(&one.kind)).collect()
}
