//! Whatever bytes a file has: a load ends with a project, which can be printed, or with problems.

#![no_main]

use devctl_compose::{LoadOptions, MemoryFiles, load};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let options = LoadOptions {
        files: vec!["compose.yaml".into()],
        working_dir: "/project".into(),
        ..LoadOptions::default()
    };
    let files = MemoryFiles::new().with("/project/compose.yaml", bytes).with("/project/.env", bytes);
    if let Ok(loaded) = load(&files, &options) {
        let _ = (loaded.project.to_yaml(), loaded.project.to_json());
    }
});
