//! `devctl up` makes the project what its files say, and says why where it cannot.

use crate::support::{Project, free_port, get};

/// Two services, the second one waiting for the first one's health.
fn two(extra: &str) -> String {
    format!(
        r#"
name: two
services:
  api:
    image: app
    depends_on:
      back: {{condition: service_healthy}}
    environment:
      NAME: api
      BACK_URL: http://back:8080
      GENERATION: "1"
{extra}
    x-devctl:
      native: {{command: [python3, $SERVICE], ports: {{"8080": PORT}}, ready: /healthz}}
  back:
    image: app
    environment: {{NAME: back, START_DELAY: "0.3"}}
    x-devctl:
      native: {{command: [python3, $SERVICE], ports: {{"8080": PORT}}, ready: /healthz}}
"#
    )
}

#[test]
fn each_starts_when_what_it_needs_is_ready_and_finds_it() {
    let port = free_port();
    let project = Project::new(&two(&format!("    ports: [\"{port}:8080\"]")));
    let said = project.ok(&["up", "-d", "--wait"]);
    assert!(
        said.err.contains("ready in") || said.out.contains("ready in"),
        "{}{}",
        said.out,
        said.err
    );
    let at = format!("127.0.0.1:{port}");
    let (status, url) = get(&at, "/env?BACK_URL").expect("api answers");
    assert_eq!(status, 200);
    assert!(url.starts_with("http://127."), "{url}");
    let (status, body) = get(&at, &format!("/fetch?{url}/")).expect("api answers");
    assert_eq!((status, body.starts_with("back ")), (200, true), "{body}");
}

#[test]
fn a_second_up_changes_nothing_and_a_changed_line_recreates_one() {
    let project = Project::new(&two(""));
    project.ok(&["up", "-d", "--wait"]);
    let (api, back) = (project.pid("api"), project.pid("back"));
    let said = project.ok(&["up", "-d", "--wait"]);
    assert_eq!(
        (project.pid("api"), project.pid("back")),
        (api, back),
        "{}{}",
        said.out,
        said.err
    );

    // In a file of its own: what is up follows the ones it was made from by itself.
    project.write("more.yaml", "services: {api: {environment: {MORE: x}}}");
    let changed = |args: &[&str]| project.ok(&[&["-f", "compose.yaml", "-f", "more.yaml", "up"], args].concat());
    let planned = changed(&["--dry-run"]);
    assert!(
        format!("{}{}", planned.out, planned.err).contains("recreate"),
        "{}{}",
        planned.out,
        planned.err
    );
    assert_eq!(project.pid("api"), api, "a dry run does nothing");
    changed(&["-d", "--wait"]);
    assert_ne!(project.pid("api"), api);
    assert_eq!(project.pid("back"), back);
}

#[test]
fn a_failing_node_fails_the_wait_at_once_with_its_status_and_last_lines() {
    let project = Project::new(
        r#"
services:
  bad:
    image: app
    environment: {NAME: bad, FAIL_AFTER: "0.1", FAIL_CODE: "7", START_DELAY: "30"}
    x-devctl:
      native: {command: [python3, $SERVICE], ports: {"8080": PORT}, ready: /healthz}
  other:
    image: app
    depends_on: {bad: {condition: service_healthy}}
    x-devctl:
      native: {command: [sleep, "1000"]}
"#,
    );
    let said = project.run(&["up", "-d", "--wait"]);
    let text = format!("{}{}", said.out, said.err);
    assert_ne!(said.code, 0);
    assert!(said.took.as_secs() < 20, "it took {:?}", said.took);
    assert!(
        text.contains("bad") && text.contains("exited with 7") && text.contains("out of patience"),
        "{text}"
    );
}

#[test]
fn a_job_that_exits_with_0_satisfies_the_wait_and_is_not_run_again() {
    let compose = r#"
services:
  app:
    image: app
    depends_on: {job: {condition: service_completed_successfully}}
    x-devctl: {native: {command: [sleep, "1000"]}}
  job:
    image: app
    x-devctl: {native: {command: [sh, -c, "echo ran >> ran.txt"]}}
"#;
    let project = Project::new(compose);
    project.ok(&["up", "-d", "--wait"]);
    project.ok(&["up", "-d", "--wait"]);
    project.ok(&["stop"]);
    project.ok(&["up", "-d", "--wait"]);
    assert_eq!(project.read("ran.txt"), "ran\n");
}

