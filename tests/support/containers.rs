//! A project in containers, on a small image that the machine has. Dropping it removes whatever it has left in the engine.

use std::process::Command;

use super::{Project, Said, free_port, needs};

/// The image of every container in tests.
pub(crate) const IMAGE: &str = "busybox";

/// None: there is no engine or no image, and that is told.
pub(crate) fn project(compose: &str) -> Option<Containers> {
    let there = docker(&["image", "inspect", IMAGE]).is_some();
    if !needs(
        there,
        &format!("Docker engine with image `{IMAGE}` (`make setup-docker`)"),
    ) {
        return None;
    }
    let name = format!("dvt{}-{}", std::process::id(), free_port());
    let project = Project::new(&format!("name: {name}\n{compose}"));
    Some(Containers { project, name })
}

/// A project whose containers go with it, whatever the test does.
pub(crate) struct Containers {
    pub(crate) project: Project,
    pub(crate) name: String,
}

impl Containers {
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        self.project.run(&[&["--runtime", "auto"], args].concat())
    }

    pub(crate) fn ok(&self, args: &[&str]) -> Said {
        self.project.ok(&[&["--runtime", "auto"], args].concat())
    }

    pub(crate) fn inspect(&self, container: &str, template: &str) -> String {
        let name = format!("{}-{container}", self.name);
        docker(&["inspect", "--format", template, &name]).unwrap_or_default()
    }

    pub(crate) fn published(&self, service: &str, port: &str) -> String {
        self.ok(&["port", service, port]).out.trim().to_owned()
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let _gone = self.run(&["down", "-v", "-t", "0", "--remove-orphans", "--rmi", "local"]);
        let left = docker(&["ps", "-aq", "--filter", &label]).unwrap_or_default();
        for id in left.split_whitespace() {
            docker(&["rm", "-fv", id]);
        }
        // Images whose name a later build has taken.
        let images =
            docker(&["image", "ls", "-q", "--filter", "dangling=true", "--filter", &label]).unwrap_or_default();
        for id in images.split_whitespace() {
            docker(&["image", "rm", "-f", id]);
        }
        for kind in ["network", "volume"] {
            let left = docker(&[kind, "ls", "-q", "--filter", &label]).unwrap_or_default();
            for id in left.split_whitespace() {
                docker(&[kind, "rm", id]);
            }
        }
    }
}

/// What `docker` printed; None where it failed.
pub(crate) fn docker(args: &[&str]) -> Option<String> {
    let output = Command::new("docker").args(args).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
