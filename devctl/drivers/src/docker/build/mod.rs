//! Builds an image from a context, through the engine's API.
//!
//! The engine's first builder is used where it can do what is asked, on engines before 23; BuildKit (which every engine since
//! 18.09 has inside) otherwise: on newer engines, and where the Dockerfile or the Compose file asks for what only BuildKit has.

mod agent;
mod context;
mod contexts;
mod error;
mod ignore;
mod kit;
mod output;
mod session;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::errors::Error as Api;
use bollard::query_parameters::{BuildImageOptions, BuilderVersion, TagImageOptionsBuilder};
use bytes::Bytes;
use futures::StreamExt as _;
use indexmap::IndexMap;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

pub use self::agent::AgentError;
use self::context::Context;
pub use self::error::BuildError;
pub use self::ignore::{BadPattern, Ignore, as_pattern_path};
use self::output::Output;
use super::auth::{self, Credentials};
use super::error::brief;
use super::image::Image;
use super::{Engine, pieces};

/// A step may say nothing for long: `cargo build --quiet`.
const SILENCE: Duration = Duration::from_secs(3600);
/// Bytes of the archive that go to the engine at once.
const PIECE: usize = 64 * 1024;

/// How an image is built (Compose specification, `build`), every path absolute or relative to the context.
#[derive(Debug, Clone, Default)]
pub struct Build {
    /// The directory, or the URL of a repository or archive that the engine fetches itself.
    pub context: String,
    /// Where the steps are.
    pub dockerfile: Dockerfile,
    /// Build arguments.
    pub args: IndexMap<String, String>,
    /// The stage to build; the last one where there is none.
    pub target: Option<String>,
    /// Labels of the image.
    pub labels: IndexMap<String, String>,
    /// Images whose layers may be used.
    pub cache_from: Vec<String>,
    /// Names beside those of DNS, as `name:address`.
    pub extra_hosts: Vec<String>,
    /// The network of the steps.
    pub network: Option<String>,
    /// Of `/dev/shm`, bytes.
    pub shm_size: Option<u64>,
    /// `NAME=SOFT:HARD`.
    pub ulimits: IndexMap<String, (i64, i64)>,
    /// Every step runs again.
    pub no_cache: bool,
    /// Every step of these stages runs again.
    pub no_cache_filter: Vec<String>,
    /// Base images are pulled even if they are there.
    pub pull: bool,
    /// The image's name.
    pub image: String,
    /// Further names.
    pub tags: Vec<String>,
    /// `linux/arm64`.
    pub platform: Option<String>,
    /// What steps may read and no layer keeps, by id.
    pub secrets: IndexMap<String, BuildSecret>,
    /// Other contexts by name: directories, images (`docker-image://`) and URLs.
    pub additional_contexts: IndexMap<String, String>,
    /// Agents that steps may use, by name: an agent's socket or a private key, or the caller's own agent.
    pub ssh: IndexMap<String, Option<PathBuf>>,
    /// Steps may do what only root of the host may, where the engine allows it.
    pub privileged: bool,
    /// What else steps may do beyond the usual: `network.host`, `security.insecure`.
    pub entitlements: Vec<String>,
}

/// What steps may read and no layer keeps.
#[derive(Clone, PartialEq, Eq)]
pub enum BuildSecret {
    /// A file.
    File(PathBuf),
    /// The value itself.
    Value(String),
}

impl std::fmt::Debug for BuildSecret {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(out, "File({})", path.display()),
            Self::Value(_) => out.write_str("Value(...)"),
        }
    }
}

/// Where a build's steps are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dockerfile {
    /// A file, from the context's root.
    File(PathBuf),
    /// The text itself.
    Inline(String),
}

impl Default for Dockerfile {
    fn default() -> Self {
        Self::File("Dockerfile".into())
    }
}

