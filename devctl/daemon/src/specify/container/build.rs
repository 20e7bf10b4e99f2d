//! How a service's image is built: the file's words in the driver's.

use devctl_compose::model::{Project, Service, Ulimit};
use devctl_core::plan::image_sources;
use devctl_drivers::docker::build::{Build, BuildSecret, Dockerfile};
use devctl_drivers::docker::labels;

use super::super::normal;

/// The services whose images a service's build starts from, each with all that has to be built for it, itself last.
pub(super) fn sources_of(project: &Project, service: &Service) -> Vec<(String, Vec<Build>)> {
    fn add(project: &Project, name: &str, all: &mut Vec<String>) {
        if !all.iter().any(|there| there == name) {
            for source in image_sources(project, name) {
                add(project, &source, all);
            }
            all.push(name.to_owned());
        }
    }
    let sources = image_sources(project, &service.name).into_iter();
    let builds = sources.map(|source| {
        let mut names = Vec::new();
        add(project, &source, &mut names);
        let services = names.iter().filter_map(|name| project.services.get(name));
        let builds = services.filter_map(|service| build_of(project, service)).collect();
        (source, builds)
    });
    builds.collect()
}

/// How a service's image is built; `None` where the file does not say.
#[must_use]
pub fn build_of(project: &Project, service: &Service) -> Option<Build> {
    let written = service.build.as_ref()?;
    let context = written.context.clone().unwrap_or_else(|| ".".to_owned());
    let far = ["://", "git@"].iter().any(|sign| context.contains(sign)) || context.starts_with("github.com/");
    let here = |path: &str| normal(&project.working_dir.join(path)).display().to_string();
    let context = if far { context } else { here(&context) };
    let dockerfile = match (&written.dockerfile_inline, &written.dockerfile) {
        (Some(text), _) => Dockerfile::Inline(text.clone()),
        (None, Some(path)) => Dockerfile::File(path.into()),
        (None, None) => Dockerfile::default(),
    };
    // An argument without a value is the caller's.
    let args = written.args.iter().filter_map(|(name, value)| {
        let value = value.clone().or_else(|| project.environment.get(name).cloned())?;
        Some((name.clone(), value))
    });
    let mut all = written.labels.clone();
    all.extend([
        (labels::PROJECT.to_owned(), project.name.clone()),
        (labels::SERVICE.to_owned(), service.name.clone()),
        (labels::VERSION.to_owned(), labels::COMPOSE_VERSION.to_owned()),
        (labels::DIR.to_owned(), project.working_dir.display().to_string()),
    ]);
    let secrets = written.secrets.iter().filter_map(|reference| {
        let key = reference.source.as_ref()?;
        let secret = project.secrets.get(key)?;
        let given = match (&secret.file, &secret.content) {
            (Some(file), _) => BuildSecret::File(normal(&project.working_dir.join(file))),
            // Of `content`, or of the caller's variable that `environment` names.
            (None, Some(value)) => BuildSecret::Value(value.clone()),
            (None, None) => return None,
        };
        let id = reference.target.clone().unwrap_or_else(|| key.clone());
        Some((id, given))
    });
    let contexts = written.additional_contexts.iter().map(|(name, value)| {
        let place = match value.strip_prefix("service:") {
            Some(other) => match project.service(other) {
                Some(other) => format!("docker-image://{}", super::image(project, other)),
                None => value.clone(),
            },
            None if value.contains("://") => value.clone(),
            None => here(value),
        };
        (name.clone(), place)
    });
    let ssh = written.ssh.0.iter().map(|(id, path)| {
        let path = path.as_ref().filter(|path| !path.is_empty());
        (id.clone(), path.map(|path| normal(&project.working_dir.join(path))))
    });
    let hosts = written.extra_hosts.0.iter();
    let ulimits = written.ulimits.iter().map(|(name, limit)| match limit {
        Ulimit::Single(both) => (name.clone(), (*both, *both)),
        Ulimit::Pair { soft, hard } => (name.clone(), (*soft, *hard)),
    });
    Some(Build {
        context,
        dockerfile,
        args: args.collect(),
        target: written.target.clone(),
        labels: all,
        cache_from: written.cache_from.clone(),
        extra_hosts: hosts
            .flat_map(|(name, addresses)| addresses.iter().map(move |address| format!("{name}:{address}")))
            .collect(),
        network: written.network.clone(),
        shm_size: u64::try_from(written.shm_size.0).ok().filter(|size| *size > 0),
        ulimits: ulimits.collect(),
        no_cache: written.no_cache,
        no_cache_filter: written.no_cache_filter.clone(),
        pull: written.pull,
        image: super::image(project, service),
        tags: written.tags.clone(),
        platform: service.platform.clone().or_else(|| written.platforms.first().cloned()),
        secrets: secrets.collect(),
        additional_contexts: contexts.collect(),
        ssh: ssh.collect(),
        privileged: written.privileged,
        entitlements: written.entitlements.clone(),
    })
}
