//! `--changed-since`: only what may have changed since a revision.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use devctl_compose::model::{Project, Service};
use devctl_pact::index::Origin;

use super::work::{Found, Place, Promise, Work};
use super::{VerifyError, documents, reduce};
use crate::specify::{self, normal};

/// Leaves out promises whose pact, provider and neighbours' pacts are what they were at `revision`.
pub(super) async fn retain(project: &Project, revision: &str, found: &mut Found) -> Result<(), VerifyError> {
    let (dir, asked) = (project.working_dir.clone(), revision.to_owned());
    let changed = tokio::task::spawn_blocking(move || changed(&dir, &asked)).await;
    let changed = changed.map_err(|error| git_failed(revision, &error.to_string()))??;
    if project.compose_files.iter().any(|file| changed.contains(&normal(file))) {
        return Ok(());
    }
    let is_changed = |origin: &Origin| match origin {
        Origin::File(path) => changed.contains(&normal(&path.canonicalize().unwrap_or_else(|_| path.clone()))),
        // Whether an address has changed cannot be seen.
        _ => true,
    };
    let touched = |work: &Work| {
        let name = match &work.place {
            Place::Service(name) => name,
            // What runs elsewhere may have changed; what runs nowhere is no matter of this project.
            Place::Url(_) => return true,
            Place::NotHere { .. } => return false,
        };
        let Some(service) = project.services.get(name) else {
            return true;
        };
        let consumer = crate::prepare::pacticipant(project, name, false);
        let mut neighbours = found.index.of_consumer(&consumer);
        neighbours.any(|contract| is_changed(&contract.origin))
            || inputs(project, service, &|name| {
                let provider = crate::prepare::pacticipant(project, name, true);
                found.index.of_provider(&provider).next().is_some()
            })
            .iter()
            .any(|input| changed.iter().any(|path| path.starts_with(input)))
    };
    let touched: Vec<bool> = found.works.iter().map(touched).collect();
    for (work, touched) in found.works.iter_mut().zip(touched) {
        let keep = |(contract, _): &Promise| touched || is_changed(&contract.origin);
        work.promises.retain(keep);
        work.receives.retain(keep);
    }
    found.works.retain(|work| work.len() > 0);
    Ok(())
}

/// Every file and folder that makes a service what it is.
fn inputs(project: &Project, service: &Service, has_contracts: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let at = |path: &str| normal(&project.working_dir.join(path));
    let mut inputs = Vec::new();
    let watched = service.develop.iter().flat_map(|develop| &develop.watch);
    inputs.extend(watched.map(|watch| at(&watch.path)));
    let x = &service.x_devctl;
    inputs.extend(
        x.contracts
            .iter()
            .filter_map(|contracts| contracts.states.as_deref())
            .map(at),
    );
    let native = x.native.as_ref();
    if inputs.is_empty() || service.develop.is_none() {
        let dir = native.and_then(|native| native.dir.as_deref()).unwrap_or(".");
        inputs.push(at(dir));
    }
    inputs.extend(documents::of(project, &service.name).into_iter().map(|(file, _)| file));
    // What its servers are prepared with: initial scripts, configuration.
    let needs = reduce::needs(project, &service.name, has_contracts);
    for server in needs.beside.iter().chain(&needs.brokers) {
        let server = project.services.get(server);
        inputs.extend(
            server
                .into_iter()
                .flat_map(|server| specify::binds(project, server))
                .map(|(_, path)| path),
        );
    }
    inputs
}

/// Files that differ from `revision`, those included that git does not know yet.
fn changed(dir: &Path, revision: &str) -> Result<BTreeSet<PathBuf>, VerifyError> {
    let git = |args: &[&str]| {
        let output = Command::new("git").arg("-C").arg(dir).args(args).output();
        let output = output.map_err(|error| git_failed(revision, &error.to_string()))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(git_failed(revision, String::from_utf8_lossy(&output.stderr).trim())),
        }
    };
    let root = PathBuf::from(git(&["rev-parse", "--show-toplevel"])?.trim());
    let differing = git(&["diff", "--name-only", "-z", revision, "--"])?;
    let new = git(&[
        "ls-files",
        "--others",
        "--exclude-standard",
        "--full-name",
        "-z",
        "--",
        ":/",
    ])?;
    let names = differing
        .split('\0')
        .chain(new.split('\0'))
        .filter(|name| !name.is_empty());
    Ok(names.map(|name| normal(&root.join(name))).collect())
}

fn git_failed(revision: &str, said: &str) -> VerifyError {
    VerifyError::Nothing {
        what: format!("find what has changed since `{revision}`: {said}"),
        help: "name a revision that git knows, such as `origin/main` or `HEAD~1`".to_owned(),
    }
}
