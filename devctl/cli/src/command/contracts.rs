//! `contracts`: what services promise each other, and whether that is still what the consumers' tests say.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use devctl_pact::index::{self, Contract, LoadError, Source};

use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;

mod drift;
mod ls;
mod report;
mod tests;

/// See what services promise each other, and whether the consumers' tests still say so
#[derive(Args, Debug)]
pub(crate) struct Contracts {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Ls(ls::Ls),
    Drift(drift::Drift),
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// For people
    Table,
    /// For programs: one JSON object per contract and line
    Json,
}

impl Contracts {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        match self.verb {
            Verb::Ls(verb) => verb.run(context),
            Verb::Drift(verb) => verb.run(context),
        }
    }
}

/// Where the project says that its pacts are.
fn places(project: &Project) -> Result<&[String], Error> {
    let contracts = project.model.x_devctl.contracts.as_ref();
    match contracts.map(|contracts| contracts.pacts.as_slice()) {
        Some(places) if !places.is_empty() => Ok(places),
        _ => Err(Error::usage(
            "the project does not say where its contracts are",
            "name the folder at the top of the Compose file: `x-devctl: {contracts: {pacts: [./pacts]}}`",
        )),
    }
}

/// The committed pacts. A folder without any, or one that is not there yet, has none; what cannot be read is an error.
async fn committed(project: &Project) -> Result<Vec<std::sync::Arc<Contract>>, Error> {
    let places = places(project)?;
    let sources: Vec<Source> = places.iter().map(|place| Source::from_text(place)).collect();
    let loaded = index::load(&sources, &project.model.working_dir).await;
    let none = |problem: &LoadError| match problem {
        LoadError::Nothing { .. } => true,
        LoadError::Read { cause, .. } => cause.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    };
    match loaded.problems.into_iter().find(|problem| !none(problem)) {
        Some(problem) => Err(unreadable(&problem)),
        None => Ok(loaded.contracts),
    }
}

fn unreadable(problem: &LoadError) -> Error {
    let cause = std::error::Error::source(problem).map(|cause| format!(": {cause}"));
    Error::Refused {
        what: format!("failed to {problem}{}", cause.unwrap_or_default()),
        help: problem.help().map(str::to_owned),
    }
}

/// The path as it is shorter to type from here.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir()
        .and_then(|here| here.canonicalize())
        .unwrap_or_default();
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut up = PathBuf::new();
    for ancestor in here.ancestors().take(3) {
        if let Ok(below) = path.strip_prefix(ancestor) {
            return up.join(below).display().to_string();
        }
        up.push("..");
    }
    path.display().to_string()
}
