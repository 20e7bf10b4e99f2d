//! `config`: what the Compose files mean, printed as `docker compose config` prints it.

use std::fs::File;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use devctl_compose::{Diagnostics, LoadOptions, Loaded, ModelTree};
use devctl_daemon::DiskFiles;

use crate::args::Services;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::{self, ProjectError};

mod digests;

/// Check the Compose files and print what they mean
#[derive(Args, Debug)]
pub(crate) struct Config {
    #[command(flatten)]
    services: Services,

    /// `yaml` or `json` [default: yaml]
    #[arg(long = "format", value_name = "FORMAT", value_enum)]
    shape: Option<Shape>,

    /// Write to a file
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,

    /// Only check; print nothing
    #[arg(short = 'q', long = "quiet", id = "check_only")]
    check_only: bool,

    /// Leave variables as they are written
    #[arg(long)]
    no_interpolate: bool,

    /// Add no implied networks, names and dependencies
    #[arg(long)]
    no_normalize: bool,

    /// Leave relative paths relative
    #[arg(long)]
    no_path_resolution: bool,

    /// Do not check that references lead somewhere
    #[arg(long)]
    no_consistency: bool,

    /// Do not read the services' `env_file`
    #[arg(long)]
    no_env_resolution: bool,

    /// Pin images to the digests by which their registries know them
    #[arg(long, conflicts_with = "no_interpolate")]
    resolve_image_digests: bool,

    /// Print only that, as a file to lay over the others: `-f compose.yaml -f locked.yaml`
    #[arg(long, conflicts_with = "no_interpolate")]
    lock_image_digests: bool,

    /// Print what each service would be told: addresses in place of names, secrets hidden
    #[arg(long, conflicts_with_all = ["no_interpolate", "output"])]
    resolved: bool,

    #[command(flatten)]
    list: List,
}

/// What is listed in place of the whole, a line each.
#[derive(Args, Debug)]
#[group(multiple = false)]
struct List {
    /// Names of services
    #[arg(long = "services", id = "list_services")]
    services: bool,

    /// Names of volumes
    #[arg(long = "volumes", id = "list_volumes")]
    volumes: bool,

    /// Names of networks
    #[arg(long = "networks", id = "list_networks")]
    networks: bool,

    /// Language models
    #[arg(long = "models", id = "list_models")]
    models: bool,

    /// Names of profiles
    #[arg(long = "profiles", id = "list_profiles")]
    profiles: bool,

    /// Images
    #[arg(long = "images", id = "list_images")]
    images: bool,

    /// Variables, with their defaults
    #[arg(long = "variables", id = "list_variables")]
    variables: bool,

    /// The environment that variables are taken from
    #[arg(long = "environment", id = "list_environment")]
    environment: bool,

    /// Hashes of services by which Compose knows a change; `*` for all
    #[arg(long = "hash", id = "list_hash", value_name = "SERVICE,...")]
    hash: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    Yaml,
    Json,
}

impl List {
    fn is_any(&self) -> bool {
        let names = self.services || self.volumes || self.networks || self.models || self.profiles || self.images;
        names || self.variables || self.environment || self.hash.is_some()
    }
}

