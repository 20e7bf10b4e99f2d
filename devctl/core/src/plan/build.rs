//! From a project's files to the engine's plan.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use devctl_compose::model::{self, Project, Service};
use sha2::{Digest, Sha256};

use super::{Condition, ContentHash, Cycle, Dependency, HealthTest, Kind, NodePlan, Plan, RestartPolicy, Swap, Verify};
use crate::NodeId;

/// What is known of a service beyond the files: how it is going to run on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// It is answered from contracts.
    pub stub: bool,
    /// There is a way to test its readiness.
    pub tested: bool,
    /// The times of its test, where they come from elsewhere than the file: its image.
    pub health: Option<HealthTest>,
    /// It is built from source.
    pub builds: bool,
    /// The address of the engine that it runs in.
    pub host: Option<String>,
    /// How a new run takes the old one's place.
    pub swap: Swap,
    /// When the contracts in which it is the provider are verified.
    pub verify: Verify,
    /// Its consumer's tests are run after a reload.
    pub tests: bool,
    /// Whatever else makes it what it is: its runtime, the content of files that it is given.
    pub salt: String,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildError {
    /// Nodes wait for each other.
    Cycle(Cycle),
}

impl fmt::Display for BuildError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Cycle(cycle) => write!(out, "services wait for each other: {cycle}"),
        }
    }
}

impl std::error::Error for BuildError {}

/// The plan of every enabled service of `project`, in the files' order.
///
/// # Errors
/// Where services wait for each other.
pub fn build(project: &Project, facts: impl Fn(&Service) -> Facts) -> Result<Plan, BuildError> {
    let mut plan = Plan {
        project: project.name.clone(),
        ..Plan::default()
    };
    let replicas = |name: &str| project.services.get(name).map_or(0, Service::replicas);
    for service in project.services.values() {
        let known = facts(service);
        let hash = hash(service, &known.salt);
        for index in 1..=service.replicas() {
            let Ok(index) = u32::try_from(index) else { break };
            let id = NodeId::new(&service.name, index);
            let mut dependencies = Vec::new();
            for (name, dep) in &service.depends_on {
                let count = u32::try_from(replicas(name)).unwrap_or(u32::MAX);
                dependencies.extend((1..=count).map(|index| dependency(NodeId::new(name, index), dep)));
            }
            for name in service.x_devctl.depends_on.keys() {
                let provider = project.services.get(name);
                if provider.is_some_and(|provider| facts(provider).verify != Verify::Never) {
                    dependencies.push(verified(NodeId::from(name.as_str())));
                }
            }
            let node = NodePlan {
                kind: if known.stub {
                    Kind::Stub
                } else {
                    kind(project, &service.name)
                },
                dependencies,
                health: (known.tested && !known.stub).then(|| known.health.unwrap_or_else(|| health(service))),
                restart: restart(service),
                swap: known.swap,
                builds: known.builds,
                built_after: image_sources(project, &service.name)
                    .into_iter()
                    .map(|name| NodeId::from(name.as_str()))
                    .collect(),
                // Replicas are the same: one of them is verified for all.
                verify: if index == 1 { known.verify } else { Verify::Never },
                tests: index == 1 && known.tests,
                host: known.host.clone(),
                stop_grace: service.stop_grace_period.unwrap_or(Duration::from_secs(10)),
                ..NodePlan::new(id.clone(), hash.clone())
            };
            plan.nodes.insert(id, node);
        }
    }
    match plan.cycle() {
        Some(cycle) => Err(BuildError::Cycle(cycle)),
        None => Ok(plan),
    }
}

/// The services whose images a service's build starts from (Compose: `build.additional_contexts`, `NAME: service:OTHER`): to be built
/// before it. One that in its turn starts from the service is left out, for nobody could be first.
#[must_use]
pub fn image_sources(project: &Project, service: &str) -> Vec<String> {
    let of = |name: &str| -> Vec<String> {
        let build = project.services.get(name).and_then(|service| service.build.as_ref());
        let contexts = build.into_iter().flat_map(|build| build.additional_contexts.values());
        let named = contexts.filter_map(|context| context.strip_prefix("service:"));
        named
            .filter(|other| project.services.contains_key(*other))
            .map(str::to_owned)
            .collect()
    };
    let starts_from_it = |source: &String| {
        let mut seen = HashSet::new();
        let mut next = vec![source.clone()];
        while let Some(name) = next.pop() {
            if name == service {
                return true;
            }
            if seen.insert(name.clone()) {
                next.extend(of(&name));
            }
        }
        false
    };
    of(service)
        .into_iter()
        .filter(|source| !starts_from_it(source))
        .collect()
}

/// A job is what somebody waits for to complete.
fn kind(project: &Project, name: &str) -> Kind {
    let awaited = project.services.values().any(|other| {
        other
            .depends_on
            .get(name)
            .is_some_and(|dep| dep.condition == model::Condition::CompletedSuccessfully)
    });
    if awaited { Kind::Job } else { Kind::Service }
}

fn dependency(on: NodeId, dep: &model::DependsOn) -> Dependency {
    let condition = match dep.condition {
        model::Condition::Started => Condition::Started,
        model::Condition::Healthy => Condition::Healthy,
        model::Condition::CompletedSuccessfully => Condition::Completed,
    };
    Dependency {
        on,
        condition,
        required: dep.required,
        restart: dep.restart,
    }
}

/// `x-devctl.depends_on`: `contract_verified`.
fn verified(on: NodeId) -> Dependency {
    Dependency {
        on,
        condition: Condition::Verified,
        required: true,
        restart: false,
    }
}

/// Compose's defaults where the file says nothing (Compose specification, services: `healthcheck`).
fn health(service: &Service) -> HealthTest {
    let default = HealthTest::default();
    let Some(written) = &service.healthcheck else {
        return default;
    };
    HealthTest {
        interval: written.interval.unwrap_or(default.interval),
        timeout: written.timeout.unwrap_or(default.timeout),
        retries: written
            .retries
            .map_or(default.retries, |retries| u32::try_from(retries).unwrap_or(u32::MAX)),
        start_period: written.start_period.unwrap_or(default.start_period),
    }
}

fn restart(service: &Service) -> RestartPolicy {
    match service.restart_policy() {
        model::RestartPolicy::No => RestartPolicy::No,
        model::RestartPolicy::Always => RestartPolicy::Always,
        model::RestartPolicy::UnlessStopped => RestartPolicy::UnlessStopped,
        model::RestartPolicy::OnFailure { max_retries } => {
            RestartPolicy::OnFailure(max_retries.filter(|count| *count > 0))
        }
    }
}

/// A digest of what makes a service what it is. What only says when and how often it runs is left out, so that another
/// dependency or scale recreates nothing.
fn hash(service: &Service, salt: &str) -> ContentHash {
    let mut service = service.clone();
    service.depends_on.clear();
    service.x_devctl.depends_on.clear();
    service.profiles.clear();
    service.scale = None;
    service.build = None;
    service.develop = None;
    service.pull_policy = None;
    service.restart = None;
    service.healthcheck = None;
    if let Some(deploy) = &mut service.deploy {
        deploy.replicas = None;
    }
    let mut hasher = Sha256::new();
    hasher.update(service.to_json().to_string());
    hasher.update([0]);
    hasher.update(salt);
    ContentHash(
        hasher
            .finalize()
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}
