//! A node's sources: which files there are, how long each is and when it was written, and all of it as one digest.
//!
//! What git or Docker would not look at is not looked at: what `.gitignore` or `.dockerignore` names, directories that call
//! themselves caches, editors' temporary files, and what the build itself makes.

mod sieve;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use devctl_core::engine::NO_PRODUCT;
use ignore::WalkBuilder;
use sha2::{Digest, Sha256};

pub(crate) use self::sieve::{Sieve, patterns};
use crate::spec::{BuildSpec, SourceTree};

/// A file, as far as a change of it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    len: u64,
    written: u128,
}

/// What is in a tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    /// Every file that counts.
    pub(crate) files: BTreeMap<PathBuf, Seen>,
    /// Every directory that counts, the root included.
    pub(crate) dirs: BTreeSet<PathBuf>,
    /// What has decided about them.
    sieve: Arc<Sieve>,
}

impl Listing {
    /// Looks at the whole tree.
    pub(crate) fn read(tree: &SourceTree) -> Self {
        let mut listing = Self {
            sieve: Arc::new(Sieve::of(tree)),
            ..Self::default()
        };
        listing.add(listing.walk(&tree.path));
        listing
    }

    /// Files outside of the tree that decide what counts in it.
    pub(crate) fn decided_by(tree: &SourceTree) -> impl Iterator<Item = PathBuf> {
        let context = tree.context.iter().filter(|context| context.root != tree.path);
        context.flat_map(|context| {
            let own = context.dockerfile.as_ref().map(|file| {
                let beside = format!("{}.dockerignore", context.root.join(file).display());
                crate::specify::normal(Path::new(&beside))
            });
            own.into_iter().chain([context.root.join(".dockerignore")])
        })
    }

    /// Looks again, where something was touched. What decides about others (`.gitignore`) makes it look at everything.
    pub(crate) fn refresh(&mut self, tree: &SourceTree, touched: &BTreeSet<PathBuf>) {
        let here: Vec<&PathBuf> = touched.iter().filter(|path| path.starts_with(&tree.path)).collect();
        let decides = |path: &&PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            [".gitignore", ".ignore", "CACHEDIR.TAG"].contains(&name) || name.ends_with(".dockerignore")
        };
        let decided = Self::decided_by(tree).any(|file| touched.contains(&file));
        if decided || here.iter().any(decides) || here.iter().any(|path| **path == tree.path) {
            *self = Self::read(tree);
            return;
        }
        let mut stale = BTreeSet::new();
        for path in here {
            // A directory that is there again may be another one.
            if self.dirs.contains(path) {
                self.forget(path);
            }
            let known = path.ancestors().skip(1).find(|dir| self.dirs.contains(*dir));
            stale.extend(known.map(Path::to_owned));
        }
        for dir in stale {
            self.look(&dir);
        }
    }

    /// The paths that differ.
    pub(crate) fn changed_since(&self, before: &Self) -> BTreeSet<PathBuf> {
        let new = self
            .files
            .iter()
            .filter(|(path, seen)| before.files.get(*path) != Some(seen));
        let gone = before.files.keys().filter(|path| !self.files.contains_key(*path));
        new.map(|(path, _)| path).chain(gone).cloned().collect()
    }

    /// One directory, and what is new below it.
    fn look(&mut self, dir: &Path) {
        let known: Vec<PathBuf> = self
            .dirs
            .range(dir.to_owned()..)
            .skip(1)
            .take_while(|known| known.starts_with(dir))
            .filter(|known| known.parent() == Some(dir))
            .cloned()
            .collect();
        self.files.retain(|file, _| file.parent() != Some(dir));
        let mut one = self.walk(dir);
        one.max_depth(Some(1));
        let mut now = Self::default();
        now.add(one);
        for gone in known.iter().filter(|known| !now.dirs.contains(*known)) {
            self.forget(gone);
        }
        for sub in &now.dirs {
            if sub != dir && !self.dirs.contains(sub) {
                self.add(self.walk(sub));
            }
        }
        if now.dirs.contains(dir) {
            self.files.extend(now.files);
        } else {
            self.forget(dir);
        }
    }

    /// The part of the tree below `from`, without what git ignores, and what the file's own patterns do not let through.
    fn walk(&self, from: &Path) -> WalkBuilder {
        let mut walk = WalkBuilder::new(from);
        walk.hidden(false).require_git(false).sort_by_file_path(Path::cmp);
        let sieve = self.sieve.clone();
        walk.filter_entry(move |entry| {
            let name = entry.file_name().to_str().unwrap_or_default();
            match entry.file_type() {
                Some(kind) if kind.is_dir() => {
                    let looked_at = ![".git", ".devctl", "node_modules"].contains(&name) && !is_cache(entry.path());
                    // One that a rule names itself is looked at, whatever its name is.
                    (looked_at || entry.depth() == 0) && sieve.is_worth_a_look(entry.path())
                }
                _ => (!is_scratch(name) || entry.depth() == 0) && sieve.lets_through(entry.path()),
            }
        });
        walk
    }

    fn forget(&mut self, dir: &Path) {
        self.files.retain(|file, _| !file.starts_with(dir));
        self.dirs.retain(|known| !known.starts_with(dir));
    }

    fn add(&mut self, walk: WalkBuilder) {
        for entry in walk.build().flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_dir() {
                self.dirs.insert(entry.into_path());
                continue;
            }
            let written = metadata
                .modified()
                .ok()
                .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let seen = Seen {
                len: metadata.len(),
                written: written.unwrap_or_default().as_nanos(),
            };
            self.files.insert(entry.into_path(), seen);
        }
    }
}

