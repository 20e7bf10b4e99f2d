//! Images brought to a registry, and the digests by which a registry knows them.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error as Api;
use bollard::query_parameters::PushImageOptionsBuilder;
use futures::StreamExt as _;
use http::HeaderValue;
use indexmap::IndexMap;

use super::auth::{self, CredentialsError};
use super::client::Engine;
use super::error::brief;

/// A registry that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(300);

/// `{}`: an engine refuses to push without a login at all, even where the registry wants none.
const NOBODY: &str = "e30=";

/// Why an image was not pushed, or has no digest.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// `config.json` is broken.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// It did not go.
    #[error("push `{image}`: {}", brief(source))]
    Push {
        /// Which image.
        image: String,
        /// What the engine or the registry said.
        #[source]
        source: Box<Api>,
    },
    /// The registry says no digest of it.
    #[error("ask for the digest of `{image}`: {}", brief(source))]
    Digest {
        /// Which image.
        image: String,
        /// What the engine or the registry said.
        #[source]
        source: Box<Api>,
    },
}

impl PushError {
    /// The next step.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let (image, source) = match self {
            Self::Credentials(_) => return Some("`docker logout` and `docker login` write it anew".to_owned()),
            Self::Push { image, source } | Self::Digest { image, source } => (image, source),
        };
        let said = brief(source).to_lowercase();
        let registry = match auth::registry(image) {
            key if key.contains("://") => String::new(),
            host => format!(" {host}"),
        };
        Some(
            if said.contains("does not exist locally") || said.contains("not exist") {
                "`devctl build` makes it".to_owned()
            } else if ["denied", "unauthorized", "authentication required"]
                .iter()
                .any(|word| said.contains(word))
            {
                format!("`docker login{registry}`; the name must be one that you may push to")
            } else if ["no such host", "refused", "timeout", "unreachable", "dial tcp"]
                .iter()
                .any(|word| said.contains(word))
            {
                "the registry cannot be reached: check the network and the image's name".to_owned()
            } else {
                match self {
                    Self::Push { .. } => format!("`docker push {image}` tries the same by hand"),
                    _ => "check the name and the tag".to_owned(),
                }
            },
        )
    }
}

impl Engine {
    /// Pushes an image that the engine has. `on_progress` is told what is under way.
    ///
    /// # Errors
    /// Where it is not at the registry in the end.
    pub async fn push(
        &self,
        image: &str,
        env: &IndexMap<String, String>,
        on_progress: &mut (dyn FnMut(&str) + Send),
    ) -> Result<(), PushError> {
        let failed = |source: Api| PushError::Push {
            image: image.to_owned(),
            source: Box::new(source),
        };
        let docker = self.with_login(image, env).await?;
        let (name, tag) = match image.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (image, "latest"),
        };
        let options = PushImageOptionsBuilder::new().tag(tag).build();
        let mut words = std::pin::pin!(docker.push_image(name, Some(options), None));
        while let Some(word) = words.next().await {
            let word = word.map_err(failed)?;
            if let Some(error) = word.error_detail.and_then(|detail| detail.message) {
                return Err(failed(Api::DockerStreamError { error }));
            }
            if let Some(status) = word.status {
                on_progress(&status);
            }
        }
        Ok(())
    }

    /// The digest by which the image's registry knows it: `sha256:...`.
    ///
    /// # Errors
    /// Where the registry does not say.
    pub async fn digest(&self, image: &str, env: &IndexMap<String, String>) -> Result<String, PushError> {
        let docker = self.with_login(image, env).await?;
        let known = docker.inspect_registry_image(image, None).await;
        let known = known.map_err(|source| PushError::Digest {
            image: image.to_owned(),
            source: Box::new(source),
        })?;
        Ok(known.descriptor.digest.unwrap_or_default())
    }

    /// A client that hands on the caller's login for the image's registry.
    async fn with_login(&self, image: &str, env: &IndexMap<String, String>) -> Result<Docker, PushError> {
        // A helper that fails is no reason not to try: the registry says what it wants.
        let login = match auth::credentials(auth::registry(image), env).await {
            Ok(login) => login,
            Err(error @ CredentialsError::Config { .. }) => return Err(error.into()),
            Err(_) => None,
        };
        let header = login.and_then(|login| HeaderValue::from_str(&login.header()).ok());
        let header = header.unwrap_or(HeaderValue::from_static(NOBODY));
        Ok(self.patient(SILENCE).with_request_modifier(move |mut request| {
            request.headers_mut().insert("X-Registry-Auth", header.clone());
            request
        }))
    }
}
