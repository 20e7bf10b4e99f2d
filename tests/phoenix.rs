//! The sample's providers keep their promises, and Pact's own verifier says the same of each.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::Project;

/// Verdict, and whatever differs, by interaction.
fn verdicts(report: &Value) -> BTreeMap<String, (String, String)> {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let mut verdicts = BTreeMap::new();
    for provider in list(report, "providers") {
        for consumer in list(&provider, "consumers") {
            for one in list(&consumer, "interactions") {
                let key = format!("{} {} {}", provider["provider"], consumer["consumer"], one["id"]);
                let said = (one["verdict"].to_string(), one["differences"].to_string());
                verdicts.insert(key, said);
            }
        }
    }
    verdicts
}

#[test]
fn the_samples_providers_keep_their_promises_and_the_reference_says_the_same() {
    let project = Project::new("services: {}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose/compose.yaml");
    let file = file.canonicalize().expect("the sample").display().to_string();
    let mut reports = Vec::new();
    for more in [
        &["--json", "own.json"][..],
        &["--reference", "--json", "reference.json"],
    ] {
        let said = project.run(&[&["-f", &file, "verify", "--no-cache"][..], more].concat());
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        let report = more.last().map(|name| project.read(name)).expect("a name");
        reports.push(serde_json::from_str::<Value>(&report).expect("JSON"));
    }
    let [own, theirs] = reports.try_into().expect("two reports");
    let (own, theirs) = (verdicts(&own), verdicts(&theirs));
    assert!(own.len() >= 80, "{own:#?}");
    assert_eq!(own, theirs);
}

#[test]
fn an_event_that_goes_elsewhere_and_a_crash_at_start_are_found_and_named() {
    // The other eight are `make mutations`: they compile for minutes.
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/mutations.py");
    let said = std::process::Command::new("python3")
        .arg(&script)
        .args(["routing", "crash"])
        .env("DEVCTL", env!("CARGO_BIN_EXE_devctl"))
        .output()
        .expect("the script can be run");
    let told = String::from_utf8_lossy(&said.stdout);
    assert!(
        said.status.success() && told.contains("2 of 2 found and named"),
        "{told}"
    );
}
