//! The same file in containers: named and labelled as Docker Compose does, beside processes, through crashes.
//!
//! On a small image that the machine has (`make setup-docker` makes it).

use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::containers::{Containers, IMAGE, docker, project};
use crate::support::{free_port, get, wait_for};

/// Serves `/index.html`, which says `text`, at port 80.
fn web(text: &str) -> String {
    format!("[sh, -c, \"mkdir -p /www; echo '{text}' > /www/index.html; echo serving; exec httpd -f -p 80 -h /www\"]")
}

fn two_services() -> String {
    format!(
        r#"
services:
  web:
    image: {IMAGE}
    init: true
    command: {}
    depends_on: {{db: {{condition: service_healthy}}}}
    environment: {{TOKEN: "a b"}}
    ports: ["{}:80"]
    volumes: ["data:/data", "/anonymous"]
    configs: [{{source: greeting, target: /etc/greeting}}]
    healthcheck: {{test: ["CMD-SHELL", "wget -q -O- http://127.0.0.1/"], interval: 1s}}
    networks: {{default: {{aliases: [front]}}}}
  db:
    image: {IMAGE}
    init: true
    command: [sh, -c, "n=0; while true; do echo tick $$n; n=$$((n+1)); sleep 0.2; done"]
    healthcheck: {{test: ["CMD", "true"], interval: 1s}}
volumes: {{data: {{}}}}
configs: {{greeting: {{content: "hello"}}}}
"#,
        web("from a container"),
        free_port()
    )
}

#[test]
fn a_plain_file_runs_as_docker_compose_would_have_it() {
    let Some(project) = project(&two_services()) else {
        return;
    };
    project.ok(&["up", "-d", "--wait"]);
    let (status, body) = get(&project.published("web", "80"), "/").expect("an answer");
    assert_eq!((status, body.trim()), (200, "from a container"));

    let labels = project.inspect("web-1", "{{json .Config.Labels}}");
    let labels: serde_json::Value = serde_json::from_str(&labels).expect("labels");
    assert_eq!(labels["com.docker.compose.project"], project.name.as_str());
    assert_eq!(labels["com.docker.compose.service"], "web");
    assert_eq!(labels["com.docker.compose.container-number"], "1");
    assert_eq!(labels["com.docker.compose.depends_on"], "db:service_healthy:false");
    let hash = project.ok(&["config", "--hash", "web"]).out;
    assert_eq!(
        labels["com.docker.compose.config-hash"],
        hash.trim().trim_start_matches("web ")
    );
    let network = format!("{}_default", project.name);
    let aliases = project.inspect(
        "web-1",
        &format!("{{{{(index .NetworkSettings.Networks \"{network}\").Aliases}}}}"),
    );
    assert!(aliases.contains("front") && aliases.contains("web"), "{aliases}");
    assert!(project.inspect("web-1", "{{.Config.Env}}").contains("TOKEN=a b"));

    let inside = |command: &str| docker(&["exec", &format!("{}-web-1", project.name), "sh", "-c", command]);
    assert_eq!(inside("cat /etc/greeting").as_deref(), Some("hello"));
    // Containers find each other by Docker's own names.
    assert!(inside("ping -c 1 -W 2 db").is_some());
    assert!(docker(&["volume", "inspect", &format!("{}_data", project.name)]).is_some());
    assert!(project.ok(&["logs", "web"]).out.contains("serving"));

    let before = project.inspect("web-1", "{{.Id}}");
    let again = project.ok(&["up", "-d", "--wait"]);
    assert!(
        again.out.contains("nothing to change") || again.err.contains("nothing to change"),
        "{again:?}"
    );
    assert_eq!(project.inspect("web-1", "{{.Id}}"), before);

    project.ok(&["down", "-t", "1"]);
    assert_eq!(project.inspect("web-1", "{{.Id}}"), "");
    assert!(docker(&["network", "inspect", &network]).is_none());
    assert!(
        docker(&["volume", "inspect", &format!("{}_data", project.name)]).is_some(),
        "its data stays"
    );
}

