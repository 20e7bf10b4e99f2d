//! What of an engine's things devctl made and nobody uses: by the labels that it gives them.

use std::collections::HashSet;
use std::path::Path;

use devctl_drivers::docker::{DockerError, Engine, Listed, ListedImage, labels};

use super::Leftover;
use crate::error::Error;
use crate::standing;

/// All of it, in the order in which it can go.
pub(super) async fn leftovers(engine: &Engine) -> Result<Vec<Leftover>, Error> {
    if engine.facts().remote {
        // Another machine's directories cannot be looked at from here.
        return Ok(Vec::new());
    }
    look(engine).await.map_err(|error| standing::refused(&error))
}

async fn look(engine: &Engine) -> Result<Vec<Leftover>, DockerError> {
    let all = engine.all_containers().await?;
    let (going, staying): (Vec<Listed>, Vec<Listed>) = all.into_iter().partition(|one| {
        let dir = one.label(labels::WORKING_DIR);
        // What runs is somebody's, wherever its directory is.
        one.label(labels::DEVCTL).is_some() && !one.is_running() && dir.is_some_and(is_gone)
    });
    let stays = |users: Vec<Listed>| users.iter().any(|user| staying.iter().any(|one| one.id == user.id));
    let mut networks = Vec::new();
    for network in engine.networks(labels::DIR).await? {
        let dir = network.labels.get(labels::DIR);
        if dir.is_some_and(|dir| is_gone(dir)) && !stays(engine.users_of_network(&network.name).await?) {
            networks.push(Leftover::Network(network.name));
        }
    }
    let mut volumes = Vec::new();
    for volume in engine.volumes_with(labels::DIR).await? {
        let dir = volume.labels.get(labels::DIR);
        if dir.is_some_and(|dir| is_gone(dir)) && !stays(engine.users_of_volume(&volume.name).await?) {
            volumes.push(Leftover::Volume(volume.name));
        }
    }
    let used: HashSet<&str> = staying.iter().map(|one| one.image_id.as_str()).collect();
    let images = engine.images_with(labels::DIR).await?;
    let images = images.into_iter().filter(|image| is_unused(image, &used, &is_gone));
    let images: Vec<Leftover> = images.map(|image| Leftover::Image(image.id, image.tags)).collect();
    let containers = going.into_iter().map(|one| Leftover::Container(one.id, one.name));
    Ok(containers.chain(networks).chain(volumes).chain(images).collect())
}

/// A newer build has taken its name, or its project is gone; and no container is made of it. With a second name it is somebody else's too.
fn is_unused(image: &ListedImage, used: &HashSet<&str>, is_gone: &dyn Fn(&str) -> bool) -> bool {
    let dir = image.labels.get(labels::DIR);
    let over = image.tags.is_empty() || image.tags.len() == 1 && dir.is_some_and(|dir| is_gone(dir));
    dir.is_some() && over && !used.contains(image.id.as_str())
}

fn is_gone(dir: &str) -> bool {
    super::is_gone(Path::new(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_goes_when_its_name_or_its_project_has_gone_and_nobody_uses_it() {
        let image = |tags: &[&str], dir: Option<&str>| ListedImage {
            id: "sha256:1".to_owned(),
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            labels: dir
                .map(|dir| (labels::DIR.to_owned(), dir.to_owned()))
                .into_iter()
                .collect(),
        };
        let gone = |dir: &str| dir == "/gone";
        let nobody = HashSet::new();
        assert!(is_unused(&image(&[], Some("/here")), &nobody, &gone));
        assert!(is_unused(&image(&["a:1"], Some("/gone")), &nobody, &gone));
        assert!(!is_unused(&image(&["a:1"], Some("/here")), &nobody, &gone));
        assert!(!is_unused(&image(&["a:1", "mine"], Some("/gone")), &nobody, &gone));
        assert!(!is_unused(&image(&[], None), &nobody, &gone), "somebody else's");
        assert!(!is_unused(
            &image(&[], Some("/gone")),
            &HashSet::from(["sha256:1"]),
            &gone
        ));
    }
}
