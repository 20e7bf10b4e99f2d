//! `edges`: who calls whom, where each way leads, and what went over it.

use std::io::{self, Write};

use clap::{Args, ValueEnum};
use devctl_wire::v1::{EdgeStatus, StatusRequest};
use serde_json::json;

use crate::client;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::table;

/// List the ways between services: target, requests, errors, latency, bytes
#[derive(Args, Debug)]
pub(crate) struct Edges {
    /// A table, or one JSON object per edge and line
    #[arg(long, value_enum, default_value_t = Shape::Table)]
    format: Shape,
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    /// For people
    Table,
    /// For programs
    Json,
}

impl Edges {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project()?;
        let status = context.block_on(async {
            let mut client = client::expect(&project).await?;
            Ok(client.status(StatusRequest::default()).await?.into_inner())
        })?;
        let mut out = io::stdout().lock();
        if self.format == Shape::Json {
            for edge in &status.edges {
                writeln!(out, "{}", as_json(edge))?;
            }
            return Ok(Exit::Ok);
        }
        let head = [
            "EDGE", "PROTOCOL", "LISTENS", "LEADS TO", "REQUESTS", "ERRORS", "P50", "P99", "IN", "OUT",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(status.edges.iter().map(row));
        for line in table::lines(&rows) {
            writeln!(out, "{line}")?;
        }
        Ok(Exit::Ok)
    }
}

fn row(edge: &EdgeStatus) -> Vec<String> {
    let target = if edge.problem.is_empty() {
        edge.target.clone()
    } else {
        format!("nowhere: {}", edge.problem)
    };
    vec![
        format!("{}->{}:{}", edge.consumer, edge.provider, edge.port),
        edge.protocol.clone(),
        edge.listen.clone(),
        target,
        edge.requests.to_string(),
        edge.errors.to_string(),
        milliseconds(edge.p50_ms),
        milliseconds(edge.p99_ms),
        bytes(edge.bytes_in),
        bytes(edge.bytes_out),
    ]
}

fn milliseconds(ms: f64) -> String {
    if ms > 0.0 { format!("{ms:.1} ms") } else { String::new() }
}

fn bytes(count: u64) -> String {
    const UNITS: &[&str] = &["KiB", "MiB", "GiB", "TiB"];
    let mut size = count as f64;
    let mut unit = "B";
    for next in UNITS {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{count} B")
    } else {
        format!("{size:.1} {unit}")
    }
}

pub(super) fn as_json(edge: &EdgeStatus) -> serde_json::Value {
    json!({
        "consumer": edge.consumer,
        "provider": edge.provider,
        "port": edge.port,
        "protocol": edge.protocol,
        "listen": edge.listen,
        "target": edge.target,
        "problem": edge.problem,
        "connections": edge.connections,
        "requests": edge.requests,
        "errors": edge.errors,
        "p50_ms": edge.p50_ms,
        "p99_ms": edge.p99_ms,
        "bytes_in": edge.bytes_in,
        "bytes_out": edge.bytes_out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        assert_eq!(bytes(900), "900 B");
        assert_eq!(bytes(2048), "2.0 KiB");
        assert_eq!(bytes(5 << 30), "5.0 GiB");
    }
}
