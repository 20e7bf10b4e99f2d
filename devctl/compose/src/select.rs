//! Which services are enabled, which are wanted, and which resources they need.

use indexmap::IndexSet;

use crate::model::{MountKind, Project, Service};
use crate::problem::{Problem, did_you_mean};

/// Disables what has profiles and none of them active.
pub(crate) fn profiles(project: &mut Project, active: &[String]) {
    let enabled =
        |declared: &[String]| declared.is_empty() || active.iter().any(|name| name == "*" || declared.contains(name));
    project.services.append(&mut project.disabled_services);
    project.jobs.append(&mut project.disabled_jobs);
    let (on, off) = std::mem::take(&mut project.services)
        .into_iter()
        .partition(|(_, service)| enabled(&service.profiles));
    (project.services, project.disabled_services) = (on, off);
    let (on, off) = std::mem::take(&mut project.jobs)
        .into_iter()
        .partition(|(_, job)| enabled(&job.profiles));
    (project.jobs, project.disabled_jobs) = (on, off);
    project.profiles = active.to_vec();
}

/// Enables the profiles of services that are named.
pub(crate) fn enable(project: &mut Project, names: &[String]) {
    let implied: Vec<String> = names
        .iter()
        .filter_map(|name| {
            project
                .disabled_services
                .get(name)
                .filter(|_| !project.services.contains_key(name))
        })
        .flat_map(|service| service.profiles.clone())
        .collect();
    let active: Vec<String> = project.profiles.iter().cloned().chain(implied).collect();
    profiles(project, &active);
}

/// Keeps the services that are named, and what they depend on. A name may be a pattern with `*` and `?`.
///
/// # Errors
/// Where there is no such service.
pub(crate) fn services(project: &mut Project, names: &[String]) -> Result<(), Problem> {
    if names.is_empty() {
        return Ok(());
    }
    enable(project, names);
    let mut wanted = IndexSet::new();
    let mut open: Vec<(String, bool)> = names.iter().map(|name| (name.clone(), true)).collect();
    while let Some((name, required)) = open.pop() {
        let found: Vec<&Service> = project
            .services
            .values()
            .filter(|service| matches(&name, &service.name))
            .collect();
        if found.is_empty() && required {
            let help = did_you_mean(&name, project.all_services().map(|service| service.name.as_str()));
            return Err(Problem::error(format!("there is no service `{name}`")).maybe_help(help));
        }
        for service in found {
            if wanted.insert(service.name.clone()) {
                open.extend(
                    service
                        .depends_on
                        .iter()
                        .map(|(name, dependency)| (name.clone(), dependency.required)),
                );
            }
        }
    }
    let (mut on, off): (indexmap::IndexMap<_, _>, indexmap::IndexMap<_, _>) = std::mem::take(&mut project.services)
        .into_iter()
        .partition(|(name, _)| wanted.contains(name));
    for service in on.values_mut() {
        service.depends_on.retain(|name, _| wanted.contains(name));
    }
    project.services = on;
    project.disabled_services.extend(off);
    Ok(())
}

/// Whether a name fits a pattern in which `*` is any text and `?` any character.
fn matches(pattern: &str, name: &str) -> bool {
    match pattern.chars().next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = &pattern[1..];
            name.char_indices()
                .map(|(at, _)| at)
                .chain([name.len()])
                .any(|at| matches(rest, &name[at..]))
        }
        Some(first) => {
            let mut characters = name.chars();
            characters.next().is_some_and(|character| {
                (first == '?' || first == character) && matches(&pattern[first.len_utf8()..], characters.as_str())
            })
        }
    }
}

/// Drops networks, volumes, secrets, configs and models that no enabled service uses.
pub(crate) fn used_resources(project: &mut Project) {
    let mut used = Used::default();
    for service in project.services.values() {
        used.networks.extend(service.networks.keys().cloned());
        used.models.extend(service.models.keys().cloned());
        let volumes = service.volumes.iter().filter(|mount| mount.kind == MountKind::Volume);
        used.volumes.extend(volumes.filter_map(|mount| mount.source.clone()));
        let secrets = service
            .secrets
            .iter()
            .chain(service.build.iter().flat_map(|build| &build.secrets));
        used.secrets.extend(secrets.filter_map(|secret| secret.source.clone()));
        used.configs
            .extend(service.configs.iter().filter_map(|config| config.source.clone()));
    }
    project.networks.retain(|name, _| used.networks.contains(name));
    project.volumes.retain(|name, _| used.volumes.contains(name));
    project.secrets.retain(|name, _| used.secrets.contains(name));
    project.configs.retain(|name, _| used.configs.contains(name));
    project.models.retain(|name, _| used.models.contains(name));
}

#[derive(Default)]
struct Used {
    networks: IndexSet<String>,
    volumes: IndexSet<String>,
    secrets: IndexSet<String>,
    configs: IndexSet<String>,
    models: IndexSet<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit() {
        for (pattern, name, want) in [
            ("web", "web", true),
            ("w*", "web", true),
            ("*b", "web", true),
            ("w?b", "web", true),
            ("w?", "web", false),
        ] {
            assert_eq!(matches(pattern, name), want, "{pattern} {name}");
        }
    }
}
