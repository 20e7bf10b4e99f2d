//! References that lead nowhere, and attributes that contradict each other, in the project as a whole.

use std::collections::HashMap;

use super::graph;
use crate::model::*;
use crate::problem::{Problem, Problems, did_you_mean};
use crate::tree::{Node, Span};

/// Checks everything, and makes `deploy.replicas` what `scale` says.
pub(crate) fn check(project: &mut Project, tree: &Node, problems: &mut Problems) {
    let mut cx = Checker {
        project,
        tree,
        problems,
        path: Vec::new(),
    };
    for service in project.services.values() {
        cx.path = vec!["services".to_owned(), service.name.clone()];
        cx.service(service);
    }
    for job in project.jobs.values() {
        cx.path = vec!["jobs".to_owned(), job.name.clone()];
        cx.job(job);
    }
    for name in project.jobs.keys().chain(project.disabled_jobs.keys()) {
        if project.service(name).is_some() {
            cx.path = vec!["jobs".to_owned(), name.clone()];
            cx.say(
                &[],
                format!("`{name}` is a service and a job; a name can be only one of them"),
            );
        }
    }
    for (name, secret) in &project.secrets {
        if !secret.external && secret.file.is_none() && secret.environment.is_none() {
            cx.path = vec!["secrets".to_owned(), name.clone()];
            let problem = Problem::error(format!("the secret `{name}` must have `file` or `environment`"));
            // Without these the rules of the mapping itself have told it.
            let written = cx.tree.get("secrets").and_then(|all| all.get(name));
            let told = !["file", "environment", "driver", "external"]
                .iter()
                .any(|key| written.is_some_and(|secret| secret.get(key).is_some()));
            if !told && !cx.is_wrong(&[]) {
                cx.report(
                    &[],
                    problem.lacks(&format!("secrets.{name}"), ["file", "environment", "external"]),
                );
            }
        }
    }
    cx.path = Vec::new();
    let edges = &project.x_devctl.edges;
    cx.extension("the project", &["edges"], edges.providers.keys());
    if let Some(cycle) = graph::cycle(project) {
        cx.path = vec!["services".to_owned(), cycle[0].clone()];
        let next = cycle.get(1).cloned().unwrap_or_default();
        cx.say(
            &["depends_on", &next],
            format!("services wait for each other: {}", cycle.join(" -> ")),
        );
    }
    for service in project.services.values_mut() {
        if let (Some(scale), Some(deploy)) = (service.scale, &mut service.deploy) {
            deploy.replicas = Some(scale);
        }
    }
}

/// Refuses a container name that two services have.
pub(crate) fn check_container_names(project: &Project, tree: &Node, problems: &mut Problems) {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for service in project.services.values() {
        let Some(name) = &service.container_name else { continue };
        if let Some(owner) = owners.insert(name, &service.name) {
            let path = vec!["services".to_owned(), service.name.clone()];
            let mut cx = Checker {
                project,
                tree,
                problems,
                path,
            };
            cx.say(
                &["container_name"],
                format!("the container name `{name}` is that of `{owner}` already"),
            );
        }
    }
}

struct Checker<'a> {
    project: &'a Project,
    tree: &'a Node,
    problems: &'a mut Problems,
    path: Vec<String>,
}