impl Config {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        if self.resolved {
            return super::resolved::run(context, &self.services.services, self.shape == Some(Shape::Json));
        }
        let text = if self.list.variables {
            variables(&self.tree(context, true)?, self.shape)?
        } else if self.no_interpolate {
            let tree = self.tree(context, false)?;
            match self.shape {
                _ if self.list.services => lines(tree.names("services")),
                Some(Shape::Json) => tree.to_json_text(),
                Some(Shape::Yaml) | None => tree.to_yaml(),
            }
        } else if self.resolve_image_digests || self.lock_image_digests {
            let mut loaded = self.load(context)?;
            context.block_on(digests::resolve(&mut loaded.project))?;
            match self.lock_image_digests {
                true => digests::lock(&loaded.project, self.shape == Some(Shape::Json)),
                false => self.print(&loaded)?,
            }
        } else {
            // The process ends next: taking a project apart would be time lost.
            self.print(&ManuallyDrop::new(self.load(context)?))?
        };
        if self.check_only {
            return Ok(Exit::Ok);
        }
        match &self.output {
            Some(path) => std::fs::write(path, text).map_err(|source| Error::Io {
                doing: format!("write `{}`", path.display()),
                source,
                help: None,
            })?,
            None => {
                // As it is, at once: standard output's own buffer would part it at its last line.
                let out = io::stdout().as_fd().try_clone_to_owned()?;
                File::from(out).write_all(text.as_bytes())?;
            }
        }
        Ok(Exit::Ok)
    }

    fn options(&self, context: &Context) -> LoadOptions {
        let lists = self.list.services || self.list.volumes || self.list.networks || self.list.models;
        LoadOptions {
            services: if lists || self.list.hash.is_some() {
                Vec::new()
            } else {
                self.services.services.clone()
            },
            no_interpolate: self.no_interpolate,
            no_normalize: self.no_normalize,
            no_path_resolution: self.no_path_resolution,
            no_consistency: self.no_consistency,
            shared_container_names: self.list.is_any(),
            // What only lists names needs no file that is not there.
            no_env_resolution: self.no_env_resolution || lists,
            ..project::options(&context.global)
        }
    }

    fn load(&self, context: &Context) -> Result<Loaded, Error> {
        let loaded = devctl_compose::load(&DiskFiles, &self.options(context)).map_err(|all| invalid(&all))?;
        let mut out = io::stderr().lock();
        for warning in loaded.warnings.iter().filter(|_| !context.global.quiet) {
            writeln!(out, "{warning}")?;
        }
        Ok(loaded)
    }

    fn tree(&self, context: &Context, lenient: bool) -> Result<ModelTree, Error> {
        let options = LoadOptions {
            no_interpolate: true,
            no_validation: lenient,
            ..self.options(context)
        };
        devctl_compose::model_tree(&DiskFiles, &options).map_err(|all| invalid(&all))
    }

    fn print(&self, loaded: &Loaded) -> Result<String, Error> {
        let project = &loaded.project;
        let list = &self.list;
        if let Some(wanted) = &list.hash {
            let mut hashes = Vec::new();
            let mut names = wanted.split(',');
            if let Some(name) = names.find(|name| *name != "*" && !project.services.contains_key(*name)) {
                return Err(Error::usage(
                    format!("there is no service `{name}`"),
                    "`config --services` lists them",
                ));
            }
            for service in project.services.values() {
                if wanted == "*" || wanted.split(',').any(|name| name == service.name) {
                    hashes.push(format!("{} {}", service.name, service.hash()));
                }
            }
            hashes.sort();
            return Ok(lines(hashes));
        }
        Ok(if list.services {
            lines(project.services.keys().cloned().collect())
        } else if list.volumes {
            lines(project.volumes.keys().cloned().collect())
        } else if list.networks {
            lines(project.networks.keys().cloned().collect())
        } else if list.models {
            lines(
                project
                    .models
                    .values()
                    .filter_map(|model| model.model.clone())
                    .collect(),
            )
        } else if list.profiles {
            let mut profiles: Vec<String> = project
                .all_services()
                .flat_map(|service| service.profiles.clone())
                .collect();
            profiles.sort();
            profiles.dedup();
            lines(profiles)
        } else if list.images {
            lines(project.images())
        } else if list.environment {
            let mut all: Vec<String> = project
                .environment
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            all.sort();
            lines(all)
        } else if self.shape == Some(Shape::Json) {
            project
                .to_json_text()
                .map_err(|error| Error::usage(error.to_string(), "`--format yaml` prints it"))?
        } else {
            project.to_yaml()
        })
    }
}

/// As a table, or as data.
fn variables(tree: &ModelTree, shape: Option<Shape>) -> Result<String, Error> {
    let all = tree.variables();
    if shape == Some(Shape::Yaml) {
        return Ok(tree.variables_to_yaml());
    }
    if shape == Some(Shape::Json) {
        let entry = |variable: devctl_compose::Variable| {
            let value = serde_json::json!({
                "Name": variable.name,
                "DefaultValue": variable.default,
                "PresenceValue": variable.presence,
                "Required": variable.required,
            });
            (variable.name, value)
        };
        let all: serde_json::Map<_, _> = all.into_iter().map(entry).collect();
        return Ok(serde_json::to_string_pretty(&all).map_err(io::Error::other)? + "\n");
    }
    let head = ["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"].map(str::to_owned);
    let rows = all.into_iter().map(|variable| {
        [
            variable.name,
            variable.required.to_string(),
            variable.default,
            variable.presence,
        ]
    });
    let rows: Vec<[String; 4]> = std::iter::once(head).chain(rows).collect();
    // At least twenty columns wide, as Docker Compose has it.
    let widths: [usize; 3] = std::array::from_fn(|column| {
        let longest = rows.iter().map(|row| row[column].chars().count()).max();
        (longest.unwrap_or_default() + 3).max(20)
    });
    let line = |row: &[String; 4]| {
        let cells = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect::<String>();
        format!("{cells}{}", row[3]).trim_end().to_owned()
    };
    Ok(lines(rows.iter().map(line).collect()))
}

fn lines(all: Vec<String>) -> String {
    all.into_iter().map(|line| line + "\n").collect()
}

fn invalid(problems: &Diagnostics) -> Error {
    ProjectError::Invalid {
        diagnostics: problems.iter().map(ToString::to_string).collect(),
    }
    .into()
}
