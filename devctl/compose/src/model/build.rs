//! How images are built: `services.NAME.build`.

use indexmap::IndexMap;

use super::record::record;
use super::*;

record! {
    /// How a service's image is built.
    pub struct Build {
        /// Directory or Git URL with the sources.
        context: Option<String>,
        /// Dockerfile, relative to the context.
        dockerfile: Option<String>,
        /// The Dockerfile's text.
        dockerfile_inline: Option<String>,
        /// Privileges that the build may use.
        entitlements: Vec<String>,
        /// Build arguments; `None` is taken from the builder's environment.
        args: IndexMap<String, Option<String>>,
        /// Provenance attestation.
        provenance: Option<String>,
        /// Bill of materials.
        sbom: Option<String>,
        /// SSH agents and keys that the build may use.
        ssh: SshKeys,
        /// Labels for the image.
        labels: IndexMap<String, String>,
        /// Where to look for cached layers.
        cache_from: Vec<String>,
        /// Where to put cached layers.
        cache_to: Vec<String>,
        /// Whether the cache is left aside.
        no_cache: bool,
        /// Stages that leave the cache aside.
        no_cache_filter: Vec<String>,
        /// Named contexts.
        additional_contexts: IndexMap<String, String>,
        /// Whether base images are pulled.
        pull: bool,
        /// Extra names in `/etc/hosts` while building.
        extra_hosts: ExtraHosts,
        /// Isolation technology (Windows).
        isolation: Option<String>,
        /// Network while building.
        network: Option<String>,
        /// Stage to build.
        target: Option<String>,
        /// Secrets available while building.
        secrets: Vec<FileReference>,
        /// Size of `/dev/shm` while building.
        shm_size: ByteSize,
        /// Further names for the image.
        tags: Vec<String>,
        /// Resource limits of the processes while building.
        ulimits: IndexMap<String, Ulimit>,
        /// Platforms to build for.
        platforms: Vec<String>,
        /// Whether the build runs with extended privileges.
        privileged: bool,
    }
}
