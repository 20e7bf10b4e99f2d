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
use super::refusal::{self, Refusal};

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
        /// Why the caller's login could not be read, if that was so.
        login: Option<String>,
    },
    /// The registry was not to be asked.
    #[error("ask for the digest of `{image}`: {}", brief(source))]
    Digest {
        /// Which image.
        image: String,
        /// What the engine or the registry said.
        #[source]
        source: Box<Api>,
        /// Why the caller's login could not be read, if that was so.
        login: Option<String>,
    },
    /// The registry answers, and says none.
    #[error("the registry says no digest of `{image}`")]
    NoDigest {
        /// Which image.
        image: String,
    },
}

impl PushError {
    /// The next step.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let (image, source, login) = match self {
            Self::Credentials(_) => return Some("`docker logout` and `docker login` write it anew".to_owned()),
            Self::NoDigest { image } => return Some(format!("`docker push {image}` gives it one")),
            Self::Push { image, source, login } | Self::Digest { image, source, login } => (image, source, login),
        };
        let said = brief(source);
        if said.to_lowercase().contains("not exist") {
            return Some("`devctl build` makes it".to_owned());
        }
        if let Some(trouble) = login {
            return Some(refusal::unreadable_login(image, trouble));
        }
        Some(match Refusal::of(&said) {
            Refusal::Denied => format!("{}; the name must be one that you may push to", refusal::login(image)),
            Refusal::Unreachable => "the registry cannot be reached: check the network and the image's name".to_owned(),
            Refusal::Other => match self {
                Self::Push { .. } => format!("`docker push {image}` tries the same by hand"),
                _ => "check the name and the tag".to_owned(),
            },
        })
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
        let (docker, login) = self.with_login(image, env).await?;
        let failed = |source: Api| PushError::Push {
            image: image.to_owned(),
            source: Box::new(source),
            login: login.clone(),
        };
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
        let (docker, login) = self.with_login(image, env).await?;
        let known = docker.inspect_registry_image(image, None).await;
        let known = known.map_err(|source| PushError::Digest {
            image: image.to_owned(),
            source: Box::new(source),
            login,
        })?;
        let digest = known.descriptor.digest.filter(|digest| !digest.is_empty());
        digest.ok_or_else(|| PushError::NoDigest {
            image: image.to_owned(),
        })
    }

    /// A client that hands on the caller's login for the image's registry; why there is none, where it could not be read.
    async fn with_login(
        &self,
        image: &str,
        env: &IndexMap<String, String>,
    ) -> Result<(Docker, Option<String>), PushError> {
        // A helper that fails is no reason not to try: the registry says what it wants.
        let (login, trouble) = match auth::credentials(auth::registry(image), env).await {
            Ok(login) => (login, None),
            Err(error @ CredentialsError::Config { .. }) => return Err(error.into()),
            Err(error) => (None, Some(error.to_string())),
        };
        let header = login.and_then(|login| HeaderValue::from_str(&login.header()).ok());
        let header = header.unwrap_or(HeaderValue::from_static(NOBODY));
        let docker = self.patient(SILENCE).with_request_modifier(move |mut request| {
            request.headers_mut().insert("X-Registry-Auth", header.clone());
            request
        });
        Ok((docker, trouble))
    }
}
