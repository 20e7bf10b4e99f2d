//! Builds that want what only a session of BuildKit has: secrets, agents, further contexts, entitlements.
//!
//! BuildKit is asked to solve the build (the engine's `/grpc`), tells its steps meanwhile, and asks back over the session for what
//! it needs.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::moby::buildkit::v1::control_client::ControlClient;
use bollard::moby::buildkit::v1::{CacheOptions, CacheOptionsEntry, SolveRequest, StatusRequest};
use indexmap::IndexMap;
use tokio::time::timeout;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::agent::Agents;
use super::context::Context;
use super::output::Output;
use super::session::Session;
use super::{Build, BuildError, BuildSecret, OnLine};
use crate::docker::Engine;
use crate::docker::auth::Credentials;
use crate::docker::upgrade::to_http2;

/// BuildKit's own limit of a secret, bytes.
const LONGEST_SECRET: usize = 500 * 1024;
/// The longest message of BuildKit's, bytes: a step's output may come in large pieces.
const LONGEST_MESSAGE: usize = 16 << 20;
/// Until the last words of a build that has ended have to be there.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Below this address BuildKit finds what a session uploads. It takes one address for one thing, whoever's session it is of: each
/// build has its own.
const UPLOADS: &str = "http://buildkit-session";

pub(super) async fn build(
    build: &Build,
    engine: &Engine,
    context: Option<Context>,
    logins: IndexMap<String, Credentials>,
    env: &IndexMap<String, String>,
    on_line: OnLine<'_>,
) -> Result<(), BuildError> {
    let id = super::session_id();
    let mut attributes = attributes(build)?;
    match &context {
        Some(context) => {
            attributes.insert("context".to_owned(), format!("{UPLOADS}/{id}"));
            attributes.insert("filename".to_owned(), context.dockerfile.clone());
        }
        None => {
            attributes.insert("context".to_owned(), build.context.clone());
            if let super::Dockerfile::File(path) = &build.dockerfile {
                attributes.insert("filename".to_owned(), path.display().to_string());
            }
        }
    }
    let agents = Agents::gather(&build.ssh, env).await;
    let session = Session {
        secrets: secrets(build).await?,
        agents: agents.map_err(|(id, source)| BuildError::Agent {
            image: build.image.clone(),
            id,
            source,
        })?,
        logins,
        context: context.map(Arc::new),
    };
    let no_session = |source| BuildError::Session {
        image: build.image.clone(),
        source,
    };
    let serving = session.open(engine, &id).await.map_err(no_session)?;
    let control = control(engine).await.map_err(|error| build.failed(deepest(&error)))?;
    let request = SolveRequest {
        r#ref: format!("{id}-build"),
        session: id,
        exporter_deprecated: "moby".to_owned(),
        exporter_attrs_deprecated: HashMap::from([("name".to_owned(), build.image.clone())]),
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: attributes,
        cache: Some(CacheOptions {
            imports: build.cache_from.iter().map(|from| cache(from)).collect(),
            ..CacheOptions::default()
        }),
        entitlements: entitlements(build),
        ..SolveRequest::default()
    };
    let mut output = Output::default();
    let solved = solve(control, request, serving, &mut output, on_line).await;
    solved.map_err(|status| {
        let (step, lines) = output.failed_step();
        BuildError::Failed {
            image: build.image.clone(),
            step,
            why: status.message().trim().to_owned(),
            output: lines,
        }
    })
}

/// Dropping this future closes both connections, and that ends the build.
async fn solve(
    control: ControlClient<Channel>,
    request: SolveRequest,
    serving: impl Future<Output = Result<(), hyper::Error>>,
    output: &mut Output,
    on_line: OnLine<'_>,
) -> Result<(), Status> {
    let (mut asks, mut watches) = (control.clone(), control);
    let which = StatusRequest {
        r#ref: request.r#ref.clone(),
    };
    let mut serving = pin!(serving);
    let mut solving = pin!(asks.solve(request));
    let mut telling = pin!(async {
        let mut updates = watches.status(which).await?.into_inner();
        while let Some(update) = updates.message().await? {
            output.add_status(update, on_line);
        }
        Ok::<(), Status>(())
    });
    let mut told = false;
    let solved = loop {
        tokio::select! {
            solved = &mut solving => break solved,
            end = &mut telling, if !told => {
                told = true;
                if let Err(status) = end {
                    tracing::debug!(%status, "the steps of a build are not told");
                }
            }
            end = &mut serving => {
                let why = end.err().map_or_else(String::new, |error| format!(": {error}"));
                return Err(Status::unavailable(format!("the engine ended the session{why}")));
            }
        }
    };
    if !told {
        // A build that failed before its first step has none: then nothing comes.
        let _nothing = timeout(LAST_WORDS, telling).await;
    }
    solved.map(|_| ())
}

async fn control(engine: &Engine) -> Result<ControlClient<Channel>, tonic::transport::Error> {
    let engine = engine.clone();
    let connect = tower::service_fn(move |_| {
        let engine = engine.clone();
        async move { to_http2(&engine, "/grpc", &[]).await }
    });
    // The name of a place that the connection above stands for.
    let channel = Endpoint::from_static("http://buildkit");
    let channel = channel.connect_with_connector(connect).await?;
    Ok(ControlClient::new(channel).max_decoding_message_size(LONGEST_MESSAGE))
}

