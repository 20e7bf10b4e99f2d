//! Further contexts that are directories of this machine (Compose: `build.additional_contexts`).
//!
//! The engine can only be handed one directory with a build. A further one is brought there as an image of its own, made of nothing
//! but its files, which the build is then told to take; that image is removed again. Engines before Docker 23 know further contexts by no
//! name: there each becomes a stage of that name.

use sha2::{Digest, Sha256};

use super::{Build, BuildError, Dockerfile, OnLine};
use crate::docker::Engine;

/// An image that is what the directory is.
pub(super) const COPY: &str = "FROM scratch\nCOPY . /\n";

/// Neither an image nor a URL.
pub(super) fn is_directory(value: &str) -> bool {
    !value.contains("://")
}

/// A build whose further contexts are all where the engine can find them.
pub(super) struct Carried {
    pub(super) build: Build,
    images: Vec<String>,
}

/// Brings the directories over.
pub(super) async fn carry(
    build: &Build,
    text: &str,
    engine: &Engine,
    on_line: OnLine<'_>,
) -> Result<Carried, BuildError> {
    let mut carried = Carried {
        build: build.clone(),
        images: Vec::new(),
    };
    for (name, directory) in build
        .additional_contexts
        .iter()
        .filter(|(_, value)| is_directory(value))
    {
        let digest = Sha256::digest(format!("{directory} {}", build.image));
        let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let image = format!("devctl-context-{digest}:latest");
        let copy = Build {
            context: directory.clone(),
            dockerfile: Dockerfile::Inline(COPY.to_owned()),
            image: image.clone(),
            platform: build.platform.clone(),
            ..Build::default()
        };
        on_line(&format!("context `{name}` is `{directory}`"));
        let made = copy.copy_over(engine).await;
        carried.images.push(image.clone());
        if let Err(error) = made {
            carried.drop_images(engine).await;
            return Err(error);
        }
        let place = format!("docker-image://{image}");
        carried.build.additional_contexts.insert(name.clone(), place);
    }
    if !super::has_buildkit(engine) {
        let contexts = std::mem::take(&mut carried.build.additional_contexts);
        let mut stages = String::new();
        for (name, place) in contexts {
            let Some(image) = place.strip_prefix("docker-image://") else {
                carried.drop_images(engine).await;
                return Err(BuildError::Unsupported {
                    image: build.image.clone(),
                    what: format!("context `{name}` is `{place}`, which needs Docker 23 or newer"),
                });
            };
            stages.push_str(&format!("FROM {image} AS {name}\n"));
        }
        carried.build.dockerfile = Dockerfile::Inline(with_stages(text, &stages));
    }
    Ok(carried)
}

impl Carried {
    /// Removes the images that were only a way to get there.
    pub(super) async fn drop_images(&self, engine: &Engine) {
        for image in &self.images {
            if let Err(error) = engine.remove_image(image).await {
                tracing::warn!(%error, "an image that a build had made for itself could not be removed");
            }
        }
    }
}

/// Before the first stage: what stands above that, directives and arguments, holds for all of them.
fn with_stages(text: &str, stages: &str) -> String {
    let is_from = |line: &str| {
        let word = line.split_whitespace().next();
        word.is_some_and(|word| word.eq_ignore_ascii_case("from"))
    };
    let mut changed = String::with_capacity(text.len() + stages.len());
    let mut before = true;
    for line in text.lines() {
        if before && is_from(line) {
            changed.push_str(stages);
            before = false;
        }
        changed.push_str(line);
        changed.push('\n');
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_come_after_what_holds_for_all() {
        let text = "# syntax=x\nARG V=1\nfrom a:$V AS b\nFROM b\n";
        assert_eq!(
            with_stages(text, "FROM c AS d\n"),
            "# syntax=x\nARG V=1\nFROM c AS d\nfrom a:$V AS b\nFROM b\n"
        );
    }
}
