//! The verbs of Docker Compose that hold, count, list and remove what runs, for processes and containers alike.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::Duration;

use crate::support::containers::{self, docker};
use crate::support::{Project, get, wait_for};

const NATIVE: &str = r#"
services:
  web:
    image: shop/web
    ports: ["0:8080"]
    x-devctl: {native: {command: [python3, $SERVICE, web], ports: {"8080": PORT}, ready: /healthz}}
  reader:
    image: shop/reader
    stdin_open: true
    x-devctl: {native: {command: [sh, -c, 'while read -r line; do echo "got $$line"; done']}}
  job:
    image: shop/job
    x-devctl: {native: {command: [sh, -c, "sleep 0.3; exit 3"]}}
  stubborn:
    image: shop/stubborn
    stop_grace_period: 2s
    x-devctl: {native: {command: [sh, -c, "trap '' INT; echo deaf; while :; do sleep 0.1; done"]}}
"#;

/// The states of Linux's `ps` of a process: `T` is one that is held still.
fn process_state(pid: i64) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process");
    let after = stat.rsplit_once(") ").expect("its name").1;
    after.chars().next().expect("a state")
}

#[test]
fn a_process_is_held_still_and_goes_on() {
    let project = Project::new(NATIVE);
    project.ok(&["up", "-d", "--wait", "web", "reader"]);
    project.ok(&["pause", "web"]);
    assert_eq!(project.node("web")["State"], "paused");
    assert_eq!(project.node("reader")["State"], "running");
    wait_for("the process to be still", Duration::from_secs(10), || {
        (process_state(project.pid("web")) == 'T').then_some(())
    });
    let twice = project.run(&["pause", "web"]);
    assert!(
        twice.code == 1 && twice.err.contains("nothing to pause"),
        "{}",
        twice.err
    );
    project.ok(&["unpause"]);
    assert_eq!(project.node("web")["State"], "running");
    let address = project.ok(&["port", "web", "8080"]).out.trim().to_owned();
    assert_eq!(get(&address, "/").expect("an answer").0, 200);
    // One that is held still comes down all the same.
    project.ok(&["pause"]);
    project.ok(&["down"]);
    assert!(!project.ok(&["logs", "--no-log-prefix", "web"]).out.contains("SIGKILL"));
    project.wait_until_gone(Duration::from_secs(5));
}

#[test]
fn a_signal_that_is_handled_ends_nothing_and_down_does() {
    let project = Project::new(NATIVE);
    project.ok(&["up", "-d", "--wait", "stubborn"]);
    wait_for("its trap", Duration::from_secs(10), || {
        project.ok(&["logs", "stubborn"]).out.contains("deaf").then_some(())
    });
    let said = project.ok(&["kill", "-s", "INT", "stubborn"]);
    assert!(said.err.contains("did not end it"), "{}", said.err);
    assert_eq!(project.node("stubborn")["State"], "running");
    // While the signal's end is still waited for.
    let mut kill = project
        .command(&["kill", "-s", "INT", "stubborn"])
        .stderr(Stdio::null())
        .spawn()
        .expect("devctl");
    wait_for("the signal", Duration::from_secs(5), || {
        (project.node("stubborn")["State"] == "removing").then_some(())
    });
    project.ok(&["down"]);
    project.wait_until_gone(Duration::from_secs(5));
    let _ended = kill.wait();
}

