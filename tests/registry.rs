//! Images of a registry that wants a login: Docker's own, on loopback. Pulled with the caller's login, by the file's policy, and every
//! refusal named with the next step.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::containers::{Containers, docker, project};
use crate::support::{Said, free_port, needs, wait_for};

/// `ada`, whose password is `open sesame`.
const USERS: &str = "ada:$2y$05$devctldevctldevctldeveRPz3rV4eD3kyoO0pNWjPsGpZDKXhc/a\n";
const PASSWORD: &str = "open sesame";
/// `ada:open sesame` and `ada:open barley` as `docker login` keeps them.
const LOGIN: &str = "YWRhOm9wZW4gc2VzYW1l";
const WRONG: &str = "YWRhOm9wZW4gYmFybGV5";

struct Registry {
    server: Option<Child>,
    dir: tempfile::TempDir,
    host: String,
}

impl Registry {
    /// None: there is none here, and that is told.
    fn start() -> Option<Self> {
        let found = Command::new("docker-registry").arg("--version").output();
        if !needs(found.is_ok(), "`docker-registry` (`make setup-docker` installs it)") {
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("dvr")
            .tempdir_in("/tmp")
            .expect("a directory");
        let mut registry = Self {
            server: None,
            dir,
            host: String::new(),
        };
        registry.begin(free_port());
        Some(registry)
    }

    fn begin(&mut self, port: u16) {
        let at = |name: &str| self.dir.path().join(name);
        self.host = format!("127.0.0.1:{port}");
        std::fs::write(at("users"), USERS).expect("a file");
        let settings = format!(
            "version: 0.1\nlog: {{accesslog: {{disabled: true}}, level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '{}'}}\nauth: {{htpasswd: {{realm: images, path: {}}}}}\n",
            at("images").display(),
            self.host,
            at("users").display()
        );
        std::fs::write(at("config.yml"), settings).expect("a file");
        let mut server = Command::new("docker-registry")
            .arg("serve")
            .arg(at("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it can be run");
        wait_for("the registry", Duration::from_secs(20), || {
            assert!(
                server.try_wait().is_ok_and(|ended| ended.is_none()),
                "the registry ended"
            );
            std::net::TcpStream::connect(&self.host).ok()
        });
        self.server = Some(server);
    }

    fn end(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _gone = server.kill();
            let _gone = server.wait();
        }
    }

    fn image(&self) -> String {
        format!("{}/team/box:1", self.host)
    }

    /// A directory of Docker's settings.
    fn settings(&self, name: &str, text: &str) -> PathBuf {
        let dir = self.dir.path().join(name);
        std::fs::create_dir_all(&dir).expect("a directory");
        std::fs::write(dir.join("config.json"), text).expect("a file");
        dir
    }

    /// Settings with a login as `docker login` leaves it.
    fn login(&self, name: &str, auth: &str) -> PathBuf {
        self.settings(
            name,
            &format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, self.host),
        )
    }

    /// Puts an image there that no engine has: one layer of it is new.
    fn publish(&self, says: &str) {
        let context = self.dir.path().join("context");
        std::fs::create_dir_all(&context).expect("a directory");
        // Nothing that can be packed: it is seen on its way.
        let noise = Command::new("head").args(["-c", "3000000", "/dev/urandom"]).output();
        std::fs::write(context.join("noise"), noise.expect("noise").stdout).expect("a file");
        std::fs::write(context.join("says"), says).expect("a file");
        let steps = format!("FROM busybox\nLABEL devctl.test={}\nCOPY . /\n", self.host);
        std::fs::write(context.join("Dockerfile"), steps).expect("a file");
        let image = self.image();
        docker(&["build", "-q", "-t", &image, &context.display().to_string()]).expect("an image");
        let settings = self.login("publisher", LOGIN).display().to_string();
        docker(&["--config", &settings, "push", &image]).expect("it can be pushed");
        self.forget();
    }

    /// Puts another one there under the same name, while the engine goes on having the one before.
    fn publish_beside(&self, says: &str) {
        let (image, kept) = (self.image(), self.image().replace("box:1", "box:kept"));
        docker(&["tag", &image, &kept]).expect("it is there");
        self.publish(says);
        docker(&["tag", &kept, &image]).expect("it was kept");
        docker(&["image", "rm", &kept]);
    }