#[test]
fn a_killed_daemons_containers_are_taken_over_with_no_restart_and_no_gap() {
    let Some(project) = project(&two_services()) else {
        return;
    };
    project.ok(&["up", "-d", "--wait"]);
    let started = |name: &str| project.inspect(name, "{{.Id}} {{.State.StartedAt}}");
    let before = (started("web-1"), started("db-1"));
    kill(Pid::from_raw(project.project.daemon()), Signal::SIGKILL).expect("the daemon is there");
    project.project.wait_until_gone(Duration::from_secs(5));
    // With no daemon, what runs is seen all the same.
    let seen = project.ok(&["ps"]).out;
    assert!(seen.contains("web") && seen.contains("Up"), "{seen}");

    project.ok(&["up", "-d", "--wait"]);
    assert_eq!((started("web-1"), started("db-1")), before);
    assert!(get(&project.published("web", "80"), "/").is_some());
    let ticks = |text: &str| -> Vec<u64> {
        let words = text.lines().filter_map(|line| line.rsplit_once("tick "));
        words.filter_map(|(_, number)| number.trim().parse().ok()).collect()
    };
    let (first, last) = wait_for("a tick of after the takeover", Duration::from_secs(10), || {
        let seen = ticks(&project.ok(&["logs", "db"]).out);
        let all: Vec<u64> = (0..seen.len() as u64).collect();
        assert_eq!(seen, all, "a gap, or a line twice");
        (seen.len() > 20).then(|| (seen[0], seen[seen.len() - 1]))
    });
    assert!(first == 0 && last >= 20);
}

#[test]
fn down_needs_no_daemon() {
    let Some(project) = project(&two_services()) else {
        return;
    };
    project.ok(&["up", "-d", "--wait"]);
    kill(Pid::from_raw(project.project.daemon()), Signal::SIGKILL).expect("the daemon is there");
    project.project.wait_until_gone(Duration::from_secs(5));
    project.ok(&["down", "-v", "-t", "1"]);
    let label = format!("label=com.docker.compose.project={}", project.name);
    for what in [&["ps", "-aq"][..], &["network", "ls", "-q"], &["volume", "ls", "-q"]] {
        assert_eq!(
            docker(&[what, &["--filter", &label]].concat()).as_deref(),
            Some(""),
            "{what:?}"
        );
    }
}

#[test]
fn a_changed_service_is_made_anew_and_keeps_its_anonymous_volume() {
    let compose = two_services();
    let Some(project) = project(&compose) else { return };
    project.ok(&["up", "-d", "--wait"]);
    let web = format!("{}-web-1", project.name);
    docker(&["exec", &web, "touch", "/anonymous/kept"]).expect("a file");
    let before = (project.inspect("web-1", "{{.Id}}"), project.inspect("db-1", "{{.Id}}"));
    let changed = compose.replace("from a container", "from another one");
    project
        .project
        .write("compose.yaml", &format!("name: {}\n{changed}", project.name));
    project.ok(&["up", "-d", "--wait"]);
    assert_ne!(project.inspect("web-1", "{{.Id}}"), before.0);
    assert_eq!(project.inspect("db-1", "{{.Id}}"), before.1);
    let (_, body) = get(&project.published("web", "80"), "/").expect("an answer");
    assert_eq!(body.trim(), "from another one");
    assert!(docker(&["exec", &web, "ls", "/anonymous/kept"]).is_some());
    // It was mounted by its name, which the engine takes for one that somebody gave: it goes with its container all the same.
    let volume = project.inspect(
        "web-1",
        "{{range .Mounts}}{{if eq .Destination \"/anonymous\"}}{{.Name}}{{end}}{{end}}",
    );
    assert_eq!(volume.len(), 64, "{volume}");
    project.ok(&["down", "-v", "-t", "0"]);
    assert_eq!(docker(&["volume", "inspect", &volume]), None, "it is left");
}

