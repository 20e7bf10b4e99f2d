//! `devctl verify` tells kept, broken and could-not-run apart, says what differs, and leaves nothing behind.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Project, Said, free_port, wait_for};

const PROVIDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/provider.py");

/// A provider, spoiled as `mutation` says, and one service that is never run here.
fn project(mutation: &str) -> Project {
    let project = Project::new(&format!(
        r#"
name: shop
x-devctl: {{contracts: {{pacts: [pacts], specs: [specs]}}}}
services:
  items:
    image: items
    environment: {{MUTATION: "{mutation}"}}
    x-devctl:
      native: {{command: [python3, {PROVIDER}], ports: {{"8080": PORT}}, ready: /healthz}}
      contracts: {{states: states.yaml}}
  bank: {{image: bank, x-devctl: {{stub: true}}}}
"#
    ));
    project.write("pacts/web-items.json", &pact("web", "items").to_string());
    project.write("states.yaml", "states:\n  there is an item: {steps: []}\n");
    project
}

fn pact(consumer: &str, provider: &str) -> Value {
    let number = json!({"match": "integer"});
    json!({
        "consumer": {"name": consumer},
        "provider": {"name": provider},
        "interactions": [
            {
                "description": "an item",
                "providerStates": [{"name": "there is an item"}],
                "request": {"method": "GET", "path": "/items/1"},
                "response": {
                    "status": 200,
                    "headers": {"X-Version": "7"},
                    "body": {"id": 1, "name": "one", "price": 10},
                    "matchingRules": {"body": {"$.price": {"matchers": [number]}}}
                }
            },
            {
                "description": "a new item",
                "request": {"method": "POST", "path": "/items", "headers": {"Content-Type": "application/json"}, "body": {"name": "two"}},
                "response": {"status": 201, "body": {"id": 2}}
            }
        ],
        "metadata": {"pactSpecification": {"version": "3.0.0"}}
    })
}

fn verified(project: &Project, more: &[&str]) -> Said {
    project.run(&[&["verify"], more].concat())
}

#[test]
fn kept_promises_are_known_the_second_time_and_nothing_is_left() {
    let project = project("");
    let said = verified(&project, &[]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("for web: 2 kept"), "{}", said.out);
    assert!(said.err.contains("items: ready in"), "{}", said.err);
    assert!(project.processes().is_empty(), "{:?}", project.processes());

    let said = verified(&project, &[]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("2 from the cache") && said.out.contains("nothing was started"),
        "{}",
        said.out
    );
    assert!(!said.err.contains("ready in"), "{}", said.err);

    // A state that reads otherwise could change the verdict.
    project.write(
        "states.yaml",
        "states:\n  there is an item: {steps: [], params: {a: 1}}\n",
    );
    assert!(verified(&project, &[]).err.contains("ready in"));
    assert!(verified(&project, &["--no-cache"]).err.contains("ready in"));
}

#[test]
fn each_breach_is_found_and_named() {
    let breaches = [
        ("renamed field", "name", "$"),
        ("changed type", "integer", "$.price"),
        ("missing header", "X-Version", ""),
        ("wrong status", "expected 200 but was 500", ""),
        ("slow", "an answer within 500 ms", ""),
    ];
    for (mutation, said_of_it, path) in breaches {
        let project = project(mutation);
        let said = verified(&project, &["--answer-within", "500ms"]);
        assert_eq!(said.code, 1, "{mutation}: {}{}", said.out, said.err);
        assert!(said.out.contains("1 kept, 1 broken"), "{mutation}: {}", said.out);
        assert!(
            said.out.contains(said_of_it) && said.out.contains(path),
            "{mutation}: {}",
            said.out
        );
        assert!(said.out.contains("sent: GET /items/1"), "{mutation}: {}", said.out);
        assert!(
            said.out.contains("asked for /items/1 in 00-"),
            "its own log: {}",
            said.out
        );
        assert!(
            said.out.contains("pact: pacts/web-items.json:"),
            "{mutation}: {}",
            said.out
        );
        let again = said.out.lines().find_map(|line| line.trim().strip_prefix("again: "));
        let again = project.shell(again.expect("a command"));
        assert_eq!(again.code, 1, "{mutation}: {}{}", again.out, again.err);
        assert!(
            again.out.contains("0 kept, 1 broken") && again.out.contains(said_of_it),
            "{mutation}: {}",
            again.out
        );
        assert!(project.processes().is_empty());
    }
}