#[test]
fn wait_tells_how_services_ended() {
    let project = Project::new(NATIVE);
    project.run(&["up", "-d", "job"]);
    let said = project.run(&["wait", "job"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert_eq!(said.out, "process \"job\" exited with status code 3\n");
    // One that has ended already is told at once, as often as somebody asks.
    assert_eq!(project.run(&["wait", "job"]).code, 3);
    let none = project.run(&["wait", "web"]);
    assert!(none.code == 1 && none.err.contains("devctl up -d"), "{}", none.err);
    assert_eq!(project.run(&["wait", "--down-project", "job"]).code, 3);
    project.wait_until_gone(Duration::from_secs(10));
}

#[test]
fn what_is_stopped_is_removed_when_somebody_agrees() {
    let project = Project::new(NATIVE);
    project.ok(&["up", "-d", "--wait", "web", "reader"]);
    project.ok(&["stop", "reader"]);
    let asked = project.run(&["rm"]);
    assert!(asked.code == 2 && asked.err.contains("--force"), "{}", asked.err);
    let told = project.ok(&["rm", "--dry-run"]).out;
    assert!(told.contains("would remove reader") && !told.contains("web"), "{told}");
    project.ok(&["rm", "-f"]);
    let named: Vec<String> = project.nodes().iter().map(|node| node["Service"].to_string()).collect();
    assert!(!named.iter().any(|name| name.contains("reader")), "{named:?}");
    project.ok(&["rm", "-f", "-s", "web"]);
    assert!(project.nodes().iter().all(|node| node["State"] != "running"));
}

#[test]
fn processes_are_scaled_with_ports_of_their_own_behind_one_address() {
    let project = Project::new(NATIVE);
    project.ok(&["up", "-d", "--wait", "web", "reader"]);
    project.ok(&["scale", "web=3"]);
    let ports: Vec<String> = (1..=3)
        .map(|index| {
            project
                .ok(&["exec", "--index", &index.to_string(), "web", "sh", "-c", "echo $PORT"])
                .out
        })
        .collect();
    assert!(
        ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2],
        "{ports:?}"
    );
    let address = project.ok(&["port", "web", "8080"]).out.trim().to_owned();
    wait_for("an answer", Duration::from_secs(20), || {
        get(&address, "/").filter(|(status, _)| *status == 200)
    });
    // Another service's number changes nothing of this one's.
    project.ok(&["scale", "reader=2"]);
    let of = |name: &str| {
        project
            .nodes()
            .iter()
            .filter(|node| node["Service"] == name && node["State"] == "running")
            .count()
    };
    assert_eq!((of("web"), of("reader")), (3, 2));
    project.ok(&["scale", "web=1"]);
    wait_for("the others to end", Duration::from_secs(10), || {
        (of("web") == 1).then_some(())
    });
}

#[test]
fn a_process_reads_what_is_typed_to_it() {
    let project = Project::new(NATIVE);
    project.ok(&["up", "-d", "--wait", "reader"]);
    let mut attached = project
        .command(&["attach", "reader"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("devctl");
    attached
        .stdin
        .take()
        .expect("stdin")
        .write_all(b"one\ntwo\n")
        .expect("it reads");
    wait_for("what it read", Duration::from_secs(10), || {
        project.ok(&["logs", "reader"]).out.contains("got two").then_some(())
    });
    // Its own end is the end of the conversation.
    project.ok(&["stop", "reader"]);
    let mut shown = String::new();
    attached
        .stdout
        .take()
        .expect("stdout")
        .read_to_string(&mut shown)
        .expect("text");
    let _ended = attached.wait();
    assert!(shown.ends_with("got two\n"), "{shown:?}");
}

#[test]
fn projects_programs_and_data_are_listed() {
    let project = Project::new(&format!("name: listed{}\n{NATIVE}", std::process::id()));
    let name = format!("listed{}", std::process::id());
    project.ok(&["up", "-d", "--wait", "web", "reader"]);
    let listed: serde_json::Value = serde_json::from_str(&project.ok(&["ls", "--format", "json"]).out).expect("JSON");
    let one = listed
        .as_array()
        .expect("a list")
        .iter()
        .find(|one| one["Name"] == name.as_str());
    let one = one.expect("the project");
    assert_eq!(one["Status"], "running(2)");
    assert!(one["ConfigFiles"].as_str().expect("files").ends_with("compose.yaml"));
    assert_eq!(
        project
            .ok(&["ls", "-q", "--filter", &format!("name={name}")])
            .out
            .trim(),
        name
    );
    let images = project.ok(&["images", "--format", "json", "reader"]).out;
    let images: serde_json::Value = serde_json::from_str(&images).expect("JSON");
    let reader = &images[0];
    assert!(
        reader["ContainerName"] == "reader" && reader["Runtime"] == "native",
        "{images}"
    );
    let program = std::path::Path::new(reader["Repository"].as_str().expect("a program"));
    assert!(program.is_absolute() && program.is_file(), "{images}");
    for verb in ["export", "commit"] {
        let refused = project.run(&[verb, "web"]);
        assert!(
            refused.code == 2 && refused.err.contains("runs as a process"),
            "{}",
            refused.err
        );
        assert!(refused.err.contains("help:"), "{}", refused.err);
    }
    project.ok(&["stop"]);
    assert_eq!(project.ok(&["ls", "-q", "--filter", &format!("name={name}")]).out, "");
    assert_eq!(
        project
            .ok(&["ls", "-qa", "--filter", &format!("name={name}")])
            .out
            .trim(),
        name
    );
}

#[test]
fn a_dry_run_does_nothing_whatever_the_verb() {
    let project = Project::new(NATIVE);
    project.ok(&["up", "-d", "--wait", "web", "reader"]);
    let (pid, runs) = (project.pid("web"), project.node("web")["Run"].clone());
    for args in [
        &["--dry-run", "stop"][..],
        &["restart", "--dry-run", "web"],
        &["kill", "--dry-run"],
        &["pause", "--dry-run"],
        &["rm", "-fs", "--dry-run"],
        &["scale", "--dry-run", "web=2"],
        &["down", "-v", "--dry-run"],
        &["run", "--dry-run", "web", "true"],
        &["exec", "--dry-run", "web", "kill", "1"],
        &["cp", "--dry-run", "compose.yaml", "web:copied"],
        &["build", "--dry-run"],
        &["wait", "--dry-run", "web"],
    ] {
        project.ok(args);
    }
    assert!(
        project
            .ok(&["--dry-run", "stop"])
            .out
            .starts_with("would stop web (ready for ")
    );
    let json = project.ok(&["--dry-run", "--format", "json", "stop", "web"]).out;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["Action"], &json["What"]), (&"stop".into(), &"web".into()));
    assert_eq!((project.pid("web"), project.node("web")["Run"].clone()), (pid, runs));
    assert!(!project.dir().join("copied").exists());
    assert_eq!(
        project.nodes().iter().filter(|node| node["State"] == "running").count(),
        2
    );
}

const BOXES: &str = r#"
services:
  box:
    image: busybox
    pull_policy: never
    command: [sleep, "600"]
    init: true
    stop_grace_period: 1s
    volumes: [data:/data, /nameless]
  beside:
    image: shop/beside
    x-devctl: {native: {command: [sleep, "601"]}}
volumes: {data: {}}
"#;

#[test]
fn containers_and_processes_are_held_still_by_one_command() {
    let Some(boxes) = containers::project(BOXES) else {
        return;
    };
    boxes.ok(&["up", "-d", "--wait"]);
    boxes.ok(&["pause"]);
    assert_eq!(boxes.inspect("box-1", "{{.State.Status}}"), "paused");
    let state = |name: &str| boxes.project.node(name)["State"].clone();
    assert!(state("box") == "paused" && state("beside") == "paused");
    // What somebody else does is seen as well.
    docker(&["unpause", &format!("{}-box-1", boxes.name)]).expect("docker");
    wait_for("the engine's word", Duration::from_secs(10), || {
        (state("box") == "running").then_some(())
    });
    // A daemon that comes later finds it as it is.
    boxes.ok(&["pause", "box"]);
    let daemon = nix::unistd::Pid::from_raw(boxes.project.daemon());
    nix::sys::signal::kill(daemon, nix::sys::signal::Signal::SIGKILL).expect("the daemon");
    boxes.project.wait_until_gone(Duration::from_secs(10));
    boxes.ok(&["up", "-d", "--wait", "beside"]);
    wait_for("the engine's word", Duration::from_secs(10), || {
        (state("box") == "paused").then_some(())
    });
    boxes.ok(&["pause", "beside"]);
    // An `up` makes it what the files say.
    boxes.ok(&["up", "-d", "--wait"]);
    wait_for("it to go on", Duration::from_secs(10), || {
        (state("beside") == "running").then_some(())
    });
    boxes.ok(&["pause", "box"]);
    boxes.ok(&["stop"]);
    assert_eq!(boxes.inspect("box-1", "{{.State.Status}}"), "exited");
    boxes.ok(&["rm", "-fv"]);
    assert_eq!(boxes.inspect("box-1", "{{.State.Status}}"), "");
}

#[test]
fn what_is_created_is_there_and_does_not_run() {
    let Some(boxes) = containers::project(BOXES) else {
        return;
    };
    boxes.ok(&["create"]);
    assert_eq!(boxes.inspect("box-1", "{{.State.Status}}"), "created");
    assert_eq!(boxes.project.node("box")["State"], "created");
    let volumes = boxes.ok(&["volumes", "-q"]).out;
    assert_eq!(volumes.trim(), format!("{}_data", boxes.name));
    let made = boxes.inspect("box-1", "{{.Id}}");
    boxes.ok(&["up", "-d", "--wait"]);
    assert_eq!(
        boxes.inspect("box-1", "{{.Id}} {{.State.Status}}"),
        format!("{made} running")
    );
}

#[test]
fn a_containers_files_are_exported_committed_and_copied_into_every_replica() {
    let Some(boxes) = containers::project(BOXES) else {
        return;
    };
    boxes.ok(&["up", "-d", "--wait", "--scale", "box=2"]);
    boxes.project.write("greeting", "hello");
    boxes.ok(&["cp", "greeting", "box:/greeting"]);
    for index in ["1", "2"] {
        assert_eq!(
            boxes
                .ok(&["exec", "-T", "--index", index, "box", "cat", "/greeting"])
                .out,
            "hello"
        );
    }
    boxes.ok(&["export", "box", "-o", "all.tar"]);
    let listed = boxes.project.shell("tar tf all.tar").out;
    assert!(listed.lines().any(|line| line == "greeting"), "{listed}");
    let image = format!("{}-committed:1", boxes.name);
    let made = boxes.ok(&[
        "commit",
        "-m",
        "with a greeting",
        "-c",
        "CMD [\"cat\", \"/greeting\"]",
        "box",
        &image,
    ]);
    let shown = docker(&["run", "--rm", "--network", "none", &image]);
    let message = docker(&["image", "inspect", "--format", "{{.Comment}}", &image]);
    let _gone = docker(&["image", "rm", "-f", &image]);
    assert!(made.out.starts_with("sha256:"), "{}", made.out);
    assert_eq!(
        (shown.as_deref(), message.as_deref()),
        (Some("hello"), Some("with a greeting"))
    );
}

#[test]
fn what_is_left_of_a_project_that_is_gone_is_found_and_nothing_else() {
    let Some(gone) = containers::project(BOXES) else { return };
    let Some(here) = containers::project(BOXES) else { return };
    here.ok(&["create"]);
    gone.ok(&["create"]);
    let daemon = gone.project.daemon();
    let _gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), nix::sys::signal::Signal::SIGKILL);
    gone.project.wait_until_gone(Duration::from_secs(10));
    let moved = gone.project.dir().with_extension("moved");
    std::fs::rename(gone.project.dir(), &moved).expect("renamed");
    let told = here.ok(&["prune", "--dry-run"]).out;
    let volume = |name: &str| format!("volume {name}_data");
    for line in [
        format!("container {}-box-1", gone.name),
        format!("network {}_default", gone.name),
        volume(&gone.name),
    ] {
        assert!(told.lines().any(|told| told == line), "{line} is missing in {told}");
    }
    assert!(!told.contains(&here.name), "{told}");
    std::fs::rename(&moved, gone.project.dir()).expect("renamed back");
    assert_eq!(here.inspect("box-1", "{{.State.Status}}"), "created");
}

