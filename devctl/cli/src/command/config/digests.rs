//! `config --resolve-image-digests` and `--lock-image-digests`: images pinned to what their registries have under their names now.

use std::collections::BTreeMap;

use devctl_compose::model::Project;
use serde_json::json;

use crate::error::Error;
use crate::standing;

/// Asks each image's registry, and writes the digests into the project.
pub(super) async fn resolve(project: &mut Project) -> Result<(), Error> {
    let env = standing::environment();
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let engine = standing::engine().await?;
    for service in project.services.values_mut() {
        let Some(image) = service.image.as_ref().filter(|image| !image.contains('@')) else {
            continue;
        };
        let name = full(image);
        let digest = match known.get(&name) {
            Some(digest) => digest.clone(),
            None => {
                let digest = engine.digest(&name, &env).await.map_err(|error| Error::Unmet {
                    what: format!("failed to {error}"),
                    help: error.help(),
                })?;
                known.insert(name.clone(), digest.clone());
                digest
            }
        };
        service.image = Some(format!("{name}@{digest}"));
    }
    Ok(())
}

/// The services' images alone, as a file of their own.
pub(super) fn lock(project: &Project, as_json: bool) -> String {
    let services = project.services.values();
    let images = services.filter_map(|service| Some((&service.name, service.image.as_ref()?)));
    if as_json {
        let services: serde_json::Map<String, serde_json::Value> = images
            .map(|(name, image)| (name.clone(), json!({ "image": image })))
            .collect();
        return format!("{:#}\n", json!({ "services": services }));
    }
    let mut text = "services:\n".to_owned();
    for (name, image) in images {
        text.push_str(&format!("  {name}:\n    image: {image}\n"));
    }
    text
}

/// `busybox` is `docker.io/library/busybox:latest`.
fn full(image: &str) -> String {
    let (host, rest) = match image.split_once('/') {
        Some((host, rest)) if host.contains(['.', ':']) || host == "localhost" => (host, rest.to_owned()),
        Some(_) => ("docker.io", image.to_owned()),
        None => ("docker.io", format!("library/{image}")),
    };
    let tagged = rest.rsplit('/').next().is_some_and(|last| last.contains(':'));
    let tag = if tagged { "" } else { ":latest" };
    format!("{host}/{rest}{tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_out() {
        assert_eq!(full("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(full("grafana/grafana:10"), "docker.io/grafana/grafana:10");
        assert_eq!(full("localhost:5000/api"), "localhost:5000/api:latest");
        assert_eq!(full("ghcr.io/a/b:1"), "ghcr.io/a/b:1");
    }
}
