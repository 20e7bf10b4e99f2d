//! What people do with a graph that runs: a command where a service stands, in a container as beside a process; one in its
//! place; files in and out; its database put back; what to set to run it elsewhere.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::{Project, needs};

/// A service as a process, its database on this machine, its way to that database in its environment.
const NATIVE: &str = r#"
services:
  db:
    image: postgres
    environment: {POSTGRES_PASSWORD: not-to-be-shown, POSTGRES_USER: shop}
    x-devctl: {native: {version: ">=13"}}
  api:
    image: shop/api
    depends_on: {db: {condition: service_healthy}}
    environment: {DATABASE_URL: "postgres://shop:not-to-be-shown@db:5432/shop", GREETING: "it's me"}
    x-devctl:
      native: {command: [sleep, "600"], dir: api, ports: {"8080": PORT}, build: [sh, -c, "echo compiling && touch made"]}
"#;

/// A container that sleeps.
const DOCKER: &str = r#"
services:
  box:
    image: busybox:latest
    pull_policy: never
    command: [sleep, "600"]
    environment: {GREETING: hello}
    init: true
"#;

fn native() -> Project {
    let project = Project::new(NATIVE);
    project.write("api/keep", "");
    project
}

/// Whether containers can be run; says why not.
fn has_docker() -> bool {
    let found = Command::new("docker")
        .args(["image", "inspect", "busybox:latest"])
        .output();
    let there = found.is_ok_and(|output| output.status.success());
    needs(there, "engine with busybox:latest (`make setup-docker`)")
}

/// Runs devctl with something at its stdin.
fn piped(project: &Project, args: &[&str], text: &str) -> String {
    let mut child = project
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("devctl");
    child
        .stdin
        .take()
        .expect("stdin")
        .write_all(text.as_bytes())
        .expect("it reads");
    String::from_utf8_lossy(&child.wait_with_output().expect("it ends").stdout).into_owned()
}

#[test]
fn beside_a_process_a_command_has_its_environment_and_its_directory() {
    let project = native();
    project.ok(&["up", "-d", "--wait", "--runtime", "native"]);
    let said = project.run(&[
        "exec",
        "-e",
        "MORE=1",
        "api",
        "sh",
        "-c",
        "echo $MORE $GREETING $PORT; basename $PWD; exit 7",
    ]);
    assert_eq!(said.code, 7, "{}{}", said.out, said.err);
    let lines: Vec<&str> = said.out.lines().collect();
    let port = lines[0].strip_prefix("1 it's me ").expect("the variables");
    assert!(port.parse::<u16>().is_ok() && lines[1] == "api", "{}", said.out);
    assert_eq!(piped(&project, &["exec", "api", "cat"], "typed"), "typed");
    let asked = project.ok(&["exec", "db", "psql", "-tAc", "SELECT current_user"]);
    assert_eq!(asked.out.trim(), "shop");
    let refused = project.run(&["exec", "-u", "root", "api", "id"]);
    assert_eq!(refused.code, 2);
    assert!(refused.err.contains("runs as a process"), "{}", refused.err);
}

#[test]
fn the_environment_for_an_ide_leads_to_the_running_neighbours() {
    let project = native();
    project.ok(&["up", "-d", "--wait", "--runtime", "native"]);
    let said = project.ok(&["env", "api"]);
    assert!(
        said.err.contains("secrets are printed") || !said.err.contains("not-to-be-shown"),
        "{}",
        said.err
    );
    // What is printed is what a shell reads back, and the address in it answers.
    let script = format!("{}\nprintf '%s\\n' \"$GREETING\" \"$DATABASE_URL\"", said.out);
    let read = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    let read = String::from_utf8_lossy(&read.stdout).into_owned();
    let mut lines = read.lines();
    assert_eq!(lines.next(), Some("it's me"));
    let url = lines.next().expect("the URL");
    let asked = project.ok(&["exec", "db", "psql", "-tA", url, "-c", "SELECT 41 + 1"]);
    assert_eq!(asked.out.trim(), "42");
    let json: serde_json::Value =
        serde_json::from_str(&project.ok(&["env", "--format", "json", "api"]).out).expect("JSON");
    assert_eq!(json["DATABASE_URL"], url);
}

