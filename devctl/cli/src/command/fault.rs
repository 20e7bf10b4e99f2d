//! `fault`: makes edges slow, lossy or wrong, live; Toxiproxy's words where it has one.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use devctl_wire::v1::{EdgeFault, FaultReply, FaultRequest, fault_request::What};

use crate::client;
use crate::context::Context;
use crate::dry::{self, Step};
use crate::error::Error;
use crate::exit::Exit;

/// Put faults on edges, list them, take them off
#[derive(Args, Debug)]
pub(crate) struct Fault {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Put a fault on an edge: `fault add "api->billing" --latency 200ms --jitter 50ms`
    Add(Box<Add>),
    /// List the faults that are on
    #[command(visible_alias = "list")]
    Ls {
        /// Only of these edges: `api->billing`, `->billing`, `api->`
        #[arg(allow_hyphen_values = true, value_parser = edge)]
        edge: Option<String>,
    },
    /// Take a fault off, or all
    #[command(visible_alias = "remove")]
    Rm {
        /// Of these edges: `api->billing`, `->billing`, `api->` [default: all]
        #[arg(allow_hyphen_values = true, value_parser = edge)]
        edge: Option<String>,
        /// The fault's name, or its kind [default: every fault]
        #[arg(long)]
        name: Option<String>,
    },
}

#[derive(Args, Debug)]
struct Add {
    /// The edges: `api->billing:9090`, `api->billing`, `->billing`, `api->`
    #[arg(allow_hyphen_values = true, value_parser = edge)]
    edge: String,
    #[command(flatten)]
    kind: Kind,
    /// With `--latency`: at most so much more or less
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, requires = "latency")]
    jitter: Option<std::time::Duration>,
    /// Of a hundred requests (or connections) so many
    #[arg(long, value_name = "N", default_value_t = 100.0, value_parser = percent)]
    percent: f64,
    /// For what the consumer sends, instead of what it is answered
    #[arg(long)]
    upstream: bool,
    /// Its name, to take it off by
    #[arg(long)]
    name: Option<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Kind {
    /// Everything comes later
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    latency: Option<std::time::Duration>,
    /// Answer with this status in the provider's place
    #[arg(long, value_name = "STATUS", value_parser = clap::value_parser!(u32).range(400..=599))]
    error: Option<u32>,
    /// Reset the connection, at once or after this time
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "0s", value_parser = humantime::parse_duration)]
    reset: Option<std::time::Duration>,
    /// Nothing comes through; the connection is closed after this time, or never
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "0s", value_parser = humantime::parse_duration)]
    timeout: Option<std::time::Duration>,
    /// No more bytes per second than this: `64KiB/s`
    #[arg(long, value_name = "RATE", value_parser = rate)]
    bandwidth: Option<u64>,
    /// Bytes come in pieces of this size
    #[arg(long, value_name = "BYTES", num_args = 0..=1, default_missing_value = "64", value_parser = rate)]
    slice: Option<u64>,
    /// The connection is closed after so many bytes
    #[arg(long, value_name = "BYTES", value_parser = rate)]
    limit_data: Option<u64>,
    /// The connection stays open for this time after its last byte
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    slow_close: Option<std::time::Duration>,
}

impl Fault {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let (edge, what) = match self.verb {
            Verb::Add(add) => (add.edge.clone(), Some(What::Add(fault(&add)))),
            Verb::Ls { edge } => (edge.unwrap_or_default(), None),
            Verb::Rm { edge, name } => {
                let what = name.map_or(What::Clear(true), What::Remove);
                (edge.unwrap_or_default(), Some(what))
            }
        };
        let project = context.project()?;
        if let (true, Some(what)) = (context.global.dry_run, &what) {
            let edge = if edge.is_empty() { "every edge" } else { &edge };
            let step = match what {
                What::Add(fault) => Step::new("put", format!("{} on {edge}", fault.kind)),
                What::Remove(name) => Step::new("take", format!("{name} off {edge}")),
                What::Clear(_) => Step::new("take", format!("all faults off {edge}")),
            };
            return dry::tell(context, &[step]);
        }
        let FaultReply { faults, edges } = context.block_on(async {
            let mut client = client::expect(&project).await?;
            Ok(client.fault(FaultRequest { edge, what }).await?.into_inner())
        })?;
        let mut out = io::stdout().lock();
        for fault in &faults {
            writeln!(out, "{}  {}  ({})", fault.edge, fault.text, fault.name)?;
        }
        if faults.is_empty() {
            let place = match edges.as_slice() {
                [one] => one.clone(),
                [one, other] => format!("{one} and {other}"),
                _ => "any of these edges".to_owned(),
            };
            writeln!(io::stderr(), "no faults on {place}")?;
        }
        Ok(Exit::Ok)
    }
}

