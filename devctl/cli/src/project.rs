//! The project that a command is about: found and read as Docker Compose would, before any daemon is asked.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use devctl_compose::model::{Condition, Service};
use devctl_compose::{LoadOptions, model};
use devctl_daemon::DiskFiles;
use devctl_drivers::dirs::{Dirs, Places, STATE};
use devctl_wire::v1::{Dependency, NodeStatus, StatusReply};
use miette::Diagnostic;
use serde_json::Value;

use crate::args::Global;
use crate::error::Error;
use crate::suggest;

/// A project whose files could be read.
#[derive(Debug)]
pub(crate) struct Project {
    /// Its name.
    pub(crate) name: String,
    /// Its directory, without symbolic links, so that each way to it leads to the same daemon.
    pub(crate) directory: PathBuf,
    /// Where its things live.
    pub(crate) dirs: Dirs,
    /// What the files mean; empty where they cannot be read.
    pub(crate) model: model::Project,
    /// They could be read.
    readable: bool,
    /// The services that are named on the command line: they are there whatever their profiles.
    pub(crate) named: Vec<String>,
}

/// Why there is no project.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum ProjectError {
    /// The files are there and cannot be used. Each problem comes rendered whole.
    #[error("the Compose files cannot be used")]
    Invalid {
        /// All problems.
        diagnostics: Vec<String>,
    },
}

impl Project {
    /// Finds and reads the files. Where they cannot be read and the project runs, its name is what its daemon knows: whoever broke a
    /// file must still be able to see and stop what runs.
    ///
    /// The profiles of services that are `named` are enabled.
    pub(crate) fn load(global: &Global, named: Vec<String>) -> Result<Self, ProjectError> {
        let options = LoadOptions {
            enabled_services: named.clone(),
            ..options(global)
        };
        let problems = match devctl_compose::load(&DiskFiles, &options) {
            Ok(loaded) => {
                return Ok(Self {
                    named,
                    ..Self::of(loaded.project, true)
                });
            }
            Err(problems) => problems,
        };
        let diagnostics: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let running = running(global).map(|model| Self::of(model, false));
        match running.filter(|project| project.dirs.api_socket().exists()) {
            Some(project) => {
                for diagnostic in &diagnostics {
                    eprintln!("{diagnostic}");
                }
                eprintln!("the graph that runs is the one from before");
                Ok(project)
            }
            None => Err(ProjectError::Invalid { diagnostics }),
        }
    }

    /// A project of nothing, called like the directory; None where there is a Compose file.
    pub(crate) fn without_files(global: &Global) -> Option<Self> {
        let here = std::env::current_dir().ok()?;
        let has_file = |dir: &Path| devctl_compose::FILE_NAMES.iter().any(|name| dir.join(name).exists());
        let named = !global.files.is_empty() || std::env::var_os("COMPOSE_FILE").is_some();
        if named || here.ancestors().any(has_file) {
            return None;
        }
        let of_directory = || Some(here.file_name()?.to_string_lossy().into_owned());
        let model = model::Project {
            name: global.project_name.clone().or_else(of_directory).unwrap_or_default(),
            working_dir: here.clone(),
            ..model::Project::default()
        };
        Some(Self::of(model, true))
    }

    fn of(model: model::Project, readable: bool) -> Self {
        let directory = canonical(&model.working_dir);
        let dirs = Dirs::of_project(&directory, &model.name, &Places::from_env());
        Self {
            name: model.name.clone(),
            directory,
            dirs,
            model,
            readable,
            named: Vec::new(),
        }
    }

    /// By which name Docker knows it: with a suffix, where another checkout has taken the name.
    pub(crate) fn docker_name(&self) -> String {
        devctl_daemon::docker_name(&self.dirs.state, &self.name)
    }

    /// The names of all services that are enabled.
    pub(crate) fn services(&self) -> Vec<String> {
        self.model.services.keys().cloned().collect()
    }

    /// The services that are enabled, as `config --format json` prints them.
    pub(crate) fn services_as_json(&self) -> Vec<(String, Value)> {
        let services = self.model.services.iter();
        services
            .map(|(name, service)| {
                let mut json = service.to_json();
                // Compose leaves extensions out of its JSON; what is said of a service is said of all of it.
                if let (Some(fields), Some(ours)) = (json.as_object_mut(), service.extensions.get("x-devctl")) {
                    fields.insert("x-devctl".to_owned(), ours.clone());
                }
                (name.clone(), json)
            })
            .collect()
    }

