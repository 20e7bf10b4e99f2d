//! `ps`: the services and how they are.
//!
//! As under Docker Compose, what is over is shown with `--all` only; but what failed, or still waits, is never hidden: it is why one looks.

use std::io::{self, Write};

use clap::Args;
use devctl_wire::v1::{NodeStatus, State, StatusReply, StatusRequest};

use crate::args::{Format, Services};
use crate::client;
use crate::containers::Containers;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::style::Style;
use crate::render::{table, text::truncate};

pub(crate) mod container;

/// The runtime of a node in a container.
const DOCKER: &str = "docker";

/// List services
#[derive(Args, Debug)]
pub(crate) struct Ps {
    #[command(flatten)]
    services: Services,

    /// Also those that are down or completed, and the containers of `run`
    #[arg(short, long)]
    all: bool,

    /// Only ids, one in a line: of containers the engine's, of processes their names
    #[arg(short, long)]
    quiet: bool,

    /// Only the names of services, one in a line
    #[arg(long = "services")]
    names: bool,

    /// Only those in this state: created, running, paused, restarting, removing, exited
    #[arg(long, value_name = "STATE", value_parser = container::STATES)]
    status: Vec<String>,

    /// Only those of which this holds: `status=running`
    #[arg(long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Option<String>,

    /// `table`, `json`, or a template such as `{{.Name}} {{.Status}}` [default: table]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,

    /// Do not cut the status short
    #[arg(long)]
    no_trunc: bool,

    /// Also services that the files no longer name
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    orphans: bool,
}

impl Ps {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project()?;
        let mut status = status(context, &project, self.services.services.clone())?;
        if self.all && status.nodes.iter().any(|node| node.runtime == DOCKER) {
            let containers = context.block_on(async { Ok(Containers::look(context, &project).await) })?;
            status.nodes.extend(containers.iter().flat_map(Containers::one_offs));
        }
        // What runs may no longer be in the file, and is still to be listed by name.
        let gone = |service: &&String| !status.nodes.iter().any(|node| node.service == **service);
        project.check_services(self.services.services.iter().filter(gone))?;
        let nodes: Vec<&NodeStatus> = status.nodes.iter().filter(|node| self.shows(node, &status)).collect();
        let mut out = io::stdout().lock();
        let format = match &self.format {
            Some(format) => format.as_str(),
            None if context.terminal.format == Format::Json => "json",
            None => "table",
        };
        if self.quiet || self.names {
            let mut seen = Vec::new();
            for node in nodes {
                let name = if self.quiet {
                    container::id(node).to_owned()
                } else {
                    node.service.clone()
                };
                if !seen.contains(&name) {
                    writeln!(out, "{name}")?;
                    seen.push(name);
                }
            }
        } else if format == "json" {
            for node in nodes {
                writeln!(out, "{}", container::object(node, &status.project))?;
            }
        } else if format == "table" {
            let limit = if self.no_trunc { usize::MAX } else { STATUS_LIMIT };
            for line in table::lines(&rows(&nodes, limit, context.terminal.out)) {
                writeln!(out, "{line}")?;
            }
        } else {
            for line in container::template(format, &nodes, &status.project)? {
                writeln!(out, "{line}")?;
            }
        }
        Ok(Exit::Ok)
    }

    fn shows(&self, node: &NodeStatus, status: &StatusReply) -> bool {
        let service = &self.services.services;
        let asked_for = service.is_empty() || service.contains(&node.service) || service.contains(&node.id);
        let state = container::state(node);
        let wanted: Vec<&str> = self.status.iter().chain(&self.filter).map(String::as_str).collect();
        let by_state = if wanted.is_empty() {
            self.all || !matches!(node.state(), State::Down | State::Completed)
        } else {
            wanted.contains(&state)
        };
        let orphan = status.orphans.iter().any(|orphan| orphan.node == node.id);
        asked_for && by_state && (self.orphans || !orphan)
    }
}

/// A snapshot from the daemon; without one, what an engine has of the project, and every other service of the files as down.
pub(crate) fn status(context: &Context, project: &Project, services: Vec<String>) -> Result<StatusReply, Error> {
    let found = context.block_on(async {
        match client::find(project).await? {
            Some(mut client) => {
                let request = StatusRequest {
                    services,
                    resolved: false,
                };
                Ok(Some(client.status(request).await?.into_inner()))
            }
            None => Ok(Containers::look(context, project)
                .await
                .map(|found| found.status(project))),
        }
    })?;
    Ok(found.unwrap_or_else(|| project.as_down()))
}

/// Columns of a status in the table; `why` and --no-trunc have all of it.
const STATUS_LIMIT: usize = 72;

fn rows(nodes: &[&NodeStatus], limit: usize, style: Style) -> Vec<Vec<String>> {
    // Only where there is something to say of them.
    let contracts = nodes.iter().any(|node| node.contracts.is_some());
    let head = ["NAME", "RUNTIME", "STATUS", "CONTRACTS", "PORTS"];
    let head = head.iter().filter(|name| contracts || **name != "CONTRACTS");
    let mut rows = vec![head.map(|name| (*name).to_owned()).collect::<Vec<_>>()];
    rows.extend(nodes.iter().map(|node| {
        let mut row = vec![
            node.id.clone(),
            container::runtime(node),
            truncate(&colored(node, style), limit),
        ];
        row.extend(contracts.then(|| verdicts(node, style)));
        row.push(container::ports(node));
        row
    }));
    rows
}

/// `12 kept, 1 broken`; `why` says what is broken.
fn verdicts(node: &NodeStatus, style: Style) -> String {
    let Some(contracts) = &node.contracts else {
        return String::new();
    };
    let Some(last) = &contracts.last else {
        return style.dim("verifying");
    };
    let counts = [
        (last.kept, "kept"),
        (last.broken, "broken"),
        (last.pending, "pending"),
        (last.could_not_run, "could not run"),
    ];
    let counted = counts.iter().filter(|(count, _)| *count > 0);
    let counted: Vec<String> = counted.map(|(count, word)| format!("{count} {word}")).collect();
    let mut text = counted.join(", ");
    if text.is_empty() {
        text = "could not run".to_owned();
    } else if last.verdict == "could-not-run" && last.could_not_run == 0 {
        text.push_str(", a pact unread");
    }
    if contracts.verifying {
        return style.dim(&format!("{text} (verifying)"));
    }
    if contracts.stale {
        return style.dim(&format!("{text} (before)"));
    }
    match last.verdict.as_str() {
        "kept" => style.good(&text),
        "broken" => style.error(&text),
        _ => style.warn(&text),
    }
}

/// How a node is, in the words of the table.
pub(crate) fn in_words(node: &NodeStatus) -> String {
    container::status(node)
}

fn colored(node: &NodeStatus, style: Style) -> String {
    let status = container::status(node);
    match node.state() {
        State::Ready | State::Completed => style.good(&status),
        State::Failed | State::Unhealthy => style.error(&status),
        State::Backoff | State::Paused => style.warn(&status),
        State::Starting | State::Building | State::Stopping => style.busy(&status),
        State::Down | State::Waiting => style.dim(&status),
    }
}

fn filter(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some(("status", state)) if container::STATES.contains(&state) => Ok(state.to_owned()),
        Some(("status", state)) => Err(format!(
            "`{state}` is no state; there are {}",
            container::STATES.join(", ")
        )),
        Some((key, _)) => Err(format!("`{key}` cannot be filtered by; there is `status`")),
        None => Err("write it as status=STATE".into()),
    }
}