#[test]
fn an_up_that_is_taken_down_on_its_way_leaves_nothing() {
    let Some(boxes) = containers::project(BOXES) else {
        return;
    };
    for _ in 0..3 {
        let mut up = boxes.project.command(&["--runtime", "auto", "up", "-d"]);
        let mut up = up.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("devctl");
        // As soon as the engine has something of it.
        wait_for("the network", Duration::from_secs(20), || {
            let label = format!("label=com.docker.compose.project={}", boxes.name);
            docker(&["network", "ls", "-q", "--filter", &label]).filter(|found| !found.is_empty())
        });
        boxes.ok(&["down", "-v", "-t", "1"]);
        let _ended = up.wait();
        // An `up` that came to the daemon only after the `down` is one of its own.
        boxes.ok(&["down", "-v", "-t", "1"]);
        let label = format!("label=com.docker.compose.project={}", boxes.name);
        for kind in ["container", "network", "volume"] {
            let all: &[&str] = if kind == "container" { &["-a"] } else { &[] };
            let left = docker(&[&[kind, "ls", "-q", "--filter", &label], all].concat()).expect("docker");
            assert_eq!(left, "", "a {kind} is left");
        }
    }
}

/// A registry on loopback that keeps what is pushed to it; gone with the test.
struct Registry {
    process: std::process::Child,
    port: String,
}

