//! A Docker engine that goes away, comes back, and runs out of what it has: told in one line, with the next step.
//!
//! On an engine of its own, in namespaces of its own, so that nobody else's is touched: that needs root and `dockerd`.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Project, Said, free_port, needs, wait_for};

struct Engine {
    dir: tempfile::TempDir,
    pool: &'static str,
    /// Of its disk; none: this machine's.
    size: Option<&'static str>,
}

impl Engine {
    /// None: there can be none here, and that is told.
    fn start(pool: &'static str, size: Option<&'static str>) -> Option<Self> {
        let found = Command::new("sh")
            .args(["-c", "command -v dockerd && command -v unshare"])
            .output();
        let there = found.is_ok_and(|output| output.status.success());
        let image = Command::new("docker").args(["image", "inspect", "busybox"]).output();
        let image = image.is_ok_and(|output| output.status.success());
        // An engine inside of which somebody is root is no reason to fail where nobody is.
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: a second engine needs root");
            return None;
        }
        if !needs(there && image, "`dockerd` and image `busybox` (`make setup-docker`)") {
            return None;
        }
        let dir = tempfile::Builder::new()
            .prefix("dve")
            .tempdir_in("/tmp")
            .expect("a directory");
        let engine = Self { dir, pool, size };
        engine.begin();
        Some(engine)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn host(&self) -> String {
        format!("unix://{}", self.path("sock").display())
    }

    fn docker(&self, args: &[&str]) -> bool {
        let mut command = Command::new("docker");
        command.args(args).env("DOCKER_HOST", self.host());
        command.output().is_ok_and(|output| output.status.success())
    }

    #[expect(
        clippy::zombie_processes,
        reason = "an engine outlives its start; the end of the tests is its own"
    )]
    fn begin(&self) {
        let config = format!(
            "{{\"default-address-pools\":[{{\"base\":\"{}\",\"size\":25}}]}}",
            self.pool
        );
        std::fs::write(self.path("daemon.json"), config).expect("a file");
        let root = self.dir.path().display();
        let disk = self.size.map_or(String::new(), |size| {
            format!("mkdir -p {root}/data && mount -t tmpfs -o size={size} none {root}/data && ")
        });
        let line = format!(
            "{disk}exec dockerd --config-file {root}/daemon.json -H unix://{root}/sock --data-root {root}/data --exec-root {root}/exec \
             --pidfile {root}/pid --bridge=none --iptables=false --ip6tables=false"
        );
        // One that was killed leaves its pid, and its own child may not have let go of its files yet.
        let _first = std::fs::remove_file(self.path("pid"));
        wait_for("an engine", Duration::from_secs(60), || {
            let log = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(self.path("log"));
            let mut child = Command::new("unshare")
                .args(["-n", "-m", "sh", "-c", &line])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log.expect("a log"))
                .spawn()
                .expect("unshare can be run");
            loop {
                if self.docker(&["version"]) {
                    return Some(());
                }
                if child.try_wait().is_ok_and(|ended| ended.is_some()) {
                    return None;
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
        });
        let save = format!("docker save busybox | docker -H {} load", self.host());
        let image = self.docker(&["image", "inspect", "busybox"]);
        if !image {
            let loaded = Command::new("sh").args(["-c", &save]).stdout(Stdio::null()).status();
            assert!(loaded.is_ok_and(|status| status.success()), "busybox can be loaded");
        }
    }

    fn pid(&self, file: &str) -> Option<Pid> {
        let text = std::fs::read_to_string(self.path(file)).ok()?;
        text.trim().parse().ok().map(Pid::from_raw)
    }

    fn end(&self, signal: Signal) {
        let pid = self.pid("pid").expect("its process");
        let containerd = self.pid("exec/containerd/containerd.pid");
        kill(pid, signal).expect("it runs");
        wait_for("its end", Duration::from_secs(30), || is_gone(pid).then_some(()));
        if let (Signal::SIGKILL, Some(containerd)) = (signal, containerd) {
            let _gone = kill(containerd, Signal::SIGKILL);
            wait_for("its child's end", Duration::from_secs(10), || {
                is_gone(containerd).then_some(())
            });
        }
    }
}

