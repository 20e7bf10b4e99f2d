//! The published JSON Schema and the reader of `x-devctl` agree on what is right.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by panicking")]
#![expect(clippy::disallowed_methods, reason = "the loader does no IO: its caller, here, does")]

use std::path::Path;

use devctl_compose::{LoadOptions, MemoryFiles, extension_schema, load, model_tree};
use serde_json::Value;

fn options() -> LoadOptions {
    LoadOptions {
        files: vec!["compose.yaml".into()],
        working_dir: "/project".into(),
        no_interpolate: true,
        no_path_resolution: true,
        ..LoadOptions::default()
    }
}

/// A file as JSON, whatever stands in it.
fn json(text: &str) -> Value {
    let files = MemoryFiles::new().with("/project/compose.yaml", text);
    serde_json::from_str(&model_tree(&files, &options()).unwrap().to_json_text()).unwrap()
}

fn service(extension: &str) -> String {
    format!("services: {{a: {{image: x, x-devctl: {extension}}}, b: {{image: x}}}}\n")
}

#[test]
fn what_the_reader_takes_the_schema_takes() {
    let validator = jsonschema::validator_for(&extension_schema()).unwrap();
    let table = [
        ("{}", true),
        (
            "{stub: true, swap: overlap, redact: one, external: {8080: 'localhost:1'}}",
            true,
        ),
        (
            "{native: {build: make all, command: [./a, -v], dir: src, ports: {8080: PORT}, env: {A: 1, B: x, C: true}}}",
            true,
        ),
        ("{native: {ready: /health}}", true),
        ("{native: {ready: {http: /health, port: 80}}}", true),
        ("{native: {ready: {grpc: , port: 80}}}", true),
        ("{native: {ready: {command: make ready}}}", true),
        ("{native: , contracts: , edges: }", true),
        (
            "{contracts: {provider: p, consumer: c, states: s, tests: make it, verify: save}}",
            true,
        ),
        ("{depends_on: {b: {condition: contract_verified}}}", true),
        ("{edges: {default: direct, b: direct}}", true),
        (
            "{edges: {b: {mode: on, protocol: grpc, hold: {requests: 5, bytes: 1m, time: 3s}}}}",
            true,
        ),
        ("{nativ: {}}", false),
        ("{native: {comand: x}}", false),
        ("{native: {ready: 5}}", false),
        ("{native: {ready: {htp: /}}}", false),
        ("{swap: overlapp}", false),
        ("{contracts: {provder: x}}", false),
        ("{contracts: {verify: sometimes}}", false),
        ("{depends_on: {b: {condition: verified}}}", false),
        ("{edges: {b: {hold: {request: 5}}}}", false),
        ("{edges: {b: nowhere}}", false),
    ];
    for (extension, fine) in table {
        // A key of the JSON has quotes; in the table it need not.
        let text = service(&extension.replace("8080:", "'8080':"));
        let files = MemoryFiles::new().with("/project/compose.yaml", text.as_str());
        let read = load(
            &files,
            &LoadOptions {
                no_interpolate: false,
                ..options()
            },
        );
        assert_eq!(read.is_ok(), fine, "the reader on {extension}: {read:?}");
        assert_eq!(validator.is_valid(&json(&text)), fine, "the schema on {extension}");
    }
}

#[test]
fn the_sample_fits_the_schema() {
    let validator = jsonschema::validator_for(&extension_schema()).unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../compose/compose.yaml");
    let sample = json(&std::fs::read_to_string(path).unwrap());
    assert!(
        sample["services"]["auth"]["x-devctl"].is_object(),
        "the sample has extensions"
    );
    let wrong: Vec<String> = validator.iter_errors(&sample).map(|error| error.to_string()).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
