//! The sample in containers, and with its services and servers on different sides: the same file, and the same requests as
//! `make up` makes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::containers::{Containers, docker, project};
use crate::support::{Said, needs};

/// Each has an image of its own; the others are servers.
const SERVICES: [&str; 7] = [
    "auth",
    "billing",
    "notification",
    "user-analytics",
    "api-gateway",
    "mobile-bff",
    "seed",
];
/// The images of its servers, made or pulled by `make setup-docker`.
const SERVERS: [&str; 2] = ["postgres:15", "rabbitmq:3.10-management"];
/// Ports that it publishes: any will do, and nobody's is taken.
const PORTS: [&str; 5] = [
    "AUTH_PORT",
    "API_GATEWAY_PORT",
    "MOBILE_BFF_PORT",
    "NOTIFICATION_PORT",
    "RABBITMQ_UI_PORT",
];

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().expect("the repository")
}

struct Phoenix {
    containers: Containers,
}

impl Phoenix {
    /// None: there is no engine, and that is told.
    fn new() -> Option<Self> {
        // The sample's file as it is, in a place of this test's own: somebody may run it where it lies.
        let containers = project("services: {}")?;
        let lacks = SERVERS
            .iter()
            .find(|image| docker(&["image", "inspect", image]).is_none());
        if let Some(image) = lacks {
            needs(false, &format!("image `{image}` (`make setup-docker`)"));
            return None;
        }
        let phoenix = Self { containers };
        for folder in ["fixtures", "contracts", "target"] {
            let link = phoenix.path(folder);
            std::os::unix::fs::symlink(root().join(folder), link).expect("a link");
        }
        let copied = Command::new("cp")
            .arg("-R")
            .arg(root().join("compose"))
            .arg(phoenix.path("sample"))
            .status();
        assert!(copied.is_ok_and(|status| status.success()), "the sample can be copied");
        let _of_a_running_one = std::fs::remove_dir_all(phoenix.path("sample/.devctl"));
        phoenix.override_file();
        Some(phoenix)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.containers.project.dir().join(name)
    }

    /// Images of this test's own, from binaries that were built outside, out of a directory that holds nothing else.
    fn override_file(&self) {
        let context = self.path("context");
        let mut lines = String::from("services:\n");
        for service in SERVICES {
            let image = self.image(service);
            let context = context.display();
            lines.push_str(&format!(
                "  {service}: {{image: {image}, build: {{context: {context}}}}}\n"
            ));
        }
        self.containers.project.write("override.yaml", &lines);
    }

    fn image(&self, service: &str) -> String {
        format!("{}-{service}:dev", self.containers.name)
    }

    fn run(&self, args: &[&str]) -> Said {
        let mut command = self
            .containers
            .project
            .command(&["-f", "sample/compose.yaml", "-f", "override.yaml"]);
        command.args(["--project-name", &self.containers.name]).args(args);
        command.env("PREBUILT", "1").envs(PORTS.map(|port| (port, "0")));
        let output = command.output().expect("devctl can be run");
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: std::time::Duration::ZERO,
        }
    }

    fn ok(&self, args: &[&str]) -> Said {
        let said = self.run(args);
        assert_eq!(said.code, 0, "devctl {}:\n{}{}", args.join(" "), said.out, said.err);
        said
    }

    /// Every service's binary, by the command that a native run builds it with, put where the images are built from.
    fn build(&self) {
        self.ok(&[&["--runtime", "native", "build", "--quiet"], &SERVICES[..]].concat());
        let context = self.path("context");
        let mut files: Vec<String> = vec![
            "fixtures/services/Dockerfile.prebuilt".to_owned(),
            "fixtures/services/auth/Dockerfile.prebuilt".to_owned(),
            "target/phoenix/auth".to_owned(),
        ];
        let rust = SERVICES.iter().filter(|service| **service != "auth");
        files.extend(rust.map(|service| format!("target/phoenix/debug/{service}")));
        for file in files {
            let to = context.join(&file);
            std::fs::create_dir_all(to.parent().expect("a parent")).expect("a directory");
            std::fs::copy(root().join(file), to).expect("a file that was built");
        }
    }

    /// Brings it up with each of the two kinds on that side, and makes the requests.
    fn works(&self, servers: &str, services: &str) {
        let mut args = vec!["--runtime".to_owned(), servers.to_owned()];
        for service in SERVICES {
            args.extend(["--runtime".to_owned(), format!("{service}={services}")]);
        }
        args.extend(["up", "-d", "--wait", "--verify", "never"].map(str::to_owned));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.ok(&args);
        let listed = self.ok(&["ps", "-a", "--format", "json"]).out;
        for line in listed.lines() {
            let node: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let name = node["Service"].as_str().unwrap_or_default();
            let of_image = match SERVICES.contains(&name) {
                true => services,
                false => servers,
            };
            let expected = match (of_image, name) {
                (_, "payments-provider" | "email-provider") => "stub",
                ("docker", _) => "docker",
                (_, "rabbitmq") => "rabbitmq",
                (_, name) if name.ends_with("-db") => "postgres",
                _ => "native",
            };
            let runtime = node["Runtime"].as_str().unwrap_or_default();
            assert_eq!(runtime, expected, "{name}");
        }
        let at = |service: &str| {
            let said = self.ok(&["port", service, "8080"]);
            format!("http://{}", said.out.trim())
        };
        let proof = Command::new(root().join("compose/prove"))
            .args(["--auth", &at("auth"), "--gateway", &at("api-gateway")])
            .args(["--bff", &at("mobile-bff"), "--notification", &at("notification")])
            .output()
            .expect("the proof can be run");
        let told = String::from_utf8_lossy(&proof.stdout);
        let failed = String::from_utf8_lossy(&proof.stderr);
        assert!(
            proof.status.success() && told.contains("phoenix works"),
            "servers {servers}, services {services}: {told}{failed}"
        );
    }
}

impl Drop for Phoenix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.run(&["ps", "-a"]).out);
        }
        let _gone = self.run(&["down", "-v", "-t", "2"]);
        for service in SERVICES {
            docker(&["image", "rm", "-f", &self.image(service)]);
        }
    }
}

#[test]
fn the_sample_works_in_containers_and_with_either_half_of_it_there() {
    let Some(phoenix) = Phoenix::new() else { return };
    phoenix.build();
    phoenix.works("docker", "docker");
    // The servers stay as they are, data and all; then each changes its side.
    phoenix.works("docker", "native");
    phoenix.works("native", "docker");
}
