//! Two checkouts with one project name, in one engine: the second one's containers, networks, volumes and images get a suffix, so that
//! neither takes what is the other's. Processes need none: what they have lies in the project's own directory.

use std::path::Path;

use devctl_compose::model::Project;
use devctl_drivers::dirs::Dirs;
use devctl_drivers::docker::{Engine, labels};
use devctl_wire::v1;
use sha2::{Digest, Sha256};

use super::project::invalid;
use crate::command::Remark;

/// Where the name with its suffix is kept: it is the same again when the other checkout is gone.
const FILE: &str = "docker-name";

/// By which name an engine knows the project of this state directory.
#[must_use]
pub fn docker_name(state: &Path, name: &str) -> String {
    let kept = std::fs::read_to_string(state.join(FILE)).unwrap_or_default();
    let kept = kept.trim();
    match kept.strip_prefix(name).is_some_and(|rest| rest.starts_with('-')) {
        true => kept.to_owned(),
        false => name.to_owned(),
    }
}

/// Gives the project the name by which the engine is to know it.
pub(super) async fn name(
    engine: &Engine,
    project: &mut Project,
    dirs: &Dirs,
    (dry_run, strict): (bool, bool),
    remarks: &mut Vec<Remark>,
) -> Result<(), v1::Outcome> {
    let known = docker_name(&dirs.state, &project.name);
    if known != project.name {
        rename(project, known);
        return Ok(());
    }
    let here = project.working_dir.display().to_string();
    let found = engine
        .containers(&[format!("{}={}", labels::PROJECT, project.name)])
        .await;
    let found = found.unwrap_or_default();
    let mut places = found
        .iter()
        .filter_map(|container| container.label(labels::WORKING_DIR));
    let Some(other) = places.clone().next().filter(|_| places.all(|place| place != here)) else {
        return Ok(());
    };
    let text = format!(
        "project name `{}` is used in Docker by another directory, `{other}`",
        project.name
    );
    if strict {
        return Err(invalid(vec![format!(
            "error: {text}\nhelp: take that one down, give this one another name (`-p NAME`), or leave out `--strict-names` to have a suffix chosen"
        )]));
    }
    let digest = Sha256::digest(here.as_bytes());
    let suffix: String = digest.iter().take(2).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{}-{suffix}", project.name);
    remarks.push(Remark {
        node: None,
        text: format!("{text}: here its containers, networks and volumes are called `{name}`"),
        help: Some("`-p NAME` chooses another name, `--strict-names` makes this an error".to_owned()),
    });
    if !dry_run && let Err(error) = std::fs::write(dirs.state.join(FILE), &name) {
        tracing::warn!(%error, "the project's name in Docker could not be kept");
    }
    rename(project, name);
    Ok(())
}

fn rename(project: &mut Project, name: String) {
    let suffix = name.strip_prefix(&project.name).unwrap_or_default().to_owned();
    for service in project.services.values_mut() {
        if let Some(fixed) = &mut service.container_name {
            fixed.push_str(&suffix);
        }
    }
    project.name = name;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_name_counts_only_for_the_project_that_it_was_made_for() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(docker_name(dir.path(), "shop"), "shop");
        std::fs::write(dir.path().join(FILE), "shop-1a2b\n").unwrap();
        assert_eq!(docker_name(dir.path(), "shop"), "shop-1a2b");
        assert_eq!(docker_name(dir.path(), "bank"), "bank");
    }
}
