//! An engine, and things on it that are gone when a test is over.

use std::collections::BTreeMap;
use std::process::Command;

use devctl_drivers::docker::{ContainerSpec, Engine, api};
use indexmap::IndexMap;

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
    let env: IndexMap<String, String> = std::env::vars().collect();
    let lacking = match Engine::connect(&env).await {
        Ok(engine) => match engine.image(BASE).await.unwrap() {
            Some(_) => return Some(engine),
            None => format!("the engine has no {BASE}; `make setup-docker` makes it"),
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
    }
}

/// A container that sleeps, removed at the end.
pub(crate) struct Sleeper {
    pub(crate) id: String,
}

impl Sleeper {
    pub(crate) async fn start(engine: &Engine, test: &str) -> Self {
        let spec = ContainerSpec {
            name: format!("devctl-test-{test}-{}", std::process::id()),
            platform: None,
            body: api::ContainerCreateBody {
                image: Some(BASE.to_owned()),
                cmd: Some(vec!["sleep".to_owned(), "600".to_owned()]),
                labels: Some(
                    BTreeMap::from([("devctl.test".to_owned(), test.to_owned())])
                        .into_iter()
                        .collect(),
                ),
                ..api::ContainerCreateBody::default()
            },
            networks: Vec::new(),
            files: Vec::new(),
        };
        let (id, _) = engine.create(&spec).await.unwrap();
        let sleeper = Self { id };
        engine.start(&sleeper.id).await.unwrap();
        sleeper
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _gone = Command::new("docker").args(["rm", "-f", &self.id]).output();
    }
}
