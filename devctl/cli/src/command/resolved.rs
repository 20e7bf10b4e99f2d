//! `config --resolved`: what each service would be told, names of others replaced by the addresses of its own edges.

use std::io::{self, Write};

use devctl_wire::v1::{self, ResolvedNode, update::What};
use tokio_stream::StreamExt;

use crate::client;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::ProjectError;

/// Asks the daemon (one is started where there is none: it alone knows the leases) and prints. Nothing is started.
pub(crate) fn run(context: &Context, services: &[String], as_json: bool) -> Result<Exit, Error> {
    let project = context.project_of(services)?;
    let nodes = context.block_on(async {
        let mut client = client::find_or_start(&project).await?;
        let request = v1::UpRequest {
            source: Some(context.source(&project)),
            services: services.to_vec(),
            dry_run: true,
            no_deps: true,
            ..v1::UpRequest::default()
        };
        let mut updates = client.up(request).await?.into_inner();
        let mut nodes = Vec::new();
        while let Some(update) = updates.next().await {
            match update?.what {
                Some(What::Plan(plan)) => nodes = plan.resolved,
                Some(What::Outcome(outcome)) => {
                    let problems = outcome
                        .diagnostics
                        .into_iter()
                        .map(|diagnostic| diagnostic.text)
                        .collect::<Vec<_>>();
                    if outcome.result == i32::from(v1::Result::Invalid) {
                        return Err(ProjectError::Invalid { diagnostics: problems }.into());
                    }
                    break;
                }
                _ => {}
            }
        }
        Ok(nodes)
    })?;
    let wanted = |node: &&ResolvedNode| services.is_empty() || services.contains(&node.node);
    let mut out = io::stdout().lock();
    for node in nodes.iter().filter(wanted) {
        match as_json {
            true => writeln!(out, "{}", json(node))?,
            false => write!(out, "{}", text(node))?,
        }
    }
    Ok(Exit::Ok)
}

fn text(node: &ResolvedNode) -> String {
    let resolved = node.resolved.clone().unwrap_or_default();
    let mut text = format!("{} ({})\n", node.node, node.runtime);
    if !resolved.command.is_empty() {
        text.push_str(&format!(
            "  command: {}\n  in: {}\n",
            resolved.command.join(" "),
            resolved.directory
        ));
    }
    for pair in &resolved.environment {
        text.push_str(&format!("  {}={}\n", pair.key, pair.value));
        for rewrite in resolved.rewrites.iter().filter(|rewrite| rewrite.r#where == pair.key) {
            text.push_str(&format!("    the file says {}\n", rewrite.written));
        }
    }
    text
}

fn json(node: &ResolvedNode) -> serde_json::Value {
    let resolved = node.resolved.clone().unwrap_or_default();
    let environment: serde_json::Map<String, serde_json::Value> = resolved
        .environment
        .into_iter()
        .map(|pair| (pair.key, pair.value.into()))
        .collect();
    let rewrite = |rewrite: v1::Rewrite| serde_json::json!({ "where": rewrite.r#where, "written": rewrite.written, "told": rewrite.told });
    let rewrites: Vec<serde_json::Value> = resolved.rewrites.into_iter().map(rewrite).collect();
    serde_json::json!({
        "service": node.node,
        "runtime": node.runtime,
        "command": resolved.command,
        "directory": resolved.directory,
        "environment": environment,
        "rewrites": rewrites,
    })
}
