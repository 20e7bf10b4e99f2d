//! `include`: other Compose files with a directory and an environment of their own, whose resources are taken over.

use super::model::{self, Caches, Scope};
use super::read::{Env, Session};
use super::{Stage, find, stage};
use crate::dotenv::Variables;
use crate::merge;
use crate::paths;
use crate::problem::{Problem, Reported};
use crate::tree::{Entry, Map, Node, Span, Value};
use crate::yaml::Resets;

/// What is taken over from an included file.
const KINDS: [&str; 7] = [
    "services", "jobs", "volumes", "networks", "secrets", "configs", "models",
];

/// How deep files may include each other.
const MAX_DEPTH: usize = 64;

/// An entry of `include` in its long form.
struct Include {
    at: Span,
    paths: Vec<String>,
    directory: String,
    env_files: Vec<String>,
}

/// Takes over what a file includes.
pub(super) fn apply(session: &mut Session, caches: &mut Caches, scope: &Scope, tree: &mut Node, resets: &Resets) {
    let Some(node) = tree.get("include").filter(|node| !node.is_null()).cloned() else {
        if let Some(map) = tree.as_map_mut() {
            map.shift_remove("include");
        }
        return;
    };
    if node.as_list().is_none() {
        session.problem(Problem::error(format!("`include` must be a list, but is {}", node.kind())).at(node.at));
        session.problems.unincluded();
    }
    for item in node.as_list().into_iter().flatten() {
        match read(session, item).and_then(|include| load(session, caches, scope, include)) {
            Ok(imported) => take_over(session, imported, tree, resets),
            // What the other entries name is looked at nevertheless.
            Err(Reported) => session.problems.unincluded(),
        }
    }
    if let Some(map) = tree.as_map_mut() {
        map.shift_remove("include");
    }
}

fn read(session: &mut Session, item: &Node) -> Stage<Include> {
    let mut include = Include {
        at: item.at,
        paths: Vec::new(),
        directory: String::new(),
        env_files: Vec::new(),
    };
    match &item.value {
        Value::Text(path) => include.paths.push(path.clone()),
        Value::Map(map) => {
            for (key, entry) in map {
                match key.as_str() {
                    "path" => include.paths = texts(session, key, &entry.node)?,
                    "env_file" => include.env_files = texts(session, key, &entry.node)?,
                    "project_directory" => include.directory = text(session, key, &entry.node)?,
                    _ => {
                        let help = crate::problem::did_you_mean(key, ["path", "env_file", "project_directory"]);
                        let problem = Problem::warning(format!("`include` has no attribute `{key}`")).at(entry.key);
                        session.problems.push(problem.maybe_help(help));
                    }
                }
            }
        }
        // Compose takes a date for nothing.
        Value::Null | Value::Time(_) => {}
        _ => {
            let message = format!(
                "an entry of `include` must be a string or a mapping, but is {}",
                item.kind()
            );
            return Err(session.problem(Problem::error(message).at(item.at)));
        }
    }
    Ok(include)
}

fn text(session: &mut Session, key: &str, node: &Node) -> Stage<String> {
    match &node.value {
        Value::Null => Ok(String::new()),
        Value::Text(text) => Ok(text.clone()),
        Value::Int(number) => Ok(number.to_string()),
        _ => {
            let message = format!("`include.{key}` must be a string, but is {}", node.kind());
            Err(session.problem(Problem::error(message).at(node.at)))
        }
    }
}

fn texts(session: &mut Session, key: &str, node: &Node) -> Stage<Vec<String>> {
    let list = match &node.value {
        Value::Null => return Ok(Vec::new()),
        Value::Text(text) => return Ok(vec![text.clone()]),
        Value::List(list) => list.iter().map(|item| item.as_text().map(str::to_owned)).collect(),
        _ => None,
    };
    list.ok_or_else(|| {
        session.problem(Problem::error(format!("`include.{key}` must be a string or a list of strings")).at(node.at))
    })
}

