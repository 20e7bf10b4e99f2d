//! What the files say about edges is so: protocol, limits, `direct`, what is never shown, where ports are published.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Project, SERVICE, free_port, wait_for};

/// `api` calls `billing`; `extra` is put under the top-level `x-devctl`.
fn pair(extra: &str, api: &str) -> String {
    format!(
        r#"
name: ways
x-devctl:
{extra}
services:
  billing:
    image: python:3
    ports: [{{target: 8080, app_protocol: http}}]
    environment: {{NAME: billing, TENANT_PIN: "9-4-7-1", SAY: "starts with 9-4-7-1 and pin=5555"}}
    x-devctl: {{native: {{command: [python3, $SERVICE], ports: {{"8080": PORT}}, ready: /healthz}}}}
  api:
    image: python:3
    ports: ["8080"]
    environment: {{NAME: api, BILLING_URL: "http://billing:8080"}}
    depends_on: [billing]
    x-devctl:
      native: {{command: [python3, $SERVICE], ports: {{"8080": PORT}}, ready: /healthz}}
{api}
"#
    )
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nX-Tenant: acme-corp\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

/// The entry of `edges --format json` for one way.
fn edge(project: &Project, consumer: &str, provider: &str) -> serde_json::Value {
    let said = project.ok(&["edges", "--format", "json"]).out;
    let mut edges = said
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    edges
        .find(|edge| edge["consumer"] == consumer && edge["provider"] == provider)
        .unwrap_or_else(|| unreachable!("no {consumer}->{provider} in {said}"))
}

fn port(project: &Project, service: &str) -> String {
    project.ok(&["port", service, "8080"]).out.trim().to_owned()
}

#[test]
fn a_direct_way_is_no_edge_and_leads_to_the_provider_itself() {
    let project = Project::new(&pair("  edges: {billing: direct}", ""));
    project.ok(&["up", "-d", "--wait"]);
    let way = edge(&project, "api", "billing");
    let target = way["target"].as_str().expect("a target").to_owned();
    assert!(target.starts_with("direct 127.0.0.1:"), "{way}");
    let url = get(&port(&project, "api"), "/env?BILLING_URL");
    assert!(
        url.ends_with(&target.replace("direct ", "http://")),
        "{url} is not {target}"
    );
    // A restart keeps the address: nobody tells the consumer of another one.
    project.ok(&["restart", "billing"]);
    project.ok(&["up", "-d", "--wait"]);
    let answer = get(
        &port(&project, "api"),
        &format!("/fetch?{}", target.replace("direct ", "http://")),
    );
    assert!(answer.contains("billing "), "{answer}");
    assert_eq!(edge(&project, "api", "billing")["requests"], 0);
}

#[test]
fn limits_and_protocols_of_the_file_reach_the_edge() {
    let compose = pair(
        "  edges: {billing: {hold: {time: 10s}}}",
        "      edges: {billing: {protocol: tcp, hold: {time: 200ms}}}",
    );
    let project = Project::new(&compose.replace("app_protocol: http", "mode: host"));
    project.ok(&["up", "-d", "--wait"]);
    assert_eq!(edge(&project, "api", "billing")["protocol"], "tcp");
    assert_ne!(
        edge(&project, "host", "billing")["protocol"],
        "tcp",
        "that is what api says"
    );
    // Changed in the file: the same address, other limits.
    let listens = edge(&project, "api", "billing")["listen"].clone();
    let compose = compose.replace("protocol: tcp, ", "");
    project.write("compose.yaml", &compose);
    project.ok(&["up", "-d", "--wait"]);
    let way = edge(&project, "api", "billing");
    assert_eq!((&way["protocol"], &way["listen"]), (&"http".into(), &listens));
    let address = listens.as_str().expect("an address").to_owned();
    project.ok(&["fault", "add", "api->billing", "--error", "418"]);
    assert!(get(&address, "/").starts_with("HTTP/1.1 418"));
    let faulted = edge(&project, "api", "billing")["target"].to_string();
    assert!(
        faulted.contains("real ") && faulted.contains("faulted: error"),
        "{faulted}"
    );
    project.ok(&["fault", "rm"]);
    // Held while the service restarts, but no longer than the file says.
    project.write(
        "compose.yaml",
        &compose.replace("NAME: billing,", "NAME: billing, START_DELAY: \"3\","),
    );
    project.ok(&["up", "-d", "--wait"]);
    let mut restart = project.command(&["restart", "billing"]).spawn().expect("devctl");
    crate::support::wait_for("a request that waited too long", Duration::from_secs(20), || {
        let answer = get(&address, "/");
        (answer.starts_with("HTTP/1.1 503") && answer.contains("hold.time")).then_some(())
    });
    assert!(restart.wait().expect("an end").success());
}

#[test]
fn what_the_project_names_is_never_shown() {
    let project = Project::new(&pair("  redact: [TENANT_PIN, pin, X-Tenant]", ""));
    project.ok(&["up", "-d", "--wait"]);
    let answer = get(&port(&project, "billing"), "/env?TENANT_PIN");
    assert!(answer.ends_with("9-4-7-1"), "the service itself is told: {answer}");
    get(&port(&project, "billing"), "/?pin=5555&a=1");
    let shown = [
        vec!["config", "--resolved"],
        vec!["logs"],
        vec!["traffic"],
        vec!["traffic", "--format", "har"],
    ];
    for args in shown {
        let said = project.ok(&args).out;
        assert!(!said.is_empty());
        for secret in ["9-4-7-1", "5555", "acme-corp"] {
            assert!(!said.contains(secret), "{args:?} shows {secret}: {said}");
        }
    }
    let logs = std::process::Command::new("grep")
        .args(["-rlE", "9-4-7-1|5555"])
        .arg(project.state("logs"))
        .output()
        .expect("grep");
    assert!(logs.stdout.is_empty(), "{}", String::from_utf8_lossy(&logs.stdout));
}

#[test]
fn ports_are_published_as_written_where_the_file_says_so() {
    let project = Project::new(&pair("  publish: as-written", ""));
    project.ok(&["up", "-d", "--wait"]);
    assert!(
        port(&project, "billing").starts_with("0.0.0.0:"),
        "{}",
        port(&project, "billing")
    );
}

#[test]
fn an_edge_that_cannot_be_is_listed_with_its_reason() {
    let compose = pair("  edges: {}", "").replace("http://billing:8080", "http://billing:9999");
    let project = Project::new(&compose);
    let said = project.ok(&["up", "-d", "--wait"]);
    assert!(said.err.contains("billing has no such port"), "{}", said.err);
    let way = edge(&project, "api", "billing");
    assert_eq!(way["problem"], "billing has no such port as a process", "{way}");
}

#[test]
fn a_name_that_is_no_service_is_an_error_with_its_place() {
    let project = Project::new(&pair("  edges: {biling: direct}", ""));
    let said = project.run(&["config", "-q"]);
    assert_ne!(said.code, 0);
    assert!(
        said.err.contains("biling") && said.err.contains("compose.yaml:4:"),
        "{}",
        said.err
    );
    assert!(said.err.contains("billing"), "a suggestion: {}", said.err);
}

#[test]
fn a_port_that_another_one_stands_in_for_is_refused_where_names_are_strict() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let wanted = taken.local_addr().expect("an address").port();
    let compose = pair("  edges: {}", "").replace("{target: 8080,", &format!("{{target: 8080, published: {wanted},"));
    let project = Project::new(&compose);
    let said = project.ok(&["up", "-d", "--wait"]);
    assert!(said.err.contains("is taken by"), "{}", said.err);
    let instead = port(&project, "billing");
    assert!(!instead.ends_with(&format!(":{wanted}")), "{instead}");
    let said = project.run(&["up", "-d", "--wait", "--strict-names"]);
    assert_ne!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("is taken by"), "{}", said.err);
    assert!(get(&instead, "/").contains("billing "), "nothing was changed");
    drop(taken);
    project.ok(&["up", "-d", "--wait", "--strict-names"]);
    assert!(port(&project, "billing").ends_with(&format!(":{wanted}")));
}

