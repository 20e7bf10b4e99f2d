//! Whatever bytes files have: a load ends with a project, which can be printed, or with problems, which can be shown.
//!
//! Zero bytes part the input into files: the Compose file, one that is merged over it, one to include or extend, `.env`.

#![no_main]

use devctl_compose::{LoadOptions, MemoryFiles, load, model_tree};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(4, |byte| *byte == 0);
    let names = ["compose.yaml", "over.yaml", "other.yaml", ".env"];
    let mut files = MemoryFiles::new();
    let mut options = LoadOptions { working_dir: "/project".into(), ..LoadOptions::default() };
    for name in names {
        let Some(part) = parts.next() else { break };
        files = files.with(format!("/project/{name}"), part);
        if matches!(name, "compose.yaml" | "over.yaml") {
            options.files.push(name.into());
        }
    }
    match load(&files, &options) {
        Ok(loaded) => drop((loaded.project.to_yaml(), loaded.project.to_json_text())),
        Err(problems) => assert!(!problems.to_string().is_empty(), "refused without a reason"),
    }
    options.no_interpolate = true;
    if let Ok(tree) = model_tree(&files, &options) {
        drop((tree.to_yaml(), tree.to_json_text(), tree.variables()));
    }
});
