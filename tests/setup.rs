//! `make setup-docker` on machines that lack something: no engine's packages, a bridge that another engine took away.
//!
//! In namespaces of its own, with programs that only say what they were asked: that needs root and `unshare`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// What the script uses and every machine has.
const REAL: &str = "bash sh cat sed tail head mkdir mktemp rm seq sleep tee chmod touch id uname dirname env nohup setsid timeout mv ip";

struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    /// None: there can be none here, and that is told.
    fn new() -> Option<Self> {
        let can = Command::new("unshare").args(["-n", "-m", "true"]).status();
        if !can.is_ok_and(|status| status.success()) {
            eprintln!("skipped: namespaces of its own need root and `unshare`");
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("dvs")
            .tempdir_in("/tmp")
            .expect("a directory");
        let machine = Self { dir };
        std::fs::create_dir(machine.dir.path().join("bin")).expect("a directory");
        for name in REAL.split(' ') {
            let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).output();
            let path = String::from_utf8_lossy(&found.expect("a shell").stdout)
                .trim()
                .to_owned();
            if path.is_empty() {
                continue;
            }
            // Not by a link: where some of them lie is covered below.
            std::fs::copy(&path, machine.dir.path().join("bin").join(name)).expect("a program");
        }
        Some(machine)
    }

    /// A program of the machine's; `$HERE` is its directory.
    fn program(&self, name: &str, script: &str) {
        let path = self.dir.path().join("bin").join(name);
        let here = self.dir.path().display();
        std::fs::write(&path, format!("#!/bin/bash\nHERE={here}\n{script}\n")).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    }

    /// Runs the script there, then `then`, where nothing of this machine's own state is seen.
    fn set_up(&self, args: &str, then: &str) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.ci/setup-docker");
        let script = script.canonicalize().expect("the script");
        let line = format!(
            "mount -t tmpfs none /run && mount -t tmpfs none /usr/sbin && export PATH={}/bin && {} {args} && {then}",
            self.dir.path().display(),
            script.display()
        );
        Command::new("unshare")
            .args(["-n", "-m", "sh", "-c", &line])
            .env("XDG_STATE_HOME", self.dir.path())
            .env("YES", "1")
            .env_remove("CI")
            .env_remove("DOCKER_HOST")
            .output()
            .expect("unshare can be run")
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An engine that answers once it was started, has every image, and no bridge to mend.
const DOCKER: &str = r#"case "$1 $2" in
"version --format") [ -e $HERE/started ] ;;
"image inspect") exit 0 ;;
*) exit 1 ;;
esac"#;

#[test]
fn an_engine_that_is_not_installed_is_installed_and_started_once() {
    let Some(machine) = Machine::new() else { return };
    machine.program("docker.packaged", DOCKER);
    machine.program("dockerd.packaged", "echo begun >> $HERE/begun; touch $HERE/started");
    machine.program("docker-registry", "exit 0");
    machine.program("ssh-agent", "exit 0");
    machine.program("apt-cache", "exit 1");
    machine.program(
        "apt-get",
        r#"echo "$*" >> $HERE/apt
[ -x /usr/sbin/policy-rc.d ] || exit 3
case "$*" in *docker.io*) for name in docker dockerd; do mv $HERE/bin/$name.packaged $HERE/bin/$name; done ;; esac"#,
    );
    let said = machine.set_up("", "! [ -e /usr/sbin/policy-rc.d ]");
    assert!(said.status.success(), "{}", told(&said));
    let asked = machine.read("apt");
    let asked: Vec<&str> = asked.lines().collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(
        asked[0].starts_with("update") && asked[1].ends_with("docker.io iptables ca-certificates"),
        "{asked:?}"
    );
    assert_eq!(machine.read("begun"), "begun\n");
    // There is nothing to do any more.
    let again = machine.set_up("--if-wanted", "true");
    assert!(again.status.success() && told(&again).is_empty(), "{}", told(&again));
}

#[test]
fn packages_that_cannot_be_had_are_an_error_or_tests_without_docker() {
    let Some(machine) = Machine::new() else { return };
    machine.program("apt-cache", "exit 1");
    machine.program("apt-get", "echo 'E: no such mirror' >&2; exit 100");
    let said = machine.set_up("", "true");
    assert_eq!(said.status.code(), Some(1), "{}", told(&said));
    assert!(
        told(&said).contains("no such mirror") && told(&said).contains("apt-get failed; next: see"),
        "{}",
        told(&said)
    );
    let said = machine.set_up("--if-wanted", "true");
    assert!(
        said.status.success() && told(&said).contains("tests that need Docker are skipped"),
        "{}",
        told(&said)
    );
}

#[test]
fn a_bridge_that_was_taken_away_is_made_again() {
    let Some(machine) = Machine::new() else { return };
    if !machine.dir.path().join("bin/ip").exists() {
        eprintln!("skipped: there is no `ip` (package iproute2), and nothing to mend a bridge with");
        return;
    }
    machine.program(
        "docker",
        r#"case "$*" in
*bridge.name*) echo dvs-bridge ;;
*Subnet*) echo 10.231.76.0/24 ;;
*Gateway*) echo ;;
esac"#,
    );
    machine.program("pidof", "echo 1");
    let seen = machine.set_up("", "ip -o address show dev dvs-bridge");
    let address = String::from_utf8_lossy(&seen.stdout).into_owned();
    assert!(
        address.contains("inet 10.231.76.1/24") && told(&seen).contains("was taken away by another engine"),
        "{address}{}",
        told(&seen)
    );
}
