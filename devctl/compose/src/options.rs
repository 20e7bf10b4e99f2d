//! What a load is told, and what it gives.

use std::path::PathBuf;

use indexmap::IndexMap;

use crate::diagnostic::Diagnostic;
use crate::model::Project;

/// What to load and how; the flags of `docker compose` by their own names.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// The Compose files, `-f`. Where empty: `COMPOSE_FILE`, else the file is looked for in `working_dir` and above.
    pub files: Vec<PathBuf>,
    /// The caller's directory, absolute.
    pub working_dir: PathBuf,
    /// `--project-directory`: where relative paths start from. Where `None`: the directory of the first file.
    pub project_directory: Option<PathBuf>,
    /// `--project-name`.
    pub project_name: Option<String>,
    /// `--profile`. Where empty: `COMPOSE_PROFILES`.
    pub profiles: Vec<String>,
    /// `--env-file`. Where empty: `COMPOSE_ENV_FILES`, else `.env` of the project directory.
    pub env_files: Vec<PathBuf>,
    /// The caller's environment.
    pub environment: IndexMap<String, String>,
    /// The services that are wanted, with what they depend on; all where empty.
    pub services: Vec<String>,
    /// Services that are named elsewhere on the command line: their profiles are enabled as well (Compose specification, "Profiles",
    /// implicit activation). A name that no service has is passed over.
    pub enabled_services: Vec<String>,
    /// Whether networks, volumes and the like are kept that no enabled service uses.
    pub all_resources: bool,
    /// `--no-interpolate`: variables stay as written. Only [`model_tree`](crate::model_tree) can be asked for that.
    pub no_interpolate: bool,
    /// `--no-normalize`: no implied networks, names and dependencies.
    pub no_normalize: bool,
    /// `--no-path-resolution`: relative paths stay relative.
    pub no_path_resolution: bool,
    /// `--no-consistency`: references are not checked.
    pub no_consistency: bool,
    /// Two services may have one container name: no container is made of what is only listed.
    pub shared_container_names: bool,
    /// `--no-env-resolution`: `env_file` is kept and not read.
    pub no_env_resolution: bool,
    /// The specification's own rules are not checked either.
    pub no_validation: bool,
}

/// What the files mean.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The project.
    pub project: Project,
    /// What is probably not as meant.
    pub warnings: Vec<Diagnostic>,
    /// Every file that was read: Compose files, included and extended ones, environment and label files. Absolute, each once.
    pub files_read: Vec<PathBuf>,
}
