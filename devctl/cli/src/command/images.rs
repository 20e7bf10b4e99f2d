//! `images`: what the services run from: images, and of processes the programs.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use devctl_wire::v1::NodeStatus;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::args::Services;
use crate::containers::Containers;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::{size, table};
use crate::standing;

/// List what services run from: the images of containers, the programs of processes
#[derive(Args, Debug)]
pub(crate) struct Images {
    #[command(flatten)]
    services: Services,

    /// `table` or `json`
    #[arg(long, value_name = "FORMAT", value_parser = ["table", "json"])]
    format: Option<String>,

    /// Only the ids of images, and the paths of programs
    #[arg(short = 'q', long = "quiet", id = "only_ids")]
    only_ids: bool,
}

/// What one container, or one process, runs from.
#[derive(Debug, Default)]
struct Row {
    name: String,
    runtime: &'static str,
    repository: String,
    tag: String,
    platform: String,
    id: String,
    size: u64,
    created: Option<Timestamp>,
    tagged: Option<Timestamp>,
}

impl Images {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of(&self.services.services)?;
        let mut rows = context.block_on(self.of_containers(context, &project))?;
        let status = super::ps::status(context, &project, self.services.services.clone())?;
        let wanted = |node: &&NodeStatus| self.is_wanted(&node.service) && node.runtime != "docker";
        rows.extend(status.nodes.iter().filter(wanted).filter_map(of_process));
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        let mut out = io::stdout().lock();
        if self.only_ids {
            let mut seen = Vec::new();
            for row in &rows {
                let id = row.id.trim_start_matches("sha256:").to_owned();
                if !seen.contains(&id) {
                    writeln!(out, "{id}")?;
                    seen.push(id);
                }
            }
            return Ok(Exit::Ok);
        }
        if context.terminal.is_json(self.format.as_deref()) {
            let objects: Vec<Value> = rows.iter().map(Row::json).collect();
            writeln!(out, "{}", Value::Array(objects))?;
            return Ok(Exit::Ok);
        }
        let head = [
            "CONTAINER",
            "REPOSITORY",
            "TAG",
            "PLATFORM",
            "IMAGE ID",
            "SIZE",
            "CREATED",
        ];
        let now = Timestamp::now();
        table::write(&mut out, &head, rows.iter().map(|row| row.cells(now)))?;
        Ok(Exit::Ok)
    }

    fn is_wanted(&self, service: &str) -> bool {
        self.services.services.is_empty() || self.services.services.iter().any(|name| name == service)
    }

    async fn of_containers(&self, context: &Context, project: &Project) -> Result<Vec<Row>, Error> {
        let Some(found) = Containers::look(context, project).await else {
            return Ok(Vec::new());
        };
        let mut rows = Vec::new();
        for container in &found.all {
            if container.is_one_off() || !self.is_wanted(container.service()) {
                continue;
            }
            let facts = found.engine().image_facts(&container.image_id).await;
            let facts = facts.map_err(|error| standing::refused(&error))?.unwrap_or_default();
            // By the name that the container was made with, where the image still has it.
            let named = facts.tags.iter().find(|tag| **tag == container.image);
            let name = named.or(facts.tags.first()).cloned().unwrap_or_default();
            let (repository, tag) = name.rsplit_once(':').unwrap_or((&name, ""));
            let or_none = |text: &str| if text.is_empty() { "<none>" } else { text }.to_owned();
            rows.push(Row {
                name: container.name.clone(),
                runtime: "docker",
                repository: or_none(repository),
                tag: or_none(tag),
                platform: facts.platform,
                id: container.image_id.clone(),
                size: facts.size,
                created: facts.created,
                tagged: facts.tagged,
            });
        }
        Ok(rows)
    }
}

/// The program of a process that runs. None: nothing of it runs here.
fn of_process(node: &NodeStatus) -> Option<Row> {
    let program = program(node)?;
    let seen = program.metadata().ok();
    let made = seen.as_ref().and_then(|seen| seen.modified().ok());
    Some(Row {
        name: node.id.clone(),
        runtime: "native",
        repository: program.display().to_string(),
        tag: match node.version.as_str() {
            "" => "process".to_owned(),
            version => version.to_owned(),
        },
        platform: format!("{}/{}", std::env::consts::OS, architecture()),
        id: program.display().to_string(),
        size: seen.as_ref().map(std::fs::Metadata::len).unwrap_or_default(),
        created: made.and_then(|made| Timestamp::try_from(made).ok()),
        tagged: None,
    })
}

fn program(node: &NodeStatus) -> Option<PathBuf> {
    if node.pid == 0 {
        return None;
    }
    // What the kernel says runs; a script runs by its interpreter, and then the command says more.
    let run = std::fs::read_link(format!("/proc/{}/exe", node.pid)).ok();
    let words = shell_words::split(&node.command).unwrap_or_default();
    let written = words.first().map(PathBuf::from);
    match (run, written) {
        (Some(run), Some(written))
            if written.is_absolute() && written.is_file() && written.file_name() != run.file_name() =>
        {
            Some(written)
        }
        (Some(run), _) => Some(without_mark(&run)),
        (None, written) => written,
    }
}

/// A program that was built anew since it was started is marked by the kernel.
fn without_mark(path: &Path) -> PathBuf {
    let text = path.to_string_lossy();
    PathBuf::from(text.strip_suffix(" (deleted)").unwrap_or(&text))
}

/// The machine's architecture in Docker's words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl Row {
    fn cells(&self, now: Timestamp) -> Vec<String> {
        vec![
            self.name.clone(),
            self.repository.clone(),
            self.tag.clone(),
            self.platform.clone(),
            match self.runtime {
                "docker" => super::pull::short(&self.id).to_owned(),
                _ => "-".to_owned(),
            },
            size::bytes(self.size),
            self.created.map(|at| size::age(at, now)).unwrap_or_default(),
        ]
    }

    /// Docker Compose's fields, then devctl's own.
    fn json(&self) -> Value {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        json!({
            "ID": if self.runtime == "docker" { self.id.as_str() } else { "" },
            "ContainerName": self.name,
            "Repository": self.repository,
            "Tag": self.tag,
            "Platform": self.platform,
            "Size": self.size,
            "Created": time(self.created),
            "LastTagTime": time(self.tagged),
            "Runtime": self.runtime,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_was_built_anew_keeps_its_name() {
        assert_eq!(without_mark(Path::new("/x/api (deleted)")), Path::new("/x/api"));
        assert_eq!(without_mark(Path::new("/x/api")), Path::new("/x/api"));
    }
}
