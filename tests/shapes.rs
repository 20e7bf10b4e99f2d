//! Plain Compose files, in the shapes that most of them have, without a word of devctl's: each is brought up, and what the engine then
//! has is what Docker Compose made of the same file (`expected.json`; `fixtures/shapes/compare` makes it, with `UPDATE=1`).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Project, free_port, needs};

const SHAPES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/shapes");

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("the shape").flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("a file")),
        }
    }
}

struct Shape {
    project: Project,
    name: String,
    ports: [String; 2],
}

impl Shape {
    fn devctl(&self, args: &[&str]) -> (bool, String) {
        let mut command = self.project.command(&["-p", &self.name, "--runtime", "docker"]);
        command.env("PORT_A", &self.ports[0]).env("PORT_B", &self.ports[1]);
        let output = command.args(args).output().expect("devctl can be run");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn observed(&self) -> String {
        let output = Command::new("python3")
            .arg(Path::new(SHAPES).join("observe"))
            .args([self.name.as_str(), &self.project.dir().display().to_string()])
            .output()
            .expect("python3 can be run");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn left(&self) -> String {
        let label = format!("label=com.docker.compose.project={}", self.name);
        let lists: [&[&str]; 3] = [&["ps", "-aq"], &["network", "ls", "-q"], &["volume", "ls", "-q"]];
        let mut all = String::new();
        for list in lists {
            let output = Command::new("docker").args(list).args(["--filter", &label]).output();
            all.push_str(&String::from_utf8_lossy(&output.expect("docker can be run").stdout));
        }
        all
    }
}

impl Drop for Shape {
    fn drop(&mut self) {
        self.devctl(&["down", "-v", "-t", "0", "--remove-orphans", "--rmi", "local"]);
    }
}

fn is_as_under_docker_compose(shape: &str) {
    for image in ["busybox", "postgres:15"] {
        let there = Command::new("docker").args(["image", "inspect", image]).output();
        let there = there.is_ok_and(|output| output.status.success());
        if !needs(
            there,
            &format!("Docker engine with image `{image}` (`make setup-docker`)"),
        ) {
            return;
        }
    }
    let from = PathBuf::from(SHAPES).join(shape);
    let name = format!("dvs{}-{shape}", std::process::id());
    let project = Project::new("");
    copy(&from, project.dir());
    let ports = [free_port().to_string(), free_port().to_string()];
    let shape = Shape { project, name, ports };
    let (_, said) = shape.devctl(&["up", "-d"]);
    let expected = std::fs::read_to_string(from.join("expected.json")).expect("what Docker Compose made of it");
    // What ends by itself has its time for that.
    let began = Instant::now();
    let mut seen = shape.observed();
    while seen != expected && began.elapsed() < Duration::from_secs(20) {
        seen = shape.observed();
    }
    let differs = |(left, right): &(&str, &str)| left != right;
    let first = expected.lines().zip(seen.lines()).position(|pair| differs(&pair));
    assert!(
        seen == expected,
        "line {}:\n{seen}\nwhat `up` said:\n{said}",
        first.map_or(0, |at| at + 1)
    );
    let (again, said) = shape.devctl(&["up", "-d"]);
    assert!(!said.contains("recreate"), "nothing has changed: {said}");
    let _a_failed_job_is_told = again;
    let (down, said) = shape.devctl(&["down", "-v", "-t", "0"]);
    assert!(down, "{said}");
    assert_eq!(shape.left(), "", "{said}");
}

macro_rules! shapes {
    ($($name:ident: $folder:literal,)*) => {
        $(#[test]
        fn $name() {
            is_as_under_docker_compose($folder);
        })*

        #[test]
        fn every_folder_is_tried() {
            let tried = [$($folder),*];
            for entry in std::fs::read_dir(SHAPES).expect("the shapes").flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                assert!(!entry.path().is_dir() || tried.contains(&name.as_str()), "`{name}` is not tried");
            }
        }
    };
}

shapes! {
    front_and_back: "front-and-back",
    sources_mounted: "sources-mounted",
    content_management: "content-management",
    real_database: "real-database",
    monitoring: "monitoring",
    network_appliance: "network-appliance",
    limits: "limits",
    jobs: "jobs",
    shared_spaces: "shared-spaces",
    templates: "templates",
    replicas: "replicas",
    tested_image: "tested-image",
}