/// What a build of this context leaves behind: `Dockerfile.dockerignore` where there is one, else the context's `.dockerignore`.
///
/// # Errors
/// Where the file cannot be read, or has a line that is no pattern.
pub fn left_behind(context: &Path, dockerfile: Option<&Path>) -> Result<Ignore, BuildError> {
    let beside = dockerfile.map(|written| PathBuf::from(format!("{}.dockerignore", context.join(written).display())));
    context::read_ignore(context, beside)
}

/// A line of a build's output.
pub type OnLine<'a> = &'a mut (dyn FnMut(&str) + Send);

impl Build {
    /// Whether the engine fetches the context itself.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        let prefixes = ["http://", "https://", "git://", "git@", "ssh://", "github.com/"];
        prefixes.iter().any(|prefix| self.context.starts_with(prefix)) && !Path::new(&self.context).is_dir()
    }

    /// A digest of everything that the image is made of, as far as it is known without building: the same stamp means that
    /// building again would give the same image, unless a base image changed. `None` for a context that lies elsewhere.
    /// Reads the context's directories: not for a loop.
    ///
    /// # Errors
    /// Where context, Dockerfile or ignore file cannot be read.
    pub fn stamp(&self) -> Result<Option<String>, BuildError> {
        if self.is_remote() {
            return Ok(None);
        }
        let mut hasher = Sha256::new();
        Context::gather(Path::new(&self.context), &self.dockerfile)?.stamp(&mut hasher);
        for (_, secret) in &self.secrets {
            match secret {
                BuildSecret::File(path) => hasher.update(std::fs::read(path).unwrap_or_default()),
                BuildSecret::Value(value) => hasher.update(value),
            }
        }
        for further in self.further_directories() {
            Context::gather(Path::new(further), &Dockerfile::Inline(contexts::COPY.to_owned()))?.stamp(&mut hasher);
        }
        // How it is built belongs to it. Debug output names every field, and so every field that is to come.
        hasher.update(format!("{self:?}"));
        Ok(Some(
            hasher
                .finalize()
                .iter()
                .take(16)
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        ))
    }

    /// Builds it, and tells every line. Dropping the future ends the build: the engine notices that nobody listens.
    ///
    /// # Errors
    /// Where there is no image in the end, with the failed step and its last lines.
    pub async fn run(
        &self,
        engine: &Engine,
        env: &IndexMap<String, String>,
        on_line: OnLine<'_>,
    ) -> Result<Image, BuildError> {
        let context = self.gather().await?;
        let text = context.as_ref().map_or("", |context| context.text.as_str());
        let logins = auth::all_credentials(env).await?;
        if self.additional_contexts.is_empty() {
            self.make(engine, context, logins, env, on_line).await?;
        } else {
            let further = contexts::carry(self, text, engine, on_line).await?;
            let built = match further.build.gather().await {
                Ok(context) => further.build.make(engine, context, logins, env, on_line).await,
                Err(error) => Err(error),
            };
            further.drop_images(engine).await;
            built?;
        }
        for tag in &self.tags {
            self.tag(engine, tag).await?;
        }
        let there = engine.image(&self.image).await?;
        there.ok_or_else(|| self.failed("the engine says that it did, and has no such image".to_owned()))
    }

    async fn make(
        &self,
        engine: &Engine,
        context: Option<Context>,
        logins: IndexMap<String, Credentials>,
        env: &IndexMap<String, String>,
        on_line: OnLine<'_>,
    ) -> Result<(), BuildError> {
        if self.wants_session() {
            // Large, and rare.
            return Box::pin(kit::build(self, engine, context, logins, env, on_line)).await;
        }
        let text = context.as_ref().map_or("", |context| context.text.as_str());
        let buildkit = has_buildkit(engine) || needs_buildkit(text);
        self.stream(engine, context, logins, buildkit, on_line).await
    }

    /// Makes an image that is nothing but the context: there is nothing to fetch and nothing to tell.
    async fn copy_over(&self, engine: &Engine) -> Result<(), BuildError> {
        let context = self.gather().await?;
        self.stream(engine, context, IndexMap::new(), has_buildkit(engine), &mut |_| {})
            .await
    }

    /// Whether it wants what the engine's own way of building has no place for.
    fn wants_session(&self) -> bool {
        !self.secrets.is_empty()
            || !self.ssh.is_empty()
            || !self.additional_contexts.is_empty()
            || !self.entitlements.is_empty()
            || !self.no_cache_filter.is_empty()
            || self.privileged
    }

    /// Further contexts that are directories here.
    fn further_directories(&self) -> impl Iterator<Item = &str> {
        self.additional_contexts
            .values()
            .map(String::as_str)
            .filter(|value| contexts::is_directory(value))
    }

    async fn gather(&self) -> Result<Option<Context>, BuildError> {
        if self.is_remote() {
            return Ok(None);
        }
        let (root, dockerfile) = (PathBuf::from(&self.context), self.dockerfile.clone());
        tokio::task::spawn_blocking(move || Context::gather(&root, &dockerfile))
            .await
            .unwrap_or_else(|error| Err(self.failed(error.to_string())))
            .map(Some)
    }

    async fn stream(
        &self,
        engine: &Engine,
        context: Option<Context>,
        logins: IndexMap<String, Credentials>,
        buildkit: bool,
        on_line: OnLine<'_>,
    ) -> Result<(), BuildError> {
        let mut options = BuildImageOptions {
            dockerfile: match (&context, &self.dockerfile) {
                (Some(context), _) => context.dockerfile.clone(),
                (None, Dockerfile::File(path)) => path.display().to_string(),
                (None, Dockerfile::Inline(_)) => "Dockerfile".to_owned(),
            },
            t: Some(self.image.clone()),
            remote: context.is_none().then(|| self.context.clone()),
            nocache: self.no_cache,
            cachefrom: (!self.cache_from.is_empty()).then(|| self.cache_from.clone()),
            pull: self.pull.then(|| "1".to_owned()),
            rm: true,
            forcerm: true,
            buildargs: Some(self.args.clone().into_iter().collect()),
            shmsize: self.shm_size.and_then(|size| i32::try_from(size).ok()),
            labels: Some(self.labels.clone().into_iter().collect()),
            networkmode: self.network.clone(),
            platform: self.platform.clone().unwrap_or_default(),
            target: self.target.clone().unwrap_or_default(),
            ..BuildImageOptions::default()
        };
        if buildkit {
            options.version = BuilderVersion::BuilderBuildKit;
            options.session = Some(session_id());
        }
        let extra = self.further_query();
        let docker = engine
            .patient(SILENCE)
            .with_request_modifier(move |request| with_query(request, &extra));
        let logins: HashMap<String, DockerCredentials> = logins
            .into_iter()
            .map(|(server, login)| (server, login.into()))
            .collect();
        let body = match context {
            Some(context) => bollard::body_try_stream(archive(Arc::new(context))),
            None => bollard::body_full(Bytes::new()),
        };
        let mut output = Output::default();
        let mut words = std::pin::pin!(docker.build_image(options, Some(logins), Some(body)));
        while let Some(word) = words.next().await {
            match word {
                Ok(word) => output.add(word, on_line),
                Err(error) => {
                    output.finish(on_line);
                    let why = match error {
                        Api::DockerStreamError { error } => error,
                        error => brief(&error),
                    };
                    let (step, lines) = output.failed_step();
                    return Err(BuildError::Failed {
                        image: self.image.clone(),
                        step,
                        why,
                        output: lines,
                    });
                }
            }
        }
        output.finish(on_line);
        Ok(())
    }

    /// What the client's own options have no place for: lists of hosts and limits.
    fn further_query(&self) -> String {
        let mut query = String::new();
        let mut add = |name: &str, value: &str| {
            let value: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
            query.push_str(&format!("&{name}={value}"));
        };
        for host in &self.extra_hosts {
            add("extrahosts", host);
        }
        if !self.ulimits.is_empty() {
            let limits: Vec<_> = self
                .ulimits
                .iter()
                .map(|(name, (soft, hard))| serde_json::json!({ "Name": name, "Soft": soft, "Hard": hard }))
                .collect();
            add("ulimits", &serde_json::Value::from(limits).to_string());
        }
        query
    }

    async fn tag(&self, engine: &Engine, tag: &str) -> Result<(), BuildError> {
        let last = tag.rfind('/').map_or(0, |at| at + 1);
        let (repo, version) = match tag[last..].split_once(':') {
            Some((name, version)) => (format!("{}{name}", &tag[..last]), version),
            None => (tag.to_owned(), "latest"),
        };
        let options = TagImageOptionsBuilder::new().repo(&repo).tag(version).build();
        engine
            .docker()
            .tag_image(&self.image, Some(options))
            .await
            .map_err(|error| self.failed(format!("name it `{tag}` as well: {}", brief(&error))))
    }

    fn failed(&self, why: String) -> BuildError {
        BuildError::Failed {
            image: self.image.clone(),
            step: None,
            why,
            output: Vec::new(),
        }
    }
}