#[test]
fn processes_and_containers_reach_each_other() {
    let compose = format!(
        r#"
services:
  inside:
    image: {IMAGE}
    init: true
    environment: {{OUTSIDE_URL: "http://outside:8080/"}}
    command: {}
    expose: ["80"]
    x-devctl: {{swap: restart}}
  outside:
    image: app
    environment: {{NAME: outside, INSIDE_URL: "http://inside:80/"}}
    ports: ["{}:8080"]
    x-devctl:
      native: {{command: [python3, $SERVICE], ports: {{"8080": PORT}}, ready: /healthz}}
"#,
        web("from inside"),
        free_port()
    );
    let Some(project) = project(&compose) else { return };
    project.ok(&["up", "-d", "--wait"]);
    assert_eq!(project.project.node("outside")["Runtime"], "native");
    assert_eq!(project.project.node("inside")["Runtime"], "docker");
    let container = format!("{}-inside-1", project.name);
    let told = docker(&["exec", &container, "sh", "-c", "wget -q -O- $OUTSIDE_URL"]);
    assert!(told.is_some_and(|body| body.contains("outside")));
    let edges = project.ok(&["edges", "--format", "json"]).out;
    let inside = edges
        .lines()
        .find(|line| line.contains("inside") && line.contains("\"outside\""))
        .unwrap_or_default();
    assert!(!inside.is_empty(), "{edges}");
    let listen = edges
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find(|edge| edge["consumer"] == "outside" && edge["provider"] == "inside")
        .and_then(|edge| edge["listen"].as_str().map(str::to_owned))
        .expect("the edge");
    let (_, body) = get(&listen, "/").expect("an answer");
    assert_eq!(body.trim(), "from inside");
}

#[test]
fn a_service_that_changes_sides_reaches_its_providers_until_the_next_run_serves() {
    let compose = format!(
        r#"
services:
  caller:
    image: {IMAGE}
    init: true
    environment: {{NAME: caller, OUTSIDE_URL: "http://outside:8080/"}}
    command: {}
    ports: ["{}:80"]
    x-devctl:
      native:
        build: [cat, go]
        command: [python3, $SERVICE]
        ports: {{"80": PORT}}
        ready: /healthz
  outside:
    image: app
    environment: {{NAME: outside}}
    x-devctl:
      native: {{command: [python3, $SERVICE], ports: {{"8080": PORT}}, ready: /healthz}}
"#,
        web("in a container"),
        free_port()
    );
    let Some(project) = project(&compose) else { return };
    let native = ["--runtime", "caller=native"];
    let docker_side = ["--runtime", "caller=docker"];
    project.ok(&[&docker_side[..], &["up", "-d", "--wait"]].concat());
    let container = format!("{}-caller-1", project.name);
    let calls = || docker(&["exec", &container, "sh", "-c", "wget -q -O- $OUTSIDE_URL"]);
    assert!(calls().is_some_and(|body| body.contains("outside")));

    // Its build ends when somebody writes there.
    let go = project.project.dir().join("go");
    nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).expect("a pipe with a name");
    let up = || {
        let args = [&["--runtime", "auto"], &native[..], &["up", "-d", "--wait"]].concat();
        project.project.command(&args).spawn().expect("devctl can be run")
    };
    let mut first = up();
    wait_for("the build", Duration::from_secs(20), || {
        let node = project.project.node("caller");
        node.to_string().contains("to be replaced").then_some(())
    });
    assert!(
        calls().is_some_and(|body| body.contains("outside")),
        "the container still serves, and was told of an address that is now another runtime's"
    );
    // Back, before anything came of it: the address is the one that the container knows.
    project.ok(&[&docker_side[..], &["up", "-d", "--wait"]].concat());
    assert!(calls().is_some_and(|body| body.contains("outside")));
    first.wait().expect("an end");
    let mut second = up();
    project.project.write("go", "");
    assert!(second.wait().is_ok_and(|status| status.success()));
    assert_eq!(project.project.node("caller")["Runtime"], "native");
    let (_, body) = get(&project.published("caller", "80"), "/").expect("an answer");
    assert!(body.contains("caller"), "{body}");
}

