//! The engine that the caller means, where any service could run in it, and what it has of the project's images.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use devctl_compose::model::{Project, Service};
use devctl_core::NodeId;
use devctl_drivers::docker::pull::{self, Pull, PullPolicy};
use devctl_drivers::docker::{Engine, Listed, NetworkSpec, SeenNetwork, labels};
use devctl_wire::v1;
use futures::future::join_all;
use indexmap::IndexMap;

use super::project;
use crate::engines::Engines;
use crate::spec::{NodeSpec, What};
use crate::specify::{self, Choice, Docker};

/// Looks for an engine if a service could need one. One that is asked for and does not answer is an error before anything is touched.
pub(super) async fn look(
    engines: &Engines,
    project: &Project,
    runtime_of: impl Fn(&Service) -> v1::Runtime,
    caller: &IndexMap<String, String>,
) -> Result<Docker, v1::Outcome> {
    let could = |service: &&Service| {
        let x = &service.x_devctl;
        let runtime = runtime_of(service);
        let native = x.native.as_ref().is_some_and(|native| native.command.is_some());
        runtime != v1::Runtime::Native
            && !x.stub
            && x.external.is_empty()
            && (runtime == v1::Runtime::Docker || !native)
            && (service.image.is_some() || service.build.is_some())
    };
    let candidates: Vec<&Service> = project.services.values().filter(could).collect();
    if candidates.is_empty() {
        return Ok(Docker::default());
    }
    let engine = match engines.connect(caller).await {
        Ok(engine) => engine,
        Err(error) => {
            let asked = candidates
                .iter()
                .find(|service| runtime_of(service) == v1::Runtime::Docker);
            // Nothing moves out of an engine because that is away: its data would be left behind there.
            if let Some(address) = engines.lost(caller) {
                return Err(project::invalid(vec![format!(
                    "error: Docker at `{address}` does not answer, and this project runs there: nothing was changed\nhelp: start it again, its containers are waited for; `devctl down`, and then `--runtime native`, runs without"
                )]));
            }
            if asked.is_some() {
                let help = error.help().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
                return Err(project::invalid(vec![format!(
                    "error: `--runtime docker` was asked for, and devctl failed to {error}{help}"
                )]));
            }
            return Ok(Docker {
                problem: Some((error.to_string(), error.help())),
                ..Docker::default()
            });
        }
    };
    let names: BTreeSet<String> = candidates
        .iter()
        .map(|service| specify::image(project, service))
        .collect();
    let images = join_all(names.iter().map(|name| engine.image(name))).await;
    let images = names
        .into_iter()
        .zip(images)
        .filter_map(|(name, image)| Some((name, image.ok()??)))
        .collect();
    Ok(Docker {
        engine: Some(engine),
        problem: None,
        images,
    })
}

/// Networks by name, as they are (made where they are missing, unless only a plan is wanted).
pub(super) async fn networks(
    engine: &Engine,
    project: &Project,
    choices: &HashMap<String, Choice>,
    dry_run: bool,
) -> Result<HashMap<String, SeenNetwork>, v1::Outcome> {
    let mut wanted: IndexMap<String, NetworkSpec> = IndexMap::new();
    for service in project.services.values() {
        if choices.get(&service.name) == Some(&Choice::Container) {
            let all = specify::networks(project, service);
            wanted.extend(all.into_iter().map(|network| (network.body.name.clone(), network)));
        }
    }
    let look = |spec: NetworkSpec| async move {
        match dry_run {
            true => engine.network(&spec.body.name).await,
            false => engine.ensure_network(&spec).await.map(|(seen, _)| Some(seen)),
        }
    };
    let seen = join_all(wanted.into_values().map(look)).await;
    let mut found = HashMap::new();
    for seen in seen {
        match seen {
            Ok(Some(seen)) => drop(found.insert(seen.name.clone(), seen)),
            Ok(None) => {}
            Err(error) => {
                let help = error.help().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
                return Err(project::invalid(vec![format!(
                    "error: {}{help}",
                    crate::start::told(&error)
                )]));
            }
        }
    }
    Ok(found)
}