/// A process that a person has started, ended with the test.
struct Ide(std::process::Child);

impl Drop for Ide {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn a_service_that_runs_in_an_ide_is_told_what_it_needs_and_reached_by_its_consumers() {
    let elsewhere = free_port();
    let compose = pair("  redact: []", "").replace(
        "x-devctl: {native: {command: [python3, $SERVICE], ports: {\"8080\": PORT}, ready: /healthz}}\n  api:",
        &format!(
            "x-devctl: {{native: {{ports: {{\"8080\": PORT}}, env: {{GENERATION: ide}}}}, external: {{\"8080\": \"127.0.0.1:{elsewhere}\"}}}}\n  api:"
        ),
    );
    let project = Project::new(&compose);
    project.ok(&["up", "-d", "--wait"]);
    let told = project.ok(&["env", "billing"]).out;
    for line in [
        &format!("export PORT={elsewhere}"),
        "export NAME=billing",
        "export GENERATION=ide",
    ] {
        assert!(told.lines().any(|told| told == line), "no `{line}` in {told}");
    }
    let api = port(&project, "api");
    let billing = get(&api, "/env?BILLING_URL")
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .to_owned();
    let asked = format!("/fetch?{billing}/");
    assert!(get(&api, &asked).starts_with("HTTP/1.1 502"), "nobody is there yet");
    let words: Vec<(&str, &str)> = told
        .lines()
        .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
        .collect();
    let ide = std::process::Command::new("python3").arg(SERVICE).envs(words).spawn();
    let ide = Ide(ide.expect("python3"));
    wait_for("an answer from the IDE", Duration::from_secs(30), || {
        get(&api, &asked)
            .contains(&format!("billing {} ide", ide.0.id()))
            .then_some(())
    });
    let edge = edge(&project, "api", "billing");
    assert_eq!(edge["target"], format!("real 127.0.0.1:{elsewhere}"), "{edge}");
}
