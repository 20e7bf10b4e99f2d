//! Why there is no image, and the next step.

use std::io;
use std::path::PathBuf;

use super::agent::AgentError;
use crate::docker::auth::CredentialsError;
use crate::docker::image::ImageError;
use crate::docker::upgrade::UpgradeError;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The context is no directory.
    #[error("build from `{}`: there is no such directory", path.display())]
    NoContext {
        /// What was looked for.
        path: PathBuf,
    },
    /// The Dockerfile cannot be read.
    #[error("read the Dockerfile `{}`", path.display())]
    NoDockerfile {
        /// What was looked for.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The ignore file has a line that is no pattern.
    #[error("read `{}`: {why}", path.display())]
    Ignore {
        /// Which file.
        path: PathBuf,
        /// Which line.
        why: String,
    },
    /// The context cannot be read.
    #[error("{doing} `{}`", path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The file asks for what this way of building does not have.
    #[error("build `{image}`: {what}")]
    Unsupported {
        /// Which image.
        image: String,
        /// What is asked for.
        what: String,
    },
    /// A secret is not where the file says.
    #[error("build `{image}`: read the secret `{id}` from `{}`", path.display())]
    NoSecret {
        /// Which image.
        image: String,
        /// The secret's name.
        id: String,
        /// Where it should be.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// There is no agent that could sign for a step.
    #[error("build `{image}`: find the agent `{id}` of `build.ssh`")]
    Agent {
        /// Which image.
        image: String,
        /// The name of the key or agent.
        id: String,
        /// Why not.
        #[source]
        source: AgentError,
    },
    /// BuildKit cannot be spoken with.
    #[error("build `{image}`: open a session of BuildKit")]
    Session {
        /// Which image.
        image: String,
        /// Why not.
        #[source]
        source: UpgradeError,
    },
    /// A step failed, or the engine.
    #[error("build `{image}`: {}{why}", step.as_ref().map(|step| format!("`{step}` failed: ")).unwrap_or_default())]
    Failed {
        /// Which image.
        image: String,
        /// The step, as the Dockerfile has it.
        step: Option<String>,
        /// What the engine said.
        why: String,
        /// The last lines that the step printed.
        output: Vec<String>,
    },
    /// `config.json` is broken.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The engine could not say what it has.
    #[error(transparent)]
    Look(#[from] ImageError),
}

impl BuildError {
    /// The next step.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoContext { .. } => Some("correct `build.context`; it is relative to the Compose file".to_owned()),
            Self::NoDockerfile { .. } => Some("correct `build.dockerfile`; it is relative to the context".to_owned()),
            Self::Unsupported { .. } => {
                Some("build it with `docker build`, name it as `image`, and leave `build` out".to_owned())
            }
            Self::NoSecret { .. } => Some("correct the secret's `file`; it is relative to the Compose file".to_owned()),
            Self::Agent { id, source, .. } => Some(source.help(id)),
            Self::Failed { why, .. } => help_for(why),
            _ => None,
        }
    }

    /// What the failed step printed.
    #[must_use]
    pub fn output(&self) -> &[String] {
        match self {
            Self::Failed { output, .. } => output,
            _ => &[],
        }
    }
}

fn help_for(why: &str) -> Option<String> {
    let said = why.to_lowercase();
    if said.contains("no space left") {
        return Some(
            "the engine's disk is full: `docker system df` tells what of, `docker builder prune` frees some".to_owned(),
        );
    }
    if said.contains("no such host") || said.contains("dial tcp") {
        return Some("an image that the Dockerfile starts from is not there and its registry cannot be reached: `docker load` it, or name another one by a build argument".to_owned());
    }
    if said.contains("security.insecure") && said.contains("not allowed") {
        return Some("leave `build.privileged` (and `build.entitlements`) out, or allow it in the engine's `daemon.json`: `\"builder\": {\"Entitlements\": {\"security-insecure\": true}}`".to_owned());
    }
    if said.contains("no ssh key") || said.contains("unset ssh forward key") || said.contains("no ssh handler") {
        return Some("a step asks for an agent that the build is not given: name it in `build.ssh`, as `[default]`, or as `--ssh default`".to_owned());
    }
    let refused = [
        "401 unauthorized",
        "403 forbidden",
        "no basic auth credentials",
        "authorization failed",
    ];
    if refused.iter().any(|sign| said.contains(sign)) {
        return Some("a registry wants a login for an image that the Dockerfile starts from: `docker login` with that registry's host".to_owned());
    }
    if said.contains("pull access denied") || said.contains("manifest unknown") || said.contains("not found: manifest")
    {
        return Some("check the names after `FROM`; where one is private, `docker login`".to_owned());
    }
    None
}
