//! What is mounted into containers: volumes, secrets and configs.

use indexmap::IndexMap;

use super::record::record;
use super::*;

record! {
    /// A mount, `services.NAME.volumes[]`.
    pub struct Mount {
        /// What is mounted.
        kind: MountKind = "type",
        /// Path on the host, name of the volume or of the image; `None` is an anonymous volume.
        source: Option<String>,
        /// Path inside.
        target: Option<String>,
        /// Whether it cannot be written to.
        read_only: bool,
        /// Consistency wanted (ignored outside macOS).
        consistency: Option<String>,
        /// What applies to `bind`.
        bind: Option<BindOptions>,
        /// What applies to `volume`.
        volume: Option<VolumeOptions>,
        /// What applies to `tmpfs`.
        tmpfs: Option<TmpfsOptions>,
        /// What applies to `image`.
        image: Option<ImageOptions>,
    }
}

/// What is mounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum MountKind {
    /// A path of the host.
    Bind,
    /// A volume.
    #[default]
    Volume,
    /// A file system in memory.
    Tmpfs,
    /// A cluster volume.
    Cluster,
    /// A named pipe (Windows).
    Npipe,
    /// An image's content.
    Image,
}

record! {
    /// What applies to a bind mount.
    pub struct BindOptions {
        /// `z` or `Z`.
        selinux: Option<String>,
        /// Propagation.
        propagation: Option<String>,
        /// Whether a missing path is made as a directory.
        create_host_path: bool [optout],
        /// How mounts below are treated.
        recursive: Option<String>,
    }
}

record! {
    /// What applies to a volume mount.
    pub struct VolumeOptions {
        /// Labels for a volume that is made.
        labels: IndexMap<String, String>,
        /// Whether the image's content is not copied into an empty volume.
        nocopy: bool,
        /// A path inside the volume.
        subpath: Option<String>,
    }
}

record! {
    /// What applies to a file system in memory.
    pub struct TmpfsOptions {
        /// Size.
        size: ByteSize,
        /// Mode.
        mode: u32,
    }
}

record! {
    /// What applies to an image mount.
    pub struct ImageOptions {
        /// A path inside the image.
        subpath: Option<String>,
    }
}

record! {
    /// A secret or config made available as a file.
    pub struct FileReference {
        /// Its key at the top of the file.
        source: Option<String>,
        /// Path inside.
        target: Option<String>,
        /// Owner.
        uid: Option<String>,
        /// Group.
        gid: Option<String>,
        /// Mode.
        mode: Option<FileMode>,
    }
}

/// A file's mode, written in octal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileMode(pub i64);

record! {
    /// Credentials for a managed service account (Windows).
    pub struct CredentialSpec {
        /// A config.
        config: Option<String>,
        /// A file.
        file: Option<String>,
        /// A value of the registry.
        registry: Option<String>,
    }
}
