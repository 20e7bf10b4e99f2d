//! `ls`: every project of this user that devctl runs, and every Compose project on the engine.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use devctl_drivers::dirs::{Dirs, OWNER, Places};
use devctl_drivers::docker::{Engine, labels};
use devctl_wire::v1::StatusRequest;
use devctl_wire::{ConnectError, connect};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::ps::container;
use crate::args::Runtime;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::render::table;
use crate::standing;

/// List all projects that run: devctl's, and Docker Compose's on the engine
#[derive(Args, Debug)]
pub(crate) struct Ls {
    /// Also those of which nothing runs
    #[arg(short, long)]
    all: bool,

    /// Only those of which this holds: `name=shop` (a part of the name)
    #[arg(long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<String>,

    /// `table` or `json`
    #[arg(long, value_name = "FORMAT", value_parser = ["table", "json"])]
    format: Option<String>,

    /// Only names
    #[arg(short = 'q', long = "quiet", id = "only_names")]
    only_names: bool,
}

/// One project.
#[derive(Debug, Default, PartialEq, Eq)]
struct Listed {
    /// How many of its services are in which of Docker Compose's states.
    states: BTreeMap<String, usize>,
    files: Vec<String>,
    /// Its directory, where a daemon of devctl's serves it.
    directory: Option<PathBuf>,
    /// In place of the states.
    remark: Option<String>,
}

/// A daemon that is held still (in a debugger) is not waited for longer.
const PATIENCE: Duration = Duration::from_secs(2);

/// By name and directory: two checkouts of one name are two projects.
type Found = BTreeMap<(String, PathBuf), Listed>;

impl Ls {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let found = context.block_on(async {
            let mut found = served().await;
            if context.global.runtime() != Runtime::Native {
                of_engine(&mut found).await?;
            }
            Ok(found)
        })?;
        let mut rows: Vec<(&String, &Listed)> = found
            .iter()
            .filter(|((name, _), one)| (self.all || one.runs()) && self.passes(name))
            .map(|((name, _), one)| (name, one))
            .collect();
        rows.sort_by_key(|(name, _)| *name);
        let mut out = io::stdout().lock();
        if self.only_names {
            for (name, _) in rows {
                writeln!(out, "{name}")?;
            }
            return Ok(Exit::Ok);
        }
        if context.terminal.is_json(self.format.as_deref()) {
            let objects: Vec<Value> = rows
                .iter()
                .map(|(name, one)| {
                    json!({
                        "Name": name,
                        "Status": one.status(self.all),
                        "ConfigFiles": one.files.join(","),
                        "ServedBy": if one.directory.is_some() { "devctl" } else { "docker compose" },
                    })
                })
                .collect();
            writeln!(out, "{}", Value::Array(objects))?;
            return Ok(Exit::Ok);
        }
        let cells = rows
            .iter()
            .map(|(name, one)| vec![(*name).clone(), one.status(self.all), one.files.join(",")]);
        table::write(&mut out, &["NAME", "STATUS", "CONFIG FILES"], cells)?;
        Ok(Exit::Ok)
    }

    fn passes(&self, name: &str) -> bool {
        self.filter.is_empty() || self.filter.iter().any(|part| name.contains(part.as_str()))
    }
}

impl Listed {
    fn runs(&self) -> bool {
        self.remark.is_some() || self.states.keys().any(|state| is_running(state))
    }

    /// `exited(1), running(2)`.
    fn status(&self, all: bool) -> String {
        if let Some(remark) = &self.remark {
            return remark.clone();
        }
        let states = self.states.iter().filter(|(state, _)| all || is_running(state));
        let words: Vec<String> = states.map(|(state, count)| format!("{state}({count})")).collect();
        words.join(", ")
    }
}

fn is_running(state: &str) -> bool {
    matches!(state, "running" | "paused" | "restarting" | "removing" | "unknown")
}

