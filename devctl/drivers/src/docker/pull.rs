//! Makes sure that an image is there: pulled by the file's policy, with the caller's login, its progress told.

use std::collections::HashMap;
use std::time::Duration;

use bollard::errors::Error as Api;
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt as _;
use http::HeaderValue;
use indexmap::IndexMap;
use jiff::Timestamp;

use super::Engine;
use super::auth::{self, CredentialsError};
use super::error::brief;
use super::image::{Image, ImageError};
use super::refusal::{self, Refusal};

/// An image's bytes may come slowly; a registry that says nothing at all for so long is given up.
const SILENCE: Duration = Duration::from_secs(300);

/// When an image is pulled (Compose specification, `pull_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullPolicy {
    /// Before every start.
    Always,
    /// Where it is not there.
    #[default]
    Missing,
    /// Not at all: `never`, and `build` for a service that is built.
    Never,
    /// Where its name leads to it here for longer than this: `daily`, `weekly`, `every_12h`, `refresh`.
    Older(Duration),
}

/// Which image is wanted, and by whom.
#[derive(Debug, Clone)]
pub struct Pull<'a> {
    /// Its name.
    pub image: &'a str,
    /// `linux/arm64`, where not the engine's own.
    pub platform: Option<&'a str>,
    /// When to pull it.
    pub policy: PullPolicy,
    /// The caller's environment: where `config.json` is, and the helpers that it names.
    pub env: &'a IndexMap<String, String>,
}

/// How far a pull is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// What the engine does: `Pulling fs layer`, `Downloading`, `Extracting`, with the layer before it.
    pub text: String,
    /// Bytes that are here, over all layers.
    pub done: u64,
    /// Bytes that are known of, over all layers.
    pub total: u64,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// It is not there, and the policy says not to pull it.
    #[error("use image `{image}`: the engine has none of that name, and `pull_policy: never` says not to pull it")]
    Forbidden {
        /// Which image.
        image: String,
    },
    /// It could not be pulled.
    #[error("pull `{image}`: {}", brief(source))]
    Pull {
        /// Which image.
        image: String,
        /// What the registry or the engine said.
        #[source]
        source: Box<Api>,
        /// A login that could not be read, which may be the reason.
        login: Option<String>,
    },
    /// The engine could not say what it has.
    #[error(transparent)]
    Look(#[from] ImageError),
    /// The pull went well, and the image is not there.
    #[error("pull `{image}`: the engine says that it did, and has no such image")]
    Gone {
        /// Which image.
        image: String,
    },
    /// `config.json` is broken.
    #[error(transparent)]
    Credentials(CredentialsError),
}

impl PullError {
    /// The next step.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Forbidden { image } => Some(format!("`docker pull {image}`, or leave `pull_policy` out")),
            Self::Pull { image, source, login } => Some(pull_help(image, &brief(source), login.as_deref())),
            Self::Look(_) | Self::Gone { .. } => None,
            Self::Credentials(_) => Some("`docker logout` and `docker login` write it anew".to_owned()),
        }
    }
}

fn pull_help(image: &str, said: &str, login: Option<&str>) -> String {
    let words = said.to_lowercase();
    if words.contains("no space left") {
        return "the engine's disk is full: `docker system df` tells what of, `docker image prune` frees some"
            .to_owned();
    }
    if let Some(trouble) = login {
        return refusal::unreadable_login(image, trouble);
    }
    match Refusal::of(said) {
        Refusal::Unreachable => format!(
            "the registry cannot be reached: check the network, or bring the image here with `docker load` or `docker tag ... {image}`"
        ),
        Refusal::Denied => format!("check the name; where the image is private, {}", refusal::login(image)),
        Refusal::Other if words.contains("not found") || words.contains("manifest unknown") => {
            "check the name and the tag".to_owned()
        }
        Refusal::Other => format!("`docker pull {image}` tries the same by hand"),
    }
}

/// Makes sure that the image is there, as its policy says. Dropping the future gives the pull up.
///
/// # Errors
/// Where it is not there in the end. With [`PullPolicy::Older`], an old image is better than none: a pull that fails is told
/// as progress, and the old one is used.
pub async fn ensure(
    engine: &Engine,
    pull: &Pull<'_>,
    on_progress: &mut (dyn FnMut(PullProgress) + Send),
) -> Result<Image, PullError> {
    let there = engine.image(pull.image).await?;
    let wanted = match (&there, pull.policy) {
        (_, PullPolicy::Always) | (None, PullPolicy::Missing | PullPolicy::Older(_)) => true,
        (Some(_), PullPolicy::Missing | PullPolicy::Never) => false,
        (None, PullPolicy::Never) => {
            return Err(PullError::Forbidden {
                image: pull.image.to_owned(),
            });
        }
        (Some(image), PullPolicy::Older(age)) => is_older(image, age),
    };
    if !wanted && let Some(image) = there {
        return Ok(image);
    }
    match (run(engine, pull, on_progress).await, there, pull.policy) {
        (Ok(()), ..) => {}
        (Err(error), Some(old), PullPolicy::Older(_)) => {
            let text = format!("{error}; the image that is there is used");
            on_progress(PullProgress {
                text,
                ..PullProgress::default()
            });
            return Ok(old);
        }
        (Err(error), ..) => return Err(error),
    }
    engine.image(pull.image).await?.ok_or_else(|| PullError::Gone {
        image: pull.image.to_owned(),
    })
}