impl Checker<'_> {
    /// Reports a problem at the nearest place that is written.
    fn say(&mut self, rest: &[&str], message: String) {
        self.report(rest, Problem::error(message));
    }

    fn report(&mut self, rest: &[&str], problem: Problem) {
        let steps = self.path.iter().map(String::as_str).chain(rest.iter().copied());
        self.problems.push(match place(self.tree, steps) {
            Some(at) => problem.at(at),
            None => problem,
        });
    }

    /// Reports a reference to something in `section` that is not there.
    fn undefined<'k>(
        &mut self,
        rest: &[&str],
        section: &'static str,
        name: &str,
        known: impl Iterator<Item = &'k String>,
    ) {
        let owner = self.path[1].clone();
        let help = did_you_mean(name, known.map(String::as_str));
        let kind = section.trim_end_matches('s');
        let problem = Problem::error(format!("`{owner}` refers to the {kind} `{name}`, which is not defined"));
        self.report(rest, problem.maybe_help(help).undefined(section, name));
    }

    /// The step to the item of a list that has this source.
    fn item(&self, keys: &[&str], source: &str) -> String {
        let steps = self.path.iter().map(String::as_str).chain(keys.iter().copied());
        let list = steps.into_iter().try_fold(self.tree, |node, step| node.get(step));
        let mut items = list.and_then(Node::as_list).into_iter().flatten();
        let index = items.position(|item| item.get("source").and_then(Node::as_text) == Some(source));
        index.map_or_else(String::new, |index| format!("[{index}]"))
    }

    /// Whether something was found wrong with the value at a path: what seems to follow from it may not.
    fn is_wrong(&self, rest: &[&str]) -> bool {
        let steps = self.path.iter().map(String::as_str).chain(rest.iter().copied());
        let found = steps
            .into_iter()
            .try_fold(self.tree, |node, step| child(node, step).map(|(_, node)| node));
        found.is_some_and(|node| self.problems.any_within(node.at))
    }

    fn service(&mut self, service: &Service) {
        let project = self.project;
        let sources = ["image", "build", "provider"];
        let node = self.tree.get("services").and_then(|all| all.get(&service.name));
        if node.is_some_and(|node| self.problems.is_wrong(node.at)) {
            return;
        }
        if service.build.is_none()
            && service.image.is_none()
            && service.provider.is_none()
            && !sources.iter().any(|key| self.is_wrong(&[key]))
        {
            let problem = Problem::error(format!(
                "the service `{}` has neither `image` nor `build`",
                service.name
            ));
            let path = self.path.join(".");
            self.report(&[], problem.lacks(&path, sources.into_iter().chain(["extends"])));
        }
        if let Some(build) = &service.build {
            self.build(service, build);
        }
        if service.network_mode.is_some() && !service.networks.is_empty() {
            self.say(
                &["network_mode"],
                format!("`{}` has both `network_mode` and `networks`", service.name),
            );
        }
        for network in service
            .networks
            .keys()
            .filter(|name| !project.networks.contains_key(*name))
        {
            self.undefined(&["networks", network], "networks", network, project.networks.keys());
        }
        if let Some(first) = service.healthcheck.as_ref().and_then(|check| check.test.first())
            && !matches!(first.as_str(), "CMD" | "CMD-SHELL" | "NONE")
        {
            self.say(
                &["healthcheck", "test"],
                format!("a health check begins with `CMD`, `CMD-SHELL` or `NONE`, not with `{first}`"),
            );
        }
        self.dependencies(&service.depends_on, false);
        if let Some(shared) = service
            .network_mode
            .as_deref()
            .and_then(|mode| mode.strip_prefix("service:"))
            && !project.services.contains_key(shared)
        {
            self.undefined(&["network_mode"], "services", shared, project.services.keys());
        }
        self.references(service);
        self.limits(service);
        let watch = service.develop.iter().flat_map(|develop| &develop.watch);
        for rule in watch {
            if rule.target.is_none()
                && !self.is_wrong(&["develop"])
                && !matches!(rule.action, WatchAction::Rebuild | WatchAction::Restart)
            {
                self.say(
                    &["develop", "watch"],
                    format!("a watch rule of `{}` that copies has no `target`", service.name),
                );
            }
        }
        self.mounts(service);
        let owner = format!("`{}`", service.name);
        self.extension(&owner, &["edges"], service.x_devctl.edges.providers.keys());
        self.extension(&owner, &["depends_on"], service.x_devctl.depends_on.keys());
    }

    /// Refuses names in `x-devctl` that no service has.
    fn extension<'k>(&mut self, owner: &str, keys: &[&str], names: impl Iterator<Item = &'k String>) {
        let project = self.project;
        for name in names.filter(|name| project.service(name).is_none()) {
            let help = did_you_mean(name, project.all_services().map(|service| service.name.as_str()));
            let place = keys.join(".");
            let message = format!("`{place}` of {owner} names the service `{name}`, which is not defined");
            let way: Vec<&str> = std::iter::once(crate::extension::KEY)
                .chain(keys.iter().copied())
                .chain([name.as_str()])
                .collect();
            self.report(
                &way,
                Problem::error(message).maybe_help(help).undefined("services", name),
            );
        }
    }

    fn build(&mut self, service: &Service, build: &Build) {
        let project = self.project;
        if build.dockerfile_inline.is_some() && build.dockerfile.is_some() {
            let name = &service.name;
            self.say(
                &["build", "dockerfile"],
                format!("`{name}` has both `dockerfile` and `dockerfile_inline`"),
            );
        }
        for (key, context) in &build.additional_contexts {
            let Some(target) = context.strip_prefix("service:") else {
                continue;
            };
            match project.service(target) {
                None => self.undefined(
                    &["build", "additional_contexts", key],
                    "services",
                    target,
                    project.services.keys(),
                ),
                Some(other) if other.build.is_none() && !self.problems.any() => {
                    let message = format!(
                        "`{}` takes `{target}` as a build context, which is not built",
                        service.name
                    );
                    self.say(&["build", "additional_contexts", key], message);
                }
                Some(_) => {}
            }
        }
        if let Some(platform) = service
            .platform
            .as_ref()
            .filter(|platform| !build.platforms.is_empty() && !build.platforms.contains(platform))
        {
            self.say(
                &["build", "platforms"],
                format!(
                    "`build.platforms` of `{}` does not have its `platform`, `{platform}`",
                    service.name
                ),
            );
        }
        let empty = String::new();
        for source in build
            .secrets
            .iter()
            .map(|secret| secret.source.as_ref().unwrap_or(&empty))
        {
            if !project.secrets.contains_key(source) {
                let item = self.item(&["build", "secrets"], source);
                self.undefined(&["build", "secrets", &item], "secrets", source, project.secrets.keys());
            }
        }
    }

    fn dependencies(&mut self, dependencies: &indexmap::IndexMap<String, DependsOn>, of_job: bool) {
        let project = self.project;
        for (name, dependency) in dependencies {
            if project.services.contains_key(name) || (of_job && project.jobs.contains_key(name)) {
                continue;
            }
            if let Some(disabled) = project.disabled_services.get(name) {
                if dependency.required {
                    let message = format!(
                        "`{}` depends on `{name}`, which is only there with a profile",
                        self.path[1]
                    );
                    let profiles = disabled
                        .profiles
                        .iter()
                        .map(|profile| format!("`--profile {profile}`"))
                        .collect::<Vec<_>>()
                        .join(" or ");
                    self.report(
                        &["depends_on", name],
                        Problem::error(message).help(format!("enable it with {profiles}, or write `required: false`")),
                    );
                }
            } else if project.jobs.contains_key(name) {
                let message = format!(
                    "`{}` depends on the job `{name}`, but services can only depend on services",
                    self.path[1]
                );
                self.say(&["depends_on", name], message);
            } else {
                self.undefined(&["depends_on", name], "services", name, project.services.keys());
            }
        }
    }

    fn references(&mut self, service: &Service) {
        let project = self.project;
        let volumes = service.volumes.iter().filter(|mount| mount.kind == MountKind::Volume);
        for source in volumes.filter_map(|mount| mount.source.as_ref()) {
            if !project.volumes.contains_key(source) {
                let item = self.item(&["volumes"], source);
                if self.is_wrong(&["volumes", &item]) {
                    continue;
                }
                self.undefined(&["volumes", &item], "volumes", source, project.volumes.keys());
            }
        }
        let empty = String::new();
        for source in service
            .configs
            .iter()
            .map(|config| config.source.as_ref().unwrap_or(&empty))
        {
            if !project.configs.contains_key(source) {
                let item = self.item(&["configs"], source);
                self.undefined(&["configs", &item], "configs", source, project.configs.keys());
            }
        }
        for source in service
            .secrets
            .iter()
            .map(|secret| secret.source.as_ref().unwrap_or(&empty))
        {
            if !project.secrets.contains_key(source) {
                let item = self.item(&["secrets"], source);
                self.undefined(&["secrets", &item], "secrets", source, project.secrets.keys());
            }
        }
        for model in service.models.keys().filter(|name| !project.models.contains_key(*name)) {
            self.undefined(&["models", model], "models", model, project.models.keys());
        }
    }

    fn limits(&mut self, service: &Service) {
        if self.is_wrong(&["deploy"]) {
            return;
        }
        let name = &service.name;
        let both = |a: &str, b: &str| format!("`{name}` has `{a}` and another `deploy.{b}`");
        let replicas = service.deploy.as_ref().and_then(|deploy| deploy.replicas);
        if let (Some(scale), Some(replicas)) = (service.scale, replicas)
            && scale != replicas
        {
            self.say(&["scale"], both("scale", "replicas"));
        }
        if service.scale.is_some_and(|scale| scale < 0) {
            self.say(&["scale"], format!("`scale` of `{name}` is below 0"));
        }
        if service.scale.or(replicas).is_some_and(|count| count < 0) {
            self.say(
                &["deploy", "replicas"],
                format!("`deploy.replicas` of `{name}` is below 0"),
            );
        }
        if let Some(deploy) = &service.deploy {
            if let Some(limits) = &deploy.resources.limits {
                if service.cpus != 0.0 && service.cpus != limits.cpus {
                    self.say(&["cpus"], both("cpus", "resources.limits.cpus"));
                }
                if service.mem_limit.0 != 0 && service.mem_limit != limits.memory {
                    self.say(&["mem_limit"], both("mem_limit", "resources.limits.memory"));
                }
                if service.pids_limit != 0 && service.pids_limit != limits.pids {
                    self.say(&["pids_limit"], both("pids_limit", "resources.limits.pids"));
                }
            }
            if let Some(reservations) = &deploy.resources.reservations
                && service.mem_reservation.0 != 0
                && service.mem_reservation != reservations.memory
            {
                self.say(
                    &["mem_reservation"],
                    both("mem_reservation", "resources.reservations.memory"),
                );
            }
        }
        if service.container_name.is_some() && service.scale.or(replicas).unwrap_or(1) > 1 {
            self.say(
                &["container_name"],
                format!("`{name}` has a `container_name` and more than one container"),
            );
        }
    }

    fn mounts(&mut self, service: &Service) {
        let mut known: HashMap<&str, String> = HashMap::new();
        let tmpfs = service
            .tmpfs
            .iter()
            .enumerate()
            .map(|(index, text)| ("tmpfs", index, text.split(':').next().unwrap_or_default()));
        let volumes = service
            .volumes
            .iter()
            .enumerate()
            .map(|(index, mount)| ("volumes", index, mount.target.as_deref().unwrap_or_default()));
        for (key, index, target) in tmpfs.chain(volumes) {
            if target.is_empty() && self.problems.any() {
                continue;
            }
            let place = format!("{key}[{index}]");
            match known.get(target) {
                Some(first) => {
                    let message = format!("`{}` mounts `{target}` twice: as {first} and as {place}", service.name);
                    self.say(&[key, &format!("[{index}]")], message);
                }
                None => {
                    known.insert(target, place);
                }
            }
        }
    }

    fn job(&mut self, job: &Job) {
        self.dependencies(&job.depends_on, true);
    }
}

/// Where the last written step of a path stands.
fn place<'s>(tree: &Node, steps: impl Iterator<Item = &'s str>) -> Option<Span> {
    let mut node = tree;
    let mut at = None;
    for step in steps {
        let Some((span, inner)) = child(node, step) else { break };
        at = Some(span);
        node = inner;
    }
    at
}

/// What is one step further down, and where it stands: a mapping's entry by its key, a list's item by `[position]`.
fn child<'n>(node: &'n Node, step: &str) -> Option<(Span, &'n Node)> {
    match step.strip_prefix('[').and_then(|step| step.strip_suffix(']')) {
        Some(index) => {
            let item = node.as_list()?.get(index.parse::<usize>().ok()?)?;
            Some((item.at, item))
        }
        None => node.as_map()?.get(step).map(|entry| (entry.key, &entry.node)),
    }
}
