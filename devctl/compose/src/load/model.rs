//! From files to one tree: each file is read, interpolated, completed, merged over the ones before, checked, made canonical.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::find::Found;
use super::read::{Env, Session};
use super::{Stage, extends, include, stage};
use crate::canonical::canonical;
use crate::check::{rules, schema};
use crate::defaults::set_defaults;
use crate::interpolate::interpolate;
use crate::merge::{self, enforce_unique};
use crate::paths::Resolver;
use crate::problem::Problem;
use crate::tree::{Map, Node, Span, Value};
use crate::yaml::Resets;

/// What a set of files is read with.
#[derive(Clone)]
pub(super) struct Scope {
    /// Where relative paths start from; relative itself where a further file is to resolve it.
    pub(super) directory: String,
    /// Where files named by these files are looked for, absolute.
    pub(super) base: String,
    pub(super) environment: IndexMap<String, String>,
    /// The files on the way here, for cycles.
    pub(super) including: Vec<String>,
    pub(super) resolve_paths: bool,
}

/// A file with what it extends kept apart: what `extends: {file: ...}` needs.
#[derive(Clone)]
pub(super) struct ReadFile {
    pub(super) tree: Node,
    pub(super) resets: Resets,
}

/// What is kept during a load, so that a file that is needed again is not worked through again.
#[derive(Default)]
pub(super) struct Caches {
    pub(super) included: HashMap<String, Node>,
    pub(super) extended: HashMap<(String, String), ReadFile>,
}

/// How far a file is worked through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// All of it.
    Whole,
    /// Without what it includes and extends, and unchecked: it is the base of a service, which is checked as a whole.
    Base,
}

/// The merged tree of the files that were found.
pub(super) fn load(session: &mut Session, found: &Found) -> Stage<Node> {
    let scope = Scope {
        directory: found.directory.clone(),
        base: found.directory.clone(),
        environment: found.environment.clone(),
        including: Vec::new(),
        resolve_paths: !session.options.no_path_resolution,
    };
    let mut caches = Caches::default();
    let tree = files(session, &mut caches, &scope, &found.files, None);
    if session.problems.errors() == 0 && tree.as_map().is_none_or(Map::is_empty) {
        let names = found.files.join("`, `");
        return Err(session.problem(Problem::error(format!("nothing is in `{names}`"))));
    }
    Ok(tree)
}

/// The merged tree of some files, complete but for what normalisation implies. A file that cannot be read is left out.
pub(super) fn files(
    session: &mut Session,
    caches: &mut Caches,
    scope: &Scope,
    files: &[String],
    at: Option<Span>,
) -> Node {
    let nowhere = Span {
        source: u32::MAX,
        ..Span::default()
    };
    let mut tree = Node::new(Value::Map(Map::default()), nowhere);
    let mut scope = scope.clone();
    // What a base was worked through with differs from one set of files to the next.
    let outer = std::mem::take(&mut caches.extended);
    for path in files {
        if file(session, caches, &mut scope, path, at, Depth::Whole, &mut tree).is_err() {
            match at {
                Some(_) => session.problems.unincluded(),
                None => session.problems.incomplete(),
            }
        }
    }
    caches.extended = outer;
    set_defaults(&mut tree);
    if !session.options.no_validation {
        stage(&mut session.problems, |problems| rules::check(&tree, problems));
    }
    if scope.resolve_paths {
        resolve_paths(session, &scope.directory, &mut tree);
    }
    resolve_environment(&mut tree, &scope.environment);
    tree
}

/// Makes the paths of a tree start where `directory` starts.
pub(super) fn resolve_paths(session: &mut Session, directory: &str, tree: &mut Node) {
    let here = session.here();
    let resolver = Resolver {
        base: directory,
        home: session.home(),
        here: &here,
        files: session.files,
    };
    stage(&mut session.problems, |problems| resolver.resolve(tree, problems));
}

/// Merges a file over `tree`; gives what its last document resets.
pub(super) fn file(
    session: &mut Session,
    caches: &mut Caches,
    scope: &mut Scope,
    path: &str,
    at: Option<Span>,
    depth: Depth,
    tree: &mut Node,
) -> Stage<Resets> {
    let known = scope.including.len();
    let result = documents(session, caches, scope, path, at, depth, tree);
    scope.including.truncate(known);
    result
}