#[test]
fn run_starts_what_is_needed_and_hands_on_the_status() {
    let project = native();
    let said = project.run(&[
        "--runtime",
        "native",
        "run",
        "--rm",
        "-e",
        "MORE=x",
        "api",
        "sh",
        "-c",
        "echo $MORE$PORT; exit 3",
    ]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert!(
        said.out
            .trim()
            .strip_prefix('x')
            .is_some_and(|port| port.parse::<u16>().is_ok()),
        "{}",
        said.out
    );
    assert_eq!(project.node("db")["State"], "running");
    let refused = project.run(&["--runtime", "native", "run", "db"]);
    assert!(
        refused.code != 0 && refused.err.contains("devctl exec db"),
        "{}",
        refused.err
    );
}

#[test]
fn processes_are_seen_and_files_go_both_ways() {
    let project = native();
    project.ok(&["up", "-d", "--wait", "--runtime", "native"]);
    let top = project.ok(&["top", "api"]);
    assert!(
        top.out.starts_with("api\n") && top.out.contains("sleep 600"),
        "{}",
        top.out
    );
    let stats = project.ok(&["stats", "--no-stream", "--format", "json", "db"]);
    let stats: serde_json::Value = serde_json::from_str(stats.out.trim()).expect("JSON");
    assert!(
        stats["Name"] == "db" && stats["MemUsage"].as_u64() > Some(1 << 20),
        "{stats}"
    );
    project.write("note", "text");
    project.ok(&["cp", "note", "api:."]);
    assert_eq!(project.read("api/note"), "text");
    project.ok(&["cp", "api:note", "back"]);
    assert_eq!(project.read("back"), "text");
    project.ok(&["build", "--runtime", "native", "api"]);
    assert!(project.dir().join("api/made").exists());
}

/// The same on either runtime.
fn database_comes_back(project: &Project) {
    let sql = |text: &str| project.ok(&["db", "db", "shell", "-tAc", text]).out.trim().to_owned();
    sql("CREATE TABLE schema_migrations (version int); CREATE TABLE orders (id serial PRIMARY KEY, what text)");
    sql("INSERT INTO schema_migrations VALUES (1); INSERT INTO orders (what) VALUES ('a'), ('b')");
    sql("CREATE DATABASE beside");
    let reset = project.ok(&["db", "db", "reset"]);
    assert!(reset.err.contains("its template was made first"), "{}", reset.err);
    assert_eq!(sql("SELECT count(*) FROM orders"), "0");
    assert_eq!(sql("SELECT version FROM schema_migrations"), "1");
    project.write("seed.sql", "INSERT INTO orders (what) VALUES ('seeded');\n");
    project.ok(&["db", "db", "seed", "seed.sql"]);
    // Ids start anew, too.
    assert_eq!(sql("SELECT id || what FROM orders"), "1seeded");
    project.ok(&["db", "db", "save"]);
    sql("DELETE FROM orders");
    let reset = project.ok(&["db", "db", "reset"]);
    assert!(reset.err.contains("as it was saved"), "{}", reset.err);
    assert_eq!(sql("SELECT what FROM orders"), "seeded");
    assert_eq!(sql("SELECT count(*) FROM pg_database WHERE datname = 'beside'"), "1");
    project.write("bad.sql", "INSERT INTO orders (what) VALUES ('x');\nSELECT nonsense;\n");
    let refused = project.run(&["db", "db", "seed", "bad.sql"]);
    assert!(refused.code == 1 && refused.err.contains("nonsense"), "{}", refused.err);
    assert_eq!(sql("SELECT count(*) FROM orders"), "1");
}

#[test]
fn a_database_comes_back_by_copying_a_template() {
    let project = native();
    project.ok(&["up", "-d", "--wait", "--runtime", "native", "db"]);
    database_comes_back(&project);
}

#[test]
fn a_database_in_a_container_comes_back_as_well() {
    if !has_docker() {
        return;
    }
    let project = Project::new(
        "services:\n  db:\n    image: postgres:15\n    environment: {POSTGRES_PASSWORD: secret, POSTGRES_USER: shop}\n    healthcheck: {test: [CMD, pg_isready, -h, 127.0.0.1, -U, shop], interval: 1s, retries: 60}\n",
    );
    project.ok(&["up", "-d", "--wait", "--runtime", "docker"]);
    database_comes_back(&project);
}

#[test]
fn in_a_container_commands_run_and_files_go_both_ways() {
    if !has_docker() {
        return;
    }
    let project = Project::new(DOCKER);
    project.ok(&["up", "-d", "--wait", "--runtime", "docker"]);
    let said = project.run(&[
        "exec",
        "-T",
        "-e",
        "MORE=1",
        "-w",
        "/tmp",
        "box",
        "sh",
        "-c",
        "echo $MORE $GREETING $PWD; echo sorry >&2; exit 9",
    ]);
    assert_eq!(
        (said.code, said.out.as_str(), said.err.as_str()),
        (9, "1 hello /tmp\n", "sorry\n")
    );
    assert_eq!(piped(&project, &["exec", "-T", "box", "cat"], "typed"), "typed");
    let missing = project.run(&["exec", "-T", "box", "no-such-program"]);
    assert_ne!(missing.code, 0);
    project.write("note", "text");
    project.ok(&["cp", "note", "box:/tmp/other"]);
    project.ok(&["cp", "box:/tmp/other", "back"]);
    assert_eq!(project.read("back"), "text");
    let top = project.ok(&["top"]);
    assert!(top.out.contains("sleep 600"), "{}", top.out);
    let stats: serde_json::Value =
        serde_json::from_str(project.ok(&["stats", "--no-stream", "--format", "json"]).out.trim()).expect("JSON");
    assert!(stats["PIDs"].as_u64() >= Some(1), "{stats}");
}

#[test]
fn run_in_a_container_is_a_container_of_its_own_and_gone_afterwards() {
    if !has_docker() {
        return;
    }
    let project = Project::new(DOCKER);
    let mount = format!("{}:/here:ro", project.dir().display());
    let said = project.run(&[
        "--runtime",
        "docker",
        "run",
        "--rm",
        "-T",
        "-e",
        "GREETING=other",
        "-v",
        &mount,
        "-w",
        "/here",
        "box",
        "sh",
        "-c",
        "echo $GREETING; ls compose.yaml; exit 5",
    ]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (5, "other\ncompose.yaml\n"),
        "{}",
        said.err
    );
    let name = project.ok(&["config", "--format", "json"]).out;
    let name: serde_json::Value = serde_json::from_str(&name).expect("JSON");
    let filter = format!(
        "label=com.docker.compose.project={}",
        name["name"].as_str().expect("a name")
    );
    let left = Command::new("docker")
        .args(["ps", "-aq", "--filter", &filter])
        .output()
        .expect("docker");
    assert!(
        left.stdout.is_empty(),
        "left: {}",
        String::from_utf8_lossy(&left.stdout)
    );
}

#[test]
fn images_are_built_without_a_daemon() {
    if !has_docker() {
        return;
    }
    let project = Project::new(
        "services:\n  made:\n    build: {context: ., network: none, dockerfile_inline: \"FROM busybox:latest\\nARG WHO=nobody\\nRUN echo hello $$WHO > /greeting\\nCMD [cat, /greeting]\\n\"}\n",
    );
    let built = project.ok(&["build", "--build-arg", "WHO=Ada"]);
    assert!(built.err.contains("built"), "{}", built.err);
    let said = project.run(&["--runtime", "docker", "run", "--rm", "-T", "made", "cat", "/greeting"]);
    let image = built
        .err
        .rsplit("built ")
        .next()
        .and_then(|rest| rest.split(' ').next())
        .unwrap_or_default()
        .to_owned();
    let _gone = Command::new("docker").args(["image", "rm", "-f", &image]).output();
    assert_eq!((said.code, said.out.as_str()), (0, "hello Ada\n"), "{}", said.err);
}