#[test]
fn an_operation_that_the_schema_does_not_know_is_broken_whatever_is_answered() {
    let project = project("");
    let operation = json!({"query": "{ item(id: 1) { id name } }", "operationName": null, "variables": {}});
    let mut pact = pact("web", "items");
    pact["interactions"] = json!([{
        "description": "an item's name",
        "request": {
            "method": "POST", "path": "/graphql", "headers": {"Content-Type": "application/json"}, "body": operation
        },
        "response": {"status": 200, "body": {"data": {"item": {"name": "one"}}}}
    }]);
    project.write("pacts/web-items.json", &pact.to_string());
    let schema = "type Query { item(id: ID!): Item! }\ntype Item { id: ID! name: String! }\n";
    project.write("specs/items.graphql", schema);
    let said = verified(&project, &[]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);

    project.write("specs/items.graphql", &schema.replace("name", "title"));
    let said = verified(&project, &[]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    for told in [
        "$.query: type `Item` does not have a field `name` (specs/items.graphql:2), which line 1 of the query asks for",
        "rule:     must be valid against the provider's schema",
        "sent: POST /graphql",
        "{\"query\":\"{ item(id: 1) { id name } }\",\"operationName\":null",
    ] {
        assert!(said.out.contains(told), "{told}\n{}", said.out);
    }
}

#[test]
fn what_could_not_run_is_never_broken_and_never_known() {
    let project = project("crash");
    for _ in 0..2 {
        let said = verified(&project, &[]);
        assert_eq!(said.code, 2, "{}{}", said.out, said.err);
        assert!(
            said.out.contains("exited with 3") && said.out.contains("FROBNICATION"),
            "{}",
            said.out
        );
        assert!(
            said.out.contains("2 could not run") && !said.out.contains("cache"),
            "{}",
            said.out
        );
    }

    let project = self::project("");
    project.write("states.yaml", "states:\n  there is an itm: {steps: []}\n");
    let said = verified(&project, &[]);
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(said.out.contains("did you mean `there is an itm`?"), "{}", said.out);

    project.write("pacts/other.json", "{");
    let said = verified(&project, &["--interaction", "a new item"]);
    assert_eq!(
        (said.code, said.err.contains("other.json")),
        (2, true),
        "{}{}",
        said.out,
        said.err
    );
}

#[test]
fn a_provider_that_ends_in_the_middle_could_not_run() {
    let project = project("");
    let mut pact = pact("web", "items");
    pact["interactions"][0]["request"]["path"] = "/die".into();
    project.write("pacts/web-items.json", &pact.to_string());
    let said = verified(&project, &[]);
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("it ended in the middle of `an item") && said.out.contains("exited with 9"),
        "{}",
        said.out
    );
}

#[test]
fn a_provider_that_is_not_here_is_said_to_be_so() {
    let project = project("");
    project.write("pacts/web-bank.json", &pact("web", "bank").to_string());
    let said = verified(&project, &[]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("2 not verifiable here") && said.out.contains("--url bank=URL"),
        "{}",
        said.out
    );
    assert_eq!(
        verified(&project, &["--provider", "bank"]).code,
        2,
        "asked for, and not known"
    );
    let nobody = format!("bank=http://127.0.0.1:{}", free_port());
    let said = verified(&project, &["--provider", "bank", "--url", &nobody]);
    assert_eq!(
        (said.code, said.out.contains("reach the provider")),
        (2, true),
        "{}{}",
        said.out,
        said.err
    );
    assert_eq!(verified(&project, &["--provider", "bakn"]).code, 2);
}

#[test]
fn a_provider_that_runs_elsewhere_needs_no_compose_file() {
    let running = project("");
    running.ok(&["up", "-d", "--wait", "--no-verify", "items"]);
    let at = format!("items=http://{}", running.ok(&["port", "items", "8080"]).out.trim());
    let here = Project::new("services: {}");
    std::fs::remove_file(here.dir().join("compose.yaml")).expect("a file");
    here.write("pact.json", &pact("web", "items").to_string());
    let said = verified(&here, &["pact.json", "--url", &at]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("2 kept"), "{}", said.out);
    let other = format!("bank={}", at.trim_start_matches("items="));
    let said = verified(&here, &["pact.json", "--url", &other]);
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(said.err.contains("the pacts have items"), "{}", said.err);
    // Nobody has said where it runs: the files have to.
    let said = verified(&here, &["pact.json"]);
    assert_eq!(said.code, 2, "{}{}", said.out, said.err);
    assert!(said.err.contains("there is no Compose file"), "{}", said.err);
}

