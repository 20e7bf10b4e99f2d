//! The labels that make a project's containers, networks and volumes known to Docker Compose and its friends, and devctl's own.

/// The project.
pub const PROJECT: &str = "com.docker.compose.project";
/// The service.
pub const SERVICE: &str = "com.docker.compose.service";
/// Which replica, from 1 on.
pub const NUMBER: &str = "com.docker.compose.container-number";
/// `True` for `run`, otherwise `False`.
pub const ONEOFF: &str = "com.docker.compose.oneoff";
/// Docker Compose's hash of the service, network or volume.
pub const CONFIG_HASH: &str = "com.docker.compose.config-hash";
/// The image's id.
pub const IMAGE: &str = "com.docker.compose.image";
/// `db:service_healthy:false,...`.
pub const DEPENDS_ON: &str = "com.docker.compose.depends_on";
/// The project's directory.
pub const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
/// Its files, with commas.
pub const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
/// A network's key in the file.
pub const NETWORK: &str = "com.docker.compose.network";
/// A volume's key in the file.
pub const VOLUME: &str = "com.docker.compose.volume";
/// The version of Docker Compose whose ways are followed.
pub const VERSION: &str = "com.docker.compose.version";
/// The value of [`VERSION`]: the Docker Compose that names, labels and hashes are those of.
pub const COMPOSE_VERSION: &str = "5.6.1";

/// devctl's hash of the node: a container that has another one is not as the files say.
pub const HASH: &str = "dev.devctl.hash";
/// A digest of the addresses that the container was told in place of names.
pub const TOLD: &str = "dev.devctl.told";
/// Of a container that lives in the namespaces, or with the volumes, of others: which those are.
pub const JOINED: &str = "dev.devctl.joined";
/// The version of devctl that made it.
pub const DEVCTL: &str = "dev.devctl.version";
/// The anonymous volumes that a container got from the one before it, with commas: the engine takes them for named ones.
pub const ANONYMOUS: &str = "dev.devctl.anonymous";
/// Which data a volume holds: another volume of its name has another one. An engine's own date of a volume moves with what is written there.
pub const DATA: &str = "dev.devctl.data";
/// The directory of the project for which devctl made a network, a volume or an image: what is left of one that is gone is known by it.
pub const DIR: &str = "dev.devctl.dir";