    /// The engine has it no more.
    fn forget(&self) {
        docker(&["image", "rm", "-f", &self.image()]);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.end();
        self.forget();
        // Those whose name led elsewhere later.
        let label = format!("label=devctl.test={}", self.host);
        let left = docker(&["image", "ls", "-q", "--filter", "dangling=true", "--filter", &label]);
        for id in left.unwrap_or_default().split_whitespace() {
            docker(&["image", "rm", "-f", id]);
        }
    }
}

fn service(registry: &Registry, more: &str) -> String {
    format!(
        "services:\n  box:\n    image: {}\n    init: true\n    command: [sleep, '600']\n{more}",
        registry.image()
    )
}

/// With these settings of Docker's, and a directory that may have a helper.
fn devctl(project: &Containers, settings: &Path, args: &[&str]) -> Said {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = project
        .project
        .command(&["--runtime", "auto"])
        .args(args)
        .env("DOCKER_CONFIG", settings)
        .env("PATH", format!("{}:{path}", settings.display()))
        .output()
        .expect("devctl can be run");
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: Duration::ZERO,
    }
}

fn says(project: &Containers) -> String {
    docker(&["exec", &format!("{}-box-1", project.name), "cat", "/says"]).unwrap_or_default()
}

#[test]
fn an_image_comes_with_the_callers_login_and_every_refusal_has_a_next_step() {
    let Some(registry) = Registry::start() else { return };
    let Some(project) = project(&service(&registry, "")) else {
        return;
    };
    registry.publish("one");
    let (image, host) = (registry.image(), registry.host.clone());

    let nobody = registry.settings("nobody", "{}");
    let wrong = registry.login("wrong", WRONG);
    for settings in [&nobody, &wrong] {
        for args in [&["pull"][..], &["up", "-d", "--wait"]] {
            let said = devctl(&project, settings, args);
            assert_ne!(said.code, 0, "{said:?}");
            assert!(
                said.err.contains(&image) && said.err.contains(&format!("docker login {host}")),
                "{said:?}"
            );
        }
    }

    let login = registry.login("login", LOGIN);
    let pulled = devctl(&project, &login, &["pull"]);
    assert_eq!(pulled.code, 0, "{pulled:?}");
    assert!(pulled.err.contains(&image), "{pulled:?}");
    registry.forget();

    // A helper keeps it, as on most laptops.
    let helped = registry.settings("helped", &format!(r#"{{"credHelpers": {{"{host}": "of-the-test"}}}}"#));
    let helper = helped.join("docker-credential-of-the-test");
    let script = format!(
        "#!/bin/sh\nread -r asked\necho \"$1 $asked\" >> {0}/asked\n\
         printf '{{\"ServerURL\": \"%s\", \"Username\": \"ada\", \"Secret\": \"{PASSWORD}\"}}' \"$asked\"\n",
        helped.display()
    );
    std::fs::write(&helper, script).expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&helper, mode).expect("permissions");
    let up = devctl(&project, &helped, &["up", "-d", "--wait"]);
    assert_eq!(up.code, 0, "{up:?}");
    assert_eq!(says(&project), "one");
    let asked = std::fs::read_to_string(helped.join("asked")).expect("it was asked");
    assert!(asked.lines().all(|line| line == format!("get {host}")), "{asked}");

    let missing = image.replace("box:1", "box:2");
    project.project.write(
        "compose.yaml",
        &format!(
            "name: {}\n{}",
            project.name,
            service(&registry, "").replace(&image, &missing)
        ),
    );
    let said = devctl(&project, &login, &["up", "-d", "--wait"]);
    assert_ne!(said.code, 0, "{said:?}");
    assert!(
        said.err.contains(&missing) && said.err.contains("check the name and the tag"),
        "{said:?}"
    );
    let log = std::fs::read_to_string(project.project.state("daemon.log")).expect("the daemon's log");
    for secret in [PASSWORD, LOGIN, WRONG] {
        assert!(!log.contains(secret));
    }
}

fn of_policy(project: &Containers, registry: &Registry, settings: &Path, policy: &str) -> Said {
    let text = service(registry, &format!("    pull_policy: {policy}\n"));
    project
        .project
        .write("compose.yaml", &format!("name: {}\n{text}", project.name));
    devctl(project, settings, &["up", "-d", "--wait"])
}

#[test]
fn the_policy_says_when_an_image_is_pulled_and_a_terminal_is_told_how_it_goes() {
    let Some(mut registry) = Registry::start() else { return };
    let Some(project) = project(&service(&registry, "    pull_policy: never\n")) else {
        return;
    };
    registry.publish("one");
    let login = registry.login("login", LOGIN);
    let never = of_policy(&project, &registry, &login, "never");
    assert_ne!(never.code, 0, "{never:?}");
    assert!(
        never.err.contains("pull_policy: never") && never.err.contains("docker pull"),
        "{never:?}"
    );
    // On a terminal each step is told in place; how many bytes of how many, where the engine takes its time.
    let line = format!(
        "DOCKER_CONFIG='{}' script -qec '{} --runtime auto pull --policy always' /dev/null",
        login.display(),
        env!("CARGO_BIN_EXE_devctl")
    );
    let text = service(&registry, "");
    project
        .project
        .write("compose.yaml", &format!("name: {}\n{text}", project.name));
    let seen = project.project.shell(&line);
    assert_eq!(seen.code, 0, "{seen:?}");
    let has = |words: &str| seen.out.contains(words);
    assert!(
        has("\u{1b}[K") && has("Pulling fs layer") && (has(" of ") || has("Pull complete")),
        "{seen:?}"
    );

    let missing = of_policy(&project, &registry, &login, "missing");
    assert_eq!((missing.code, says(&project).as_str()), (0, "one"), "{missing:?}");
    // Another one of that name: only who asks gets it.
    registry.publish_beside("two");
    let missing = of_policy(&project, &registry, &login, "missing");
    assert_eq!((missing.code, says(&project).as_str()), (0, "one"), "{missing:?}");
    let always = of_policy(&project, &registry, &login, "always");
    assert_eq!((always.code, says(&project).as_str()), (0, "two"), "{always:?}");
    let again = of_policy(&project, &registry, &login, "always");
    assert!(
        again.err.contains("nothing to change") || again.out.contains("nothing to change"),
        "{again:?}"
    );

    // The registry is away: what is there is enough for those who only want one.
    let port = registry.host.rsplit(':').next().and_then(|port| port.parse().ok());
    registry.end();
    let missing = of_policy(&project, &registry, &login, "missing");
    assert_eq!(missing.code, 0, "{missing:?}");
    let always = of_policy(&project, &registry, &login, "always");
    assert_ne!(always.code, 0, "{always:?}");
    assert!(always.err.contains("the registry cannot be reached"), "{always:?}");
    registry.begin(port.expect("its port"));
    let always = of_policy(&project, &registry, &login, "always");
    assert_eq!((always.code, says(&project).as_str()), (0, "two"), "{always:?}");
}

/// BuildKit asks for the login itself, over the build's session.
#[test]
fn a_build_with_secrets_starts_from_an_image_that_wants_a_login() {
    let Some(registry) = Registry::start() else { return };
    let file = format!(
        "services:\n  box:\n    build: {{context: ., secrets: [token], dockerfile_inline: \"FROM {}\\nRUN --mount=type=secret,id=token cat /says\\n\"}}\n\
         secrets: {{token: {{file: ./token}}}}\n",
        registry.image()
    );
    let Some(project) = project(&file) else { return };
    project.project.write("token", "x");
    registry.publish("from the registry");
    let nobody = registry.settings("nobody", "{}");
    let said = devctl(&project, &nobody, &["build"]);
    assert_ne!(said.code, 0, "{said:?}");
    assert!(
        said.err.contains(&registry.image()) && said.err.contains("docker login"),
        "{said:?}"
    );
    let login = registry.login("login", LOGIN);
    let built = devctl(&project, &login, &["build"]);
    assert_eq!(built.code, 0, "{built:?}");
    assert!(
        built.err.lines().any(|line| line == "box  from the registry"),
        "{built:?}"
    );
}