fn documents(
    session: &mut Session,
    caches: &mut Caches,
    scope: &mut Scope,
    path: &str,
    at: Option<Span>,
    depth: Depth,
    tree: &mut Node,
) -> Stage<Resets> {
    let documents = session.take_documents(path, at)?;
    let mut resets = Resets::default();
    for document in documents {
        let mut own = document.root;
        resets = document.resets;
        if own.as_map().is_none() {
            let problem = Problem::error(format!("a Compose file must be a mapping, but is {}", own.kind()));
            session.problem(problem.at(own.at));
            session.problems.incomplete();
            continue;
        }
        if !session.options.no_interpolate {
            let env = Env::new(&scope.environment);
            stage(&mut session.problems, |problems| interpolate(&mut own, &env, problems));
            env.warn(&mut session.problems);
        }
        promote_extensions(session, &mut own);
        if depth == Depth::Whole {
            scope.including.push(path.to_owned());
            include::apply(session, caches, scope, &mut own, &resets);
        }
        resets.apply(tree);
        if depth == Depth::Whole {
            extends::apply(session, caches, scope, path, &mut own, &resets);
        }
        let span = own.at;
        stage(&mut session.problems, |problems| {
            merge::merge(tree, own, problems);
            tree.at = span;
            enforce_unique(tree, problems);
        });
        if depth == Depth::Whole && !session.options.no_validation {
            stage(&mut session.problems, |problems| schema::check(tree, problems));
            obsolete_version(session, tree);
        }
        let lenient = session.options.no_interpolate;
        let unchecked = depth == Depth::Base || session.options.no_validation;
        stage(&mut session.problems, |problems| {
            canonical(tree, lenient, unchecked, problems);
            enforce_unique(tree, problems);
        });
    }
    Ok(resets)
}

fn obsolete_version(session: &mut Session, tree: &mut Node) {
    if let Some(entry) = tree.as_map_mut().and_then(|map| map.shift_remove("version")) {
        let problem = Problem::warning("the attribute `version` is obsolete and ignored").at(entry.key);
        session.problems.push(problem.help("remove it"));
    }
}

/// `x-develop` and `x-initialSync` were the names of attributes before those were adopted.
fn promote_extensions(session: &mut Session, tree: &mut Node) {
    stage(&mut session.problems, |problems| {
        for (name, entry) in tree
            .get_mut("services")
            .and_then(Node::as_map_mut)
            .into_iter()
            .flatten()
        {
            promote(
                &mut entry.node,
                "x-develop",
                "develop",
                &["services", name, "develop"],
                problems,
            );
            let rules = entry
                .node
                .get_mut("develop")
                .and_then(|develop| develop.get_mut("watch"))
                .and_then(Node::as_list_mut);
            for rule in rules.into_iter().flatten() {
                promote(
                    rule,
                    "x-initialSync",
                    "initial_sync",
                    &["services", name, "develop", "watch", "[]", "initial_sync"],
                    problems,
                );
            }
        }
    });
}

fn promote(node: &mut Node, from: &str, to: &str, place: &[&str], problems: &mut crate::problem::Problems) {
    let Some(map) = node.as_map_mut() else { return };
    let Some(mut old) = map.shift_remove(from) else { return };
    match map.get_mut(to) {
        Some(known) if !known.node.is_null() => {
            let at = known.node.at;
            let over = std::mem::replace(&mut known.node, Node::null(at));
            merge::merge_at(&mut old.node, over, place, problems);
            known.node = old.node;
        }
        _ => {
            map.insert(to.to_owned(), old);
        }
    }
}

/// Variables without a value in lists, and secrets and configs that come from variables.
fn resolve_environment(tree: &mut Node, environment: &IndexMap<String, String>) {
    for kind in ["services", "jobs"] {
        for (_, entry) in tree.get_mut(kind).and_then(Node::as_map_mut).into_iter().flatten() {
            let Some(list) = entry.node.get_mut("environment").and_then(Node::as_list_mut) else {
                continue;
            };
            list.retain_mut(|item| {
                let Value::Text(text) = &mut item.value else {
                    return false;
                };
                if let Some(value) = environment.get(text.as_str()) {
                    *text = format!("{text}={value}");
                }
                true
            });
        }
    }
    for (kind, key) in [("secrets", "x-#value"), ("configs", "content")] {
        for (_, entry) in tree.get_mut(kind).and_then(Node::as_map_mut).into_iter().flatten() {
            let Some(name) = entry.node.get("environment").and_then(Node::as_text) else {
                continue;
            };
            if let Some(value) = environment.get(name) {
                let at = entry.node.at;
                entry.node.set(key, Node::text(value.clone(), at));
            }
        }
    }
}