#[test]
fn what_docker_compose_started_is_listed_and_taken_over() {
    if Command::new("docker-compose").arg("version").output().is_err() {
        eprintln!("skipped: there is no docker-compose");
        return;
    }
    let Some(project) = project(&two_services()) else {
        return;
    };
    let compose = |args: &[&str]| {
        let output = Command::new("docker-compose")
            .args(args)
            .current_dir(project.project.dir())
            .output();
        output.expect("docker-compose can be run")
    };
    let started = compose(&["up", "-d", "db"]);
    assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
    let seen = project.ok(&["ps"]).out;
    assert!(
        seen.lines().any(|line| line.starts_with("db") && line.contains("Up")),
        "{seen}"
    );

    project.ok(&["up", "-d", "--wait"]);
    let listed = compose(&["ps", "--format", "json"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains(&format!("{}-web-1", project.name)), "{listed}");
    assert!(listed.contains(&format!("{}-db-1", project.name)), "{listed}");
    // It finds nothing to change: names, labels and hashes are its own.
    let before = project.inspect("db-1", "{{.Id}}");
    let kept = compose(&["up", "-d", "--no-recreate"]);
    assert!(kept.status.success(), "{}", String::from_utf8_lossy(&kept.stderr));
    assert_eq!(project.inspect("db-1", "{{.Id}}"), before);
}

#[test]
fn a_container_that_is_removed_from_outside_is_made_anew_as_its_policy_says() {
    let compose = two_services().replace("\n  db:\n", "\n  db:\n    restart: always\n");
    let Some(project) = project(&compose) else {
        return;
    };
    project.ok(&["up", "-d", "--wait"]);
    let before = project.inspect("db-1", "{{.Id}}");
    docker(&["rm", "-f", &format!("{}-db-1", project.name)]).expect("it was there");
    wait_for("another container", Duration::from_secs(20), || {
        let now = project.inspect("db-1", "{{.Id}}");
        (!now.is_empty() && now != before).then_some(())
    });
}

#[test]
fn what_is_missing_is_named_with_the_next_step() {
    let missing = free_port();
    let Some(project) = project(&format!(
        "services:\n  web:\n    image: localhost:{missing}/there-is-none:1\n    pull_policy: never\n"
    )) else {
        return;
    };
    let said = project.run(&["up", "-d", "--wait"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("there-is-none"), "{said:?}");
    let unreachable = project
        .project
        .command(&["--runtime", "docker", "up", "-d"])
        .env("DOCKER_HOST", "unix:///nowhere.sock")
        .output();
    let unreachable = unreachable.expect("devctl can be run");
    let text = String::from_utf8_lossy(&unreachable.stderr).into_owned();
    assert!(
        text.contains("unix:///nowhere.sock") && text.contains("DOCKER_HOST"),
        "{text}"
    );
}

#[test]
fn verifications_share_no_container_and_one_that_was_killed_is_cleared_away_by_the_next_command() {
    let compose = format!(
        "x-devctl: {{contracts: {{pacts: [pacts]}}}}\nservices:\n  page: {{image: {IMAGE}, command: {}, expose: ['80']}}\n",
        web("hello")
    );
    let Some(project) = project(&compose) else { return };
    let promise = r#"{"description": "the page", "request": {"method": "GET", "path": "/index.html"}, "response": {"status": 200}}"#;
    project.project.write(
        "pacts/web-page.json",
        &format!(
            r#"{{"consumer": {{"name": "web"}}, "provider": {{"name": "page"}}, "interactions": [{promise}],
                "metadata": {{"pactSpecification": {{"version": "3.0.0"}}}}}}"#
        ),
    );
    let left = || {
        let of_verifications = format!("name={}-verify-", project.name);
        let containers = docker(&["ps", "-aq", "--filter", &of_verifications]).unwrap_or_default();
        let networks = docker(&["network", "ls", "-q", "--filter", &of_verifications]).unwrap_or_default();
        containers.lines().count() + networks.lines().count()
    };
    for next in [&["verify", "--no-cache"][..], &["down"]] {
        let args = [
            "--runtime",
            "auto",
            "--format",
            "json",
            "verify",
            "--provider",
            "page",
            "--serve",
        ];
        let mut child = project
            .project
            .command(&args)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("devctl can be run");
        let mut line = String::new();
        let mut out = std::io::BufReader::new(child.stdout.take().expect("its stdout"));
        std::io::BufRead::read_line(&mut out, &mut line).expect("a line");
        assert!(line.contains("states"), "{line}");
        // Another one beside it neither takes its container over nor takes it away.
        project.ok(&["verify", "--no-cache"]);
        assert_eq!(left(), 2, "a container and its network");
        for (pid, _) in project.project.processes() {
            let _gone = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        child.wait().expect("an end");
        project.project.wait_until_gone(Duration::from_secs(5));
        assert_eq!(left(), 2, "nobody was left to remove them");
        project.ok(next);
        assert_eq!(left(), 0, "after {next:?}");
    }
}

/// A service whose image is built from another service's.
const ONE_FROM_ANOTHER: &str = r#"
services:
  web:
    build:
      context: .
      network: none
      additional_contexts: {base: "service:first"}
      dockerfile_inline: "FROM base\nCMD cat /word && sleep 1000\n"
    stop_grace_period: 0s
  first:
    build: {context: ., network: none, dockerfile_inline: "FROM busybox:latest\nRUN echo of the first > /word\nCMD sleep 1000\n"}
    stop_grace_period: 0s
"#;

fn web_says_what_the_first_image_holds(containers: &Containers) {
    wait_for("what the first image holds", Duration::from_secs(30), || {
        let logs = containers.ok(&["logs", "--no-log-prefix", "web"]).out;
        (logs.lines().last() == Some("of the first")).then_some(())
    });
}

#[test]
fn an_image_that_another_build_starts_from_is_built_before_it() {
    let Some(containers) = project(ONE_FROM_ANOTHER) else {
        return;
    };
    // The one alone brings the other's image with it.
    containers.ok(&["build", "web"]);
    containers.ok(&["down", "--rmi", "local"]);
    containers.ok(&["up", "-d", "--wait"]);
    web_says_what_the_first_image_holds(&containers);
}

/// The image of `first` is only there for `web`: nobody wants it to run.
#[test]
fn up_of_one_service_builds_the_image_that_it_starts_from() {
    let Some(containers) = project(ONE_FROM_ANOTHER) else {
        return;
    };
    containers.ok(&["up", "-d", "--wait", "web"]);
    web_says_what_the_first_image_holds(&containers);
    assert_eq!(containers.inspect("first-1", "{{.Id}}"), "", "nobody wanted it to run");
    containers.ok(&["down", "--rmi", "local"]);
}

/// Steps are told as those of any build, and an agent that is not there is one line with the next step.
#[test]
fn a_build_is_given_secrets_and_told_of_an_agent_that_is_not_there() {
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_nanos().to_string();
    let Some(containers) = project(
        &r#"
services:
  web:
    build:
      context: .
      secrets: [token]
      dockerfile_inline: "FROM busybox:latest\nRUN --mount=type=secret,id=token wc -c < /run/secrets/token # at NOW\n"
    command: sleep 1000
    stop_grace_period: 0s
  keyed:
    build: {context: ., ssh: [default], dockerfile_inline: "FROM busybox:latest\nRUN --mount=type=ssh true\n"}
secrets: {token: {environment: TOKEN}}
"#
        .replace("NOW", &now),
    ) else {
        return;
    };
    let build = |service: &str| {
        let mut command = containers.project.command(&["build", service]);
        command.env("TOKEN", "1234567").env_remove("SSH_AUTH_SOCK");
        let output = command.output().expect("devctl");
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (built, said) = build("web");
    assert!(built && said.contains("RUN --mount=type=secret,id=token"), "{said}");
    assert!(said.lines().any(|line| line == "web  7"), "{said}");
    let (built, said) = build("keyed");
    let lines: Vec<&str> = said.lines().collect();
    assert!(!built && lines.len() == 2, "{said}");
    assert!(
        lines[0].contains("`SSH_AUTH_SOCK` is not set") && lines[1].contains("`ssh-add`"),
        "{said}"
    );
    containers.ok(&["down", "--rmi", "local"]);
}
