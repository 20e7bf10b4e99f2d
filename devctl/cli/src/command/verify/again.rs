//! The words around `verify` that replay a single promise as it was replayed now: they must work where they are pasted, in
//! the directory and the environment of whoever asked.

use std::env;
use std::path::{Path, PathBuf};

use devctl_daemon::verify::Asked;

use super::Verify;
use crate::args::Global;

/// How a run with these flags is asked for again.
pub(super) fn asked(verify: &Verify, global: &Global) -> Asked {
    let mut before = vec![program()];
    let mut flag = |name: &str, value: String| before.extend([name.to_owned(), value]);
    for file in &global.files {
        flag("-f", file.clone());
    }
    if let Some(name) = &global.project_name {
        flag("--project-name", name.clone());
    }
    if let Some(directory) = &global.project_directory {
        flag("--project-directory", directory.display().to_string());
    }
    for profile in &global.profiles {
        flag("--profile", profile.clone());
    }
    for file in &global.env_files {
        flag("--env-file", file.display().to_string());
    }
    for runtime in &global.runtimes {
        flag("--runtime", runtime.to_string());
    }
    let mut after = Vec::new();
    for (provider, url) in &verify.urls {
        after.extend(["--url".to_owned(), format!("{provider}={url}")]);
    }
    if verify.reference {
        after.push("--reference".to_owned());
    }
    if verify.answer_within != devctl_daemon::verify::ANSWER_WITHIN {
        let within = humantime::format_duration(verify.answer_within).to_string();
        after.extend(["--answer-within".to_owned(), within.replace(' ', "")]);
    }
    after.extend(verify.pacts.iter().cloned());
    Asked {
        before,
        after,
        directory: env::current_dir().unwrap_or_default(),
    }
}

/// The program's name where the shell finds it by that, else its place as it would be typed here.
fn program() -> String {
    const NAME: &str = "devctl";
    let Ok(own) = env::current_exe() else {
        return NAME.to_owned();
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|dir| dir.join(NAME))
        .find(|file| file.is_file());
    if found.and_then(|file| file.canonicalize().ok()) == own.canonicalize().ok() {
        return NAME.to_owned();
    }
    let here = env::current_dir().and_then(|dir| dir.canonicalize());
    let below = here
        .ok()
        .and_then(|here| own.strip_prefix(here).ok().map(Path::to_path_buf));
    let typed = below.map(|below| PathBuf::from(".").join(below));
    typed.unwrap_or(own).display().to_string()
}