/// The projects that daemons of this user serve.
async fn served() -> Found {
    let mut found = Found::new();
    // Any project tells where all of them are.
    let one = Dirs::of_project(Path::new("/"), "x", &Places::from_env());
    let Some(parent) = one.runtime.parent() else {
        return found;
    };
    let sockets: Vec<PathBuf> = match std::fs::read_dir(parent) {
        Ok(entries) => entries.flatten().map(|entry| entry.path().join("api.sock")).collect(),
        Err(_) => Vec::new(),
    };
    let all = sockets
        .iter()
        .filter(|socket| socket.exists())
        .map(|socket| asked(socket));
    found.extend(join_all(all).await.into_iter().flatten());
    found
}

/// What the daemon at a socket serves; none where there is no daemon, or one that ends just now.
async fn asked(socket: &Path) -> Option<((String, PathBuf), Listed)> {
    let mute = |remark: String| {
        let owner = std::fs::read_to_string(socket.with_file_name(OWNER)).unwrap_or_default();
        let directory = PathBuf::from(owner.trim_end());
        let name = directory.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let listed = Listed {
            directory: Some(directory.clone()),
            remark: Some(remark),
            ..Listed::default()
        };
        Some(((name, directory), listed))
    };
    let answer = async {
        let (mut client, hello) = connect(socket).await?;
        Ok((client.status(StatusRequest::default()).await, hello))
    };
    let (status, hello) = match timeout(PATIENCE, answer).await {
        Ok(Ok((status, hello))) => (status.ok()?.into_inner(), hello),
        Ok(Err(ConnectError::OtherVersion { daemon, .. })) => return mute(format!("served by devctl {daemon}")),
        Ok(Err(ConnectError::Absent { .. } | ConnectError::Silent { .. })) => return None,
        Err(_) => return mute("its daemon does not answer".to_owned()),
    };
    let directory = PathBuf::from(hello.project_directory);
    let mut listed = Listed {
        files: status.compose_files.clone(),
        directory: Some(directory.clone()),
        ..Listed::default()
    };
    for node in &status.nodes {
        *listed.states.entry(container::state(node).to_owned()).or_default() += 1;
    }
    Some(((hello.project, directory), listed))
}

/// The engine's, but for those that a daemon has told of.
async fn of_engine(found: &mut Found) -> Result<(), Error> {
    // Without an engine it has no projects.
    let Ok(engine) = Engine::connect(&standing::environment()).await else {
        return Ok(());
    };
    let containers = engine.containers(&[labels::PROJECT.to_owned()]).await;
    for container in containers.map_err(|error| standing::refused(&error))? {
        if container.is_one_off() {
            continue;
        }
        let name = container.label(labels::PROJECT).unwrap_or_default().to_owned();
        let directory = PathBuf::from(container.label(labels::WORKING_DIR).unwrap_or_default());
        // A daemon that tells nothing of its project has these containers, whatever it calls it; a second checkout's have a suffix.
        let has_suffix = |known: &str| name.strip_prefix(known).is_some_and(|rest| rest.starts_with('-'));
        let is_ours = container.label(labels::DEVCTL).is_some();
        let is_known =
            |known: &str, one: &Listed| known == name || one.remark.is_some() || is_ours && has_suffix(known);
        let mut served = found
            .iter()
            .filter(|((_, at), one)| one.directory.is_some() && *at == directory);
        if served.any(|((known, _), one)| is_known(known, one)) {
            continue;
        }
        let listed = found.entry((name, directory)).or_default();
        *listed.states.entry(container.state.clone()).or_default() += 1;
        if listed.files.is_empty() {
            let files = container.label(labels::CONFIG_FILES).unwrap_or_default();
            listed.files = files
                .split(',')
                .filter(|file| !file.is_empty())
                .map(str::to_owned)
                .collect();
        }
    }
    Ok(())
}

fn filter(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some(("name", part)) => Ok(part.to_owned()),
        Some((key, _)) => Err(format!("`{key}` cannot be filtered by; there is `name`")),
        None => Err("write it as name=PART".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_counted_as_docker_compose_counts_them() {
        let listed = Listed {
            states: [("running".to_owned(), 2), ("exited".to_owned(), 1)].into(),
            ..Listed::default()
        };
        assert!(listed.runs());
        assert_eq!(listed.status(false), "running(2)");
        assert_eq!(listed.status(true), "exited(1), running(2)");
        let over = Listed {
            states: [("exited".to_owned(), 1)].into(),
            ..Listed::default()
        };
        assert!(!over.runs());
    }
}
