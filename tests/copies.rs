//! `devctl test`: a command beside a copy of the project, which is there for it alone and leaves nothing behind.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Project, free_port, get, wait_for};

fn shop(port: u16) -> Project {
    Project::new(&format!(
        r#"
name: shop
services:
  api:
    image: app
    ports: ["{port}:8080"]
    environment: {{NAME: api, GREETING: "a$$b", DATABASE_URL: "postgres://u:p@db:5432/x"}}
    depends_on: {{db: {{condition: service_healthy}}}}
    x-devctl: {{native: {{command: [python3, $SERVICE], ports: {{"8080": PORT}}, ready: /healthz}}}}
  db:
    image: postgres:15
    environment: {{POSTGRES_USER: u, POSTGRES_PASSWORD: p, POSTGRES_DB: x}}
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck: {{test: [CMD-SHELL, pg_isready -U u], interval: 1s}}
volumes: {{data: {{name: shop-data}}}}
"#
    ))
}

/// What devctl keeps in the project's directory: a directory for each project that it is.
fn kept(project: &Project) -> Vec<String> {
    let entries = std::fs::read_dir(project.dir().join(".devctl")).into_iter().flatten();
    let dirs = entries.flatten().filter(|entry| entry.path().is_dir());
    dirs.map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn a_suite_has_a_graph_of_its_own_and_its_status_counts() {
    let port = free_port();
    let project = shop(port);
    project.ok(&["up", "-d", "--wait"]);
    let running = project.pid("api");
    let script = "curl -sf http://$API_ADDR/ | cut -d' ' -f1; echo $COMPOSE_PROJECT_NAME; echo $HERE; exit 7";
    let said = project
        .command(&["test", "--", "sh", "-c", script])
        .env("HERE", "of the caller")
        .output()
        .expect("devctl");
    let (out, err) = (
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr),
    );
    assert_eq!(said.status.code(), Some(7), "{out}{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert!(
        lines.len() == 3 && lines[0] == "api" && lines[1].starts_with("shop-test-") && lines[2] == "of the caller",
        "what is printed is the command's: {out}{err}"
    );
    assert!(err.contains("2 ready"), "{err}");
    // What runs already is another one.
    assert_eq!(project.pid("api"), running);
    assert_eq!(
        get(&format!("127.0.0.1:{port}"), "/").map(|(status, _)| status),
        Some(200)
    );
    assert_eq!(project.ok(&["ls", "-q"]).out.matches("shop-test").count(), 0);
    assert_eq!(kept(&project), ["shop"]);
}

#[test]
fn in_place_of_a_service_it_has_its_environment_and_a_database_of_its_own() {
    let project = shop(free_port());
    project.ok(&["up", "-d", "--wait", "db"]);
    let sql = |text: &str| project.run(&["exec", "-T", "db", "psql", "-tAc", text]);
    assert_eq!(sql("create table of_the_project()").code, 0);
    let script = r#"echo "$NAME $GREETING"; psql $DATABASE_URL -qc 'create table only_there()'
        psql $DATABASE_URL -tAc "select tablename from pg_tables where schemaname = 'public'""#;
    let said = project.run(&["test", "--as", "api", "--", "sh", "-c", script]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_eq!(said.out, "api a$b\nonly_there\n", "a database of its own");
    assert!(
        !said.err.contains("api  starting"),
        "the command is in its place: {}",
        said.err
    );
    let tables = sql("select tablename from pg_tables where schemaname = 'public'").out;
    assert_eq!(tables.trim(), "of_the_project");
}

#[test]
fn a_copy_that_does_not_come_up_is_no_verdict_and_goes_as_well() {
    let project = Project::new(
        r#"
name: broken
services:
  bad: {image: app, x-devctl: {native: {command: [sh, -c, "echo no luck; exit 3"], ready: {command: ["false"]}}}}
"#,
    );
    let said = project.run(&["test", "--", "echo", "never"]);
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(
        said.out.is_empty() && said.err.contains("exited with 3"),
        "{}{}",
        said.out,
        said.err
    );
    assert_eq!(kept(&project), [""; 0]);
    let said = project.run(&["test", "nobody", "--", "true"]);
    assert!(
        said.code == 2 && said.err.contains("no service `nobody`"),
        "{}",
        said.err
    );
}

#[test]
fn who_ends_the_suite_ends_the_copy_and_one_that_is_kept_stays() {
    let project = Project::new(
        r#"
name: ended
services:
  api: {image: app, x-devctl: {native: {command: [sleep, "1000"]}}}
"#,
    );
    let mut test = project.command(&["test", "--", "sh", "-c", "echo began > began; exec sleep 1000"]);
    let mut test = test.stdin(Stdio::null()).stderr(Stdio::null()).spawn().expect("devctl");
    wait_for("the command", Duration::from_secs(20), || {
        project.dir().join("began").exists().then_some(())
    });
    assert_eq!(kept(&project).len(), 1);
    kill(Pid::from_raw(test.id().try_into().expect("a pid")), Signal::SIGTERM).expect("it runs");
    let status = test.wait().expect("its end");
    assert_ne!(status.code(), Some(0));
    project.wait_until_gone(Duration::from_secs(10));
    assert_eq!(kept(&project), [""; 0]);

    let said = project.ok(&["test", "--keep", "--", "true"]);
    let name = kept(&project).pop().expect("a copy");
    assert!(said.err.contains(&format!("devctl -p {name} down -v")), "{}", said.err);
    project.ok(&["-p", &name, "down", "-v"]);
}
