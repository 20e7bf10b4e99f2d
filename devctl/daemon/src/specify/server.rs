//! Specs of PostgreSQL and RabbitMQ: what their images would have been given.

use std::path::PathBuf;

use devctl_compose::model::{MountKind, Service};
use devctl_core::NodeId;
use devctl_drivers::dirs::Dirs;
use devctl_drivers::server::Requirement;
use indexmap::IndexMap;

use super::Ground;
use crate::spec::{DataPlace, PostgresPlan, RabbitPlan};

const POSTGRES_DATA: &str = "/var/lib/postgresql";
const POSTGRES_INIT: &str = "/docker-entrypoint-initdb.d";
const RABBITMQ_DATA: &str = "/var/lib/rabbitmq";

pub(super) fn postgres(
    ground: &Ground<'_>,
    service: &Service,
    id: &NodeId,
    version: &Requirement,
    env: IndexMap<String, String>,
) -> PostgresPlan {
    let binds = super::binds(ground.project, service);
    let init = binds
        .iter()
        .filter(|(target, _)| target.starts_with(POSTGRES_INIT))
        .map(|(_, path)| path.clone())
        .collect();
    PostgresPlan {
        version: version.clone(),
        env: files_here(env, &binds),
        init,
        command: service.command.clone().unwrap_or_default(),
        data: data(ground.dirs, service, id, POSTGRES_DATA),
    }
}

pub(super) fn rabbitmq(
    ground: &Ground<'_>,
    service: &Service,
    id: &NodeId,
    version: &Requirement,
    management: bool,
    env: IndexMap<String, String>,
) -> RabbitPlan {
    let binds = super::binds(ground.project, service);
    RabbitPlan {
        version: version.clone(),
        management,
        env: files_here(env, &binds),
        mounts: binds,
        data: data(ground.dirs, service, id, RABBITMQ_DATA),
    }
}

/// Where the data lives: with the named volume (or bind mount) that holds it, so that it is the same for every node that mounts it and
/// outlives `down`; otherwise with the node.
fn data(dirs: &Dirs, service: &Service, id: &NodeId, place: &str) -> DataPlace {
    let mount = service
        .volumes
        .iter()
        .find(|mount| mount.target.as_deref().is_some_and(|target| target.starts_with(place)));
    let named = mount.and_then(|mount| match (mount.kind, &mount.source) {
        (MountKind::Volume, Some(source)) => Some(source.clone()),
        // The caller's own directory stays as it is: a server's user could not enter it, and its files would be another user's.
        (MountKind::Bind, Some(source)) => Some(format!("bind-{}", source.replace('/', "-"))),
        _ => None,
    });
    let suffix = if id.index() > 1 {
        format!("-{}", id.index())
    } else {
        String::new()
    };
    match named {
        Some(volume) => DataPlace {
            dir: dirs.data.join("volumes").join(format!("{volume}{suffix}")),
            ephemeral: false,
        },
        None => DataPlace {
            dir: dirs.node_data(&id.to_string()),
            ephemeral: true,
        },
    }
}

/// Whether the machine's own server has data of this service already: then `auto` goes on with it.
pub(crate) fn has_data(dirs: &Dirs, service: &Service) -> bool {
    let id = NodeId::new(&service.name, 1);
    [POSTGRES_DATA, RABBITMQ_DATA]
        .into_iter()
        .any(|place| data(dirs, service, &id, place).dir.exists())
}

/// `POSTGRES_PASSWORD_FILE=/run/secrets/x` names a file of the container; here it is the mounted one.
fn files_here(mut env: IndexMap<String, String>, binds: &IndexMap<String, PathBuf>) -> IndexMap<String, String> {
    for (_, value) in env.iter_mut().filter(|(key, _)| key.ends_with("_FILE")) {
        if let Some(path) = binds.get(value) {
            *value = path.display().to_string();
        }
    }
    env
}
