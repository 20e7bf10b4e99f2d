//! Configs and secrets: files of this host are mounted, everything else is put in before the start.

use devctl_compose::model::{FileObject, FileReference, Project, Service};
use devctl_drivers::docker::{FileIn, api};

use super::super::normal;

/// Docker Compose's permissions of a file that it puts in.
const MODE: u32 = 0o444;

/// The files that are put in. Those that can be mounted are added to the mounts; an engine on another machine (`remote`) has not
/// these files, and gets a copy.
pub(super) fn files(project: &Project, service: &Service, remote: bool, host: &mut api::HostConfig) -> Vec<FileIn> {
    let configs = service.configs.iter().filter_map(|reference| {
        let key = reference.source.as_deref()?;
        Some((project.configs.get(key)?, target(reference, key, "/"), reference))
    });
    let secrets = service.secrets.iter().filter_map(|reference| {
        let key = reference.source.as_deref()?;
        Some((
            project.secrets.get(key)?,
            target(reference, key, "/run/secrets/"),
            reference,
        ))
    });
    let mut files = Vec::new();
    for (object, target, reference) in configs.chain(secrets) {
        match &object.file {
            Some(file) if !remote => {
                let source = normal(&project.working_dir.join(file)).display().to_string();
                host.mounts.get_or_insert_with(Vec::new).push(api::Mount {
                    typ: Some(api::MountType::BIND),
                    source: Some(source),
                    target: Some(target),
                    read_only: Some(true),
                    ..api::Mount::default()
                });
            }
            _ => files.extend(content(project, object).map(|content| put_in(reference, target, content))),
        }
    }
    files
}

fn put_in(reference: &FileReference, target: String, content: Vec<u8>) -> FileIn {
    let id = |written: &Option<String>| written.as_deref().and_then(|id| id.parse().ok()).unwrap_or_default();
    FileIn {
        target,
        content,
        mode: reference
            .mode
            .and_then(|mode| u32::try_from(mode.0).ok())
            .unwrap_or(MODE),
        uid: id(&reference.uid),
        gid: id(&reference.gid),
    }
}

fn content(project: &Project, object: &FileObject) -> Option<Vec<u8>> {
    if let Some(file) = &object.file {
        return std::fs::read(normal(&project.working_dir.join(file))).ok();
    }
    if let Some(content) = &object.content {
        return Some(content.clone().into_bytes());
    }
    let variable = object.environment.as_ref()?;
    project
        .environment
        .get(variable)
        .map(|value| value.clone().into_bytes())
}

fn target(reference: &FileReference, key: &str, base: &str) -> String {
    match reference.target.as_deref() {
        Some(target) if target.starts_with('/') => target.to_owned(),
        Some(target) => format!("{base}{target}"),
        None => format!("{base}{key}"),
    }
}
