//! `why`: why a service is not running, as the tree of what it waits for; for one that runs, how it came up.

use std::io::{self, Write};

use clap::Args;
use devctl_wire::v1::{NodeStatus, State, StatusReply};
use serde_json::{Value, json};

use super::ps;
use crate::args::{Format, Services, TalkFormat};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::board::why_failed;
use crate::render::json as to_json;
use crate::render::style::Style;
use crate::render::text::seconds;

/// Say why services are not running, or how they came up
#[derive(Args, Debug)]
pub(crate) struct Why {
    #[command(flatten)]
    services: Services,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

impl Why {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project()?;
        let named = &self.services.services;
        let status = ps::status(context, &project, Vec::new())?;
        let gone = |service: &&String| !status.nodes.iter().any(|node| node.service == **service);
        project.check_services(named.iter().filter(gone))?;
        let is_named = |node: &&NodeStatus| named.contains(&node.service) || named.contains(&node.id);
        // Without a name: whatever is not as it should be; all is well: say so.
        let roots: Vec<&NodeStatus> = if named.is_empty() {
            status.nodes.iter().filter(|node| !is_settled(node)).collect()
        } else {
            status.nodes.iter().filter(is_named).collect()
        };
        let mut out = io::stdout().lock();
        if context.terminal.format == Format::Json {
            for root in roots {
                writeln!(out, "{}", tree(&status, root, &mut Vec::new()))?;
            }
            return Ok(Exit::Ok);
        }
        let style = context.terminal.out;
        if roots.is_empty() {
            writeln!(out, "{}", at_rest(&status, &project.name))?;
            for node in status.nodes.iter().filter(|node| breaks_contracts(node)) {
                for line in contracts(node, &format!("{}  ", style.bold(&node.id)), "  ", style) {
                    writeln!(out, "{line}")?;
                }
            }
        }
        for root in roots {
            for line in lines(&status, root, style) {
                writeln!(out, "{line}")?;
            }
        }
        Ok(Exit::Ok)
    }
}

fn at_rest(status: &StatusReply, project: &str) -> String {
    if status.nodes.iter().all(|node| node.state() == State::Down) {
        return format!("project `{project}` is not up; `devctl up` starts it");
    }
    let count = status.nodes.iter().filter(|node| node.state() != State::Down).count();
    format!("nothing waits: all {count} are ready or completed")
}

fn is_settled(node: &NodeStatus) -> bool {
    if !node.next.is_empty() {
        return false;
    }
    match node.state() {
        State::Ready | State::Completed => true,
        State::Down => !node.wanted,
        _ => false,
    }
}

/// The tree under one node.
fn lines(status: &StatusReply, root: &NodeStatus, style: Style) -> Vec<String> {
    let mut lines = vec![format!("{}  {}", style.bold(&root.id), said(root, style))];
    lines.extend(contracts(root, "   ", "   ", style));
    branch(status, root, "", &mut vec![&root.id], &mut lines, style);
    lines
}

fn branch<'a>(
    status: &'a StatusReply,
    node: &'a NodeStatus,
    indent: &str,
    way: &mut Vec<&'a str>,
    lines: &mut Vec<String>,
    style: Style,
) {
    let reasons = reasons(status, node);
    let last = reasons.len().saturating_sub(1);
    for (index, reason) in reasons.iter().enumerate() {
        let (elbow, below) = if index == last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        let prefix = format!("{indent}{}", style.dim(elbow));
        let Some(on) = reason.node else {
            lines.push(format!("{prefix}{}", reason.text));
            continue;
        };
        if let Some(at) = way.iter().position(|seen| *seen == on.id) {
            let cycle: Vec<&str> = way[at..].iter().copied().chain([on.id.as_str()]).collect();
            lines.push(format!(
                "{prefix}{}",
                style.error(&format!("cycle: {}", cycle.join(" → ")))
            ));
            continue;
        }
        let condition = if reason.text.is_empty() {
            String::new()
        } else {
            format!(" {}", style.dim(&format!("({})", reason.text)))
        };
        lines.push(format!(
            "{prefix}{}{condition}  {}",
            style.bold(&on.id),
            said(on, style)
        ));
        if reason.text == VERIFIED {
            let indent = format!("{indent}{}", style.dim(below));
            lines.extend(contracts(on, &indent, &indent, style));
        }
        way.push(&on.id);
        branch(status, on, &format!("{indent}{}", style.dim(below)), way, lines, style);
        way.pop();
    }
}

/// The condition that is about contracts.
const VERIFIED: &str = "contract verified";

/// What became of the contracts in which it is the provider: one line, and what shows more.
fn contracts(node: &NodeStatus, first: &str, rest: &str, style: Style) -> Vec<String> {
    let Some(contracts) = &node.contracts else {
        return Vec::new();
    };
    let Some(last) = &contracts.last else {
        return vec![format!("{first}contracts: {}", style.dim("being verified"))];
    };
    let text = match last.verdict.as_str() {
        "kept" => style.good(&last.text),
        "broken" => style.error(&last.text),
        _ => style.warn(&last.text),
    };
    let when = match (contracts.verifying, contracts.stale) {
        (true, _) => " (of before; being verified again)",
        (false, true) => " (of an earlier build)",
        (false, false) => "",
    };
    let mut lines = vec![format!("{first}contracts: {text}{}", style.dim(when))];
    if !last.help.is_empty() {
        lines.push(format!("{rest}{} {}", style.help("help:"), last.help));
    }
    lines
}

