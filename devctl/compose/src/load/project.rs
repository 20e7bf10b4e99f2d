//! From the merged tree to the project: what is implied, the model, the selection, references, environment files.

use std::path::PathBuf;

use indexmap::IndexMap;

use super::find::Found;
use super::read::{Env, Session};
use super::{Stage, stage};
use crate::check::consistency;
use crate::codec::{Decode, Decoder, to_json};
use crate::dotenv::Variables;
use crate::extension;
use crate::interpolate::template::Lookup;
use crate::model::{EnvFile, Extensions, Job, Project, Service};
use crate::normalize::normalize;
use crate::problem::{Problem, Problems};
use crate::select;
use crate::tree::{Node, Span};

/// Adds what the tree implies.
pub(super) fn imply(session: &mut Session, found: &Found, tree: &mut Node) {
    if session.options.no_normalize {
        return;
    }
    let at = tree.at;
    tree.set("name", Node::text(found.name.clone(), at));
    stage(&mut session.problems, |problems| {
        normalize(tree, &found.name, &found.environment, problems)
    });
}

/// Makes the project.
pub(super) fn build(session: &mut Session, found: &Found, mut tree: Node) -> Project {
    imply(session, found, &mut tree);
    let mut project = stage(&mut session.problems, |problems| read(&tree, problems));
    project.name.clone_from(&found.name);
    project.working_dir = PathBuf::from(&found.directory);
    project.compose_files = found.files.iter().map(PathBuf::from).collect();
    project.environment = found.environment.clone();
    select::profiles(&mut project, &found.profiles);
    select::enable(&mut project, &session.options.enabled_services);
    if !session.options.no_consistency {
        stage(&mut session.problems, |problems| {
            consistency::check(&mut project, &tree, problems)
        });
    }
    if !session.options.no_env_resolution {
        environment(session, &mut project, &tree);
    }
    labels(session, &mut project, &tree);
    let options = session.options;
    if let Err(problem) = select::services(&mut project, &options.services) {
        session.problem(problem);
    }
    if !options.no_env_resolution && !options.services.is_empty() {
        // What is named is there whatever its profiles.
        environment(session, &mut project, &tree);
    }
    if !options.all_resources {
        select::used_resources(&mut project);
    }
    if !options.no_consistency && !options.shared_container_names {
        stage(&mut session.problems, |problems| {
            consistency::check_container_names(&project, &tree, problems)
        });
    }
    project
}

/// Reads the tree into the model.
fn read(tree: &Node, problems: &mut Problems) -> Project {
    let mut project = Project::default();
    let (services, jobs): (IndexMap<String, Service>, IndexMap<String, Job>) =
        (section(tree, "services", problems), section(tree, "jobs", problems));
    project.services = services;
    project.jobs = jobs;
    for (name, service) in &mut project.services {
        service.name.clone_from(name);
        if let Some(node) = tree
            .get("services")
            .and_then(|all| all.get(name))
            .and_then(|service| service.get(extension::KEY))
        {
            service.x_devctl = extension::service(node, name, problems);
        }
    }
    for (name, job) in &mut project.jobs {
        job.name.clone_from(name);
    }
    project.networks = section(tree, "networks", problems);
    project.volumes = section(tree, "volumes", problems);
    project.secrets = section(tree, "secrets", problems);
    project.configs = section(tree, "configs", problems);
    project.models = section(tree, "models", problems);
    for (name, secret) in &mut project.secrets {
        secret.extensions.shift_remove("x-#value");
        let value = tree
            .get("secrets")
            .and_then(|all| all.get(name))
            .and_then(|secret| secret.get("x-#value"));
        secret.content = value.and_then(Node::as_text).map(str::to_owned);
    }
    let extensions = tree
        .as_map()
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.starts_with("x-"));
    project.extensions = extensions
        .map(|(key, entry)| (key.clone(), to_json(&entry.node)))
        .collect::<Extensions>();
    if let Some(node) = tree.get(extension::KEY) {
        project.x_devctl = extension::project(node, problems);
    }
    project
}

