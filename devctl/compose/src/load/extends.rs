//! `extends`: a service takes over another one of the same file or of another file, and says what is different.

use std::collections::{BTreeSet, HashSet};

use super::model::{self, Caches, Depth, ReadFile, Scope};
use super::read::Session;
use super::{Stage, find, stage};
use crate::merge;
use crate::paths;
use crate::problem::{Problem, Reported, did_you_mean};
use crate::tree::{Map, Node, Span, Value};
use crate::yaml::Resets;

/// A service on the way to its base: file and name, and where it says so.
type Step = (String, String, Span);

/// Completes every service and job of a file.
pub(super) fn apply(
    session: &mut Session,
    caches: &mut Caches,
    scope: &Scope,
    path: &str,
    tree: &mut Node,
    resets: &Resets,
) {
    session.problems.begin();
    for kind in ["services", "jobs"] {
        let Some(node) = tree.get_mut(kind) else { continue };
        let at = node.at;
        let found = node.kind();
        let Some(services) = node.as_map_mut() else {
            session.problem(Problem::error(format!("`{kind}` must be a mapping, but is {found}")).at(at));
            continue;
        };
        if !services
            .values()
            .any(|entry| entry.node.get("extends").is_some() || entry.node.as_map().is_none())
        {
            continue;
        }
        let names: Vec<String> = services.keys().cloned().collect();
        let mut cx = Extender {
            session,
            caches,
            scope,
            path,
            cycles: HashSet::new(),
        };
        for name in names {
            if cx.service(&name, services, &[], resets).is_err() {
                // The next service may still be sound; of this one the base is missing.
                cx.session.problems.doubt(format!("{kind}.{name}"));
            }
        }
    }
}

struct Extender<'a, 's> {
    session: &'a mut Session<'s>,
    caches: &'a mut Caches,
    scope: &'a Scope,
    path: &'a str,
    /// The cycles that were reported: each service of one would report it again.
    cycles: HashSet<BTreeSet<String>>,
}

impl Extender<'_, '_> {
    /// Completes one service within `services`.
    fn service(&mut self, name: &str, services: &mut Map, steps: &[Step], resets: &Resets) -> Stage<Option<Node>> {
        let Some(entry) = services.get(name) else {
            return Ok(None);
        };
        let node = entry.node.clone();
        if node.is_null() {
            return Ok(None);
        }
        if node.as_map().is_none() {
            let message = format!("the service `{name}` must be a mapping, but is {}", node.kind());
            return Err(self.session.problem(Problem::error(message).at(node.at)));
        }
        let Some(extends) = node.get("extends") else {
            return Ok(Some(node));
        };
        let (base_name, file) = self.reference(extends, name)?;
        let at = extends.at;

        let other = match &file {
            Some(file) => Some(self.file(file, at)?),
            None => None,
        };
        let shown = file.clone().unwrap_or_else(|| self.path.to_owned());
        let steps = self.step(steps, &shown, name, at)?;
        let base = match other {
            Some(mut other) => {
                let services = other.tree.get_mut("services").and_then(Node::as_map_mut);
                let Some(services) = services else {
                    let problem = Problem::error(format!(
                        "`{shown}` has no services, so that `{name}` cannot extend one of them"
                    ));
                    return Err(self.session.problem(problem.at(at)));
                };
                self.known(services, &base_name, name, &shown, at)?;
                self.service(&base_name, services, &steps, &other.resets)?
            }
            None => {
                self.known(services, &base_name, name, &shown, at)?;
                self.service(&base_name, services, &steps, resets)?
            }
        };
        let Some(mut merged) = base else { return Ok(Some(node)) };
        resets.apply_at(&mut merged, &["services", name]);
        let span = node.at;
        stage(&mut self.session.problems, |problems| {
            merge::merge_at(&mut merged, node, &["services", name], problems)
        });
        merged.at = span;
        if let Some(map) = merged.as_map_mut() {
            map.shift_remove("extends");
        }
        if let Some(entry) = services.get_mut(name) {
            entry.node = merged.clone();
        }
        Ok(Some(merged))
    }

    /// The name and the file that `extends` gives.
    fn reference(&mut self, extends: &Node, name: &str) -> Stage<(String, Option<String>)> {
        let wrong = |what: &str| Problem::error(format!("`services.{name}.extends` {what}")).at(extends.at);
        match &extends.value {
            Value::Text(base) => Ok((base.clone(), None)),
            Value::Map(_) => {
                let Some(base) = extends.get("service").and_then(Node::as_text) else {
                    return Err(self.session.problem(wrong("has no `service`")));
                };
                match extends.get("file").filter(|file| !file.is_null()) {
                    None => Ok((base.to_owned(), None)),
                    Some(file) => match file.as_text() {
                        Some(file) => Ok((base.to_owned(), Some(file.to_owned()))),
                        None => Err(self.session.problem(wrong("has a `file` that is no string"))),
                    },
                }
            }
            _ => Err(self.session.problem(wrong(&format!(
                "must be a string or a mapping, but is {}",
                extends.kind()
            )))),
        }
    }

    /// Another file, with its paths as seen from here.
    fn file(&mut self, file: &str, at: Span) -> Stage<ReadFile> {
        if paths::is_remote(file) {
            return Err(self.session.problem(find::remote(file).at(at)));
        }
        let path = if file.starts_with('/') {
            paths::clean(file)
        } else {
            paths::join(&self.scope.base, file)
        };
        let holder = if self.session.files.is_dir(path.as_ref()) {
            path.clone()
        } else {
            paths::parent(&path)
        };
        let directory = paths::relative(&self.scope.base, &holder).unwrap_or(holder);
        let key = (path.clone(), directory.clone());
        if let Some(known) = self.caches.extended.get(&key) {
            return Ok(known.clone());
        }
        let mut tree = Node::new(Value::Map(Map::default()), at);
        let mut scope = Scope {
            base: paths::parent(&path),
            directory: directory.clone(),
            ..self.scope.clone()
        };
        let resets = model::file(
            self.session,
            self.caches,
            &mut scope,
            &path,
            Some(at),
            Depth::Base,
            &mut tree,
        )?;
        model::resolve_paths(self.session, &directory, &mut tree);
        let read = ReadFile { tree, resets };
        self.caches.extended.insert(key, read.clone());
        Ok(read)
    }

    fn known(&mut self, services: &Map, base: &str, name: &str, file: &str, at: Span) -> Stage<()> {
        if services.contains_key(base) {
            return Ok(());
        }
        let help = did_you_mean(base, services.keys().map(String::as_str));
        let problem = Problem::error(format!("`{name}` extends the service `{base}`, which `{file}` has not")).at(at);
        Err(self.session.problem(problem.maybe_help(help)))
    }

    fn step(&mut self, steps: &[Step], file: &str, name: &str, at: Span) -> Stage<Vec<Step>> {
        let mut steps = steps.to_vec();
        if let Some(begin) = steps.iter().position(|step| step.0 == file && step.1 == name) {
            let way: Vec<_> = steps[begin..]
                .iter()
                .map(|step| step.1.as_str())
                .chain([name])
                .collect();
            let members = steps[begin..].iter().map(|step| step.1.clone()).collect();
            if !self.cycles.insert(members) {
                return Err(Reported);
            }
            let problem = Problem::error(format!("services extend each other: {}", way.join(" -> "))).at(at);
            return Err(self.session.problem(problem.note(format!("in `{file}`"))));
        }
        steps.push((file.to_owned(), name.to_owned(), at));
        Ok(steps)
    }
}
