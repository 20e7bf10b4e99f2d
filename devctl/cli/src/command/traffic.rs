//! `traffic`: what goes over the edges, as it was captured, secrets left out.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use devctl_wire::v1::{TrafficRecord, TrafficRequest};
use tokio_stream::StreamExt;

use crate::client;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::session::is_end;

/// Show what goes over the edges
#[derive(Args, Debug)]
pub(crate) struct Traffic {
    /// Only of these edges: `api->billing:9090`, `api->billing`, `->billing`, `api->`
    #[arg(long, allow_hyphen_values = true, value_parser = super::fault::edge)]
    edge: Option<String>,
    /// Go on as it happens
    #[arg(short, long)]
    follow: bool,
    /// Of what is kept, the last so many
    #[arg(short = 'n', long, value_name = "LINES")]
    tail: Option<u32>,
    /// Lines for people, one JSON object per line, or one HAR 1.2 document
    #[arg(long, value_enum, default_value_t = Shape::Text)]
    format: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// For people
    Text,
    /// One object per line
    Json,
    /// For a browser's network panel; cannot follow
    Har,
}

impl Traffic {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        if self.follow && self.format == Shape::Har {
            return Err(Error::Unmet {
                what: "a HAR document has an end, and `--follow` has none".into(),
                help: Some("`--format json --follow` gives one object per line".into()),
            });
        }
        let project = context.project()?;
        let style = context.terminal.out;
        context.block_on(async {
            let mut client = client::expect(&project).await?;
            let request = TrafficRequest {
                edge: self.edge.clone().unwrap_or_default(),
                follow: self.follow,
                tail: self.tail.unwrap_or_default(),
            };
            let mut records = client.traffic(request).await?.into_inner();
            let mut out = io::stdout();
            let mut entries = Vec::new();
            loop {
                let record: TrafficRecord = match records.next().await {
                    Some(Ok(record)) => record,
                    Some(Err(status)) if !is_end(&status) => return Err(status.into()),
                    Some(Err(_)) | None => break,
                };
                match self.format {
                    Shape::Text => {
                        let line = if record.failed {
                            style.error(&record.text)
                        } else {
                            record.text.clone()
                        };
                        writeln!(out, "{}  {line}", style.dim(&record.edge))?;
                    }
                    Shape::Json => writeln!(out, "{}", record.json)?,
                    Shape::Har if !record.har.is_empty() => entries.push(record.har),
                    Shape::Har => {}
                }
            }
            if self.format == Shape::Har {
                let creator = format!(r#"{{"name":"devctl","version":"{}"}}"#, env!("CARGO_PKG_VERSION"));
                writeln!(
                    out,
                    r#"{{"log":{{"version":"1.2","creator":{creator},"entries":[{}]}}}}"#,
                    entries.join(",")
                )?;
            }
            Ok(Exit::Ok)
        })
    }
}
