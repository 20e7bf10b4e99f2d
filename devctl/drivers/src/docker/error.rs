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
                "use a `unix://` or `tcp://` address; a machine behind ssh is reached with `ssh -L ./docker.sock:/var/run/docker.sock HOST` and `DOCKER_HOST=unix://$PWD/docker.sock`".to_owned()
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

/// What an engine refused to do.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {}", problem.words(said))]
pub struct DockerError {
    /// What was asked: "create container `shop-web-1`".
    pub doing: String,
    /// What the engine said, in one line.
    pub said: String,
    /// What that means.
    pub problem: Problem,
}

/// What an engine's refusal means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// The image is not there.
    NoImage,
    /// A network, volume or container is not there.
    NotThere,
    /// A port of this host is taken.
    PortTaken,
    /// The container name is taken, by the container of this id.
    NameTaken(String),
    /// No space is left.
    DiskFull,
    /// Every address range for networks is in use.
    PoolExhausted,
    /// A path to be mounted is not there.
    NoMountPath,
    /// Something else uses it still.
    InUse,
    /// The engine does not answer.
    EngineGone,
    /// The command is not in the image.
    NoProgram,
    /// Something else.
    Other,
}

impl Problem {
    fn words(&self, said: &str) -> String {
        match self {
            Self::DiskFull => "no space is left on Docker's disk".to_owned(),
            Self::PoolExhausted => "every address range that Docker has for networks is in use".to_owned(),
            Self::EngineGone => format!("Docker does not answer: {said}"),
            _ => said.to_owned(),
        }
    }

    fn of(status: u16, said: &str) -> Self {
        let has = |text: &str| said.contains(text);
        if has("no space left on device") {
            Self::DiskFull
        } else if has("could not find an available, non-overlapping") || has("all predefined address pools") {
            Self::PoolExhausted
        } else if status == 404 && (has("o such image") || has("image not known")) {
            Self::NoImage
        } else if has("is already in use by container") {
            let id = said.rsplit_once("by container ").map(|(_, rest)| rest);
            let id = id.map(|rest| {
                rest.trim_start_matches('"')
                    .chars()
                    .take_while(char::is_ascii_hexdigit)
                    .collect()
            });
            Self::NameTaken(id.unwrap_or_default())
        } else if has("port is already allocated") || has("address already in use") {
            Self::PortTaken
        } else if has("bind source path does not exist") || has("no such file or directory: mount") {
            Self::NoMountPath
        } else if has("executable file not found") || (has("exec: ") && has("no such file or directory")) {
            Self::NoProgram
        } else if status == 404 {
            Self::NotThere
        } else if has("active endpoints") || has("volume is in use") || has("has active") {
            Self::InUse
        } else {
            Self::Other
        }
    }
}

impl DockerError {
    pub(super) fn new(doing: impl Into<String>, error: &Api) -> Self {
        let said = brief(error);
        let problem = match error {
            Api::DockerResponseServerError { status_code, message } => Problem::of(*status_code, message),
            Api::DockerStreamError { error } => Problem::of(500, error),
            Api::RequestTimeoutError
            | Api::IOError { .. }
            | Api::HyperResponseError { .. }
            | Api::HyperLegacyError { .. }
            | Api::SocketNotFoundError(_) => Problem::EngineGone,
            _ => Problem::Other,
        };
        Self {
            doing: doing.into(),
            said,
            problem,
        }
    }