fn load(session: &mut Session, caches: &mut Caches, scope: &Scope, mut include: Include) -> Stage<Node> {
    let at = include.at;
    let mut directory = String::new();
    for index in 0..include.paths.len() {
        let written = include.paths[index].clone();
        if paths::is_remote(&written) {
            return Err(session.problem(find::remote(&written).at(at)));
        }
        let path = below(&scope.base, &written);
        if index == 0 {
            directory = if include.directory.is_empty() {
                include.directory = paths::parent(&path);
                seen_from(session, &scope.base, &path)
            } else if include.directory.starts_with('/') {
                include.directory.clone()
            } else {
                let seen = seen_from(session, &scope.base, &below(&scope.base, &include.directory));
                include.directory = session.absolute(&paths::join(&scope.directory, &include.directory));
                seen
            };
            check_cycle(session, scope, &path, at)?;
        }
        include.paths[index] = path;
    }
    let environment = environment(session, scope, &include);
    let key = format!("{:?}|{directory}|{}|{environment:?}", include.paths, include.directory);
    if let Some(known) = caches.included.get(&key) {
        return Ok(known.clone());
    }
    let scope = Scope {
        directory,
        base: include.directory,
        environment,
        including: scope.including.clone(),
        resolve_paths: true,
    };
    let imported = model::files(session, caches, &scope, &include.paths, Some(at));
    caches.included.insert(key, imported.clone());
    Ok(imported)
}

fn below(base: &str, path: &str) -> String {
    if path.starts_with('/') {
        paths::clean(path)
    } else {
        paths::join(base, path)
    }
}

/// The directory of a path, or the directory itself, as seen from `base`.
fn seen_from(session: &Session, base: &str, path: &str) -> String {
    let directory = if session.files.is_dir(path.as_ref()) {
        path.to_owned()
    } else {
        paths::parent(path)
    };
    paths::relative(base, &directory).unwrap_or(directory)
}

fn check_cycle(session: &mut Session, scope: &Scope, path: &str, at: Span) -> Stage<()> {
    if scope.including.len() >= MAX_DEPTH {
        let message = format!("files include each other more than {MAX_DEPTH} deep");
        return Err(session.problem(Problem::error(message).at(at)));
    }
    if let Some(begin) = scope.including.iter().position(|known| known == path) {
        let way: Vec<_> = scope.including[begin..]
            .iter()
            .map(String::as_str)
            .chain([path])
            .collect();
        return Err(session.problem(Problem::error(format!("files include each other: {}", way.join(" -> "))).at(at)));
    }
    Ok(())
}

/// The environment of the including file, and what the included one's environment files add.
fn environment(session: &mut Session, scope: &Scope, include: &Include) -> indexmap::IndexMap<String, String> {
    let mut files = Vec::new();
    if include.env_files.is_empty() {
        let default = paths::join(&include.directory, ".env");
        files.extend(session.files.is_file(default.as_ref()).then_some(default));
    }
    for file in include.env_files.iter().filter(|file| *file != "/dev/null") {
        let path = if file.starts_with('/') {
            file.clone()
        } else {
            session.absolute(&paths::join(&scope.directory, file))
        };
        files.push(path);
    }
    let mut variables = Variables::new();
    for file in &files {
        let env = Env::new(&scope.environment);
        if session.variables(file, Some(include.at), &mut variables, &env).is_err() {
            session.problems.variables_incomplete();
        }
        env.warn(&mut session.problems);
    }
    let mut environment = scope.environment.clone();
    for (name, value) in variables {
        environment.entry(name).or_insert(value);
    }
    session.environments.push((environment.clone(), files));
    environment
}

/// Adds the resources of an included file; what the including file says of the same resource is merged over it.
fn take_over(session: &mut Session, imported: Node, tree: &mut Node, resets: &Resets) {
    let at = tree.at;
    let Value::Map(mut imported) = imported.value else {
        return;
    };
    for kind in KINDS {
        let Some(Entry {
            node: Node {
                value: Value::Map(resources),
                ..
            },
            ..
        }) = imported.shift_remove(kind)
        else {
            continue;
        };
        if tree.get(kind).is_none() {
            tree.set(kind, Node::new(Value::Map(Map::default()), at));
        }
        let Some(own) = tree.get_mut(kind) else { continue };
        let (at, found) = (own.at, own.kind());
        let Some(target) = own.as_map_mut() else {
            session.problem(Problem::error(format!("`{kind}` must be a mapping, but is {found}")).at(at));
            continue;
        };
        for (name, mut entry) in resources {
            let Some(own) = target.get_mut(&name) else {
                target.insert(name, entry);
                continue;
            };
            if own.node.same(&entry.node) {
                continue;
            }
            resets.apply_at(&mut entry.node, &[kind, &name]);
            let over = std::mem::replace(&mut own.node, Node::null(at));
            stage(&mut session.problems, |problems| {
                merge::merge_at(&mut entry.node, over, &[kind, &name], problems)
            });
            own.node = entry.node;
        }
    }
}
