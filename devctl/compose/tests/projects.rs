//! The cases in `fixtures/projects`: what Docker Compose prints for each, or what is said of those that are refused.
//!
//! `expected.json` comes from Docker Compose (`fixtures/projects/conformance --expect`), `expected.txt` from here:
//! `UPDATE=1 cargo test -p devctl-compose --test projects` writes it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects by panicking"
)]
#![expect(clippy::disallowed_methods, reason = "the loader does no IO: its caller, here, does")]
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use devctl_compose::{Files, LoadOptions, load, model_tree};
use serde_json::Value;

struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }
}

/// The case's command line, as `case.json` has it.
fn options(case: &Path) -> (LoadOptions, bool) {
    let told: Value = match fs::read(case.join("case.json")) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap(),
        Err(_) => Value::Null,
    };
    let texts = |key: &str| -> Option<Vec<String>> {
        let list = told[key].as_array()?;
        Some(list.iter().map(|item| item.as_str().unwrap().to_owned()).collect())
    };
    let mut options = LoadOptions {
        working_dir: case.join(told["cwd"].as_str().unwrap_or("")),
        ..LoadOptions::default()
    };
    if told["nofile"] != true {
        let files = texts("files").unwrap_or_else(|| vec!["compose.yaml".to_owned()]);
        options.files = files.into_iter().map(PathBuf::from).collect();
    }
    options.services = texts("services").unwrap_or_default();
    options.environment.insert("HOME".to_owned(), "/home/user".to_owned());
    for (key, value) in told["env"].as_object().into_iter().flatten() {
        options
            .environment
            .insert(key.clone(), value.as_str().unwrap().to_owned());
    }
    let mut json = true;
    let mut args = texts("args").unwrap_or_default().into_iter();
    while let Some(flag) = args.next() {
        let mut value = || args.next().unwrap();
        match flag.as_str() {
            "-p" => options.project_name = Some(value()),
            "--project-directory" => options.project_directory = Some(value().into()),
            "--profile" => options.profiles.push(value()),
            "--env-file" => options.env_files.push(value().into()),
            "--format" => json = value() == "json",
            "--no-interpolate" => options.no_interpolate = true,
            "--no-normalize" => options.no_normalize = true,
            "--no-path-resolution" => options.no_path_resolution = true,
            "--no-consistency" => options.no_consistency = true,
            other => panic!("{}: unknown flag {other}", case.display()),
        }
    }
    (options, json)
}

/// What is printed, or what is said.
fn run(case: &Path) -> Result<String, String> {
    let (options, json) = options(case);
    if options.no_interpolate {
        return model_tree(&Disk, &options)
            .map(|tree| tree.to_json_text())
            .map_err(|all| all.to_string());
    }
    let loaded = load(&Disk, &options).map_err(|all| all.to_string())?;
    match json {
        true => loaded.project.to_json_text().map_err(|error| error.to_string()),
        false => Ok(loaded.project.to_yaml()),
    }
}

fn cases() -> Vec<PathBuf> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/projects")
        .canonicalize()
        .unwrap();
    let below = |path: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let mut directories: Vec<_> = entries.filter(|path| path.is_dir()).collect();
        directories.sort();
        directories
    };
    below(&top).iter().flat_map(|topic| below(topic)).collect()
}

#[test]
fn every_project_means_what_docker_compose_says() {
    let mut failed = Vec::new();
    let cases = cases();
    for case in &cases {
        let name = case
            .strip_prefix(case.ancestors().nth(2).unwrap())
            .unwrap()
            .display()
            .to_string();
        let place = case.display().to_string();
        let expected = fs::read_to_string(case.join("expected.json"));
        match (run(case), expected) {
            (Ok(got), Ok(want)) => {
                let got = got.replace(&place, "{DIR}");
                let same = match (
                    serde_json::from_str::<Value>(&got),
                    serde_json::from_str::<Value>(&want),
                ) {
                    (Ok(got), Ok(want)) => got == want,
                    _ => got.trim_end() == want.trim_end(),
                };
                if !same {
                    failed.push(format!("{name}: want\n{want}\ngot\n{got}"));
                }
            }
            (Ok(_), Err(_)) => failed.push(format!("{name}: should be refused")),
            (Err(said), Ok(_)) => failed.push(format!("{name}: refused:\n{said}")),
            (Err(said), Err(_)) => {
                let said = said.replace(&place, "{DIR}") + "\n";
                let path = case.join("expected.txt");
                if std::env::var("UPDATE").is_ok() {
                    fs::write(&path, &said).unwrap();
                }
                let want = fs::read_to_string(&path).unwrap_or_default();
                if said != want {
                    failed.push(format!("{name}: want\n{want}\ngot\n{said}"));
                }
            }
        }
    }
    assert!(cases.len() > 200, "only {} cases were found", cases.len());
    assert!(
        failed.is_empty(),
        "{} of {} failed\n\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n\n")
    );
}