fn fault(add: &Add) -> EdgeFault {
    let ms = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let kind = &add.kind;
    let mut fault = EdgeFault {
        name: add.name.clone().unwrap_or_default(),
        upstream: add.upstream,
        percent: add.percent,
        jitter_ms: add.jitter.map(ms).unwrap_or_default(),
        ..EdgeFault::default()
    };
    let mut is = |word: &str| word.clone_into(&mut fault.kind);
    if let Some(latency) = kind.latency {
        is("latency");
        fault.latency_ms = ms(latency);
    } else if let Some(status) = kind.error {
        is("error");
        fault.status = status;
    } else if let Some(after) = kind.reset {
        is("reset_peer");
        fault.timeout_ms = ms(after);
    } else if let Some(after) = kind.timeout {
        is("timeout");
        fault.timeout_ms = ms(after);
    } else if let Some(rate) = kind.bandwidth {
        is("bandwidth");
        fault.rate = rate;
    } else if let Some(size) = kind.slice {
        is("slicer");
        fault.size = size;
    } else if let Some(bytes) = kind.limit_data {
        is("limit_data");
        fault.size = bytes;
    } else if let Some(delay) = kind.slow_close {
        is("slow_close");
        fault.delay_ms = ms(delay);
    }
    fault
}

/// `->billing` begins as an option does, and is none; anything else that does is a slip.
pub(super) fn edge(written: &str) -> Result<String, String> {
    match written.starts_with('-') && !written.starts_with("->") {
        true => Err("it is neither an option nor an edge; those are `api->billing`, `->billing`, `api->`".to_owned()),
        false => Ok(written.to_owned()),
    }
}

/// More than none of a hundred, and no more than all.
fn percent(written: &str) -> Result<f64, String> {
    let number = written.trim().trim_end_matches('%').trim_end().parse();
    number
        .ok()
        .filter(|percent| *percent > 0.0 && *percent <= 100.0)
        .ok_or_else(|| "it is above 0 and at most 100".to_owned())
}

/// `64KiB/s`, `1MB`, `500`: bytes (per second).
fn rate(written: &str) -> Result<u64, String> {
    let text = written.trim().trim_end_matches("/s").trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let count: u64 = text[..digits]
        .parse()
        .map_err(|_| format!("`{written}` does not begin with a number"))?;
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "kib" => 1 << 10,
        "m" | "mb" => 1_000_000,
        "mib" => 1 << 20,
        "g" | "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        other => return Err(format!("`{other}` is no unit of bytes; KiB, MiB, KB, MB are")),
    };
    count
        .checked_mul(unit)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("`{written}` is no amount of bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_as_people_write_them() {
        assert_eq!(rate("64KiB/s"), Ok(65_536));
        assert_eq!(rate("1 MB"), Ok(1_000_000));
        assert_eq!(rate("500"), Ok(500));
        assert!(rate("fast").is_err() && rate("1x").is_err() && rate("0").is_err());
    }

    #[test]
    fn an_edge_may_begin_with_its_arrow() {
        assert!(edge("->billing").is_ok() && edge("api->").is_ok());
        assert!(edge("--latencyy").is_err() && edge("-x").is_err());
    }

    #[test]
    fn a_share_is_more_than_none_and_at_most_all() {
        assert_eq!(
            (percent("20"), percent("0.5%"), percent("100")),
            (Ok(20.0), Ok(0.5), Ok(100.0))
        );
        assert!(
            ["0", "101", "-1", "NaN", "many"]
                .iter()
                .all(|written| percent(written).is_err())
        );
    }
}
