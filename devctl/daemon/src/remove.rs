//! What is left of a node that has no run: its data.

use std::path::Path;
use std::sync::Arc;

use devctl_core::NodeId;
use devctl_drivers::dirs::Dirs;
use devctl_drivers::docker::{DockerError, Problem, labels};

use crate::perform::Means;
use crate::spec::{ContainerPlan, DataPlace, NodeSpec, What};

/// Removes a node's data where it was asked for, or where it goes with the node as a container's own layer does. Logs stay:
/// `devctl logs` works after `down`. `anonymous`: also the volumes of containers that have no name. Tells why something of it is left.
pub(crate) async fn node(
    means: &Means,
    node: &NodeId,
    specs: Vec<Arc<NodeSpec>>,
    (volumes, anonymous): (bool, bool),
) -> Option<DockerError> {
    let mut left = None;
    for spec in specs {
        if let What::Container(plan) = &spec.what {
            left = left.or(container(plan, node, (volumes, volumes || anonymous)).await);
            continue;
        }
        let place = match &spec.what {
            What::Postgres(plan) => &plan.data,
            What::RabbitMq(plan) => &plan.data,
            _ => continue,
        };
        if volumes || place.ephemeral {
            remove(place).await;
        }
    }
    let sockets = means.dirs.runtime.join(node.to_string());
    let _was_not_there = tokio::fs::remove_dir_all(sockets).await;
    left
}

/// Removes a node's containers, and then its networks (and volumes, where that was asked for) as far as nobody else uses them: whoever
/// goes last takes them along. Tells why a container is left.
async fn container(plan: &ContainerPlan, node: &NodeId, (volumes, anonymous): (bool, bool)) -> Option<DockerError> {
    let engine = &plan.engine;
    let labels = [
        format!("{}={}", labels::PROJECT, plan.project),
        format!("{}={}", labels::SERVICE, node.service()),
        format!("{}={}", labels::NUMBER, node.index()),
        format!("{}=False", labels::ONEOFF),
    ];
    let warn = |what: &str, error: &dyn std::fmt::Display| tracing::warn!(%node, %error, "{what} could not be removed");
    let mut left = None;
    match engine.containers(&labels).await {
        Ok(found) => {
            for container in found {
                left = left.or(engine.remove(&container.id, anonymous).await.err());
            }
        }
        Err(error) => left = Some(error),
    }
    if left.as_ref().is_some_and(|error| error.problem == Problem::EngineGone) {
        return left;
    }
    for network in plan.networks.iter().filter(|network| !network.external) {
        if let Err(error) = engine.remove_network(&network.body.name).await {
            warn("a network", &error);
        }
    }
    for volume in plan.volumes.iter().filter(|volume| volumes && !volume.external) {
        if let Err(error) = engine.remove_volume(volume.name()).await {
            warn("a volume", &error);
        }
    }
    left
}

/// Removes all data of a project, whoever's it was: `down -v` with nothing running and no plan.
pub(crate) async fn all_data(dirs: &Dirs) -> std::io::Result<()> {
    match tokio::fs::remove_dir_all(&dirs.data).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn remove(place: &DataPlace) {
    if let Err(error) = tokio::fs::remove_dir_all(&place.dir).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %place.dir.display(), %error, "data could not be removed");
    }
    let _was_not_there = tokio::fs::remove_file(identity(&place.dir)).await;
}

/// The file that says which data a directory holds. Beside it, not in it: a server makes its data only in an empty directory.
pub(crate) fn identity(dir: &Path) -> std::path::PathBuf {
    let mut file = dir.to_owned().into_os_string();
    file.push(".devctl-data-id");
    file.into()
}
