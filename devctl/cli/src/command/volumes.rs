//! `volumes`: where the project's data is kept: volumes of the engine, and directories of the servers that run as processes.

use std::collections::HashSet;
use std::io::{self, Write};

use clap::Args;
use devctl_compose::model::MountKind;
use devctl_drivers::docker::{Engine, ListedVolume, labels};
use serde_json::{Value, json};

use crate::args::{Format, Runtime, Services};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::{table, template};
use crate::standing;

/// The driver of data that is a directory of devctl's.
const DIRECTORY: &str = "devctl";

/// List the project's volumes, and the data of servers that run as processes
#[derive(Args, Debug)]
pub(crate) struct Volumes {
    #[command(flatten)]
    services: Services,

    /// `table`, `json`, or a template such as `{{.Name}} {{.Driver}}` [default: table]
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,

    /// Only names
    #[arg(short = 'q', long = "quiet", id = "only_names")]
    only_names: bool,
}

impl Volumes {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project_of(&self.services.services)?;
        let used = self.used(&project);
        let is_wanted = |key: &str| used.as_ref().is_none_or(|used| used.contains(key));
        let mut all = Vec::new();
        if context.global.runtime() != Runtime::Native {
            let found = context.block_on(of_engine(&project))?;
            all.extend(found.into_iter().filter(|volume| {
                let key = volume.labels.get(labels::VOLUME).map(String::as_str);
                is_wanted(key.unwrap_or_default())
            }));
        }
        all.extend(directories(&project).into_iter().filter(|volume| {
            let key = volume.labels.get(labels::VOLUME).map(String::as_str);
            is_wanted(key.unwrap_or_default())
        }));
        let mut out = io::stdout().lock();
        let format = match &self.format {
            Some(format) => format.as_str(),
            None if context.terminal.format == Format::Json => "json",
            None => "table",
        };
        if self.only_names {
            for volume in &all {
                writeln!(out, "{}", volume.name)?;
            }
        } else if format == "json" {
            for volume in &all {
                writeln!(out, "{}", object(volume))?;
            }
        } else if format == "table" {
            let rows = all
                .iter()
                .map(|volume| vec![volume.driver.clone(), volume.name.clone()]);
            table::write(&mut out, &["DRIVER", "VOLUME NAME"], rows)?;
        } else {
            let known = object(&ListedVolume::default());
            let mut fields = template::fields(&known);
            fields.sort_by_key(|field| (*field != "Name", *field != "Driver"));
            let objects: Vec<Value> = all.iter().map(object).collect();
            for line in template::lines(format, &objects, &fields, "volume")? {
                writeln!(out, "{line}")?;
            }
        }
        Ok(Exit::Ok)
    }

    /// The keys of the volumes that these services use; None: every volume is wanted.
    fn used(&self, project: &Project) -> Option<HashSet<String>> {
        if self.services.services.is_empty() {
            return None;
        }
        let services = self.services.services.iter();
        let services = services.filter_map(|name| project.model.services.get(name));
        let mounts = services.flat_map(|service| service.volumes.iter());
        let named = mounts.filter(|mount| mount.kind == MountKind::Volume);
        Some(named.filter_map(|mount| mount.source.clone()).collect())
    }
}

async fn of_engine(project: &Project) -> Result<Vec<ListedVolume>, Error> {
    // Without an engine it has no volumes.
    let Ok(engine) = Engine::connect(&standing::environment()).await else {
        return Ok(Vec::new());
    };
    let label = format!("{}={}", labels::PROJECT, project.docker_name());
    let found = engine.volumes_with(&label).await;
    found.map_err(|error| standing::refused(&error))
}

/// The data directories of servers, one for each named volume.
fn directories(project: &Project) -> Vec<ListedVolume> {
    let parent = project.dirs.data.join("volumes");
    let entries = std::fs::read_dir(&parent).into_iter().flatten().flatten();
    let mut found: Vec<ListedVolume> = entries
        .filter(|entry| entry.path().is_dir())
        .map(|entry| {
            let key = entry.file_name().to_string_lossy().into_owned();
            let own = [
                (labels::PROJECT.to_owned(), project.docker_name()),
                (labels::VOLUME.to_owned(), key.clone()),
            ];
            ListedVolume {
                name: format!("{}_{key}", project.docker_name()),
                driver: DIRECTORY.to_owned(),
                mountpoint: entry.path().display().to_string(),
                scope: "local".to_owned(),
                labels: own.into(),
            }
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// Docker's fields.
fn object(volume: &ListedVolume) -> Value {
    let labels = volume.labels.iter().map(|(name, value)| format!("{name}={value}"));
    json!({
        "Availability": "N/A",
        "Driver": volume.driver,
        "Group": "N/A",
        "Labels": labels.collect::<Vec<_>>().join(","),
        "Links": "N/A",
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Scope": volume.scope,
        "Size": "N/A",
        "Status": "N/A",
    })
}
