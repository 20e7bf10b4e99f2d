//! A container's files as they are now: as an archive, or as an image.

use bollard::query_parameters::CommitContainerOptions;
use bytes::Bytes;
use futures::{Stream, StreamExt as _};

use super::api::ContainerConfig;
use super::client::Engine;
use super::error::DockerError;

/// The image that a container's files are made into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its name, with a tag or without; none: it has only an id.
    pub name: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// What was changed.
    pub message: Option<String>,
    /// Instructions as of a Dockerfile, one each.
    pub changes: Vec<String>,
    /// The container is held still for as long as it takes.
    pub pause: bool,
}

impl Engine {
    /// Every file of a container as an archive, piece by piece.
    pub fn export(&self, id: &str) -> impl Stream<Item = Result<Bytes, DockerError>> + use<> {
        let docker = self.docker().clone();
        let pieces = docker.export_container(id);
        pieces.map(|piece| piece.map_err(|error| DockerError::new("export its container", &error)))
    }

    /// Makes an image of a container's files; the image's id.
    ///
    /// # Errors
    /// What the engine said, of a name or an instruction that is none as well.
    pub async fn commit(&self, id: &str, wanted: &Commit) -> Result<String, DockerError> {
        let (repo, tag) = match &wanted.name {
            Some(name) => split_tag(name),
            None => (None, None),
        };
        let options = CommitContainerOptions {
            container: Some(id.to_owned()),
            repo,
            tag,
            comment: wanted.message.clone(),
            author: wanted.author.clone(),
            pause: wanted.pause,
            changes: (!wanted.changes.is_empty()).then(|| wanted.changes.join("\n")),
        };
        let made = self
            .docker()
            .commit_container(options, ContainerConfig::default())
            .await;
        made.map(|made| made.id)
            .map_err(|error| DockerError::new("make an image of its container", &error))
    }
}

/// `host:5000/api:1` in its name and its tag.
fn split_tag(name: &str) -> (Option<String>, Option<String>) {
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name.get(last..).and_then(|rest| rest.rfind(':')) {
        Some(colon) => {
            let (repo, tag) = name.split_at(last + colon);
            (Some(repo.to_owned()), Some(tag.trim_start_matches(':').to_owned()))
        }
        None => (Some(name.to_owned()), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registrys_port_is_no_tag() {
        let parts = |name: &str| {
            let (repo, tag) = split_tag(name);
            (repo.unwrap_or_default(), tag.unwrap_or_default())
        };
        assert_eq!(parts("host:5000/api:1"), ("host:5000/api".into(), "1".into()));
        assert_eq!(parts("host:5000/api"), ("host:5000/api".into(), String::new()));
        assert_eq!(parts("api:dev"), ("api".into(), "dev".into()));
    }
}
