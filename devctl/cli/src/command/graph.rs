//! `graph`: who depends on whom and who calls whom, as a diagram or as data. From the daemon where one runs (then with states and
//! edges), else from the files.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use devctl_wire::v1::{Dependency, EdgeStatus, NodeStatus, State, StatusReply};
use serde_json::{Value, json};

use super::ps;
use crate::args::{Format, Services};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::json;

/// Print the graph: who depends on whom, and the ways between services while they are up
#[derive(Args, Debug)]
pub(crate) struct Graph {
    #[command(flatten)]
    services: Services,

    /// `mermaid`, `dot` or `json` [default: mermaid]
    #[arg(long, value_enum)]
    format: Option<Shape>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    Mermaid,
    Dot,
    Json,
}

impl Graph {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of(&self.services.services)?;
        let status = ps::status(context, &project, Vec::new())?;
        let part = part(&status, &self.services.services);
        let default = if context.terminal.format == Format::Json {
            Shape::Json
        } else {
            Shape::Mermaid
        };
        let text = match self.format.unwrap_or(default) {
            Shape::Mermaid => mermaid(&part),
            Shape::Dot => dot(&part, &status.project),
            Shape::Json => format!("{}\n", as_json(&part, &status.project)),
        };
        io::stdout().write_all(text.as_bytes())?;
        Ok(Exit::Ok)
    }
}

/// The nodes that are drawn, and the dependencies between them.
struct Part<'a> {
    nodes: Vec<&'a NodeStatus>,
    dependencies: Vec<&'a Dependency>,
    /// The ways between these, and those from this machine to their published ports.
    edges: Vec<&'a EdgeStatus>,
}

/// Who calls from outside of the graph.
const HOST: &str = "host";

/// The services, what they depend on, and what that depends on; everything where none is named.
fn part<'a>(status: &'a StatusReply, services: &[String]) -> Part<'a> {
    let mut wanted: Vec<&str> = services.iter().map(String::as_str).collect();
    let mut at = 0;
    while at < wanted.len() {
        let from = wanted[at];
        let more = status
            .dependencies
            .iter()
            .filter(|dependency| dependency.from == from)
            .map(|dependency| dependency.to.as_str());
        let more: Vec<&str> = more.filter(|to| !wanted.contains(to)).collect();
        wanted.extend(more);
        at += 1;
    }
    let has = |service: &str| services.is_empty() || wanted.contains(&service);
    Part {
        nodes: status
            .nodes
            .iter()
            .filter(|node| has(&node.service) && node.index <= 1)
            .collect(),
        dependencies: status
            .dependencies
            .iter()
            .filter(|dependency| has(&dependency.from) && has(&dependency.to))
            .collect(),
        edges: status
            .edges
            .iter()
            .filter(|edge| (has(&edge.consumer) || edge.consumer == HOST) && has(&edge.provider))
            .collect(),
    }
}

fn mermaid(part: &Part<'_>) -> String {
    let mut text = String::from("flowchart LR\n");
    for (index, node) in part.nodes.iter().enumerate() {
        let shape = if node.kind == "job" {
            ("([", "])")
        } else if is_server(node) {
            ("[(", ")]")
        } else {
            ("[", "]")
        };
        let class = class(node).map(|class| format!(":::{class}")).unwrap_or_default();
        let _ = writeln!(text, "    n{index}{}\"{}\"{}{class}", shape.0, node.service, shape.1);
    }
    let number = |service: &str| part.nodes.iter().position(|node| node.service == service);
    for dependency in &part.dependencies {
        if let (Some(from), Some(to)) = (number(&dependency.from), number(&dependency.to)) {
            let arrow = if dependency.required { "-->" } else { "-.->" };
            let _ = writeln!(text, "    n{from} {arrow}|{}| n{to}", label(dependency));
        }
    }
    if part.edges.iter().any(|edge| edge.consumer == HOST) {
        let _ = writeln!(text, "    {HOST}((\"{HOST}\"))");
    }
    let end = |service: &str| match service {
        HOST => Some(HOST.to_owned()),
        service => number(service).map(|number| format!("n{number}")),
    };
    for edge in &part.edges {
        if let (Some(from), Some(to)) = (end(&edge.consumer), end(&edge.provider)) {
            let _ = writeln!(text, "    {from} ==>|{}| {to}", way(edge));
        }
    }
    for (class, color) in [("ready", "#2da44e"), ("busy", "#bf8700"), ("failed", "#cf222e")] {
        if part.nodes.iter().any(|node| self::class(node) == Some(class)) {
            let _ = writeln!(text, "    classDef {class} stroke:{color},stroke-width:2px");
        }
    }
    text
}

