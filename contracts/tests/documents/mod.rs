//! What is written down beside the code, held against it: provider states, OpenAPI, AsyncAPI and the pacts agree with each other
//! and with the services' routes and events.

mod asyncapi;
mod openapi;
mod routes;
mod states;

use std::fs;
use std::path::{Path, PathBuf};

use devctl_pact::index::{Contract, Origin};
use serde_json::Value;

/// A path of the repository.
fn path(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(of)
}

fn read(of: &str) -> String {
    fs::read_to_string(path(of)).unwrap_or_else(|cause| unreachable!("{of}: {cause}"))
}

fn yaml(of: &str) -> Value {
    serde_saphyr::from_str(&read(of)).unwrap_or_else(|cause| unreachable!("{of}: {cause}"))
}

/// The committed pacts.
fn pacts() -> Vec<Contract> {
    let mut files: Vec<PathBuf> = fs::read_dir(path("contracts/pacts"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 12, "{files:?}");
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).unwrap();
        devctl_pact::index::parse(&Origin::File(file), &text).unwrap()
    };
    files.into_iter().map(read).collect()
}

/// Everything that `value` is found invalid for by `schema`, whose references point into `document`.
fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let whole = serde_json::json!({"components": document["components"], "allOf": [schema]});
    let validator = jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&whole)
        .unwrap();
    let fault = |error: jsonschema::ValidationError<'_>| format!("{}: {error}", error.instance_path());
    validator.iter_errors(value).map(fault).collect()
}
