//! Containers: created as a whole, started, ended, removed.

use std::collections::HashMap;
use std::time::Duration;

use bollard::query_parameters::{
    CreateContainerOptions, KillContainerOptions, ListContainersOptions, RemoveContainerOptions,
    RenameContainerOptions, StartContainerOptions, StopContainerOptions,
};

use super::api;
use super::client::Engine;
use super::error::{DockerError, Problem};
use super::files::FileIn;
use super::seen::{Listed, Seen};

/// More than the grace period: what an engine may take to kill what did not end by itself.
const KILL: Duration = Duration::from_secs(60);

/// A container to be made.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerSpec {
    /// Its name.
    pub name: String,
    /// `linux/amd64`; none: the engine's own.
    pub platform: Option<String>,
    /// As the engine is to make it. Its networks stand apart.
    pub body: api::ContainerCreateBody,
    /// The networks that it joins, the first one at its making.
    pub networks: Vec<Attachment>,
    /// Files that are put in before it starts.
    pub files: Vec<FileIn>,
}

/// How a container joins a network.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attachment {
    /// The network's name in the engine.
    pub network: String,
    /// Aliases, addresses, links.
    pub settings: api::EndpointSettings,
}

impl Engine {
    /// Makes a container, with its networks and files, not yet started. Nothing is left of one that fails. Tells its id and
    /// what the engine warned of.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn create(&self, spec: &ContainerSpec) -> Result<(String, Vec<String>), DockerError> {
        let mut body = spec.body.clone();
        let mut networks = spec.networks.iter();
        if let Some(first) = networks.next() {
            body.networking_config = Some(api::NetworkingConfig {
                endpoints_config: Some(HashMap::from([(first.network.clone(), first.settings.clone())])),
            });
        }
        let options = CreateContainerOptions {
            name: Some(spec.name.clone()),
            platform: spec.platform.clone().unwrap_or_default(),
        };
        let made = self
            .docker()
            .create_container(Some(options), body)
            .await
            .map_err(|error| DockerError::new(format!("create container `{}`", spec.name), &error))?;
        let rest = async {
            for attachment in networks {
                self.join(&made.id, attachment).await?;
            }
            self.put_files(&made.id, &spec.files).await
        };
        if let Err(error) = rest.await {
            let _gone_anyway = self.remove_only(&made.id, true).await;
            return Err(error);
        }
        Ok((made.id, made.warnings))
    }

    /// Joins a container to a network.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn join(&self, id: &str, attachment: &Attachment) -> Result<(), DockerError> {
        let request = api::NetworkConnectRequest {
            container: id.to_owned(),
            endpoint_config: Some(attachment.settings.clone()),
        };
        self.docker()
            .connect_network(&attachment.network, request)
            .await
            .map_err(|error| DockerError::new(format!("join network `{}`", attachment.network), &error))
    }

    /// Starts a container; one that runs already is no error.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn start(&self, id: &str) -> Result<(), DockerError> {
        match self.docker().start_container(id, None::<StartContainerOptions>).await {
            Err(error) if !is_unchanged(&error) => Err(DockerError::new("start its container", &error)),
            _ => Ok(()),
        }
    }

    /// Sends the container's stop signal, and kills it after `grace`. One that does not run is no error.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<(), DockerError> {
        let options = StopContainerOptions {
            t: Some(i32::try_from(grace.as_secs_f64().ceil() as i64).unwrap_or(i32::MAX)),
            signal: None,
        };
        match self.patient(grace + KILL).stop_container(id, Some(options)).await {
            Err(error) if !is_unchanged(&error) => match DockerError::new("stop its container", &error) {
                error if error.is_not_there() => Ok(()),
                error => Err(error),
            },
            _ => Ok(()),
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// What the engine said; where the container does not run, that.
    pub async fn kill(&self, id: &str, signal: &str) -> Result<(), DockerError> {
        let options = KillContainerOptions {
            signal: signal.to_owned(),
        };
        self.docker()
            .kill_container(id, Some(options))
            .await
            .map_err(|error| DockerError::new(format!("send {signal} to its container"), &error))
    }

    /// Removes a container, running or not, and `anonymous_volumes` with it, also those that it got from the container before it. One that
    /// is gone is no error.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn remove(&self, id: &str, anonymous_volumes: bool) -> Result<(), DockerError> {
        let seen = match anonymous_volumes {
            true => self.look(id).await?,
            false => None,
        };
        self.remove_only(id, anonymous_volumes).await?;
        for volume in seen.iter().flat_map(Seen::handed_on) {
            // One that somebody else uses stays.
            self.remove_volume(volume).await?;
        }
        Ok(())
    }

    /// `volumes`: those that the engine itself knows to be anonymous.
    async fn remove_only(&self, id: &str, volumes: bool) -> Result<(), DockerError> {
        let options = RemoveContainerOptions {
            v: volumes,
            force: true,
            link: false,
        };
        match self.docker().remove_container(id, Some(options)).await {
            Ok(()) => Ok(()),
            Err(error) => match DockerError::new("remove its container", &error) {
                error if error.is_not_there() => Ok(()),
                // Somebody else is at it already.
                error if error.said.contains("is already in progress") => Ok(()),
                error => Err(error),
            },
        }
    }

    /// Gives a container another name.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn rename(&self, id: &str, name: &str) -> Result<(), DockerError> {
        let options = RenameContainerOptions { name: name.to_owned() };
        self.docker()
            .rename_container(id, options)
            .await
            .map_err(|error| DockerError::new(format!("rename a container to `{name}`"), &error))
    }

    /// Looks at a container; `None`: there is none.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn look(&self, id: &str) -> Result<Option<Seen>, DockerError> {
        match self
            .docker()
            .inspect_container(id, None::<bollard::query_parameters::InspectContainerOptions>)
            .await
        {
            Ok(seen) => Ok(Some(Seen::from(seen))),
            Err(error) => match DockerError::new("look at its container", &error) {
                error if error.problem == Problem::NotThere => Ok(None),
                error => Err(error),
            },
        }
    }

    /// Every container that carries all of these labels, each `NAME` or `NAME=VALUE`, running or not.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn containers(&self, labels: &[String]) -> Result<Vec<Listed>, DockerError> {
        self.list("label", labels.to_vec()).await
    }

    /// The containers that publish this port of the host.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn publishers(&self, port: u16) -> Result<Vec<Listed>, DockerError> {
        let mut found = self.list("publish", vec![port.to_string()]).await?;
        found.retain(Listed::is_running);
        Ok(found)
    }

    /// Every container that is there, running or not.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn all_containers(&self) -> Result<Vec<Listed>, DockerError> {
        self.list("label", Vec::new()).await
    }

    /// The containers that use this network, running or not.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn users_of_network(&self, name: &str) -> Result<Vec<Listed>, DockerError> {
        self.list("network", vec![name.to_owned()]).await
    }

    /// The containers that use this volume, running or not.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn users_of_volume(&self, name: &str) -> Result<Vec<Listed>, DockerError> {
        self.list("volume", vec![name.to_owned()]).await
    }

    async fn list(&self, filter: &str, values: Vec<String>) -> Result<Vec<Listed>, DockerError> {
        let options = ListContainersOptions {
            all: true,
            filters: Some(HashMap::from([(filter.to_owned(), values)])),
            ..ListContainersOptions::default()
        };
        let found = self
            .docker()
            .list_containers(Some(options))
            .await
            .map_err(|error| DockerError::new("list containers", &error))?;
        Ok(found.into_iter().map(Listed::from).collect())
    }
}

/// 304: it was so already.
fn is_unchanged(error: &bollard::errors::Error) -> bool {
    matches!(
        error,
        bollard::errors::Error::DockerResponseServerError { status_code: 304, .. }
    )
}
