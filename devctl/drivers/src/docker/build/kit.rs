//! Builds that want what only a session of BuildKit has: secrets and further contexts.
//!
//! The client library drives these builds without telling their progress: the steps are not shown, and a failure is told by
//! BuildKit's own sentence alone.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use bollard::auth::DockerCredentials;
use bollard::grpc::build::{
    ImageBuildFrontendOptions, ImageBuildHostIp, ImageBuildLoadInput, ImageBuildNetworkMode, ImageBuildPlatform,
    NamedContext, SecretSource,
};
use bollard::grpc::driver::Build as _;
use bollard::grpc::driver::moby::Moby;
use bollard::grpc::error::GrpcError;
use bytes::Bytes;
use indexmap::IndexMap;
use tokio::sync::oneshot;

use super::context::Context;
use super::{Build, BuildError, BuildSecret, OnLine, SILENCE};
use crate::docker::Engine;
use crate::docker::auth::Credentials;

pub(super) async fn build(
    build: &Build,
    engine: &Engine,
    context: Option<Context>,
    logins: IndexMap<String, Credentials>,
    on_line: OnLine<'_>,
) -> Result<(), BuildError> {
    let Some(context) = context else {
        return Err(BuildError::Unsupported {
            image: build.image.clone(),
            what: "secrets and further contexts need a context that is a directory".to_owned(),
        });
    };
    let secrets = Secrets::put_down(build)?;
    let options = options(build, &context, &secrets);
    on_line("building with BuildKit; with secrets or further contexts its steps are not told");
    let archive = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        context.write(&mut bytes).map(|()| bytes)
    });
    let archive = archive
        .await
        .unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|source| BuildError::Io {
            doing: "read",
            path: Path::new(&build.context).to_owned(),
            source,
        })?;
    let job = Job {
        driver: Moby::new(&engine.patient(SILENCE)),
        image: build.image.clone(),
        options,
        archive: archive.into(),
        logins: logins
            .into_iter()
            .map(|(server, login)| (server, login.into()))
            .collect(),
    };
    // Its end is noticed on the other thread when this future is dropped.
    let (_alive, given_up) = oneshot::channel();
    tokio::task::spawn_blocking(move || job.run(given_up))
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
        .map_err(|why| build.failed(why))
}

/// The client library's future cannot move between threads, so it has a thread and a runtime of its own.
struct Job {
    driver: Moby,
    image: String,
    options: ImageBuildFrontendOptions,
    archive: Bytes,
    logins: Vec<(String, DockerCredentials)>,
}

impl Job {
    fn run(self, given_up: oneshot::Receiver<()>) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let logins: HashMap<&str, DockerCredentials> = self
            .logins
            .iter()
            .map(|(server, login)| (server.as_str(), login.clone()))
            .collect();
        let input = ImageBuildLoadInput::Upload(self.archive);
        runtime.block_on(async {
            tokio::select! {
                built = self.driver.docker_build(&self.image, self.options, input, Some(logins), None) => {
                    built.map_err(|error| said(&error))
                }
                _ = given_up => Err("it was given up".to_owned()),
            }
        })
    }
}

/// The client library reads secrets from files alone: a value is put into one that only this user can read, and that goes with the build.
struct Secrets {
    dir: Option<tempfile::TempDir>,
}

impl Secrets {
    fn put_down(build: &Build) -> Result<Self, BuildError> {
        let io = |source| BuildError::Io {
            doing: "write a secret to",
            path: std::env::temp_dir(),
            source,
        };
        let mut dir = None;
        for (number, (_, secret)) in build.secrets.iter().enumerate() {
            if let BuildSecret::Value(value) = secret {
                let dir = match &mut dir {
                    Some(dir) => dir,
                    // Its mode is 0700.
                    none => none.insert(tempfile::tempdir().map_err(io)?),
                };
                std::fs::write(dir.path().join(number.to_string()), value).map_err(io)?;
            }
        }
        Ok(Self { dir })
    }

    fn path(&self, number: usize, secret: &BuildSecret) -> PathBuf {
        match (secret, &self.dir) {
            (BuildSecret::File(path), _) => path.clone(),
            (BuildSecret::Value(_), Some(dir)) => dir.path().join(number.to_string()),
            (BuildSecret::Value(_), None) => PathBuf::new(),
        }
    }
}

fn options(build: &Build, context: &Context, secrets: &Secrets) -> ImageBuildFrontendOptions {
    let mut options = ImageBuildFrontendOptions::builder()
        .dockerfile(Path::new(&context.dockerfile))
        .nocache(build.no_cache)
        .pull(build.pull);
    if let Some(target) = &build.target {
        options = options.target(target);
    }
    for (name, value) in &build.args {
        options = options.buildarg(name, value);
    }
    for (name, value) in &build.labels {
        options = options.label(name, value);
    }
    for (number, (name, secret)) in build.secrets.iter().enumerate() {
        options = options.set_secret(name, &SecretSource::File(secrets.path(number, secret)));
    }
    for (name, path) in &build.additional_contexts {
        options = options.named_context(name, NamedContext { path: path.clone() });
    }
    for host in &build.extra_hosts {
        if let Some((name, ip)) = host
            .split_once([':', '='])
            .and_then(|(name, ip)| Some((name, ip.parse().ok()?)))
        {
            options = options.extrahost(&ImageBuildHostIp {
                host: name.to_owned(),
                ip,
            });
        }
    }
    options = match build.network.as_deref() {
        Some("host") => options.force_network_mode(&ImageBuildNetworkMode::Host),
        Some("none") => options.force_network_mode(&ImageBuildNetworkMode::None),
        _ => options,
    };
    if let Some(size) = build.shm_size {
        options = options.shmsize(size);
    }
    if let Some(platform) = &build.platform {
        let mut parts = platform.split('/').map(str::to_owned);
        let (os, architecture) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        options = options.platforms(&ImageBuildPlatform {
            architecture,
            os,
            variant: parts.next(),
        });
    }
    options.build()
}

fn said(error: &GrpcError) -> String {
    match error {
        GrpcError::TonicStatus { err } => err.message().to_owned(),
        error => error.to_string(),
    }
}
