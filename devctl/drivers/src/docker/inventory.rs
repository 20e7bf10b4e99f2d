//! What an engine has, as lists show it: images, volumes.

use std::collections::{BTreeMap, HashMap};

use bollard::errors::Error as Api;
use bollard::query_parameters::{ListImagesOptions, ListVolumesOptions};
use jiff::Timestamp;

use super::client::Engine;
use super::error::DockerError;

/// An image, as `images` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageFacts {
    /// `sha256:...`.
    pub id: String,
    /// Its names, `busybox:latest`.
    pub tags: Vec<String>,
    /// `linux/amd64`.
    pub platform: String,
    /// Bytes.
    pub size: u64,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it got its last name here.
    pub tagged: Option<Timestamp>,
}

/// An image in a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedImage {
    /// `sha256:...`.
    pub id: String,
    /// Its names.
    pub tags: Vec<String>,
    /// Its labels.
    pub labels: HashMap<String, String>,
}

/// A volume, as `volumes` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedVolume {
    /// Its name.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// Where it is on the engine's machine.
    pub mountpoint: String,
    /// `local` or `global`.
    pub scope: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Engine {
    /// Looks at an image by name or id. `None`: there is none.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn image_facts(&self, name: &str) -> Result<Option<ImageFacts>, DockerError> {
        let seen = match self.docker().inspect_image(name).await {
            Ok(seen) => seen,
            Err(Api::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            Err(error) => return Err(DockerError::new(format!("look at image `{name}`"), &error)),
        };
        let at = |date: bollard::models::BollardDate| Timestamp::from_nanosecond(date.unix_timestamp_nanos()).ok();
        let words = [seen.os, seen.architecture, seen.variant].into_iter().flatten();
        let words: Vec<String> = words.filter(|word| !word.is_empty()).collect();
        Ok(Some(ImageFacts {
            id: seen.id.unwrap_or_default(),
            tags: seen.repo_tags.unwrap_or_default(),
            platform: words.join("/"),
            size: seen.size.and_then(|size| u64::try_from(size).ok()).unwrap_or_default(),
            created: seen.created.and_then(at),
            tagged: seen.metadata.and_then(|metadata| metadata.last_tag_time).and_then(at),
        }))
    }

    /// The images that carry this label, `NAME` or `NAME=VALUE`.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn images_with(&self, label: &str) -> Result<Vec<ListedImage>, DockerError> {
        let options = ListImagesOptions {
            filters: Some(HashMap::from([("label".to_owned(), vec![label.to_owned()])])),
            ..ListImagesOptions::default()
        };
        let found = self.docker().list_images(Some(options)).await;
        let found = found.map_err(|error| DockerError::new("list images", &error))?;
        let read = |image: bollard::models::ImageSummary| ListedImage {
            id: image.id,
            // An image that has lost its name is listed with `<none>:<none>`.
            tags: image
                .repo_tags
                .into_iter()
                .filter(|tag| !tag.contains("<none>"))
                .collect(),
            labels: image.labels,
        };
        Ok(found.into_iter().map(read).collect())
    }

    /// The volumes that carry this label, `NAME` or `NAME=VALUE`, by name.
    ///
    /// # Errors
    /// What the engine said.
    pub async fn volumes_with(&self, label: &str) -> Result<Vec<ListedVolume>, DockerError> {
        let options = ListVolumesOptions {
            filters: Some(HashMap::from([("label".to_owned(), vec![label.to_owned()])])),
        };
        let found = self.docker().list_volumes(Some(options)).await;
        let found = found.map_err(|error| DockerError::new("list volumes", &error))?;
        let mut all: Vec<ListedVolume> = found.volumes.unwrap_or_default().into_iter().map(read_volume).collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(all)
    }
}

fn read_volume(volume: bollard::models::Volume) -> ListedVolume {
    ListedVolume {
        name: volume.name,
        driver: volume.driver,
        mountpoint: volume.mountpoint,
        scope: volume.scope.map(|scope| scope.to_string()).unwrap_or_default(),
        labels: volume.labels.into_iter().collect(),
    }
}
