//! `devctl contracts drift` on the sample: its committed pacts are what its consumers' tests write, and one that is not is found.

use std::path::{Path, PathBuf};

use crate::support::Project;

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