/// The project's containers that run, whoever started them.
pub(super) async fn running(engine: &Engine, project: &Project) -> Vec<Listed> {
    let found = engine
        .containers(&[format!("{}={}", labels::PROJECT, project.name)])
        .await;
    let mut found = found.unwrap_or_default();
    let here = project.working_dir.display().to_string();
    // Another checkout's containers of the same name are not this one's.
    found.retain(|container| container.label(labels::WORKING_DIR).is_none_or(|dir| dir == here));
    found.retain(|container| container.is_running() && !container.is_one_off() && !container.service().is_empty());
    // Two of one replica: the one that kept the name serves, the other one was on its way out.
    found.retain(|container| !container.name.contains('_') || container.label(labels::HASH).is_none());
    found
}

/// Pulls what the file wants pulled at every `up`, where a container of it runs already: one that has to start is looked after then.
/// Nothing is changed where that cannot be done.
pub(super) async fn refresh(
    running: &[Listed],
    specs: &[Arc<NodeSpec>],
    scope: &[NodeId],
    docker: &mut Docker,
) -> Result<(), v1::Outcome> {
    let runs = |spec: &&Arc<NodeSpec>| {
        let is_it = |container: &Listed| NodeId::new(container.service(), container.number()) == spec.id;
        scope.contains(&spec.id) && running.iter().any(is_it)
    };
    let mut done = BTreeSet::new();
    for spec in specs.iter().filter(runs) {
        let What::Container(plan) = &spec.what else { continue };
        let wanted = matches!(plan.image.policy, PullPolicy::Always | PullPolicy::Older(_));
        if !wanted || !done.insert(plan.image.name.clone()) {
            continue;
        }
        let pull = Pull {
            image: &plan.image.name,
            platform: plan.image.platform.as_deref(),
            policy: plan.image.policy,
            env: &plan.image.env,
        };
        match pull::ensure(&plan.engine, &pull, &mut |_| {}).await {
            Ok(image) => drop(docker.images.insert(plan.image.name.clone(), image)),
            Err(error) => {
                let help = error.help().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
                return Err(project::invalid(vec![format!(
                    "error: `{}` goes on as it is: devctl failed to {error}{help}",
                    spec.id
                )]));
            }
        }
    }
    Ok(())
}

/// Containers that are not as they would be made now, though their service's words are the same.
pub(super) fn outdated(running: &[Listed], specs: &[Arc<NodeSpec>], docker: &Docker) -> HashMap<NodeId, String> {
    let look = |container: &Listed| {
        let id = NodeId::new(container.service(), container.number());
        let spec = specs.iter().find(|spec| spec.id == id)?;
        let What::Container(plan) = &spec.what else { return None };
        let image = docker.images.get(&plan.image.name);
        let why = if container.label(labels::TOLD).is_some_and(|told| told != plan.told) {
            "the addresses that it is told have changed"
        } else if image.is_some_and(|image| image.id != container.image_id) {
            "its image has changed"
        } else {
            return None;
        };
        Some((id, why.to_owned()))
    };
    running.iter().filter_map(look).collect()
}

/// Containers that run for services that are to run in none.
pub(super) fn superseded(
    running: &[Listed],
    choices: &HashMap<String, Choice>,
    engine: Option<&Engine>,
) -> Vec<(NodeId, Engine, String)> {
    let Some(engine) = engine else { return Vec::new() };
    running
        .iter()
        .filter(|container| {
            choices
                .get(container.service())
                .is_some_and(|choice| *choice != Choice::Container)
        })
        .map(|container| {
            let id = NodeId::new(container.service(), container.number());
            (id, engine.clone(), container.id.clone())
        })
        .collect()
}

/// Whether containers call each other over edges: a file that knows devctl, or whose sources are watched, is held during reloads.
/// Any other one is left to Docker's own names, as under `docker compose`.
pub(super) fn has_edges(project: &Project) -> bool {
    let says = |extensions: &devctl_compose::model::Extensions| extensions.get("x-devctl").is_some();
    says(&project.extensions)
        || project.services.values().any(|service| {
            says(&service.extensions)
                || service
                    .develop
                    .as_ref()
                    .is_some_and(|develop| !develop.watch.is_empty())
        })
}
