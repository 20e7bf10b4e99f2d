//! The state of a node's sources, as one digest: which files there are, how long each is and when it was written.

use std::path::Path;

use ignore::WalkBuilder;
use ignore::overrides::OverrideBuilder;
use sha2::{Digest, Sha256};

use crate::spec::{BuildSpec, SourceTree};

/// The sources' state. None where it is not known where they are, or what the build makes is not there: then the node is to
/// be built.
pub(crate) fn stamp(build: &BuildSpec) -> Option<String> {
    if build.sources.is_empty() {
        return None;
    }
    let mut hasher = Sha256::new();
    hasher.update(build.command.join("\0"));
    hasher.update(build.dir.as_os_str().as_encoded_bytes());
    if let Some(artefact) = &build.artefact {
        // A product that was deleted or made by somebody else does not belong to these sources.
        hasher.update(if artefact.exists() { "there" } else { "missing" });
    }
    for tree in &build.sources {
        add_tree(&mut hasher, tree);
    }
    Some(
        hasher
            .finalize()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

/// Every directory of a tree that is not ignored; for a file, the one that it is in.
pub(crate) fn directories(tree: &SourceTree) -> Vec<std::path::PathBuf> {
    if !tree.path.is_dir() {
        return tree.path.parent().map(Path::to_owned).into_iter().collect();
    }
    let is_dir = |entry: &ignore::DirEntry| entry.file_type().is_some_and(|kind| kind.is_dir());
    walk(tree)
        .build()
        .flatten()
        .filter(is_dir)
        .map(ignore::DirEntry::into_path)
        .collect()
}

fn add_tree(hasher: &mut Sha256, tree: &SourceTree) {
    for entry in walk(tree).build().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        if metadata.is_dir() {
            continue;
        }
        hasher.update(entry.path().as_os_str().as_encoded_bytes());
        hasher.update([0]);
        hasher.update(metadata.len().to_le_bytes());
        let written = metadata
            .modified()
            .ok()
            .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        hasher.update(written.unwrap_or_default().as_nanos().to_le_bytes());
    }
}

/// The tree without what git ignores, what the file's `ignore` names, and what only `include` would let in.
fn walk(tree: &SourceTree) -> WalkBuilder {
    let mut overrides = OverrideBuilder::new(&tree.path);
    for pattern in &tree.include {
        let _not_a_glob = overrides.add(pattern);
    }
    for pattern in tree.ignore.iter().chain([&".git".to_owned(), &".devctl".to_owned()]) {
        let _not_a_glob = overrides.add(&format!("!{pattern}"));
    }
    let mut walk = WalkBuilder::new(&tree.path);
    walk.hidden(false).require_git(false).sort_by_file_path(Path::cmp);
    if let Ok(overrides) = overrides.build() {
        walk.overrides(overrides);
    }
    walk
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn build_of(dir: &Path) -> BuildSpec {
        let tree = SourceTree {
            path: dir.to_owned(),
            include: Vec::new(),
            ignore: vec!["out/".to_owned()],
        };
        BuildSpec {
            command: vec!["make".to_owned()],
            dir: dir.to_owned(),
            env: Arc::default(),
            artefact: Some(dir.join("out/product")),
            sources: vec![tree],
        }
    }

    #[test]
    fn changes_with_a_source_and_not_with_what_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("out")).unwrap();
        std::fs::write(dir.path().join("out/product"), "1").unwrap();
        std::fs::write(dir.path().join("main.c"), "int main;").unwrap();
        std::fs::write(dir.path().join(".gitignore"), "*.tmp\n").unwrap();
        let build = build_of(dir.path());
        let first = stamp(&build);
        std::fs::write(dir.path().join("out/product"), "2 and more").unwrap();
        std::fs::write(dir.path().join("x.tmp"), "scratch").unwrap();
        assert_eq!(stamp(&build), first);
        std::fs::write(dir.path().join("main.c"), "int main = 1;").unwrap();
        assert_ne!(stamp(&build), first);
    }

    #[test]
    fn a_missing_product_is_another_state() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("out")).unwrap();
        std::fs::write(dir.path().join("out/product"), "1").unwrap();
        let build = build_of(dir.path());
        let first = stamp(&build);
        std::fs::remove_file(dir.path().join("out/product")).unwrap();
        assert_ne!(stamp(&build), first);
    }
}