/// The build in the words of BuildKit's Dockerfile frontend.
fn attributes(build: &Build) -> Result<HashMap<String, String>, BuildError> {
    let mut all = HashMap::new();
    let mut set = |name: &str, value: String| all.insert(name.to_owned(), value);
    set(
        "image-resolve-mode",
        if build.pull { "pull" } else { "default" }.to_owned(),
    );
    if build.no_cache {
        set("no-cache", String::new());
    } else if !build.no_cache_filter.is_empty() {
        set("no-cache", build.no_cache_filter.join(","));
    }
    if let Some(target) = &build.target {
        set("target", target.clone());
    }
    if let Some(platform) = &build.platform {
        set("platform", platform.clone());
    }
    if let Some(size) = build.shm_size {
        set("shm-size", size.to_string());
    }
    let comma = |parts: Vec<String>| parts.join(",");
    if !build.ulimits.is_empty() {
        let limits = build.ulimits.iter();
        set(
            "ulimit",
            comma(
                limits
                    .map(|(name, (soft, hard))| format!("{name}={soft}:{hard}"))
                    .collect(),
            ),
        );
    }
    if !build.extra_hosts.is_empty() {
        let hosts = build.extra_hosts.iter();
        set(
            "add-hosts",
            comma(hosts.map(|host| host.replacen(':', "=", 1)).collect()),
        );
    }
    match build.network.as_deref() {
        None | Some("" | "default" | "bridge") => {}
        Some(mode @ ("host" | "none")) => {
            set("force-network-mode", mode.to_owned());
        }
        Some(other) => {
            return Err(BuildError::Unsupported {
                image: build.image.clone(),
                what: format!(
                    "BuildKit has no network `{other}` for a build's steps, only `default`, `host` and `none`"
                ),
            });
        }
    }
    for (name, value) in &build.args {
        set(&format!("build-arg:{name}"), value.clone());
    }
    for (name, value) in &build.labels {
        set(&format!("label:{name}"), value.clone());
    }
    if !build.additional_contexts.is_empty() {
        set("frontend.caps", "moby.buildkit.frontend.contexts+forward".to_owned());
    }
    for (name, place) in &build.additional_contexts {
        set(&format!("context:{name}"), place.clone());
    }
    Ok(all)
}

/// What steps may do beyond the usual, by BuildKit's own names. The engine refuses what its own configuration does not allow.
fn entitlements(build: &Build) -> Vec<String> {
    let mut all = build.entitlements.clone();
    let mut add = |name: &str| {
        if !all.iter().any(|there| there == name) {
            all.push(name.to_owned());
        }
    };
    if build.privileged {
        add("security.insecure");
    }
    if build.network.as_deref() == Some("host") {
        add("network.host");
    }
    all
}

/// `image:tag`, or `type=registry,ref=image:tag`.
fn cache(from: &str) -> CacheOptionsEntry {
    let mut attrs: HashMap<String, String> = HashMap::new();
    let mut kind = "registry".to_owned();
    if from.contains('=') {
        for (name, value) in from.split(',').filter_map(|part| part.split_once('=')) {
            match name.trim() {
                "type" => kind = value.to_owned(),
                name => {
                    attrs.insert(name.to_owned(), value.to_owned());
                }
            }
        }
    } else {
        attrs.insert("ref".to_owned(), from.to_owned());
    }
    CacheOptionsEntry { r#type: kind, attrs }
}

async fn secrets(build: &Build) -> Result<HashMap<String, Vec<u8>>, BuildError> {
    let mut all = HashMap::new();
    for (id, secret) in &build.secrets {
        let data = match secret {
            BuildSecret::Value(value) => value.clone().into_bytes(),
            BuildSecret::File(path) => tokio::fs::read(path).await.map_err(|source| BuildError::NoSecret {
                image: build.image.clone(),
                id: id.clone(),
                path: path.clone(),
                source,
            })?,
        };
        if data.len() > LONGEST_SECRET {
            let what = format!(
                "secret `{id}` has {} bytes, and BuildKit takes {LONGEST_SECRET}",
                data.len()
            );
            return Err(BuildError::Unsupported {
                image: build.image.clone(),
                what,
            });
        }
        all.insert(id.clone(), data);
    }
    Ok(all)
}

fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(below) = deepest.source() {
        deepest = below;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_words_are_buildkits() {
        let mut build = Build {
            extra_hosts: vec!["db:10.0.0.1".to_owned(), "v6:::1".to_owned()],
            network: Some("host".to_owned()),
            privileged: true,
            entitlements: vec!["network.host".to_owned()],
            ..Build::default()
        };
        build.args.insert("A".to_owned(), "1".to_owned());
        build.ulimits.insert("nofile".to_owned(), (1, 2));
        let told = attributes(&build).unwrap();
        assert_eq!(told["add-hosts"], "db=10.0.0.1,v6=::1");
        assert_eq!(told["force-network-mode"], "host");
        assert_eq!(told["build-arg:A"], "1");
        assert_eq!(told["ulimit"], "nofile=1:2");
        assert_eq!(entitlements(&build), ["network.host", "security.insecure"]);
        build.network = Some("backend".to_owned());
        let error = attributes(&build).unwrap_err();
        assert!(error.to_string().contains("`backend`"), "{error}");
    }

    #[test]
    fn a_cache_is_an_image_or_says_what_it_is() {
        assert_eq!(cache("shop/api:1").attrs["ref"], "shop/api:1");
        let local = cache("type=local,src=/cache");
        assert_eq!(
            (local.r#type.as_str(), local.attrs["src"].as_str()),
            ("local", "/cache")
        );
    }
}
