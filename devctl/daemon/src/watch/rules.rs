//! What a change means to a container: which files go where, and what follows (Compose specification, `develop.watch`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use devctl_compose::model::WatchAction;

use crate::spec::{HookSpec, SourceTree, WatchRule};

/// What is to be done to a container about one burst of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    /// Files of this host, and their places inside.
    pub(crate) copy: Vec<(PathBuf, String)>,
    /// Places inside whose files are gone here.
    pub(crate) delete: Vec<String>,
    /// The image is to be built again: the container that follows has everything.
    pub(crate) rebuild: bool,
    /// It is restarted once the files are there.
    pub(crate) restart: bool,
    /// Run inside once the files are there, each once.
    pub(crate) exec: Vec<HookSpec>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What `rules` say about these changes. `changed`: what differs in each rule's tree.
pub(super) fn batch<'a>(
    rules: &'a [WatchRule],
    changed: impl Fn(&'a SourceTree) -> BTreeSet<PathBuf>,
    exists: impl Fn(&Path) -> bool,
) -> Batch {
    let mut batch = Batch::default();
    for rule in rules {
        let changed = changed(&rule.tree);
        if changed.is_empty() {
            continue;
        }
        match rule.action {
            WatchAction::Rebuild => batch.rebuild = true,
            WatchAction::Restart => batch.restart = true,
            WatchAction::Sync | WatchAction::SyncRestart | WatchAction::SyncExec => {
                for path in changed {
                    let Some(inside) = inside(rule, &path) else { continue };
                    match exists(&path) {
                        true => batch.copy.push((path, inside)),
                        false => batch.delete.push(inside),
                    }
                }
                batch.restart |= rule.action == WatchAction::SyncRestart;
                if rule.action == WatchAction::SyncExec {
                    batch
                        .exec
                        .extend(rule.exec.iter().filter(|hook| !hook.command.is_empty()).cloned());
                }
            }
        }
    }
    if batch.rebuild {
        // Everything else would be done to a container that is about to go.
        return Batch {
            rebuild: true,
            ..Batch::default()
        };
    }
    batch
}

/// What `initial_sync` copies as soon as the container is there.
pub(crate) fn initial(rules: &[WatchRule], files: impl Fn(&SourceTree) -> Vec<PathBuf>) -> Batch {
    let copy = rules
        .iter()
        .filter(|rule| rule.initial && rule.target.is_some())
        .flat_map(|rule| files(&rule.tree).into_iter().map(move |path| (rule, path)))
        .filter_map(|(rule, path)| Some((path.clone(), inside(rule, &path)?)));
    Batch {
        copy: copy.collect(),
        ..Batch::default()
    }
}

/// Where a file of the rule's tree belongs inside.
fn inside(rule: &WatchRule, path: &Path) -> Option<String> {
    let target = rule.target.as_deref()?.trim_end_matches('/');
    let below = path.strip_prefix(&rule.tree.path).ok()?;
    let parts = below.components().map(|part| part.as_os_str().to_string_lossy());
    Some(parts.fold(target.to_owned(), |path, part| format!("{path}/{part}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(action: WatchAction, path: &str, target: &str) -> WatchRule {
        WatchRule {
            tree: SourceTree::all(path),
            action,
            target: (!target.is_empty()).then(|| target.to_owned()),
            exec: None,
            initial: false,
        }
    }

    /// What becomes of `changed`; names that end in `-` are gone.
    fn of(rules: &[WatchRule], changed: &[&str]) -> Batch {
        let paths: BTreeSet<PathBuf> = changed.iter().map(|path| path.trim_end_matches('-').into()).collect();
        let in_tree = |tree: &SourceTree| {
            paths
                .iter()
                .filter(|path| path.starts_with(&tree.path))
                .cloned()
                .collect()
        };
        batch(rules, in_tree, |path| changed.contains(&&*path.to_string_lossy()))
    }

    #[test]
    fn files_go_below_their_target_and_gone_ones_go_there_too() {
        let rules = [rule(WatchAction::Sync, "/src/web", "/app/web/")];
        let batch = of(&rules, &["/src/web/a/b.html", "/src/web/c.html-", "/src/other"]);
        assert_eq!(
            batch.copy,
            [("/src/web/a/b.html".into(), "/app/web/a/b.html".to_owned())]
        );
        assert_eq!(batch.delete, ["/app/web/c.html"]);
        assert!(!batch.restart && !batch.rebuild);
        // A rule for a single file names the file's place itself.
        let rules = [rule(
            WatchAction::SyncRestart,
            "/src/nginx.conf",
            "/etc/nginx/nginx.conf",
        )];
        let batch = of(&rules, &["/src/nginx.conf"]);
        assert_eq!(batch.copy[0].1, "/etc/nginx/nginx.conf");
        assert!(batch.restart);
    }

    #[test]
    fn every_rule_that_a_change_meets_counts_and_a_rebuild_is_all_of_it() {
        let hook = HookSpec {
            command: vec!["reload".to_owned()],
            ..HookSpec::default()
        };
        let exec = WatchRule {
            exec: Some(hook.clone()),
            ..rule(WatchAction::SyncExec, "/src", "/app")
        };
        let rules = [
            exec,
            rule(WatchAction::Restart, "/src/config", ""),
            rule(WatchAction::Rebuild, "/src/package.json", ""),
        ];
        let batch = of(&rules, &["/src/a", "/src/b"]);
        assert_eq!((batch.copy.len(), batch.exec, batch.restart), (2, vec![hook], false));
        let batch = of(&rules, &["/src/config/x"]);
        assert_eq!((batch.copy.len(), batch.restart), (1, true));
        let batch = of(&rules, &["/src/package.json", "/src/a"]);
        assert_eq!(
            batch,
            Batch {
                rebuild: true,
                ..Batch::default()
            }
        );
        assert!(of(&rules, &["/elsewhere"]).is_empty());
    }

    #[test]
    fn the_first_copy_is_of_everything_where_it_is_asked_for() {
        let asked = WatchRule {
            initial: true,
            ..rule(WatchAction::Sync, "/src", "/app")
        };
        let rules = [asked, rule(WatchAction::Sync, "/web", "/web")];
        let batch = initial(&rules, |tree| vec![tree.path.join("x")]);
        assert_eq!(batch.copy, [("/src/x".into(), "/app/x".to_owned())]);
    }
}