/// Gone, or waiting for whoever started it.
fn is_gone(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')')
        .next()
        .is_none_or(|rest| rest.trim().is_empty() || rest.trim().starts_with('Z'))
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(5).collect();
            eprintln!("--- the engine's last words\n{}", last.join("\n"));
        }
        if let Some(pid) = self.pid("pid").filter(|pid| !is_gone(*pid)) {
            let _gone = kill(pid, Signal::SIGTERM);
            for _ in 0..500 {
                if is_gone(pid) {
                    break;
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
        // Whatever is left of it names its directory.
        let mark = self.dir.path().display().to_string();
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if let Some(pid) = pid
                && String::from_utf8_lossy(&command).contains(&mark)
            {
                let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

fn devctl(project: &Project, engine: &Engine, args: &[&str]) -> Said {
    let mut command = project.command(&["--runtime", "auto"]);
    let output = command
        .args(args)
        .env("DOCKER_HOST", engine.host())
        .output()
        .expect("devctl can be run");
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: Duration::ZERO,
    }
}

fn project() -> Project {
    Project::new(&format!(
        r#"
name: dve{}
services:
  clock:
    image: busybox
    init: true
    command: [sh, -c, "n=0; while true; do echo tick $$n; n=$$((n+1)); sleep 0.1; done"]
    healthcheck: {{test: [CMD, "true"], interval: 1s}}
  needs:
    image: busybox
    init: true
    command: sleep 3600
    depends_on: {{clock: {{condition: service_healthy}}}}
"#,
        free_port()
    ))
}

fn ready(project: &Project, engine: &Engine) {
    wait_for("both to be ready again", Duration::from_secs(60), || {
        let seen = devctl(project, engine, &["ps"]).out;
        let up = seen
            .lines()
            .filter(|line| line.contains("ready for") || line.contains("running for"));
        (up.count() == 2).then_some(())
    });
}

/// The numbers of each run's lines, which must have no gap and no repetition.
fn no_gap(project: &Project, engine: &Engine) {
    let logs = devctl(project, engine, &["logs", "--no-log-prefix", "clock"]).out;
    let mut next = 0;
    for line in logs.lines().filter_map(|line| line.strip_prefix("tick ")) {
        let number: u64 = line.parse().expect("a number");
        assert!(number == next || number == 0, "{number} after {next}:\n{logs}");
        next = number + 1;
    }
    assert!(next > 0, "{logs}");
}

#[test]
fn an_engine_that_goes_away_holds_what_runs_there_until_it_is_back() {
    let Some(engine) = Engine::start("10.231.78.0/24", None) else {
        return;
    };
    let project = project();
    let up = devctl(&project, &engine, &["up", "-d", "--wait"]);
    assert_eq!(up.code, 0, "{up:?}");
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        engine.end(signal);
        wait_for("the hold to be told", Duration::from_secs(10), || {
            let seen = devctl(&project, &engine, &["ps", "--no-trunc"]).out;
            (seen.matches("Docker has not answered for").count() == 2).then_some(())
        });
        let why = devctl(&project, &engine, &["why", "needs"]).out;
        assert!(
            why.contains("Docker has not answered for") && why.contains(&engine.host()),
            "{why}"
        );
        let up = devctl(&project, &engine, &["up", "-d", "--wait"]);
        assert_eq!(up.code, 2, "{up:?}");
        assert!(up.err.contains("does not answer") && up.err.contains("help:"), "{up:?}");
        engine.begin();
        ready(&project, &engine);
        no_gap(&project, &engine);
    }
    engine.end(Signal::SIGTERM);
    let down = devctl(&project, &engine, &["down", "-t", "0"]);
    assert_eq!(down.code, 1, "{down:?}");
    assert!(down.err.contains("its container is left"), "{down:?}");
    engine.begin();
    let down = devctl(&project, &engine, &["down", "-t", "0"]);
    assert_eq!(down.code, 0, "{down:?}");
}

/// Ten containers, each layer needing the one before it, a job between them, and a process beside them.
fn graph() -> Project {
    let service = |name: &str, needs: &str| {
        format!(
            "  {name}: {{image: busybox, init: true, command: sleep 3600, healthcheck: {{test: [CMD, \"true\"], interval: 1s}}, depends_on: {needs}}}\n"
        )
    };
    let healthy = |names: &[&str]| {
        let each = names
            .iter()
            .map(|name| format!("{name}: {{condition: service_healthy}}"));
        format!("{{{}}}", each.collect::<Vec<_>>().join(", "))
    };
    let mut all = format!("name: dve{}\nservices:\n", free_port());
    for database in ["db-a", "db-b", "db-c"] {
        all.push_str(&service(database, "[]"));
    }
    all.push_str(&service("service-a", &healthy(&["db-a"])));
    all.push_str(&service("service-b", &healthy(&["db-a", "db-b"])));
    all.push_str(&service("service-c", &healthy(&["db-c"])));
    all.push_str(
        "  seed: {image: busybox, command: echo seeding, depends_on: {service-a: {condition: service_healthy}}}\n",
    );
    all.push_str(&service("gateway", &healthy(&["service-a", "service-b", "service-c"])));
    all.push_str(&service(
        "bff",
        "{gateway: {condition: service_healthy}, seed: {condition: service_completed_successfully}}",
    ));
    all.push_str(&service("web", &healthy(&["bff"])));
    all.push_str(&service("admin", &healthy(&["gateway"])));
    all.push_str(
        "  outside:\n    image: app\n    environment: {NAME: outside}\n    depends_on: {db-a: {condition: service_healthy}}\n    x-devctl:\n      native: {command: [python3, $SERVICE], ports: {\"8080\": PORT}, ready: /healthz}\n",
    );
    Project::new(&all)
}

#[test]
fn a_graph_comes_back_each_after_what_it_needs_and_its_job_stays_done() {
    let Some(engine) = Engine::start("10.231.80.0/24", None) else {
        return;
    };
    let project = graph();
    let up = devctl(&project, &engine, &["up", "-d", "--wait"]);
    assert_eq!(up.code, 0, "{up:?}");
    let process = project.pid("outside");
    let order = [
        ("db-a", "service-a"),
        ("db-b", "service-b"),
        ("db-c", "service-c"),
        ("service-b", "gateway"),
        ("gateway", "bff"),
        ("bff", "web"),
    ];
    // Only the engine, and then everything: a machine that was switched off.
    for daemon_too in [false, true] {
        if daemon_too {
            let processes = project.processes();
            let daemon = processes.iter().find(|(_, command)| command.contains("__daemon"));
            let daemon = daemon.map(|(pid, _)| Pid::from_raw(*pid)).expect("a daemon");
            kill(daemon, Signal::SIGKILL).expect("it runs");
            project.wait_until_gone(Duration::from_secs(5));
        }
        engine.end(Signal::SIGKILL);
        engine.begin();
        if daemon_too {
            let up = devctl(&project, &engine, &["up", "-d", "--wait"]);
            assert_eq!(up.code, 0, "{up:?}");
        }
        let seen = wait_for("all to be ready again", Duration::from_secs(60), || {
            let seen = devctl(&project, &engine, &["ps"]).out;
            let up = seen.lines().filter(|line| line.contains("ready for"));
            (up.count() == 11).then_some(seen)
        });
        let told = devctl(&project, &engine, &["events", "--since", "10m", "--until", "0s"]).out;
        if !daemon_too {
            assert!(told.contains("10 containers had ended with it"), "{told}");
            assert_eq!(project.pid("outside"), process, "{seen}");
        }
        for (before, after) in order {
            let at = |line: String| told.rfind(&line).unwrap_or_else(|| panic!("no `{line}`:\n{told}"));
            assert!(
                at(format!("{before}  ready after")) < at(format!("{after}  starting")),
                "{after} was started before {before} was there:\n{told}"
            );
        }
        let seeded = devctl(&project, &engine, &["logs", "--no-log-prefix", "seed"]).out;
        assert_eq!(seeded.matches("seeding").count(), 1, "{told}");
    }
    let down = devctl(&project, &engine, &["down", "-t", "0"]);
    assert_eq!(down.code, 0, "{down:?}");
    assert!(engine.docker(&["network", "prune", "-f"]));
    let left = Command::new("docker")
        .args(["ps", "-aq"])
        .env("DOCKER_HOST", engine.host())
        .output()
        .expect("docker can be run");
    assert!(left.stdout.is_empty(), "something is left");
}

#[test]
fn no_address_range_and_no_disk_are_each_one_line_and_a_next_step() {
    let Some(engine) = Engine::start("10.231.79.0/25", Some("48m")) else {
        return;
    };
    assert!(engine.docker(&["network", "create", "other"]), "the only range");
    let project = project();
    let full = devctl(&project, &engine, &["up", "-d", "--wait"]);
    assert_ne!(full.code, 0, "{full:?}");
    assert!(
        full.err
            .contains("every address range that Docker has for networks is in use")
            && full.err.contains("docker network prune"),
        "{full:?}"
    );
    assert!(engine.docker(&["network", "rm", "other"]));
    let fill = [
        "run",
        "--rm",
        "--network",
        "none",
        "-v",
        "fill:/fill",
        "busybox",
        "dd",
        "if=/dev/zero",
        "of=/fill/all",
        "bs=1M",
    ];
    engine.docker(&fill);
    let full = devctl(&project, &engine, &["up", "-d", "--wait"]);
    assert_ne!(full.code, 0, "{full:?}");
    assert!(
        full.err.contains("no space is left on Docker's disk") && full.err.contains("docker system"),
        "{full:?}"
    );
    assert!(engine.docker(&["volume", "rm", "fill"]));
    let up = devctl(&project, &engine, &["up", "-d", "--wait"]);
    assert_eq!(up.code, 0, "{up:?}");
}

#[test]
fn what_is_left_of_a_project_that_is_gone_is_removed_and_nothing_else() {
    // On an engine of its own: what is left of somebody's projects on this machine is theirs to remove.
    let Some(engine) = Engine::start("10.213.0.0/16", None) else {
        return;
    };
    let text = |name: &str| {
        format!(
            "name: {name}\nservices:\n  box: {{image: busybox, pull_policy: never, command: [sleep, \"600\"], init: true, network_mode: none, volumes: [\"data:/data\"]}}\nvolumes: {{data: {{}}}}\n"
        )
    };
    let (here, gone, alive) = (
        Project::new(&text("here")),
        Project::new(&text("gone")),
        Project::new(&text("alive")),
    );
    for project in [&here, &gone] {
        let made = devctl(project, &engine, &["create"]);
        assert_eq!(made.code, 0, "{}", made.err);
    }
    let up = devctl(&alive, &engine, &["up", "-d", "--wait"]);
    assert_eq!(up.code, 0, "{}", up.err);
    for project in [&gone, &alive] {
        let daemon = Pid::from_raw(project.daemon());
        kill(daemon, Signal::SIGKILL).expect("the daemon");
        wait_for("its end", Duration::from_secs(10), || is_gone(daemon).then_some(()));
    }
    let moved = |project: &Project| project.dir().with_extension("moved");
    for project in [&gone, &alive] {
        std::fs::rename(project.dir(), moved(project)).expect("renamed");
    }
    let pruned = devctl(&here, &engine, &["prune", "--force"]);
    for project in [&gone, &alive] {
        std::fs::rename(moved(project), project.dir()).expect("renamed back");
    }
    assert_eq!(pruned.code, 0, "{}", pruned.err);
    let is_there = |kind: &str, name: &str| engine.docker(&[kind, "inspect", name]);
    assert!(
        !is_there("container", "gone-box-1") && !is_there("volume", "gone_data"),
        "{}",
        pruned.out
    );
    assert!(
        is_there("container", "here-box-1") && is_there("volume", "here_data"),
        "{}",
        pruned.out
    );
    // Its directory cannot be seen from here, and somebody uses it.
    assert!(
        is_there("container", "alive-box-1") && is_there("volume", "alive_data"),
        "{}",
        pruned.out
    );
}