#[test]
fn what_cannot_be_is_said_with_the_way_out() {
    let project =
        Project::new("services:\n  a: {image: nginx, depends_on: [b]}\n  b: {image: nginx, depends_on: [a]}\n");
    let said = project.run(&["up", "-d"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("a -> b -> a"), "{}", said.err);

    project.write("compose.yaml", "services:\n  api: {image: nginx}\n");
    let said = project.run(&["up", "-d", "apy"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("apy") && said.err.contains("api"), "{}", said.err);

    project.write(
        "compose.yaml",
        "services:\n  api:\n    image: app\n    x-devctl: {native: {command: [no-such-program-here]}}\n",
    );
    let said = project.run(&["up", "-d", "--wait"]);
    assert_ne!(said.code, 0);
    assert!(said.err.contains("no-such-program-here"), "{}", said.err);
}

#[test]
fn two_checkouts_of_one_project_run_side_by_side() {
    let port = free_port();
    let compose = two(&format!("    ports: [\"{port}:8080\"]"));
    let first = Project::new(&compose);
    let second = first.beside(&compose);
    first.ok(&["up", "-d", "--wait"]);
    let said = second.ok(&["up", "-d", "--wait"]);
    assert!(
        format!("{}{}", said.out, said.err).contains(&format!("port {port}")),
        "it says that the port was taken: {}",
        said.err
    );
    assert_ne!(first.pid("api"), second.pid("api"));
    let other = second.ok(&["port", "api", "8080"]).out.trim().to_owned();
    let (_, mine) = get(&format!("127.0.0.1:{port}"), "/").expect("the first answers");
    let (_, theirs) = get(&other, "/").expect("the second answers");
    assert_ne!(mine, theirs);
    second.ok(&["down"]);
    assert!(
        get(&format!("127.0.0.1:{port}"), "/").is_some(),
        "the first one goes on"
    );
}

#[test]
fn requests_wait_while_a_service_is_restarted() {
    let port = free_port();
    let project = Project::new(&two(&format!("    ports: [\"{port}:8080\"]")));
    project.ok(&["up", "-d", "--wait"]);
    let at = format!("127.0.0.1:{port}");
    let before = project.pid("api");
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (good, bad) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let (mut good, mut bad) = (0, 0);
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                match get(&at, "/") {
                    Some((200, _)) => good += 1,
                    _ => bad += 1,
                }
            }
            (good, bad)
        });
        project.ok(&["restart", "api"]);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        asking.join().expect("the asker ends")
    });
    assert_ne!(project.pid("api"), before);
    assert_eq!(bad, 0, "{good} good");
    assert!(good > 0);
}

#[test]
fn logs_are_there_after_down() {
    let project = Project::new(&two(""));
    project.ok(&["up", "-d", "--wait"]);
    project.ok(&["down"]);
    let said = project.ok(&["logs", "back"]);
    assert!(
        said.out.contains("back starts") && said.out.contains("back ends"),
        "{}",
        said.out
    );
    let said = project.ok(&["logs", "--grep", "st.rts", "--no-log-prefix", "api"]);
    assert_eq!(said.out.trim(), "api starts");
}

#[test]
fn a_broken_file_hides_nothing_that_runs() {
    let project = Project::new(&two(""));
    project.ok(&["up", "-d", "--wait"]);
    project.write("compose.yaml", "services: [");
    let said = project.ok(&["ps"]);
    assert!(
        said.out.contains("back") && said.err.contains("compose.yaml:"),
        "{}{}",
        said.out,
        said.err
    );
    let said = project.run(&["up", "-d"]);
    assert_eq!(said.code, 2, "{}", said.err);
    project.ok(&["down"]);
}

#[test]
fn one_directory_is_as_many_projects_as_it_is_given_names() {
    let port = free_port();
    let project = Project::new(&two(&format!("    ports: [\"{port}:8080\"]")));
    project.ok(&["up", "-d", "--wait"]);
    let first = project.pid("back");
    let other = |args: &[&str]| project.ok(&[&["-p", "other"], args].concat());
    let said = other(&["up", "-d", "--wait"]);
    assert!(said.err.contains("another one is published"), "{}", said.err);
    let at = other(&["port", "api", "8080"]).out;
    assert_ne!(at.trim(), format!("127.0.0.1:{port}"));
    let env = |at: &str| get(at, "/env?BACK_URL").expect("api answers").1;
    assert_ne!(
        env(at.trim()),
        env(&format!("127.0.0.1:{port}")),
        "each has ways of its own"
    );
    let listed = project.ok(&["ls", "-q"]).out;
    assert!(listed.contains("two\n") && listed.contains("other\n"), "{listed}");
    // A file that nobody can read hides neither, and either goes alone.
    let text = project.read("compose.yaml");
    project.write("compose.yaml", "services: [");
    assert_eq!(other(&["ps", "-q"]).out.lines().count(), 2);
    other(&["down"]);
    assert_eq!(project.ok(&["ps", "-q"]).out.lines().count(), 2);
    project.write("compose.yaml", &text);
    assert_eq!(project.pid("back"), first);
    assert_eq!(
        get(&format!("127.0.0.1:{port}"), "/").map(|(status, _)| status),
        Some(200)
    );
}

#[test]
fn a_service_that_is_named_is_there_whatever_its_profile() {
    let project = Project::new(
        r#"
name: profiles
services:
  web: {image: app, x-devctl: {native: {command: [sleep, "1000"]}}}
  tools: {image: app, profiles: [debug], depends_on: [store], x-devctl: {native: {command: [sh, -c, "echo tools; exec sleep 1001"]}}}
  store: {image: app, profiles: [debug], x-devctl: {native: {command: [sleep, "1002"]}}}
  other: {image: app, profiles: [debug], x-devctl: {native: {command: [sleep, "1003"]}}}
"#,
    );
    project.ok(&["up", "-d", "--wait"]);
    assert_eq!(project.ok(&["ps", "-q"]).out.lines().count(), 1);
    assert_eq!(project.ok(&["run", "--rm", "tools", "echo", "hello"]).out, "hello\n");
    project.ok(&["up", "-d", "--wait", "tools"]);
    let running = |project: &Project| {
        let mut names = project.nodes();
        names.retain(|node| node["State"] == "running");
        names
            .iter()
            .map(|node| node["Service"].to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let three = running(&project);
    assert!(
        three.contains("tools") && three.contains("store") && !three.contains("other"),
        "{three}"
    );
    // Who does not name it lets it be.
    project.ok(&["up", "-d", "--wait", "--remove-orphans"]);
    assert_eq!(running(&project), three);
    project.ok(&["stop", "tools"]);
    assert!(!running(&project).contains("tools"));
}
