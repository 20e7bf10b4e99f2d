//! Volumes, bind mounts, file systems in memory.

use std::collections::HashMap;
use std::path::PathBuf;

use devctl_compose::model::{Mount, MountKind, Project, Service};
use devctl_drivers::docker::{VolumeSpec, api, labels};

use super::super::normal;
use super::identity::container_name;

/// Puts a service's mounts in, and tells the named volumes that have to be there.
pub(super) fn mount(project: &Project, service: &Service, host: &mut api::HostConfig) -> Vec<VolumeSpec> {
    let mut binds = Vec::new();
    let mut mounts = Vec::new();
    let mut volumes: Vec<VolumeSpec> = Vec::new();
    for written in &service.volumes {
        if let Some(key) = written.source.as_ref().filter(|_| written.kind == MountKind::Volume)
            && let Some(volume) = volume(project, key)
            && !volumes.contains(&volume)
        {
            volumes.push(volume);
        }
        match short(project, written) {
            Some(bind) => binds.push(bind),
            None => mounts.push(long(project, written)),
        }
    }
    host.binds = (!binds.is_empty()).then_some(binds);
    host.mounts = (!mounts.is_empty()).then_some(mounts);
    let tmpfs: HashMap<String, String> = service
        .tmpfs
        .iter()
        .map(|written| {
            let (path, options) = written.split_once(':').unwrap_or((written, ""));
            (path.to_owned(), options.to_owned())
        })
        .collect();
    host.tmpfs = (!tmpfs.is_empty()).then_some(tmpfs);
    host.volumes_from = (!service.volumes_from.is_empty()).then(|| {
        let from = service.volumes_from.iter();
        from.map(|written| volumes_from(project, written)).collect()
    });
    host.volume_driver.clone_from(&service.volume_driver);
    volumes
}

/// The bind mounts whose path must be there already: `create_host_path: false`.
pub(super) fn must_exist(project: &Project, service: &Service) -> Vec<PathBuf> {
    service
        .volumes
        .iter()
        .filter(|mount| mount.kind == MountKind::Bind && mount.bind.as_ref().is_some_and(|bind| !bind.create_host_path))
        .filter_map(|mount| Some(normal(&project.working_dir.join(mount.source.as_ref()?))))
        .collect()
}

/// The old form, in which the engine makes a missing path; for all that it can say.
fn short(project: &Project, mount: &Mount) -> Option<String> {
    let target = mount.target.as_ref()?;
    let source = mount.source.as_ref()?;
    let mut options = vec![if mount.read_only { "ro" } else { "rw" }.to_owned()];
    let source = match mount.kind {
        MountKind::Bind => {
            if let Some(bind) = &mount.bind {
                if !bind.create_host_path || bind.recursive.is_some() {
                    return None;
                }
                options.extend(bind.selinux.clone());
                options.extend(bind.propagation.clone());
            }
            normal(&project.working_dir.join(source)).display().to_string()
        }
        MountKind::Volume => {
            if let Some(volume) = &mount.volume {
                if volume.subpath.is_some() || !volume.labels.is_empty() {
                    return None;
                }
                options.extend(volume.nocopy.then(|| "nocopy".to_owned()));
            }
            name(project, source)
        }
        _ => return None,
    };
    // A colon would be taken for the next field.
    (!source.contains(':')).then(|| format!("{source}:{target}:{}", options.join(",")))
}

fn long(project: &Project, mount: &Mount) -> api::Mount {
    let source = mount.source.as_ref().map(|source| match mount.kind {
        MountKind::Bind => normal(&project.working_dir.join(source)).display().to_string(),
        MountKind::Volume => name(project, source),
        _ => source.clone(),
    });
    api::Mount {
        target: mount.target.clone(),
        source,
        typ: Some(match mount.kind {
            MountKind::Bind => api::MountType::BIND,
            MountKind::Volume => api::MountType::VOLUME,
            MountKind::Tmpfs => api::MountType::TMPFS,
            MountKind::Cluster => api::MountType::CLUSTER,
            MountKind::Npipe => api::MountType::NPIPE,
            MountKind::Image => api::MountType::IMAGE,
        }),
        read_only: mount.read_only.then_some(true),
        consistency: mount.consistency.clone(),
        bind_options: mount.bind.as_ref().map(|bind| api::MountBindOptions {
            propagation: bind.propagation.as_deref().and_then(|written| written.parse().ok()),
            non_recursive: (bind.recursive.as_deref() == Some("disabled")).then_some(true),
            read_only_non_recursive: (bind.recursive.as_deref() == Some("writable")).then_some(true),
            read_only_force_recursive: (bind.recursive.as_deref() == Some("readonly")).then_some(true),
            ..api::MountBindOptions::default()
        }),
        volume_options: mount.volume.as_ref().map(|volume| api::MountVolumeOptions {
            no_copy: volume.nocopy.then_some(true),
            labels: (!volume.labels.is_empty()).then(|| volume.labels.clone().into_iter().collect()),
            subpath: volume.subpath.clone(),
            ..api::MountVolumeOptions::default()
        }),
        tmpfs_options: mount.tmpfs.as_ref().map(|tmpfs| api::MountTmpfsOptions {
            size_bytes: (tmpfs.size.0 != 0).then_some(tmpfs.size.0),
            mode: (tmpfs.mode != 0).then(|| tmpfs.mode.into()),
            ..api::MountTmpfsOptions::default()
        }),
        image_options: mount.image.as_ref().map(|image| api::MountImageOptions {
            subpath: image.subpath.clone(),
        }),
    }
}

/// A volume's name in the engine.
fn name(project: &Project, key: &str) -> String {
    project
        .volumes
        .get(key)
        .and_then(|volume| volume.name.clone())
        .unwrap_or_else(|| format!("{}_{key}", project.name))
}

/// A named volume as the engine is to make it.
fn volume(project: &Project, key: &str) -> Option<VolumeSpec> {
    let written = project.volumes.get(key)?;
    let mut all: HashMap<String, String> = written.labels.clone().into_iter().collect();
    all.extend([
        (labels::PROJECT.to_owned(), project.name.clone()),
        (labels::VOLUME.to_owned(), key.to_owned()),
        (labels::VERSION.to_owned(), labels::COMPOSE_VERSION.to_owned()),
        (labels::CONFIG_HASH.to_owned(), written.hash()),
        (labels::DIR.to_owned(), project.working_dir.display().to_string()),
    ]);
    Some(VolumeSpec {
        body: api::VolumeCreateRequest {
            name: Some(name(project, key)),
            driver: written.driver.clone(),
            driver_opts: Some(written.driver_opts.clone().into_iter().collect()),
            labels: Some(all),
            ..api::VolumeCreateRequest::default()
        },
        external: written.external,
    })
}

/// `SERVICE[:ro]` or `container:NAME[:ro]`.
fn volumes_from(project: &Project, written: &str) -> String {
    if let Some(container) = written.strip_prefix("container:") {
        return container.to_owned();
    }
    let (name, mode) = written.split_once(':').unwrap_or((written, ""));
    let container = match project.service(name) {
        Some(service) => container_name(project, service, 1),
        None => name.to_owned(),
    };
    match mode {
        "" => container,
        mode => format!("{container}:{mode}"),
    }
}