impl Registry {
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/registry.py");
        let mut process = std::process::Command::new("python3")
            .arg(script)
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut port = String::new();
        let stdout = process.stdout.take().expect("stdout");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut port).expect("its port");
        let port = port.trim().to_owned();
        Self { process, port }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _ended = self.process.wait();
    }
}

#[test]
fn images_are_pushed_and_pinned_to_what_their_registry_has() {
    let registry = Registry::start();
    let image = format!("127.0.0.1:{}/devctl-pushed:1", registry.port);
    let text = format!(
        "services:\n  made:\n    image: {image}\n    build: {{context: ., network: none, dockerfile_inline: \"FROM busybox\\nCMD [cat]\\n\"}}\n"
    );
    let Some(boxes) = containers::project(&text) else {
        return;
    };
    boxes.ok(&["build", "-q", "--push"]);
    let told = boxes.ok(&["push", "--dry-run"]).out;
    assert_eq!(told, format!("would push {image} (made)\n"));
    let locked = boxes.ok(&["config", "--lock-image-digests"]).out;
    let pinned = locked.lines().last().expect("an image").trim();
    let start = format!("image: {image}@sha256:");
    assert!(pinned.starts_with(&start), "{locked}");
    let digest = docker(&["image", "inspect", "--format", "{{join .RepoDigests \" \"}}", &image]);
    drop(registry);
    let failed = boxes.run(&["push", "made"]);
    let passed_over = boxes.run(&["push", "--ignore-push-failures", "made"]);
    let _gone = docker(&["image", "rm", "-f", &image]);
    let digest = digest.expect("the image");
    assert!(
        digest.ends_with(pinned.rsplit('@').next().expect("a digest")),
        "{digest} {pinned}"
    );
    assert!(
        failed.code == 1 && failed.err.contains("the registry cannot be reached"),
        "{}",
        failed.err
    );
    assert_eq!(passed_over.code, 0);
}