    /// The next step.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        let text = match &self.problem {
            Problem::NoImage => "pull it (`devctl pull`), build it (`devctl build`), or correct its name",
            Problem::PortTaken => "stop what uses that port, or publish another one",
            Problem::NameTaken(_) => {
                "remove that container (`docker rm -f NAME`), or give the service another `container_name`"
            }
            Problem::DiskFull => {
                "`docker system df` shows what takes it; `docker system prune` frees what nothing uses"
            }
            Problem::PoolExhausted => {
                "`docker network prune` removes unused networks; or give this project's network a `subnet` of its own (`networks: {default: {ipam: {config: [{subnet: 10.123.0.0/24}]}}}`)"
            }
            Problem::NoMountPath => "make that path, or write `bind: {create_host_path: true}`",
            Problem::EngineGone => "start Docker again: what runs there is looked at as soon as it answers",
            Problem::NoProgram => "the image has no such program: look at `command` and `entrypoint`",
            Problem::NotThere | Problem::InUse | Problem::Other => return None,
        };
        Some(text.to_owned())
    }

    /// Nothing of that name is there.
    #[must_use]
    pub fn is_not_there(&self) -> bool {
        matches!(self.problem, Problem::NotThere | Problem::NoImage)
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
        Api::DockerStreamError { error } => one_line(error),
        Api::SocketNotFoundError(_) => "there is no such socket".to_owned(),
        Api::UnsupportedURISchemeError { .. } => "that kind of address is not supported".to_owned(),
        Api::RequestTimeoutError => "no answer in time".to_owned(),
        error => {
            let causes = std::iter::successors(Some(error as &dyn std::error::Error), |above| above.source());
            // The deepest that says anything.
            let said = causes.map(ToString::to_string).filter(|text| !text.trim().is_empty());
            let text = said.last().unwrap_or_else(|| "it does not answer".to_owned());
            match text.split_once(" (os error") {
                Some((text, _)) => one_line(text),
                None => one_line(&text),
            }
        }
    }
}

fn one_line(text: &str) -> String {
    let text = text.trim_start_matches("Error response from daemon: ");
    short_ids(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Ids as `docker ps` shows them: whole ones are a third of a line each.
pub(super) fn short_ids(text: &str) -> String {
    const WHOLE: usize = 64;
    const SHORT: usize = 12;
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    words.fold(String::with_capacity(text.len()), |mut all, word| {
        let id = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_id = id.len() == WHOLE && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (shown, end) = if is_id {
            (&id[..SHORT], &word[WHOLE..])
        } else {
            (word, "")
        };
        all.push_str(shown);
        all.push_str(end);
        all
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_ids_are_shortened_and_nothing_else() {
        let id = "1ee5a7689fd90a366a83fab48557864b40f4eee5cf5bf5c83304f3e0b6af338f";
        assert_eq!(
            one_line(&format!("Container {id} is paused (é, sha256:{id}), unpause deadbeef")),
            "Container 1ee5a7689fd9 is paused (é, sha256:1ee5a7689fd9), unpause deadbeef"
        );
    }

    /// As of a connection that is refused by silence: its deepest cause has no words.
    #[test]
    fn a_cause_that_says_nothing_leaves_the_word_to_what_it_caused() {
        let timed_out = |words: &str| Api::IOError {
            err: std::io::Error::new(std::io::ErrorKind::TimedOut, words.to_owned()),
        };
        assert_eq!(brief(&timed_out("no route")), "no route");
        assert!(!brief(&timed_out("")).trim().is_empty());
    }

    #[test]
    fn an_engines_words_are_told_apart() {
        let of = Problem::of;
        assert_eq!(of(404, "No such image: nope:latest"), Problem::NoImage);
        assert_eq!(
            of(
                409,
                "Conflict. The container name \"/a\" is already in use by container \"12ab\". You have to"
            ),
            Problem::NameTaken("12ab".to_owned())
        );
        assert_eq!(
            of(
                500,
                "driver failed programming external connectivity: Bind for 127.0.0.1:80 failed: port is already allocated"
            ),
            Problem::PortTaken
        );
        assert_eq!(of(500, "write /var/lib/x: no space left on device"), Problem::DiskFull);
        assert_eq!(
            of(
                500,
                "could not find an available, non-overlapping IPv4 address pool among the defaults"
            ),
            Problem::PoolExhausted
        );
        assert_eq!(of(404, "network x not found"), Problem::NotThere);
        assert_eq!(
            of(403, "error while removing network: network x has active endpoints"),
            Problem::InUse
        );
    }
}
