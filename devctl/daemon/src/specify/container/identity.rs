//! By which name and labels Docker Compose, and devctl itself, know a container.

use std::collections::HashMap;

use devctl_compose::model::{Condition, Project, Service};
use devctl_core::NodeId;
use devctl_core::plan::ContentHash;
use devctl_drivers::docker::labels;

/// `container_name`, or `PROJECT-SERVICE-NUMBER` as Docker Compose has it.
pub(crate) fn container_name(project: &Project, service: &Service, number: u32) -> String {
    match &service.container_name {
        Some(name) => name.clone(),
        None => format!("{}-{}-{number}", project.name, service.name),
    }
}

/// The labels of a container. The image's id is put in when it is known.
pub(super) fn labels(project: &Project, service: &Service, id: &NodeId, hash: &ContentHash) -> HashMap<String, String> {
    let mut all: HashMap<String, String> = service.labels.clone().into_iter().collect();
    let files: Vec<String> = project
        .compose_files
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let dependencies: Vec<String> = service
        .depends_on
        .iter()
        .map(|(name, dependency)| {
            let condition = match dependency.condition {
                Condition::Started => "service_started",
                Condition::Healthy => "service_healthy",
                Condition::CompletedSuccessfully => "service_completed_successfully",
            };
            format!("{name}:{condition}:{}", dependency.restart)
        })
        .collect();
    let ours = [
        (labels::PROJECT, project.name.clone()),
        (labels::SERVICE, service.name.clone()),
        (labels::NUMBER, id.index().to_string()),
        (labels::ONEOFF, "False".to_owned()),
        (labels::CONFIG_HASH, service.hash()),
        (labels::DEPENDS_ON, dependencies.join(",")),
        (labels::WORKING_DIR, project.working_dir.display().to_string()),
        (labels::CONFIG_FILES, files.join(",")),
        (labels::VERSION, labels::COMPOSE_VERSION.to_owned()),
        (labels::HASH, hash.to_string()),
        (labels::DEVCTL, env!("CARGO_PKG_VERSION").to_owned()),
    ];
    all.extend(ours.into_iter().map(|(name, value)| (name.to_owned(), value)));
    all
}