fn dot(part: &Part<'_>, project: &str) -> String {
    let mut text = format!(
        "digraph {} {{\n    rankdir=LR;\n    node [shape=box];\n",
        quoted(project)
    );
    for node in &part.nodes {
        let mut attributes = Vec::new();
        if is_server(node) {
            attributes.push("shape=cylinder".to_owned());
        }
        if node.kind == "job" {
            attributes.push("shape=oval".to_owned());
        }
        if let Some(class) = class(node) {
            let color = match class {
                "ready" => "green",
                "failed" => "red",
                _ => "orange",
            };
            attributes.push(format!("color={color}"));
        }
        let attributes = if attributes.is_empty() {
            String::new()
        } else {
            format!(" [{}]", attributes.join(", "))
        };
        let _ = writeln!(text, "    {}{attributes};", quoted(&node.service));
    }
    for dependency in &part.dependencies {
        let dashed = if dependency.required { "" } else { ", style=dashed" };
        let label = quoted(label(dependency));
        let _ = writeln!(
            text,
            "    {} -> {} [label={label}{dashed}];",
            quoted(&dependency.from),
            quoted(&dependency.to)
        );
    }
    for edge in &part.edges {
        let _ = writeln!(
            text,
            "    {} -> {} [label={}, style=bold];",
            quoted(&edge.consumer),
            quoted(&edge.provider),
            quoted(&way(edge))
        );
    }
    text.push_str("}\n");
    text
}

fn as_json(part: &Part<'_>, project: &str) -> Value {
    let node = |node: &&NodeStatus| json!({"service": node.service, "kind": node.kind, "state": json::state(node)});
    let dependency = |dependency: &&Dependency| {
        json!({
            "from": dependency.from,
            "to": dependency.to,
            "condition": dependency.condition,
            "required": dependency.required,
            "restart": dependency.restart,
        })
    };
    json!({
        "project": project,
        "nodes": part.nodes.iter().map(node).collect::<Vec<_>>(),
        "dependencies": part.dependencies.iter().map(dependency).collect::<Vec<_>>(),
        "edges": part.edges.iter().map(|edge| super::edges::as_json(edge)).collect::<Vec<_>>(),
    })
}

/// What an arrow of an edge says: `8080 http`, and where it leads if not to the provider itself.
fn way(edge: &EdgeStatus) -> String {
    let spoken = match edge.protocol.as_str() {
        "" | "auto" => String::new(),
        known => format!(" {known}"),
    };
    // `real 127.0.0.1:20001, faulted: latency`: the address says nothing in a diagram.
    let mut leads: Vec<&str> = Vec::new();
    if !edge.problem.is_empty() {
        leads.push("cannot be made");
    }
    for part in edge.target.split(", ") {
        match part.split([' ', ':']).next() {
            Some("stub") => leads.push("stub"),
            Some("faulted") => leads.push("faulted"),
            Some("direct") => leads.push("direct"),
            Some("held") => leads.push("held"),
            Some("refused") => leads.push("refused"),
            _ => {}
        }
    }
    let leads = if leads.is_empty() {
        String::new()
    } else {
        format!(" · {}", leads.join(" · "))
    };
    format!("{}{spoken}{leads}", edge.port)
}

/// `service_completed_successfully` is too long for an arrow.
fn label(dependency: &Dependency) -> &str {
    match dependency.condition.trim_start_matches("service_") {
        "completed_successfully" => "completed",
        other => other,
    }
}

fn class(node: &NodeStatus) -> Option<&'static str> {
    match node.state() {
        State::Down => None,
        State::Ready | State::Completed | State::Paused => Some("ready"),
        State::Failed | State::Unhealthy => Some("failed"),
        State::Waiting | State::Building | State::Starting | State::Stopping | State::Backoff => Some("busy"),
    }
}

fn is_server(node: &NodeStatus) -> bool {
    matches!(node.runtime.as_str(), "postgres" | "rabbitmq")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