fn section<T: Decode + Default>(tree: &Node, key: &str, problems: &mut Problems) -> IndexMap<String, T> {
    let mut decoder = Decoder::new(problems);
    match tree.as_map() {
        Some(map) => decoder.field(map, key),
        None => IndexMap::new(),
    }
}

/// Reads the environment files of every enabled service: what the service itself says wins.
fn environment(session: &mut Session, project: &mut Project, tree: &Node) {
    session.problems.begin();
    let outer = project.environment.clone();
    for (name, service) in &mut project.services {
        for (key, value) in &mut service.environment {
            if value.is_none() {
                *value = outer.get(key).cloned();
            }
        }
        let own = service.environment.clone();
        let mut variables: Variables = own
            .iter()
            .filter_map(|(key, value)| value.clone().map(|value| (key.clone(), value)))
            .collect();
        let files = std::mem::take(&mut service.env_file);
        for (index, file) in files.iter().enumerate() {
            let at = place(tree, name, "env_file", index);
            let further = |key: &str| own.get(key).cloned().flatten();
            let env = Env::with(&outer, &further);
            // One file that is missing does not keep the others from being looked at.
            let _ = env_file(session, name, file, at, &mut variables, &env);
            env.warn(&mut session.problems);
        }
        for (key, value) in own {
            match value {
                Some(value) => variables.insert(key, value),
                None => variables.insert(key, String::new()),
            };
        }
        let missing: Vec<String> = service
            .environment
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(key, _)| key.clone())
            .collect();
        service.environment = variables
            .into_iter()
            .map(|(key, value)| {
                let value = if missing.contains(&key) { None } else { Some(value) };
                (key, value)
            })
            .collect();
    }
}

fn env_file(
    session: &mut Session,
    service: &str,
    file: &EnvFile,
    at: Option<Span>,
    out: &mut Variables,
    env: &dyn Lookup,
) -> Stage<()> {
    let written = file.path.as_deref().unwrap_or_default();
    let path = session.absolute(written);
    if written.is_empty() || !session.files.exists(path.as_ref()) {
        if !file.required {
            return Ok(());
        }
        let problem = Problem::error(format!("the environment file `{path}` of `{service}` is not there"));
        let problem = problem.help("write `required: false` beside its `path` where it may be missing");
        return Err(session.problem(located(problem, at)));
    }
    if let Some(format) = file
        .format
        .as_deref()
        .filter(|format| !matches!(*format, "" | ".env" | "raw"))
    {
        let problem = Problem::error(format!(
            "the environment file `{path}` has the format `{format}`, which is not known"
        ));
        return Err(session.problem(located(problem.help("`raw` takes values as they stand"), at)));
    }
    if file.format.as_deref() == Some("raw") {
        return session.raw_variables(&path, at, out, env);
    }
    session.variables(&path, at, out, env)
}

/// Reads the label files of every enabled service: what the service itself says wins.
fn labels(session: &mut Session, project: &mut Project, tree: &Node) {
    session.problems.begin();
    let nothing = IndexMap::new();
    for (name, service) in &mut project.services {
        let mut labels = Variables::new();
        for (index, file) in service.label_file.clone().iter().enumerate() {
            let at = place(tree, name, "label_file", index);
            let path = session.absolute(file);
            let known = labels.clone();
            let further = |key: &str| known.get(key).cloned();
            let env = Env::with(&nothing, &further);
            let mut read = Variables::new();
            let _ = session.variables(&path, at, &mut read, &env);
            env.warn(&mut session.problems);
            labels.extend(read);
        }
        labels.extend(std::mem::take(&mut service.labels));
        service.labels = labels;
    }
}

/// Where an item of a service's list stands.
fn place(tree: &Node, service: &str, key: &str, index: usize) -> Option<Span> {
    let list = tree.get("services")?.get(service)?.get(key)?.as_list()?;
    let item = list.get(index)?;
    Some(item.get("path").unwrap_or(item).at)
}

fn located(problem: Problem, at: Option<Span>) -> Problem {
    match at {
        Some(at) => problem.at(at),
        None => problem,
    }
}
