//! Reads the Compose files with the caller's own environment and directory.

use std::path::PathBuf;

use devctl_compose::LoadOptions;
use devctl_compose::model::Project;
use devctl_wire::v1;

use crate::files::DiskFiles;

/// A project that could be read.
pub(crate) struct LoadedProject {
    pub(crate) project: Project,
    pub(crate) warnings: Vec<v1::Diagnostic>,
    /// Every file that was read.
    pub(crate) files: Vec<PathBuf>,
}

/// Loads it; every problem of the files is in the outcome.
pub(crate) async fn load(source: &v1::Source) -> Result<LoadedProject, v1::Outcome> {
    let options = options(source);
    let loaded = tokio::task::spawn_blocking(move || devctl_compose::load(&DiskFiles, &options))
        .await
        .map_err(|error| invalid(vec![format!("error: failed to read the files: {error}")]))?
        .map_err(|problems| invalid(problems.iter().map(ToString::to_string).collect()))?;
    let warnings = loaded
        .warnings
        .iter()
        .map(|warning| diagnostic(v1::Level::Warning, warning.to_string()))
        .collect();
    Ok(LoadedProject {
        project: loaded.project,
        warnings,
        files: loaded.files_read,
    })
}

fn options(source: &v1::Source) -> LoadOptions {
    let directory = |written: &str| (!written.is_empty()).then(|| PathBuf::from(written));
    LoadOptions {
        files: source.files.iter().map(PathBuf::from).collect(),
        working_dir: PathBuf::from(&source.working_directory),
        project_directory: directory(&source.project_directory),
        project_name: (!source.project_name.is_empty()).then(|| source.project_name.clone()),
        profiles: source.profiles.clone(),
        enabled_services: source.named_services.clone(),
        env_files: source.env_files.iter().map(PathBuf::from).collect(),
        environment: source.environment.clone().into_iter().collect(),
        ..LoadOptions::default()
    }
}

/// Refuses a name that no service has.
pub(super) fn check_names<'a>(project: &Project, names: impl Iterator<Item = &'a String>) -> Result<(), v1::Outcome> {
    let unknown: Vec<String> = names
        .filter(|name| !project.services.contains_key(*name))
        .map(|name| match project.disabled_services.get(name) {
            Some(service) => {
                let profile = service.profiles.first().map(String::as_str).unwrap_or_default();
                format!("error: service `{name}` is only there with a profile\nhelp: `--profile {profile}` enables it")
            }
            None => {
                let known: Vec<&str> = project.services.keys().map(String::as_str).collect();
                format!(
                    "error: there is no service `{name}`\nhelp: the project has {}",
                    known.join(", ")
                )
            }
        })
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(invalid(unknown))
    }
}

/// The outcome of a request whose files cannot be used.
pub(super) fn invalid(problems: Vec<String>) -> v1::Outcome {
    v1::Outcome {
        result: v1::Result::Invalid.into(),
        diagnostics: problems
            .into_iter()
            .map(|text| diagnostic(v1::Level::Error, text))
            .collect(),
        ..v1::Outcome::default()
    }
}

fn diagnostic(level: v1::Level, text: String) -> v1::Diagnostic {
    v1::Diagnostic {
        level: level.into(),
        text,
    }
}
