//! The project: everything that the files mean together.

use std::path::PathBuf;

use indexmap::IndexMap;

use super::*;

/// What the Compose files mean after interpolation, include, extends, merge and profiles.
///
/// Maps keep the order of the files, later files after earlier ones; printing sorts them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Project {
    /// The project's name.
    pub name: String,
    /// The directory that relative paths start from.
    pub working_dir: PathBuf,
    /// The files that were given or found, in order; not the included and extended ones.
    pub compose_files: Vec<PathBuf>,
    /// Services that are enabled.
    pub services: IndexMap<String, Service>,
    /// Services whose profiles are not active, or that were not selected.
    pub disabled_services: IndexMap<String, Service>,
    /// Jobs that are enabled.
    pub jobs: IndexMap<String, Job>,
    /// Jobs whose profiles are not active.
    pub disabled_jobs: IndexMap<String, Job>,
    /// Networks.
    pub networks: IndexMap<String, Network>,
    /// Volumes.
    pub volumes: IndexMap<String, Volume>,
    /// Secrets.
    pub secrets: IndexMap<String, FileObject>,
    /// Configs.
    pub configs: IndexMap<String, FileObject>,
    /// Language models.
    pub models: IndexMap<String, Model>,
    /// The `x-` attributes at the top of the file.
    pub extensions: Extensions,
    /// What the file says to devctl, `x-devctl` at the top.
    pub x_devctl: ProjectExtension,
    /// The environment used for interpolation: the caller's, then `.env` files, then `COMPOSE_PROJECT_NAME`.
    pub environment: IndexMap<String, String>,
    /// Profiles that are active.
    pub profiles: Vec<String>,
}

impl Project {
    /// The service of that name, enabled or not.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.get(name).or_else(|| self.disabled_services.get(name))
    }

    /// All services, the enabled ones first.
    pub fn all_services(&self) -> impl Iterator<Item = &Service> {
        self.services.values().chain(self.disabled_services.values())
    }
}