    /// Refuses the first name that is no service, with the nearest one that is.
    pub(crate) fn check_services<'a>(&self, named: impl IntoIterator<Item = &'a String>) -> Result<(), Error> {
        for name in named {
            let is_one = |name: &String| self.model.all_services().any(|service| service.name == *name);
            if !self.readable || is_one(name) {
                continue;
            }
            let services = self.model.services.keys().map(String::as_str);
            let help = match suggest::nearest(name, services.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", services.collect::<Vec<_>>().join(", ")),
            };
            return Err(Error::usage(
                format!("project `{}` has no service `{name}`", self.name),
                help,
            ));
        }
        Ok(())
    }

    /// Refuses a project of which nothing is meant: each of its services is behind a profile that is off.
    pub(crate) fn has_services(&self) -> Result<(), Error> {
        if !self.readable || !self.model.services.is_empty() {
            return Ok(());
        }
        let profiles = self
            .model
            .disabled_services
            .values()
            .flat_map(|service| &service.profiles);
        let profiles: BTreeSet<&str> = profiles.map(String::as_str).collect();
        let help = match profiles.first() {
            Some(first) => {
                let all = profiles.iter().copied().collect::<Vec<_>>().join(", ");
                format!("each has a profile: `--profile {first}` enables what has that one; there are {all}")
            }
            None => "write one below `services:`".to_owned(),
        };
        Err(Error::Unmet {
            what: format!("no service of project `{}` is selected", self.name),
            help: Some(help),
        })
    }

    /// What a daemon would say of a project that is not up.
    pub(crate) fn as_down(&self) -> StatusReply {
        let dependencies: Vec<Dependency> = self.model.services.values().flat_map(dependencies).collect();
        let is_job = |service: &Service| {
            let completes =
                |dependency: &&Dependency| dependency.condition == condition(Condition::CompletedSuccessfully);
            dependencies
                .iter()
                .filter(completes)
                .any(|dependency| dependency.to == service.name)
        };
        let nodes = self.model.services.values().map(|service| NodeStatus {
            id: service.name.clone(),
            service: service.name.clone(),
            index: 1,
            kind: if is_job(service) { "job" } else { "service" }.to_owned(),
            image: service.image.clone().unwrap_or_default(),
            ..NodeStatus::default()
        });
        StatusReply {
            project: self.name.clone(),
            project_directory: self.directory.to_string_lossy().into_owned(),
            nodes: nodes.collect(),
            dependencies: dependencies.clone(),
            ..StatusReply::default()
        }
    }
}

/// The project that a daemon serves here, by what it has left in its state directory.
fn running(global: &Global) -> Option<model::Project> {
    let here = std::env::current_dir().ok()?;
    let file = global.files.first().map(|file| here.join(file));
    let start = match (&global.project_directory, &file) {
        (Some(directory), _) => here.join(directory),
        (None, Some(file)) => file.parent()?.to_owned(),
        (None, None) => here,
    };
    let known = start
        .ancestors()
        .find_map(|dir| known(&dir.join(STATE), global.project_name.as_deref()))?;
    Some(model::Project {
        name: known["name"].as_str()?.to_owned(),
        working_dir: PathBuf::from(known["directory"].as_str()?),
        ..model::Project::default()
    })
}

/// What is known of the project of this name in a directory's state; where none is said, of the one that was planned last of those
/// that are served.
fn known(state: &Path, name: Option<&str>) -> Option<Value> {
    let all = std::fs::read_dir(state).ok()?.flatten();
    let files = all.map(|entry| entry.path().join(devctl_daemon::KNOWN_PROJECT));
    let written = |file: &PathBuf| file.metadata().and_then(|file| file.modified()).ok();
    let mut known: Vec<PathBuf> = files.filter(|file| written(file).is_some()).collect();
    known.sort_by_key(written);
    let mut known = known
        .iter()
        .rev()
        .filter_map(|file| serde_json::from_slice::<Value>(&std::fs::read(file).ok()?).ok());
    let is_served = |known: &Value| {
        let (name, directory) = (known["name"].as_str(), known["directory"].as_str());
        let dirs = name.zip(directory);
        let dirs = dirs.map(|(name, directory)| Dirs::of_project(Path::new(directory), name, &Places::from_env()));
        dirs.is_some_and(|dirs| dirs.api_socket().exists())
    };
    known.find(|known| match name {
        Some(name) => known["name"] == name,
        None => is_served(known),
    })
}

/// What the loader is told of this caller.
pub(crate) fn options(global: &Global) -> LoadOptions {
    LoadOptions {
        files: global.files.iter().map(PathBuf::from).collect(),
        working_dir: std::env::current_dir().unwrap_or_default(),
        project_directory: global.project_directory.clone(),
        project_name: global.project_name.clone(),
        profiles: global.profiles.clone(),
        env_files: global.env_files.clone(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        ..LoadOptions::default()
    }
}

fn dependencies(service: &Service) -> impl Iterator<Item = Dependency> {
    service.depends_on.iter().map(|(to, on)| Dependency {
        from: service.name.clone(),
        to: to.clone(),
        condition: condition(on.condition).to_owned(),
        required: on.required,
        restart: on.restart,
    })
}

fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "service_started",
        Condition::Healthy => "service_healthy",
        Condition::CompletedSuccessfully => "service_completed_successfully",
    }
}

fn canonical(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