fn breaks_contracts(node: &NodeStatus) -> bool {
    let last = node.contracts.as_ref().and_then(|contracts| contracts.last.as_ref());
    last.is_some_and(|last| last.verdict == "broken")
}

/// One reason: another node, or something else in words.
struct Reason<'a> {
    node: Option<&'a NodeStatus>,
    text: String,
}

/// What holds a node; for one that came up, what it had to wait for.
fn reasons<'a>(status: &'a StatusReply, node: &'a NodeStatus) -> Vec<Reason<'a>> {
    let next = (!node.next.is_empty()).then(|| Reason {
        node: None,
        text: node.next.clone(),
    });
    let find = |id: &str| status.nodes.iter().find(|other| other.id == id || other.service == id);
    if !node.holds.is_empty() {
        let reason = |hold: &devctl_wire::v1::Hold| match find(&hold.on) {
            Some(on) => Reason {
                node: Some(on),
                text: match hold.condition.as_str() {
                    "" => condition(status, node, on),
                    condition => condition.replace('_', " "),
                },
            },
            None => Reason {
                node: None,
                text: hold.text.clone(),
            },
        };
        // What the node's own line says already is no further reason; of one that cannot start, it does not say why.
        let said = |hold: &&devctl_wire::v1::Hold| {
            hold.text.is_empty() || hold.text != node.summary || !hold.on.is_empty() && node.state() == State::Failed
        };
        return node.holds.iter().filter(said).map(reason).collect();
    }
    let needs = status
        .dependencies
        .iter()
        .filter(|dependency| dependency.from == node.service);
    let mut found: Vec<&NodeStatus> = needs.filter_map(|dependency| find(&dependency.to)).collect();
    // The one that was ready last is the one that it waited for.
    found.sort_by_key(|on| std::cmp::Reverse(on.ready_unix_ms));
    let found = found.into_iter().map(|on| Reason {
        node: Some(on),
        text: condition(status, node, on),
    });
    next.into_iter().chain(found).collect()
}

fn condition(status: &StatusReply, from: &NodeStatus, to: &NodeStatus) -> String {
    let found = status
        .dependencies
        .iter()
        .find(|dependency| dependency.from == from.service && dependency.to == to.service);
    found
        .map(|dependency| dependency.condition.replace('_', " "))
        .unwrap_or_default()
}

/// A node's state in one line, with how long it took to come up.
fn said(node: &NodeStatus, style: Style) -> String {
    let took = match (node.started_unix_ms, node.ready_unix_ms) {
        (Some(started), Some(ready)) => format!(" in {}", seconds(u64::try_from(ready - started).unwrap_or(0))),
        _ => String::new(),
    };
    match node.state() {
        State::Ready => format!("{}{took}", style.good("ready")),
        State::Completed => format!("{}{took}", style.good("completed")),
        // Why it cannot is what the branches say.
        State::Failed if node.holds.iter().any(|hold| !hold.on.is_empty()) => style.error("cannot start"),
        State::Failed => style.error(&one_line(node, &format!("failed: {}", why_failed(node)))),
        State::Unhealthy => style.error(&one_line(node, "unhealthy")),
        State::Waiting if node.holds.first().is_some_and(|hold| hold.on.is_empty()) => {
            style.warn(&one_line(node, "waiting"))
        }
        State::Paused => style.warn(&one_line(node, "paused")),
        State::Waiting => style.warn("waiting"),
        State::Down => style.dim("down"),
        State::Building | State::Starting | State::Stopping | State::Backoff => {
            style.busy(&one_line(node, &to_json::state(node)))
        }
    }
}

fn one_line(node: &NodeStatus, otherwise: &str) -> String {
    if node.summary.is_empty() {
        otherwise.to_owned()
    } else {
        node.summary.clone()
    }
}

/// The same tree as data.
fn tree<'a>(status: &'a StatusReply, node: &'a NodeStatus, way: &mut Vec<&'a str>) -> Value {
    if way.contains(&node.id.as_str()) {
        return json!({"node": node.id, "cycle": true});
    }
    way.push(&node.id);
    let because: Vec<Value> = reasons(status, node)
        .into_iter()
        .map(|reason| match reason.node {
            Some(on) => {
                let mut below = tree(status, on, way);
                below["condition"] = reason.text.into();
                below
            }
            None => json!({"text": reason.text}),
        })
        .collect();
    way.pop();
    let state = to_json::state(node);
    json!({
        "node": node.id,
        "state": state,
        "summary": node.summary,
        "started_unix_ms": node.started_unix_ms,
        "ready_unix_ms": node.ready_unix_ms,
        "contracts": node.contracts.as_ref().map(to_json::contracts),
        "because": because,
    })
}

#[cfg(test)]
mod tests;
