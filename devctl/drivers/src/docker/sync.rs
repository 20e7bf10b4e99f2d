//! Files of this host that are put into a running container at once, wherever each belongs.

use std::path::PathBuf;

use bollard::query_parameters::UploadToContainerOptions;

use super::client::Engine;
use super::error::{DockerError, Problem};

impl Engine {
    /// Copies each file (or link) to its place inside; missing directories are made. One that is gone by now is left out.
    ///
    /// # Errors
    /// What the engine said, or why a file could not be read.
    pub async fn put(&self, container: &str, files: Vec<(PathBuf, String)>) -> Result<(), DockerError> {
        if files.is_empty() {
            return Ok(());
        }
        let failed = |said: String| DockerError {
            doing: "pack files for its container".to_owned(),
            said,
            problem: Problem::Other,
        };
        let packed = tokio::task::spawn_blocking(move || pack(&files)).await;
        let packed = match packed {
            Ok(Ok(packed)) => packed,
            Ok(Err(error)) => return Err(failed(error.to_string())),
            Err(error) => return Err(failed(error.to_string())),
        };
        let options = UploadToContainerOptions {
            path: "/".to_owned(),
            ..UploadToContainerOptions::default()
        };
        self.docker()
            .upload_to_container(container, Some(options), bollard::body_full(packed.into()))
            .await
            .map_err(|error| DockerError::new("put files into its container", &error))
    }
}

fn pack(files: &[(PathBuf, String)]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    archive.follow_symlinks(false);
    for (path, inside) in files {
        let metadata = match std::fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let name = inside.trim_start_matches('/');
        let mut header = tar::Header::new_gnu();
        // Whoever owns it here is somebody else there: root's, with the permissions that it has.
        header.set_metadata_in_mode(&metadata, tar::HeaderMode::Complete);
        header.set_uid(0);
        header.set_gid(0);
        if metadata.is_symlink() {
            header.set_size(0);
            archive.append_link(&mut header, name, std::fs::read_link(path)?)?;
        } else if metadata.is_file() {
            // Read whole: a file that grows meanwhile would not fit what its header says.
            let content = std::fs::read(path)?;
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, name, content.as_slice())?;
        }
    }
    archive.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_each_file_at_its_place() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "text").unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("l")).unwrap();
        let files = [("a", "/app/x/a"), ("l", "/app/l"), ("gone", "/app/gone")];
        let packed = pack(&files.map(|(name, inside)| (dir.path().join(name), inside.to_owned()))).unwrap();
        let mut archive = tar::Archive::new(packed.as_slice());
        let seen: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                (
                    path,
                    entry.header().uid().unwrap(),
                    entry.link_name().unwrap().map(|to| to.display().to_string()),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("app/x/a".to_owned(), 0, None),
                ("app/l".to_owned(), 0, Some("a".to_owned()))
            ]
        );
    }
}
