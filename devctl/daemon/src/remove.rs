//! What is left of a node that has no run: its data.

use std::path::Path;
use std::sync::Arc;

use devctl_core::NodeId;
use devctl_drivers::dirs::Dirs;

use crate::perform::Means;
use crate::spec::{DataPlace, NodeSpec, What};

/// Removes a node's data where it was asked for, or where it goes with the node as a container's own layer does. Logs stay:
/// `devctl logs` works after `down`.
pub(crate) async fn node(means: &Means, node: &NodeId, specs: Vec<Arc<NodeSpec>>, volumes: bool) {
    for spec in specs {
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
