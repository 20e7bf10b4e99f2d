//! What an image says of itself: everything that a container takes over from it unless its service says otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::errors::Error as Api;
use bollard::models::{BollardDate, HealthConfig, ImageInspect};
use bollard::query_parameters::RemoveImageOptions;
use jiff::Timestamp;

use super::Engine;
use super::error::brief;

/// An image that the engine has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// `sha256:...`: another one after every build that changed something.
    pub id: String,
    /// What is always run.
    pub entrypoint: Vec<String>,
    /// What is run, or handed to the entry point.
    pub command: Vec<String>,
    /// `name`, `uid` or `uid:gid`; empty: root.
    pub user: String,
    /// Where it is run.
    pub directory: String,
    /// `NAME=value`, in order.
    pub environment: Vec<String>,
    /// Ports that it listens on: number and protocol.
    pub ports: Vec<(u16, String)>,
    /// Directories that want a volume of their own.
    pub volumes: Vec<String>,
    /// How it is told to stop, where that is not SIGTERM.
    pub stop_signal: Option<String>,
    /// How it is tested.
    pub health: Option<ImageHealth>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Since when its name leads to it here, or when it was made.
    pub named_at: Option<Timestamp>,
}

/// A health test that an image brings along (Dockerfile, `HEALTHCHECK`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageHealth {
    /// `["CMD", ...]`, `["CMD-SHELL", text]` or `["NONE"]`.
    pub test: Vec<String>,
    /// Time between two tests.
    pub interval: Option<Duration>,
    /// How long one may take.
    pub timeout: Option<Duration>,
    /// Failures that do not count.
    pub start_period: Option<Duration>,
    /// Failures in a row until it is unhealthy.
    pub retries: Option<u64>,
}

/// The engine could not say what it has.
#[derive(Debug, thiserror::Error)]
#[error("look at image `{image}`: {}", brief(source))]
pub struct ImageError {
    /// Which image.
    pub image: String,
    /// What the engine said.
    #[source]
    pub source: Box<Api>,
}

impl Engine {
    /// The image of that name or id; `None` where the engine has none.
    ///
    /// # Errors
    /// Where the engine does not answer.
    pub async fn image(&self, name: &str) -> Result<Option<Image>, ImageError> {
        match self.docker().inspect_image(name).await {
            Ok(found) => Ok(Some(read(found))),
            Err(Api::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
            Err(source) => Err(ImageError {
                image: name.to_owned(),
                source: Box::new(source),
            }),
        }
    }
}

impl Engine {
    /// Takes a name away, and with its last one the image. One that is not there is no error.
    ///
    /// # Errors
    /// What the engine said, of one that is in use as well.
    pub async fn remove_image(&self, name: &str) -> Result<(), ImageError> {
        match self.docker().remove_image(name, None::<RemoveImageOptions>, None).await {
            Ok(_) | Err(Api::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            Err(source) => Err(ImageError {
                image: name.to_owned(),
                source: Box::new(source),
            }),
        }
    }
}

impl Engine {
    /// Removes an image that devctl has built and a newer build has replaced: one that no name leads to any more, and that no
    /// container is made of. Whatever else is the case, it stays, and so does one that the engine cannot be asked about.
    pub async fn remove_replaced(&self, id: &str) {
        let Ok(found) = self.docker().inspect_image(id).await else {
            return;
        };
        let nameless = found.repo_tags.is_none_or(|tags| tags.is_empty());
        // One that was pushed is known to a registry by its digest.
        let pushed = found.repo_digests.is_some_and(|digests| !digests.is_empty());
        let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
        if nameless && !pushed && labels.contains_key(super::labels::DIR) {
            // The engine refuses where a container is made of it.
            if let Err(error) = self.docker().remove_image(id, None::<RemoveImageOptions>, None).await {
                tracing::debug!(%error, id, "an image that was replaced stays");
            }
        }
    }
}

fn read(found: ImageInspect) -> Image {
    let config = found.config.unwrap_or_default();
    let tagged = found.metadata.and_then(|metadata| metadata.last_tag_time);
    let at = |date: BollardDate| Timestamp::from_second(date.unix_timestamp()).ok();
    Image {
        id: found.id.unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        directory: config.working_dir.unwrap_or_default(),
        environment: config.env.unwrap_or_default(),
        ports: config
            .exposed_ports
            .iter()
            .flatten()
            .filter_map(|port| read_port(port))
            .collect(),
        volumes: config.volumes.unwrap_or_default(),
        stop_signal: config.stop_signal.filter(|signal| !signal.is_empty()),
        health: config.healthcheck.and_then(read_health),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        // An image that was never tagged here says the year 1.
        named_at: tagged
            .and_then(at)
            .filter(|at| at.as_second() > 0)
            .or_else(|| found.created.and_then(at)),
    }
}

/// `8080/tcp`, `53/udp`.
fn read_port(text: &str) -> Option<(u16, String)> {
    let (port, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Some((port.parse().ok()?, protocol.to_owned()))
}

fn read_health(config: HealthConfig) -> Option<ImageHealth> {
    let duration = |ns: Option<i64>| {
        ns.and_then(|ns| u64::try_from(ns).ok())
            .filter(|ns| *ns > 0)
            .map(Duration::from_nanos)
    };
    Some(ImageHealth {
        test: config.test.filter(|test| !test.is_empty())?,
        interval: duration(config.interval),
        timeout: duration(config.timeout),
        start_period: duration(config.start_period),
        retries: config
            .retries
            .and_then(|retries| u64::try_from(retries).ok())
            .filter(|retries| *retries > 0),
    })
}
