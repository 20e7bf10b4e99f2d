//! An engine, and things on it that are gone when a test is over.

use std::process::Command;

use devctl_drivers::docker::Engine;
use indexmap::IndexMap;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};

/// The image that tests start from, made by `make setup-docker`.
pub(crate) const BASE: &str = "busybox:latest";

/// The environment of a caller who has no logins.
pub(crate) fn environment(config: &std::path::Path) -> IndexMap<String, String> {
    let mut env: IndexMap<String, String> = std::env::vars().collect();
    env.insert("DOCKER_CONFIG".to_owned(), config.display().to_string());
    env
}

/// An engine that has the base image; `None`, and a word, where there is none.
pub(crate) async fn engine() -> Option<Engine> {
    engine_with(BASE).await
}

/// An engine that has this image; `None`, and a word, where there is none.
pub(crate) async fn engine_with(image: &str) -> Option<Engine> {
    let env: IndexMap<String, String> = std::env::vars().collect();
    let lacking = match Engine::connect(&env).await {
        Ok(engine) => match engine.image(image).await.unwrap() {
            Some(_) => return Some(engine),
            None => format!("the engine has no {image}; `make setup-docker` makes it"),
        },
        Err(error) => error.to_string(),
    };
    assert!(std::env::var_os("CI").is_none(), "{lacking}");
    eprintln!("skipped: {lacking}");
    None
}

/// A name that no other test has; the image of that name is removed at the end.
pub(crate) struct ImageName(pub(crate) String);

impl ImageName {
    pub(crate) fn new(test: &str) -> Self {
        Self(format!("devctl-test-{test}-{}:latest", std::process::id()))
    }
}

impl Drop for ImageName {
    fn drop(&mut self) {
        let _none = Command::new("docker").args(["image", "rm", "-f", &self.0]).output();
        // What a build that failed had made until then.
        let label = format!("label=devctl.test={}", self.0);
        let left = Command::new("docker")
            .args(["image", "ls", "-aq", "--filter", &label])
            .output();
        let left = left.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        for id in left.unwrap_or_default().split_whitespace() {
            let _gone = Command::new("docker").args(["image", "rm", "-f", id]).output();
        }
    }
}

/// A container that sleeps, removed at the end.
pub(crate) struct Sleeper {
    pub(crate) id: String,
    _container: ContainerAsync<GenericImage>,
}

impl Sleeper {
    pub(crate) async fn start() -> Self {
        let (name, tag) = BASE.split_once(':').unwrap();
        let container = GenericImage::new(name, tag).with_cmd(["sleep", "600"]).start().await;
        let container = container.unwrap();
        Self {
            id: container.id().to_owned(),
            _container: container,
        }
    }
}
