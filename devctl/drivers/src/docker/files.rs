//! Files that are put into a container before it starts: configs and secrets whose content no file of this host has.

use std::time::{SystemTime, UNIX_EPOCH};

use bollard::query_parameters::UploadToContainerOptions;

use super::client::Engine;
use super::error::{DockerError, Problem};

/// A file to be put in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileIn {
    /// Its path inside.
    pub target: String,
    /// What it says.
    pub content: Vec<u8>,
    /// Permissions. Compose's default: 0444.
    pub mode: u32,
    /// Owner. Default: root.
    pub uid: u64,
    /// Group. Default: root.
    pub gid: u64,
}

impl Engine {
    pub(super) async fn put_files(&self, id: &str, files: &[FileIn]) -> Result<(), DockerError> {
        if files.is_empty() {
            return Ok(());
        }
        let packed = pack(files).map_err(|error| DockerError {
            doing: "pack files for its container".to_owned(),
            said: error.to_string(),
            problem: Problem::Other,
        })?;
        let options = UploadToContainerOptions {
            path: "/".to_owned(),
            copy_uidgid: Some("true".to_owned()),
            ..UploadToContainerOptions::default()
        };
        self.docker()
            .upload_to_container(id, Some(options), bollard::body_full(packed.into()))
            .await
            .map_err(|error| DockerError::new("put files into its container", &error))
    }
}

fn pack(files: &[FileIn]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.content.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(file.uid);
        header.set_gid(file.gid);
        header.set_mtime(now);
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(
            &mut header,
            file.target.trim_start_matches('/'),
            file.content.as_slice(),
        )?;
    }
    archive.into_inner()
}
