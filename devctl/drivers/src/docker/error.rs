//! What can go wrong with an engine, in words that name the next step.

use std::path::PathBuf;

use bollard::errors::Error as Api;

use super::endpoint::{Endpoint, NamedBy};

/// An address that did not answer.
#[derive(Debug)]
pub struct Tried {
    /// Which.
    pub endpoint: Endpoint,
    /// What came of it.
    pub source: Api,
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// None answers.
    #[error("reach Docker: {}", tried.iter().map(tried_in_words).collect::<Vec<_>>().join("; "))]
    Unreachable {
        /// Every address, with what came of it.
        tried: Vec<Tried>,
    },
    /// A context is named that is not there.
    #[error("find Docker's context `{name}`, chosen by {chosen_by}: there is no usable `{}`", path.display())]
    NoContext {
        /// Its name.
        name: String,
        /// What chose it.
        chosen_by: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// A context's file is not JSON.
    #[error("read `{}` of Docker's context `{name}`", path.display())]
    BadContext {
        /// Its name.
        name: String,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl ConnectError {
    /// The next step.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let tried = match self {
            Self::NoContext { .. } | Self::BadContext { .. } => {
                return Some(
                    "`docker context ls` lists what is there; `docker context use default` goes back".to_owned(),
                );
            }
            Self::Unreachable { tried } => tried,
        };
        let first = tried.first()?;
        let text = brief(&first.source);
        Some(match (&first.endpoint.named_by, &first.source) {
            (_, Api::UnsupportedURISchemeError { .. }) => {
                "use a `unix://` or `tcp://` address; a machine behind ssh is reached with `ssh -L /tmp/docker.sock:/var/run/docker.sock HOST` and `DOCKER_HOST=unix:///tmp/docker.sock`".to_owned()
            }
            _ if text.contains("ermission denied") => {
                "become a member of its group: `sudo usermod -aG docker $USER`, then log in again".to_owned()
            }
            (NamedBy::Variable, _) => "start that engine, or unset `DOCKER_HOST` to use this machine's".to_owned(),
            (NamedBy::Context { .. }, _) => "start that engine, or `docker context use default`".to_owned(),
            (NamedBy::Usual, _) => {
                "start it (`sudo systemctl start docker`, or Docker Desktop), or run without: `--runtime native`".to_owned()
            }
        })
    }
}

fn tried_in_words(tried: &Tried) -> String {
    let named_by = match &tried.endpoint.named_by {
        NamedBy::Usual => String::new(),
        named_by => format!(", named by {named_by}"),
    };
    format!("`{}`{named_by}: {}", tried.endpoint.host, brief(&tried.source))
}

/// What a client's error comes down to, in one line.
#[must_use]
pub(super) fn brief(error: &Api) -> String {
    match error {
        Api::DockerResponseServerError { message, .. } => one_line(message),
        Api::SocketNotFoundError(_) => "there is no such socket".to_owned(),
        Api::UnsupportedURISchemeError { .. } => "that kind of address is not supported".to_owned(),
        Api::RequestTimeoutError => "no answer in time".to_owned(),
        error => {
            let mut deepest: &dyn std::error::Error = error;
            while let Some(below) = deepest.source() {
                deepest = below;
            }
            let text = deepest.to_string();
            match text.split_once(" (os error") {
                Some((text, _)) => one_line(text),
                None => one_line(&text),
            }
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
