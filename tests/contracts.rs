//! `devctl contracts drift` on the sample: its committed pacts are what its consumers' tests write, and one that is not is found.
//! A stand-in answers from the pacts as they are now.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{Project, get, wait_for};

const LONG: Duration = Duration::from_secs(60);

fn repository() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    above.canonicalize().expect("the repository")
}

fn committed(name: &str) -> String {
    let path = repository().join("contracts/pacts").join(name);
    std::fs::read_to_string(path).expect("a committed pact")
}

#[test]
fn the_samples_contracts_are_what_its_consumers_tests_write() {
    let project = Project::new("services: {}");
    let file = repository().join("compose/compose.yaml");
    let said = project.ok(&["-f", &file.display().to_string(), "contracts", "drift"]);
    let pairs: Vec<&str> = said.out.lines().collect();
    assert_eq!(pairs.len(), 12, "{}", said.out);
    assert!(
        pairs.iter().all(|line| line.starts_with('✓')),
        "{}{}",
        said.out,
        said.err
    );
    assert!(!said.err.contains("warning"), "{}", said.err);
}

#[test]
fn a_pact_that_was_edited_is_found_and_written_back_to_the_byte() {
    let project = Project::new(&format!(
        r#"
name: drift
x-devctl: {{contracts: {{pacts: [pacts]}}}}
services:
  billing:
    image: billing
    x-devctl:
      contracts:
        tests: cargo test --quiet --workspace --test consumers --manifest-path {}/Cargo.toml billing_to_
"#,
        repository().display()
    ));
    let names = ["billing-payments-provider.json", "billing-webhook-subscriber.json"];
    let [payments, webhooks] = names.map(committed);
    project.write(
        "pacts/billing-payments-provider.json",
        &payments.replace("\"status\": 402", "\"status\": 400"),
    );
    project.write(
        "pacts/billing-webhook-subscriber.json",
        &webhooks.replace("a new invoice", "an old invoice"),
    );

    let said = project.run(&["contracts", "drift"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    for told in [
        "~ a charge that the bank declines (given the card has no funds)",
        "$.response.status",
        "committed  400",
        "written    402",
        "+ a new invoice (given the subscriber takes events): not committed",
        "- an old invoice (given the subscriber takes events): no test writes it",
    ] {
        assert!(said.out.contains(told), "{told}:\n{}", said.out);
    }

    project.ok(&["contracts", "drift", "--update"]);
    assert_eq!(project.read("pacts/billing-payments-provider.json"), payments);
    assert_eq!(project.read("pacts/billing-webhook-subscriber.json"), webhooks);
}

/// What `web` may expect of `bank`.
fn answers(balance: u32) -> String {
    serde_json::json!({
        "consumer": {"name": "web"},
        "provider": {"name": "bank"},
        "interactions": [{
            "description": "a balance",
            "request": {"method": "GET", "path": "/balance"},
            "response": {"status": 200, "body": {"balance": balance}}
        }],
        "metadata": {"pactSpecification": {"version": "3.0.0"}}
    })
    .to_string()
}

/// Where a consumer asks a provider.
fn edge(project: &Project, consumer: &str, provider: &str) -> String {
    let edges = project.ok(&["edges", "--format", "json"]).out;
    let mut all = edges
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    all.find(|edge| edge["consumer"] == consumer && edge["provider"] == provider)
        .and_then(|edge| edge["listen"].as_str().map(str::to_owned))
        .unwrap_or_else(|| unreachable!("no way from {consumer} to {provider} in {edges}"))
}

#[test]
fn a_running_stand_in_answers_from_a_changed_pact_and_keeps_to_the_last_one_that_could_be_read() {
    let project = Project::new(
        r#"
name: standin
x-devctl: {contracts: {pacts: [pacts]}}
services:
  bank: {image: bank, x-devctl: {stub: true}}
  web:
    image: python:3
    environment: {NAME: web, BANK_URL: "http://bank:8080"}
    x-devctl: {native: {command: [python3, $SERVICE], ports: {"8080": PORT}, ready: /healthz}}
"#,
    );
    project.write("pacts/web-bank.json", &answers(1));
    project.ok(&["up", "-d", "--wait"]);
    let address = edge(&project, "web", "bank");
    let body = || get(&address, "/balance").map(|(_, body)| body).unwrap_or_default();
    let told = || project.ok(&["events", "--since", "1h", "--until", "0s"]).out;
    assert_eq!(body(), r#"{"balance":1}"#);

    project.write("pacts/web-bank.json", &answers(2));
    let line = wait_for("the changed pact to be told", LONG, || {
        told()
            .lines()
            .find(|line| line.contains("changed contracts"))
            .map(str::to_owned)
    });
    assert!(line.contains("bank") && line.contains("answers web"), "{line}");
    assert_eq!(body(), r#"{"balance":2}"#);

    project.write("pacts/web-bank.json", "{ half a pact");
    wait_for("the damage to be told", LONG, || {
        told().contains("web-bank.json").then_some(())
    });
    assert_eq!(body(), r#"{"balance":2}"#);

    project.write("pacts/web-bank.json", &answers(3));
    wait_for("the corrected pact to be answered from", LONG, || {
        (body() == r#"{"balance":3}"#).then_some(())
    });

    // A folder without any pact is one that could not be read.
    project.write("pacts/other-bank.json", &answers(4).replace("web", "other"));
    std::fs::remove_file(project.dir().join("pacts/web-bank.json")).expect("a file");
    wait_for("the contract to be gone", LONG, || {
        get(&address, "/balance")
            .is_some_and(|(status, _)| status >= 500)
            .then_some(())
    });
}

#[test]
fn what_was_brought_up_as_a_stand_in_is_started_by_unstub_with_nobody_refused() {
    let project = Project::new(
        r#"
name: unstub
x-devctl: {contracts: {pacts: [pacts], verify: never}}
services:
  bank:
    image: bank
    environment: {NAME: bank}
    x-devctl: {native: {command: [python3, $SERVICE], ports: {"8080": PORT}, ready: /healthz}}
  mint: {image: mint, x-devctl: {stub: true}}
  web:
    image: python:3
    environment: {NAME: web, BANK_URL: "http://bank:8080", MINT_URL: "http://mint:8080"}
    depends_on: [bank]
    x-devctl: {native: {command: [python3, $SERVICE], ports: {"8080": PORT}, ready: /healthz}}
"#,
    );
    project.write("pacts/web-bank.json", &answers(1));
    project.write("pacts/web-mint.json", &answers(1).replace("bank", "mint"));
    project.ok(&["up", "-d", "--wait", "--stub", "bank"]);
    let address = edge(&project, "web", "bank");
    let body = || get(&address, "/balance").map(|(_, body)| body);
    assert_eq!(body().as_deref(), Some(r#"{"balance":1}"#));

    let said = project.ok(&["unstub", "bank", "mint"]);
    assert!(said.err.contains("`mint` has nothing else to answer"), "{}", said.err);
    wait_for("bank's own answer", LONG, || {
        let body = body().unwrap_or_else(|| unreachable!("a caller was refused"));
        (body != r#"{"balance":1}"#).then_some(())
    });
    assert!(project.pid("bank") > 0);
    // And back again, while it goes on.
    let said = project.ok(&["stub", "bank"]);
    assert!(said.err.contains("answered from contracts: bank, mint"), "{}", said.err);
    assert_eq!(body().as_deref(), Some(r#"{"balance":1}"#));
    project.ok(&["unstub", "bank"]);
    assert_ne!(body().as_deref(), Some(r#"{"balance":1}"#));
}