/// The sources' state. None where it is not known where they are: then the node is to be built.
pub(crate) fn stamp(build: &BuildSpec) -> Option<String> {
    let listings: Vec<Listing> = build.sources.iter().map(Listing::read).collect();
    stamp_of(build, listings.iter())
}

/// As [`stamp`], of trees that have been looked at, in the order of `build.sources`.
pub(crate) fn stamp_of<'a>(build: &BuildSpec, listings: impl Iterator<Item = &'a Listing>) -> Option<String> {
    if build.sources.is_empty() {
        return None;
    }
    let mut hasher = Sha256::new();
    hasher.update(build.command.join("\0"));
    hasher.update(build.dir.as_os_str().as_encoded_bytes());
    for (path, seen) in listings.flat_map(|listing| &listing.files) {
        if build.artefact.as_ref() == Some(path) {
            continue;
        }
        hasher.update(path.as_os_str().as_encoded_bytes());
        hasher.update([0]);
        hasher.update(seen.len.to_le_bytes());
        hasher.update(seen.written.to_le_bytes());
    }
    let digest = hasher.finalize();
    let mut stamp: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    if build.artefact.as_ref().is_some_and(|artefact| !artefact.exists()) {
        stamp.push_str(NO_PRODUCT);
    }
    Some(stamp)
}

/// Every file of a tree, in the order of their paths.
pub(crate) fn files(tree: &SourceTree) -> Vec<PathBuf> {
    Listing::read(tree).files.into_keys().collect()
}

/// A directory that says itself that it may be deleted at any time (Cache Directory Tagging Specification): Cargo's, pytest's.
fn is_cache(dir: &Path) -> bool {
    dir.join("CACHEDIR.TAG").is_file()
}

/// What editors write beside a file while they save it.
pub(crate) fn is_scratch(name: &str) -> bool {
    let vim = name == "4913" || name.ends_with('~') || (name.starts_with('.') && swap_file(name));
    let emacs = name.starts_with(".#") || (name.starts_with('#') && name.ends_with('#'));
    let others =
        name.ends_with("___jb_tmp___") || name.ends_with("___jb_old___") || name.starts_with(".goutputstream-");
    vim || emacs || others
}