impl From<Credentials> for DockerCredentials {
    fn from(login: Credentials) -> Self {
        let some = |text: String| (!text.is_empty()).then_some(text);
        Self {
            username: some(login.username),
            password: some(login.password),
            serveraddress: some(login.server),
            identitytoken: some(login.identity_token),
            ..Self::default()
        }
    }
}

/// The archive as it is made, piece by piece: a large context is never in memory.
fn archive(context: Arc<Context>) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + 'static {
    let (send, receive) = mpsc::channel::<io::Result<Bytes>>(4);
    tokio::task::spawn_blocking(move || {
        let out = io::BufWriter::with_capacity(PIECE, pieces::Pieces(send.clone()));
        if let Err(error) = context.write(out) {
            // The engine is gone, or will be told that the archive is broken.
            let _ = send.blocking_send(Err(error));
        }
    });
    pieces::stream(receive)
}

fn with_query(mut request: bollard::BollardRequest, extra: &str) -> bollard::BollardRequest {
    let uri = request.uri().to_string();
    if !extra.is_empty()
        && uri.contains("/build?")
        && let Ok(uri) = format!("{uri}{extra}").parse()
    {
        *request.uri_mut() = uri;
    }
    request
}

fn session_id() -> String {
    let mut hasher = Sha256::new();
    hasher.update(std::process::id().to_le_bytes());
    hasher.update(jiff::Timestamp::now().as_nanosecond().to_le_bytes());
    hasher
        .finalize()
        .iter()
        .take(13)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Whether its usual builder is BuildKit.
fn has_buildkit(engine: &Engine) -> bool {
    // Docker 23, by its API: an engine that somebody has built himself has no number of its own.
    let minor = engine
        .facts()
        .api_version
        .split_once('.')
        .map(|(_, minor)| minor.parse::<u32>());
    matches!(minor, Some(Ok(minor)) if minor >= 42)
}

/// Whether a Dockerfile uses what the first builder does not understand: mounts, documents within it, linked copies, a
/// frontend of its own.
fn needs_buildkit(text: &str) -> bool {
    text.lines().map(str::trim).any(|line| {
        if let Some(directive) = line.strip_prefix('#') {
            return directive.trim_start().to_lowercase().starts_with("syntax");
        }
        let mut words = line.split_whitespace();
        let instruction = words.next().unwrap_or_default().to_uppercase();
        match instruction.as_str() {
            "RUN" => {
                let flags: Vec<&str> = words.clone().take_while(|word| word.starts_with("--")).collect();
                !flags.is_empty() || words.next().is_some_and(|word| word.starts_with("<<"))
            }
            "COPY" | "ADD" => words.any(|word| {
                word.starts_with("<<")
                    || ["--link", "--chmod", "--parents", "--exclude", "--checksum"]
                        .iter()
                        .any(|flag| word.starts_with(flag))
            }),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests;
