//! What is told of containers is what scripts for Docker Compose go by: ids, ports of every protocol, how many there are.

use crate::support::containers::{docker, project};
use crate::support::free_port;

#[test]
fn containers_are_told_by_the_engines_ids_and_ports_by_their_protocols() {
    let port = free_port();
    let compose = format!(
        r#"
services:
  web:
    image: busybox:latest
    command: sleep 600
    stop_grace_period: 0s
    ports: ["{port}:53/udp", "80"]
  tool: {{image: busybox:latest, profiles: [tools]}}
"#
    );
    let Some(project) = project(&compose) else { return };
    project.ok(&["up", "-d"]);
    let id = project.ok(&["ps", "-q", "web"]).out.trim().to_owned();
    assert_eq!(project.inspect("web-1", "{{.Id}}").trim(), id);
    let ports = project.ok(&["ps", "--format", "{{.Ports}}"]).out;
    assert!(ports.contains(&format!("127.0.0.1:{port}->53/udp")), "{ports}");
    assert!(!ports.contains("53/tcp"), "{ports}");
    let udp = project.ok(&["port", "--protocol", "udp", "web", "53"]).out;
    assert_eq!(udp.trim(), format!("127.0.0.1:{port}"));
    assert_eq!(project.run(&["port", "web", "53"]).code, 1);
    // The project is up; what is asked for is not.
    for args in [&["exec", "tool", "true"][..], &["exec", "--index", "3", "web", "true"]] {
        let said = project.run(args);
        assert!(!said.err.contains("is not up"), "{args:?}: {}", said.err);
        assert_eq!(said.code, 1, "{args:?}: {}", said.err);
    }
}

#[test]
fn fewer_replicas_are_gone_when_that_is_told() {
    let compose = r#"
services:
  worker: {image: busybox:latest, command: sh -c 'trap "" TERM; sleep 600 & wait', stop_grace_period: 1s, scale: 3}
"#;
    let Some(project) = project(compose) else { return };
    project.ok(&["up", "-d"]);
    let said = project.ok(&["scale", "worker=1"]);
    let label = format!("label=com.docker.compose.project={}", project.name);
    let left = docker(&["ps", "-aq", "--filter", &label]).expect("docker");
    assert_eq!(left.lines().count(), 1, "{}{}", said.out, said.err);
    assert!(said.out.contains("2 changed"), "{}{}", said.out, said.err);
}

#[test]
fn nothing_to_start_is_an_error_that_names_the_profiles() {
    let Some(project) = project("services: {tool: {image: busybox:latest, profiles: [tools]}}") else {
        return;
    };
    let said = project.run(&["up", "-d"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.err.contains("--profile tools"), "{}", said.err);
}

#[test]
fn a_restart_is_over_when_those_that_follow_it_are_back() {
    let compose = r#"
services:
  db: {image: busybox:latest, command: sleep 600, stop_grace_period: 0s}
  api:
    image: busybox:latest
    command: sleep 600
    stop_grace_period: 0s
    depends_on: {db: {condition: service_started, restart: true}}
"#;
    let Some(project) = project(compose) else { return };
    project.ok(&["up", "-d"]);
    let started = || project.inspect("api-1", "{{.State.StartedAt}} {{.State.Running}}");
    let first = started();
    project.ok(&["restart", "--no-deps", "db"]);
    project.ok(&["restart", "--no-deps", "db"]);
    assert_eq!(started(), first, "nobody follows");
    project.ok(&["restart", "db"]);
    let then = started();
    assert_ne!(then, first);
    assert!(then.trim().ends_with("true"), "{then}");
}

#[test]
fn containers_of_run_are_listed_with_all() {
    let Some(project) = project("services: {box: {image: busybox:latest, command: sleep 600, stop_grace_period: 0s}}")
    else {
        return;
    };
    project.ok(&["up", "-d"]);
    let id = project.ok(&["run", "-d", "box", "sleep", "600"]).out;
    assert!(!project.ok(&["ps", "-q"]).out.contains(&id));
    assert!(project.ok(&["ps", "-aq"]).out.contains(&id));
}

#[test]
fn a_port_that_a_container_has_is_told_with_that_containers_name() {
    let port = free_port();
    let compose = format!(
        r#"services: {{web: {{image: busybox:latest, command: sleep 600, stop_grace_period: 0s, ports: ["{port}:80"]}}}}"#
    );
    let Some(project) = project(&compose) else { return };
    let holder = format!("{}-holder", project.name);
    let publish = format!("127.0.0.1:{port}:80");
    let run = [
        "run", "-d", "--name", &holder, "-p", &publish, "busybox", "sleep", "600",
    ];
    docker(&run).expect("a container");
    let said = project.run(&["up", "-d"]);
    docker(&["rm", "-f", &holder]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(
        said.err.contains(&format!("is taken by container `{holder}`")),
        "{}",
        said.err
    );
}