#[test]
fn reports_are_written_and_only_what_is_asked_for_is_replayed() {
    let project = project("wrong status");
    let said = verified(
        &project,
        &[
            "--junit",
            "junit.xml",
            "--json",
            "report.json",
            "--html",
            "report.html",
            "--fail-fast",
        ],
    );
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let report: Value = serde_json::from_str(&project.read("report.json")).expect("JSON");
    assert_eq!((&report["version"], &report["exitStatus"]), (&json!(1), &json!(1)));
    assert!(
        project.read("junit.xml").contains("<testcase name=\"an item"),
        "{}",
        project.read("junit.xml")
    );
    let page = project.read("report.html");
    assert!(
        page.contains("expected 200 but was 500") && !page.contains("<script"),
        "{page}"
    );

    let said = verified(&project, &["--interaction", "a new item"]);
    assert_eq!(
        (said.code, said.out.contains("1 kept")),
        (0, true),
        "{}{}",
        said.out,
        said.err
    );
    let said = verified(&project, &["--dry-run"]);
    assert!(said.out.contains("items: 2 promises, service `items`"), "{}", said.out);
    let id = said
        .out
        .lines()
        .nth(1)
        .and_then(|line| line.split_whitespace().next())
        .expect("an id");
    let said = verified(&project, &["--interaction", id, "--no-cache"]);
    assert!(
        said.out.contains("1 broken") || said.out.contains("1 kept"),
        "{}",
        said.out
    );
}

#[test]
fn the_reference_says_the_same() {
    for (mutation, code) in [("", 0), ("changed type", 1)] {
        let project = project(mutation);
        let said = verified(&project, &["--reference"]);
        assert_eq!(said.code, code, "{mutation}: {}{}", said.out, said.err);
    }
}

#[test]
fn an_interrupt_or_a_kill_leaves_nothing() {
    use nix::sys::signal::{Signal, kill};
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGKILL, None)] {
        let project = project("slow");
        let mut child = project
            .command(&["verify", "--answer-within", "20s"])
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("devctl can be run");
        wait_for("the provider to run", Duration::from_secs(60), || {
            let runs = project
                .processes()
                .iter()
                .any(|(_, command)| command.contains("provider.py"));
            runs.then_some(())
        });
        kill(nix::unistd::Pid::from_raw(child.id() as i32), signal).expect("a signal");
        let status = child.wait().expect("an end");
        if code.is_some() {
            assert_eq!(status.code(), code);
        }
        project.wait_until_gone(Duration::from_secs(5));
    }
}

#[test]
fn a_provider_is_served_to_the_verifiers_of_others_until_it_is_interrupted() {
    use nix::sys::signal::{Signal, kill};
    use std::io::{BufRead as _, BufReader};
    let project = project("");
    let mut child = project
        .command(&["--format", "json", "verify", "--provider", "items", "--serve"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("devctl can be run");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("its stdout"));
    out.read_line(&mut line).expect("a line");
    let at: Value = serde_json::from_str(&line).expect("JSON");
    let (url, states) = (
        at["url"].as_str().expect("a URL"),
        at["states"].as_str().expect("a URL"),
    );
    let _set_already = rustls::crypto::ring::default_provider().install_default();
    let ask = |url: &str, body: Option<Value>| {
        let client = reqwest::Client::new();
        let request = match body {
            Some(body) => client.post(url).json(&body),
            None => client.get(url),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let answer = request.send().await.expect("an answer");
            (answer.status().as_u16(), answer.text().await.expect("a body"))
        })
    };
    assert_eq!(ask(&format!("{url}/items/1"), None).0, 200);
    let state = |name: &str, action: &str| ask(states, Some(json!({"state": name, "params": {}, "action": action})));
    assert_eq!(state("there is an item", "setup"), (200, "{}".to_owned()));
    assert_eq!(state("there is an item", "teardown").0, 200);
    assert_eq!(state("", "setup").0, 200);
    let (status, said) = state("there is an itm", "setup");
    assert!(
        status == 500 && said.contains("did you mean `there is an item`?"),
        "{status} {said}"
    );
    assert_eq!(state("there is an item", "set-up").0, 400);

    kill(nix::unistd::Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("a signal");
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    project.wait_until_gone(Duration::from_secs(5));

    let said = verified(&project, &["--serve"]);
    assert_eq!(said.code, 2, "which one? {}{}", said.out, said.err);
}
