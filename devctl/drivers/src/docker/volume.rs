//! Named volumes: made where they are missing, removed when nobody uses them.

use std::collections::HashMap;

use bollard::query_parameters::{ListVolumesOptions, RemoveVolumeOptions};

use super::api;
use super::client::Engine;
use super::error::{DockerError, Problem};
use super::labels;

/// A volume that a project asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeSpec {
    /// As the engine is to make it, labels included.
    pub body: api::VolumeCreateRequest,
    /// It must be there already.
    pub external: bool,
}

impl VolumeSpec {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.body.name.as_deref().unwrap_or_default()
    }
}

impl Engine {
    /// Makes a volume that is not there; tells an identity that another volume of that name will not have.
    ///
    /// # Errors
    /// What the engine said; where an external one is missing, that.
    pub async fn ensure_volume(&self, spec: &VolumeSpec) -> Result<String, DockerError> {
        let name = spec.name();
        if let Some(identity) = self.volume(name).await? {
            return Ok(identity);
        }
        if spec.external {
            return Err(DockerError {
                doing: format!("use volume `{name}`"),
                said: format!("it is external and not there; `docker volume create {name}` makes it"),
                problem: Problem::NotThere,
            });
        }
        let mut body = spec.body.clone();
        let data = format!("{}-{}", jiff::Timestamp::now().as_nanosecond(), std::process::id());
        body.labels
            .get_or_insert_with(HashMap::new)
            .insert(labels::DATA.to_owned(), data);
        let made = self
            .docker()
            .create_volume(body)
            .await
            .map_err(|error| DockerError::new(format!("create volume `{name}`"), &error))?;
        Ok(identity(&made))
    }

    /// Looks at a volume: its identity. `None`: there is none.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn volume(&self, name: &str) -> Result<Option<String>, DockerError> {
        match self.docker().inspect_volume(name).await {
            Ok(seen) => Ok(Some(identity(&seen))),
            Err(error) => match DockerError::new(format!("look at volume `{name}`"), &error) {
                error if error.is_not_there() => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Removes a volume that nobody uses. False: somebody does.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn remove_volume(&self, name: &str) -> Result<bool, DockerError> {
        match self.docker().remove_volume(name, None::<RemoveVolumeOptions>).await {
            Ok(()) => Ok(true),
            Err(error) => match DockerError::new(format!("remove volume `{name}`"), &error) {
                error if error.is_not_there() => Ok(true),
                error if error.problem == Problem::InUse => Ok(false),
                error => Err(error),
            },
        }
    }

    /// The names of the volumes that carry this label, `NAME=VALUE`.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn volumes(&self, label: &str) -> Result<Vec<String>, DockerError> {
        let options = ListVolumesOptions {
            filters: Some(HashMap::from([("label".to_owned(), vec![label.to_owned()])])),
        };
        let found = self
            .docker()
            .list_volumes(Some(options))
            .await
            .map_err(|error| DockerError::new("list volumes", &error))?;
        Ok(found
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(|volume| volume.name)
            .collect())
    }
}

/// By the mark that it was given at its making; one that somebody else has made has only a date, which old engines move with its contents.
fn identity(volume: &api::Volume) -> String {
    if let Some(data) = volume.labels.get(labels::DATA) {
        return format!("{} {data}", volume.name);
    }
    let made = volume.created_at.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{} {made}", volume.name)
}