fn swap_file(name: &str) -> bool {
    let extension = name.rsplit('.').next().unwrap_or_default();
    extension.len() == 3 && extension.starts_with("sw") || extension == "swpx"
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn tree_of(dir: &Path) -> SourceTree {
        SourceTree {
            ignore: vec!["out/".to_owned()],
            ..SourceTree::all(dir)
        }
    }

    fn build_of(dir: &Path) -> BuildSpec {
        BuildSpec {
            command: vec!["make".to_owned()],
            dir: dir.to_owned(),
            env: Arc::default(),
            artefact: Some(dir.join("product")),
            sources: vec![tree_of(dir)],
        }
    }

    fn write(dir: &Path, name: &str, text: &str) {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn changes_with_a_source_and_not_with_what_is_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        write(dir, "product", "1");
        write(dir, "main.c", "int main;");
        write(dir, ".gitignore", "*.tmp\n");
        let build = build_of(dir);
        let first = stamp(&build);
        for name in [
            "out/x",
            "product",
            "x.tmp",
            ".main.c.swp",
            "main.c~",
            "4913",
            ".#main.c",
        ] {
            write(dir, name, "2 and more");
        }
        write(
            dir,
            "target/CACHEDIR.TAG",
            "Signature: 8a477f597d28d172789f06886806bc55",
        );
        write(dir, "target/debug/main.o", "x");
        write(dir, "web/node_modules/a/index.js", "x");
        write(dir, ".git/HEAD", "x");
        assert_eq!(stamp(&build), first);
        write(dir, "main.c", "int main = 1;");
        assert_ne!(stamp(&build), first);
    }

    #[test]
    fn a_missing_product_is_another_state() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "product", "1");
        let build = build_of(dir.path());
        let first = stamp(&build);
        std::fs::remove_file(dir.path().join("product")).unwrap();
        assert_ne!(stamp(&build), first);
    }

    /// Does something to the tree, and looks again at the paths alone that are told: the result must be what a whole look sees.
    fn same_as_whole(listing: &mut Listing, tree: &SourceTree, told: &[&str], work: impl FnOnce(&Path)) {
        work(&tree.path);
        let told = told.iter().map(|name| tree.path.join(name)).collect();
        listing.refresh(tree, &told);
        let whole = Listing::read(tree);
        assert_eq!((&listing.files, &listing.dirs), (&whole.files, &whole.dirs), "{told:?}");
    }

    #[test]
    fn a_look_at_what_was_touched_sees_what_a_whole_look_sees() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(root, "a/one.c", "1");
        write(root, "a/b/two.c", "2");
        write(root, "a.txt", "3");
        let tree = tree_of(root);
        let mut listing = Listing::read(&tree);
        assert_eq!((listing.files.len(), listing.dirs.len()), (3, 3));
        let mut check = |told: &[&str], work: &dyn Fn(&Path)| same_as_whole(&mut listing, &tree, told, work);
        check(&["a/one.c"], &|root| write(root, "a/one.c", "longer"));
        check(&["new"], &|root| write(root, "new/deep/er/x.c", "x"));
        check(&["a/b"], &|root| std::fs::remove_dir_all(root.join("a/b")).unwrap());
        check(&["a/b", "a/b/two.c"], &|root| write(root, "a/b/two.c", "again"));
        check(&["a"], &|root| {
            std::fs::remove_dir_all(root.join("a")).unwrap();
            write(root, "a/other.c", "x");
        });
        check(&["new", "old"], &|root| {
            std::fs::rename(root.join("new"), root.join("old")).unwrap();
        });
        check(&["out/x"], &|root| write(root, "out/x", "ignored"));
        check(&[".gitignore"], &|root| write(root, ".gitignore", "old/\n"));
        check(&["."], &|root| std::fs::remove_dir_all(root).unwrap());
        check(&["."], &|root| write(root, "back.c", "x"));
    }

    #[test]
    fn what_differs_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "stays", "1");
        write(dir.path(), "goes", "1");
        write(dir.path(), "changes", "1");
        let before = Listing::read(&tree_of(dir.path()));
        std::fs::remove_file(dir.path().join("goes")).unwrap();
        write(dir.path(), "changes", "22");
        write(dir.path(), "comes", "1");
        let changed = Listing::read(&tree_of(dir.path())).changed_since(&before);
        let names: Vec<_> = changed.iter().map(|path| path.file_name().unwrap()).collect();
        assert_eq!(names, ["changes", "comes", "goes"]);
    }
}
