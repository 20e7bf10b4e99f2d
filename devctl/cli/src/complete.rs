//! What the shell offers while a command is typed: the project's services.

use std::ffi::OsStr;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};

use crate::args::Global;
use crate::project::Project;

/// Completes names of services from the Compose files that would be found here.
pub(crate) fn services() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let begun = current.to_string_lossy();
        // Nothing to offer is no reason to write into the middle of somebody's command line.
        let Ok(project) = Project::load(&given(), Vec::new()) else {
            return Vec::new();
        };
        project
            .services()
            .into_iter()
            .filter(|service| service.starts_with(&*begun))
            .map(CompletionCandidate::new)
            .collect()
    })
}

/// The flags that choose the project, from the words typed so far (those after `--`, as the shell hands them over).
fn given() -> Global {
    let words: Vec<String> = std::env::args().skip_while(|word| word != "--").skip(1).collect();
    let mut global = Global::default();
    let mut words = words.iter().skip(1).peekable();
    // `-f` is a file only before the verb, which is the first word that is no flag and no flag's value.
    let mut before_verb = true;
    while let Some(word) = words.next() {
        let (flag, joined) = word
            .split_once('=')
            .map_or((word.as_str(), None), |(flag, value)| (flag, Some(value.to_owned())));
        let mut value = || joined.clone().or_else(|| words.next().cloned());
        match flag {
            "-f" | "--file" if before_verb => global.files.extend(value()),
            "-p" | "--project-name" => global.project_name = value(),
            "--project-directory" => global.project_directory = value().map(Into::into),
            "--profile" => global.profiles.extend(value()),
            "--env-file" => global.env_files.extend(value().map(Into::into)),
            "--runtime" | "--format" | "--color" if before_verb => drop(value()),
            _ if !flag.starts_with('-') => before_verb = false,
            _ => {}
        }
    }
    global
}
