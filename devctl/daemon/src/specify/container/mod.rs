//! Spec of a container: what a Compose service says, in the engine's words, attribute by attribute.
//!
//! What an engine (or devctl) cannot do is gathered by [`unhonoured`], never passed over in silence.

mod build;
mod files;
mod identity;
mod kernel;
mod mounts;
mod networks;
mod resources;
mod unhonoured;

use devctl_compose::model::{Project, PullPolicy as Written, Service, WatchAction};
use devctl_core::NodeId;
use devctl_core::plan::{ContentHash, HealthTest};
use devctl_drivers::docker::pull::PullPolicy;
use devctl_drivers::docker::{ContainerSpec, Engine, Image, ImageHealth, api};
use devctl_drivers::server::Server;
use indexmap::IndexMap;

pub use build::build_of;
use identity::container_name;
pub(crate) use networks::{networks, reachable_network};
pub(super) use unhonoured::unhonoured;

use super::{Docker, Ground, address};
use crate::spec::{ContainerPlan, ImageSpec, Rewrite, Test};

/// The container of one replica. Its image's id and whatever else only a start can know are put in then.
pub(super) fn plan(
    ground: &Ground<'_>,
    service: &Service,
    id: &NodeId,
    hash: &ContentHash,
    engine: &Engine,
    environment: &IndexMap<String, String>,
    rewrites: &mut Vec<Rewrite>,
) -> ContainerPlan {
    let project = ground.project;
    let told = |words: &Option<Vec<String>>, rewrites: &mut Vec<Rewrite>| {
        words
            .as_ref()
            .map(|words| address::command(ground.addresses, &service.name, words, rewrites))
    };
    let command = told(&service.command, rewrites);
    let entrypoint = told(&service.entrypoint, rewrites);
    let name = container_name(project, service, id.index());
    let mut host = api::HostConfig::default();
    resources::limit(service, &mut host);
    kernel::isolate(project, service, &mut host);
    let volumes = mounts::mount(project, service, &mut host);
    let files = files::files(project, service, engine.facts().remote, &mut host);
    let network = networks::join(ground, service, id, engine, &mut host);
    let labels = identity::labels(project, service, id, hash);
    let body = api::ContainerCreateBody {
        hostname: service.hostname.clone(),
        domainname: service.domainname.clone(),
        user: service.user.clone(),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        exposed_ports: Some(networks::exposed(service)),
        tty: service.tty.then_some(true),
        open_stdin: service.stdin_open.then_some(true),
        env: Some(
            environment
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .chain(taken_away(service))
                .collect(),
        ),
        cmd: command,
        entrypoint,
        healthcheck: health(service),
        image: Some(image(project, service)),
        working_dir: service.working_dir.clone(),
        labels: Some(labels),
        stop_signal: service.stop_signal.clone(),
        stop_timeout: service
            .stop_grace_period
            .and_then(|grace| i64::try_from(grace.as_secs()).ok()),
        host_config: Some(host),
        ..api::ContainerCreateBody::default()
    };
    let server = service.image.as_deref().and_then(Server::recognise);
    ContainerPlan {
        engine: engine.clone(),
        project: project.name.clone(),
        spec: ContainerSpec {
            name,
            platform: service.platform.clone(),
            body,
            networks: network,
            files,
        },
        networks: networks(project, service),
        volumes,
        image: ImageSpec {
            name: image(project, service),
            policy: ground.pull.unwrap_or_else(|| pull_policy(service)),
            platform: service.platform.clone(),
            env: ground.caller.clone(),
            build: build_of(project, service).map(Box::new),
            sources: build::sources_of(project, service),
        },
        told: address::digest(ground.addresses, &service.name, rewrites),
        ports: super::declared_ports(service, &super::Choice::Container),
        test: test(service),
        server,
        missing_binds: mounts::must_exist(project, service),
        renew_volumes: ground.renew_volumes,
    }
}

/// A name without a value takes a variable of the image away.
fn taken_away(service: &Service) -> impl Iterator<Item = String> + '_ {
    let unset = service.environment.iter().filter(|(_, value)| value.is_none());
    unset.map(|(name, _)| name.clone())
}

/// The name of a service's image: as written, or what Compose calls one that is built.
#[must_use]
pub fn image(project: &Project, service: &Service) -> String {
    service
        .image
        .clone()
        .unwrap_or_else(|| format!("{}-{}", project.name, service.name))
}

