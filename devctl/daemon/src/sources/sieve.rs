//! What of a tree counts by the file's own words: `include` and `ignore` of its rule, and for an image's sources `.dockerignore`.
//!
//! The patterns are Docker's, as in Docker Compose: they start at the rule's path, and `*` stays within a directory.

use std::path::{Path, PathBuf};

use devctl_drivers::docker::build::{BadPattern, Ignore, as_pattern_path, left_behind};

use crate::spec::SourceTree;

/// The patterns of one tree, read once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sieve {
    root: PathBuf,
    include: Ignore,
    ignore: Ignore,
    /// Of the context, with its root.
    behind: Option<(PathBuf, Ignore)>,
}

impl Sieve {
    /// Reads the patterns. One that is none has been told when the files were read, and lets everything through.
    pub(crate) fn of(tree: &SourceTree) -> Self {
        let behind = tree.context.as_ref().and_then(|context| {
            let ignore = left_behind(&context.root, context.dockerfile.as_deref()).ok()?;
            Some((context.root.clone(), ignore))
        });
        Self {
            root: tree.path.clone(),
            include: patterns(&tree.path, &tree.include).unwrap_or_default(),
            ignore: patterns(&tree.path, &tree.ignore).unwrap_or_default(),
            behind: behind.filter(|(_, ignore)| !ignore.is_empty()),
        }
    }

    /// Whether a file counts.
    pub(crate) fn lets_through(&self, file: &Path) -> bool {
        let below = self.below(file);
        (self.include.is_empty() || below.is_empty() || self.include.leaves_out(&below))
            && !self.ignore.leaves_out(&below)
            && !self.is_left_behind(file, |ignore, path| ignore.leaves_out(path))
    }

    /// Whether a file somewhere below a directory may count.
    pub(crate) fn is_worth_a_look(&self, dir: &Path) -> bool {
        let below = self.below(dir);
        let all_of = |ignore: &Ignore, path: &str| ignore.leaves_out(path) && ignore.leaves_out_all_below(path);
        (self.include.is_empty() || below.is_empty() || self.include.may_name_below(&below))
            && !all_of(&self.ignore, &below)
            && !self.is_left_behind(dir, all_of)
    }

    fn below(&self, path: &Path) -> String {
        as_pattern_path(path.strip_prefix(&self.root).unwrap_or(path))
    }

    fn is_left_behind(&self, path: &Path, asked: impl Fn(&Ignore, &str) -> bool) -> bool {
        let Some((root, ignore)) = &self.behind else {
            return false;
        };
        let below = path.strip_prefix(root).map(as_pattern_path).unwrap_or_default();
        !below.is_empty() && asked(ignore, &below)
    }
}

/// Patterns as a rule has them: from `root` on. One that is absolute names a place of this machine.
///
/// # Errors
/// Where one of them is no pattern.
pub(crate) fn patterns(root: &Path, written: &[String]) -> Result<Ignore, BadPattern> {
    let lines = written.iter().filter_map(|pattern| {
        let (bang, place) = match pattern.trim().strip_prefix('!') {
            Some(place) => ("!", place),
            None => ("", pattern.trim()),
        };
        if !place.starts_with('/') {
            // `#` begins a comment in a file, and a name here.
            let escape = if place.starts_with('#') { "\\" } else { "" };
            return Some(format!("{bang}{escape}{place}"));
        }
        let below = Path::new(place).strip_prefix(root).ok()?;
        Some(format!("{bang}{}", as_pattern_path(below)))
    });
    Ignore::parse(&lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use crate::spec::Context;

    use super::*;

    fn sieve(include: &[&str], ignore: &[&str]) -> Sieve {
        let owned = |patterns: &[&str]| patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        Sieve::of(&SourceTree {
            include: owned(include),
            ignore: owned(ignore),
            ..SourceTree::all("/src")
        })
    }

    #[track_caller]
    fn check(sieve: &Sieve, through: &[&str], not: &[&str]) {
        for path in through {
            assert!(sieve.lets_through(Path::new(path)), "{path} counts");
        }
        for path in not {
            assert!(!sieve.lets_through(Path::new(path)), "{path} does not count");
        }
    }

    #[test]
    fn patterns_start_at_the_rules_path_and_are_no_gitignore() {
        let sieve = sieve(&[], &["*.log", "node_modules/", "/src/gen", "/elsewhere", "#tmp"]);
        check(
            &sieve,
            &[
                "/src/a.txt",
                "/src/deep/x.log",
                "/src/web/node_modules/a.js",
                "/src/src/gen/x",
            ],
            &["/src/x.log", "/src/node_modules/a/b.js", "/src/gen/x", "/src/#tmp"],
        );
        assert!(!sieve.is_worth_a_look(Path::new("/src/node_modules")));
        assert!(sieve.is_worth_a_look(Path::new("/src/web/node_modules")));
    }

    #[test]
    fn include_names_what_counts_and_ignore_takes_from_it() {
        let sieve = sieve(&["**/*.py", "static"], &["**/test_*", "!**/test_kept.py"]);
        check(
            &sieve,
            &[
                "/src/a.py",
                "/src/deep/b.py",
                "/src/static/deep/x.css",
                "/src/test_kept.py",
            ],
            &["/src/a.txt", "/src/deep/test_b.py"],
        );
        let top = self::sieve(&["*.py"], &[]);
        check(&top, &["/src/a.py"], &["/src/deep/b.py"]);
        assert!(!top.is_worth_a_look(Path::new("/src/deep")) && top.is_worth_a_look(Path::new("/src")));
    }

    #[test]
    fn what_docker_leaves_behind_does_not_count() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".dockerignore"), "**/*.md\nweb/out\n").unwrap();
        let tree = SourceTree {
            context: Some(Context {
                root: dir.path().to_owned(),
                dockerfile: Some("Dockerfile".into()),
            }),
            ..SourceTree::all(dir.path().join("web"))
        };
        let at = |name: &str| dir.path().join(name);
        let sieve = Sieve::of(&tree);
        assert!(sieve.lets_through(&at("web/a.js")));
        assert!(!sieve.lets_through(&at("web/README.md")) && !sieve.lets_through(&at("web/out/x")));
        assert!(!sieve.is_worth_a_look(&at("web/out")) && sieve.is_worth_a_look(&at("web")));
        // The Dockerfile's own file comes first.
        std::fs::write(at("Dockerfile.dockerignore"), "web/a.js").unwrap();
        let sieve = Sieve::of(&tree);
        assert!(!sieve.lets_through(&at("web/a.js")) && sieve.lets_through(&at("web/README.md")));
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        assert!(patterns(Path::new("/src"), &["ok".to_owned(), "[a".to_owned()]).is_err());
    }
}