fn is_older(image: &Image, age: Duration) -> bool {
    image
        .named_at
        .and_then(|at| Duration::try_from(Timestamp::now().duration_since(at)).ok())
        .is_none_or(|passed| passed >= age)
}

/// Pulls, whatever is there.
async fn run(
    engine: &Engine,
    pull: &Pull<'_>,
    on_progress: &mut (dyn FnMut(PullProgress) + Send),
) -> Result<(), PullError> {
    // A login that cannot be read is no reason not to try: most images need none.
    let (login, unread) = match auth::credentials(auth::registry(pull.image), pull.env).await {
        Ok(login) => (login, None),
        Err(error @ CredentialsError::Config { .. }) => return Err(PullError::Credentials(error)),
        Err(error) => (None, Some(error.to_string())),
    };
    let mut docker = engine.patient(SILENCE);
    if let Some(header) = login.and_then(|login| HeaderValue::from_str(&login.header()).ok()) {
        // In place of the client's own header, whose base64 is of another alphabet than the engine reads.
        docker = docker.with_request_modifier(move |mut request| {
            request.headers_mut().insert("X-Registry-Auth", header.clone());
            request
        });
    }
    let options = CreateImageOptionsBuilder::new()
        .from_image(&with_tag(pull.image))
        .platform(pull.platform.unwrap_or_default())
        .build();
    let failed = |source: Api| PullError::Pull {
        image: pull.image.to_owned(),
        source: Box::new(source),
        login: unread.clone(),
    };
    let mut layers = Layers::default();
    let mut stream = std::pin::pin!(docker.create_image(Some(options), None, None));
    while let Some(word) = stream.next().await {
        let word = word.map_err(failed)?;
        let detail = word.progress_detail.unwrap_or_default();
        let status = word.status.unwrap_or_default();
        on_progress(layers.add(word.id, status, detail.current, detail.total));
    }
    Ok(())
}

/// Without a tag the engine would pull every tag that there is.
fn with_tag(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) {
        image.to_owned()
    } else {
        format!("{image}:latest")
    }
}

/// Bytes of each layer, so that the sum can be told.
#[derive(Default)]
struct Layers {
    bytes: HashMap<String, (u64, u64)>,
}

impl Layers {
    fn add(&mut self, id: Option<String>, status: String, current: Option<i64>, total: Option<i64>) -> PullProgress {
        let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default();
        let text = match &id {
            Some(id) => format!("{id}: {status}"),
            None => status.clone(),
        };
        if let Some(id) = id {
            let layer = self.bytes.entry(id).or_default();
            match status.as_str() {
                "Downloading" => *layer = (bytes(current), bytes(total).max(layer.1)),
                "Download complete" | "Pull complete" | "Extracting" => layer.0 = layer.1,
                _ => {}
            }
        }
        PullProgress {
            text,
            done: self.bytes.values().map(|(done, _)| done).sum(),
            total: self.bytes.values().map(|(_, total)| total).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_tag_means_one_image() {
        assert_eq!(with_tag("localhost:5000/api"), "localhost:5000/api:latest");
        assert_eq!(with_tag("api:1"), "api:1");
        assert_eq!(with_tag("api@sha256:0"), "api@sha256:0");
    }

    #[test]
    fn progress_is_the_sum_over_layers() {
        let mut layers = Layers::default();
        let mut add =
            |id: &str, status: &str, current, total| layers.add(Some(id.into()), status.into(), current, total);
        add("a", "Downloading", Some(10), Some(100));
        let both = add("b", "Downloading", Some(5), Some(50));
        assert_eq!((both.done, both.total), (15, 150));
        assert_eq!(add("a", "Extracting", Some(1), Some(300)).done, 105);
    }

    #[test]
    fn an_image_is_old_by_when_its_name_led_to_it() {
        let day = Duration::from_secs(86_400);
        let named = |at| Image {
            named_at: at,
            ..Image::default()
        };
        assert!(!is_older(&named(Some(Timestamp::now())), day));
        assert!(is_older(&named(Some(Timestamp::UNIX_EPOCH)), day));
        assert!(is_older(&named(None), day));
        assert!(is_older(&named(Some(Timestamp::now())), Duration::ZERO));
    }

    #[test]
    fn help_names_the_step_that_fits() {
        assert!(pull_help("api", "pull access denied for api", None).contains("docker login"));
        assert!(pull_help("api", "dial tcp: lookup x: no such host", None).contains("docker load"));
        assert!(pull_help("api", "manifest for api:9 not found", None).contains("tag"));
        assert!(pull_help("api", "write /var: no space left on device", None).contains("disk is full"));
    }
}