/// When a service's image is pulled. One that is built is only pulled where its file says so.
#[must_use]
pub fn pull_policy(service: &Service) -> PullPolicy {
    match service.pull_policy() {
        Written::Always => PullPolicy::Always,
        Written::Never | Written::Build => PullPolicy::Never,
        Written::Missing if service.build.is_some() => PullPolicy::Never,
        Written::Missing => PullPolicy::Missing,
        Written::Refresh(age) => PullPolicy::Older(age),
    }
}

/// Whether its image is built before it starts: asked for, or there is none.
pub(crate) fn builds(project: &Project, service: &Service, docker: &Docker, asked: bool) -> bool {
    let there = docker.images.contains_key(&image(project, service));
    // One that is built again on a save is built from what is there now, or the first save would bring other changes as well.
    let rebuilt = service
        .develop
        .iter()
        .flat_map(|develop| &develop.watch)
        .any(|rule| rule.action == WatchAction::Rebuild);
    service.build.is_some() && (asked || !there || rebuilt || service.pull_policy() == Written::Build)
}

/// How its health is tested: by the file, by its image, or not at all.
fn test(service: &Service) -> Test {
    match &service.healthcheck {
        Some(check) if check.disable => Test::None,
        Some(check) => match check.test.split_first() {
            None => Test::Image,
            Some((kind, _)) if kind == "NONE" => Test::None,
            Some((kind, words)) if kind == "CMD" => Test::Command(words.to_vec()),
            Some((_, words)) => Test::Shell(words.join(" ")),
        },
        None => Test::Image,
    }
}

/// The engine is told as well, so that other tools see the container's health. What devctl goes by are its own tests.
fn health(service: &Service) -> Option<api::HealthConfig> {
    let check = service.healthcheck.as_ref()?;
    let nanos = |time: Option<std::time::Duration>| time.and_then(|time| i64::try_from(time.as_nanos()).ok());
    Some(api::HealthConfig {
        test: match check.disable {
            true => Some(vec!["NONE".to_owned()]),
            false => (!check.test.is_empty()).then(|| check.test.clone()),
        },
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        retries: check.retries.and_then(|retries| i64::try_from(retries).ok()),
        start_period: nanos(check.start_period),
        start_interval: nanos(check.start_interval),
    })
}

/// Whether there is a way to test it. An image that is not there yet may bring one: then the run says.
pub(crate) fn is_tested(project: &Project, service: &Service, docker: &Docker) -> bool {
    match test(service) {
        Test::None => false,
        Test::Command(_) | Test::Shell(_) => true,
        Test::Image => {
            let server = service.image.as_deref().and_then(Server::recognise).is_some();
            let image = docker.images.get(&image(project, service));
            server || image.is_none_or(|image| image_test(image).is_some())
        }
    }
}

/// The times of an image's own test, with those that the file says in their place.
pub(crate) fn image_health(project: &Project, service: &Service, docker: &Docker) -> Option<HealthTest> {
    if test(service) != Test::Image {
        return None;
    }
    let image = image_test(docker.images.get(&image(project, service))?)?;
    let default = HealthTest::default();
    let written = service.healthcheck.clone().unwrap_or_default();
    let retries = written.retries.or(image.retries);
    Some(HealthTest {
        interval: written.interval.or(image.interval).unwrap_or(default.interval),
        timeout: written.timeout.or(image.timeout).unwrap_or(default.timeout),
        start_period: written
            .start_period
            .or(image.start_period)
            .unwrap_or(default.start_period),
        retries: retries.map_or(default.retries, |retries| u32::try_from(retries).unwrap_or(u32::MAX)),
    })
}

fn image_test(image: &Image) -> Option<&ImageHealth> {
    image
        .health
        .as_ref()
        .filter(|health| health.test.first().is_some_and(|kind| kind.starts_with("CMD")))
}

/// Two containers of it cannot be there side by side: they would share data, a name, an address or the host's ports.
pub(super) fn stands_alone(service: &Service) -> bool {
    let fixed = service.networks.values().flatten().any(|network| {
        network.ipv4_address.is_some() || network.ipv6_address.is_some() || network.mac_address.is_some()
    });
    let writes = service.volumes.iter().any(|mount| !mount.read_only);
    let udp = service
        .ports
        .iter()
        .any(|port| port.protocol.as_deref().is_some_and(|protocol| protocol != "tcp"));
    fixed
        || writes
        || udp
        || !service.volumes_from.is_empty()
        || service.network_mode.is_some()
        || service.mac_address.is_some()
        || service.image.as_deref().and_then(Server::recognise).is_some()
}
