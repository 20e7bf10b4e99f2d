//! From the files' words to specs: which runtime a service gets, what it is told, where its data lives.

mod address;
mod attributes;
mod container;
mod process;
mod runtime;
mod secret;
mod server;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use devctl_compose::model::{Hook, Mount, MountKind, Native, Port, Project, Publish, Service, Watch, WatchAction};
use devctl_core::NodeId;
use devctl_core::plan::{ContentHash, Swap};
use devctl_drivers::dirs::Dirs;
use devctl_drivers::docker::Engine;
use devctl_drivers::docker::pull::PullPolicy;
use indexmap::IndexMap;
use nix::sys::signal::Signal;

pub(crate) use address::{Addresses, references};
pub use attributes::Attributes;
pub(crate) use attributes::{Kind, attributes};
pub use container::{build_of, image, pull_policy};
pub(crate) use container::{builds as container_builds, image_health, is_tested as container_is_tested};
pub(crate) use container::{networks, reachable_network};
pub(crate) use process::is_tested;
pub(crate) use runtime::{Asked, Choice, Docker, Machine, choose};
pub(crate) use secret::is_secret;
pub(crate) use server::has_data;

use crate::sources;
use crate::spec::{BuildSpec, Context, HookSpec, NodeSpec, Published, SourceTree, WatchRule, What};
use crate::start;

/// What all specs of a project are made from.
pub(crate) struct Ground<'a> {
    pub(crate) project: &'a Project,
    pub(crate) dirs: &'a Dirs,
    /// Of whoever asks.
    pub(crate) caller: Arc<IndexMap<String, String>>,
    /// Where containers run.
    pub(crate) engine: Option<&'a Engine>,
    /// How each service runs.
    pub(crate) choices: &'a HashMap<String, Choice>,
    /// What each consumer is told in place of a provider's name.
    pub(crate) addresses: &'a Addresses,
    /// Variables (and more) whose values are never shown.
    pub(crate) redact: Vec<String>,
    /// In place of the files' own pull policies.
    pub(crate) pull: Option<PullPolicy>,
    /// Containers get none of the anonymous volumes of those before them.
    pub(crate) renew_volumes: bool,
}

/// The spec of one node.
pub(crate) fn node(ground: &Ground<'_>, service: &Service, id: NodeId, hash: ContentHash) -> NodeSpec {
    let mut notes = Vec::new();
    let choice = ground.choices.get(&service.name).cloned().unwrap_or(Choice::Stub);
    let mut rewrites = Vec::new();
    let mut written = environment(service);
    if let (Choice::External(_), Some(native)) = (&choice, &service.x_devctl.native) {
        // Whoever runs it elsewhere runs it as a process.
        written.extend(native.env.clone());
    }
    let environment = address::environment(ground.addresses, &service.name, &written, &mut rewrites);
    let what = match &choice {
        Choice::Process => What::Process(Box::new(process::plan(ground, service, environment, &mut rewrites))),
        Choice::Postgres(version) => What::Postgres(Box::new(server::postgres(
            ground,
            service,
            &id,
            version,
            written.clone(),
        ))),
        Choice::RabbitMq { version, management } => What::RabbitMq(Box::new(server::rabbitmq(
            ground,
            service,
            &id,
            version,
            *management,
            written.clone(),
        ))),
        Choice::Container => match ground.engine {
            Some(engine) => {
                notes.extend(container::unhonoured(ground.project, service, engine.facts()));
                let plan = container::plan(ground, service, &id, &hash, engine, &environment, &mut rewrites);
                What::Container(Box::new(plan))
            }
            None => What::Impossible {
                why: "no Docker engine is known".to_owned(),
                help: "`devctl doctor` says what was tried".to_owned(),
            },
        },
        Choice::Stub => What::Stub,
        Choice::External(ports) => What::External {
            ports: ports.clone(),
            variables: service.x_devctl.native.clone().unwrap_or_default().ports,
        },
        Choice::Impossible { why, help } => What::Impossible {
            why: why.clone(),
            help: help.clone(),
        },
    };
    if matches!(what, What::Process(_)) {
        notes.extend(attributes::passed_over(service));
    }
    notes.extend(no_patterns(ground.project, service));
    NodeSpec {
        id,
        hash,
        ports: ports(service, &what),
        published: published_ports(ground.project, service),
        image: service.image.clone(),
        container_name: match &what {
            What::Container(plan) => Some(plan.spec.name.clone()),
            _ => service.container_name.clone(),
        },
        secrets: secret::values(secret::told(&written, service.x_devctl.native.as_ref()), &ground.redact),
        redact: ground.redact.clone(),
        environment: written,
        rewrites,
        stop_signal: stop_signal(service),
        post_start: service
            .post_start
            .iter()
            .filter_map(|hook| self::hook(hook, ground.project))
            .collect(),
        pre_stop: service
            .pre_stop
            .iter()
            .filter_map(|hook| self::hook(hook, ground.project))
            .collect(),
        build: build(ground, service, &what),
        reads: reads(ground, service, &what),
        watch: match &what {
            What::Container(_) => watch(ground.project, service),
            What::Process(_) => watch_of_a_process(ground.project, service),
            _ => Vec::new(),
        },
        notes,
        what,
    }
}

/// The service's own variables; one without a value is the caller's.
fn environment(service: &Service) -> IndexMap<String, String> {
    service
        .environment
        .iter()
        .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
        .collect()
}

/// Every port that others may call it at.
pub(crate) fn declared_ports(service: &Service, choice: &Choice) -> Vec<u16> {
    let mut ports: Vec<u16> = match choice {
        Choice::Postgres(_) => vec![start::POSTGRES_PORT],
        Choice::RabbitMq { management: true, .. } => vec![start::AMQP_PORT, start::MANAGEMENT_PORT],
        Choice::RabbitMq { management: false, .. } => vec![start::AMQP_PORT],
        Choice::External(ports) => ports.keys().copied().collect(),
        _ => Vec::new(),
    };
    if matches!(choice, Choice::Process)
        && let Some(native) = &service.x_devctl.native
    {
        ports.extend(native.ports.keys());
    }
    if !matches!(choice, Choice::Process) {
        ports.extend(service.ports.iter().map(|port| port.target));
        ports.extend(
            service
                .expose
                .iter()
                .filter_map(|port| port.split('/').next()?.parse::<u16>().ok()),
        );
    }
    let mut seen = std::collections::HashSet::new();
    ports.retain(|port| seen.insert(*port));
    ports
}

fn ports(service: &Service, what: &What) -> Vec<u16> {
    let mut ports: Vec<u16> = match what {
        What::Process(plan) => plan.port_variables.keys().copied().collect(),
        What::Postgres(_) => vec![start::POSTGRES_PORT],
        What::RabbitMq(plan) if plan.management => vec![start::AMQP_PORT, start::MANAGEMENT_PORT],
        What::RabbitMq(_) => vec![start::AMQP_PORT],
        What::Container(plan) => plan.ports.clone(),
        _ => Vec::new(),
    };
    ports.extend(service.ports.iter().map(|port| port.target));
    let mut seen = std::collections::HashSet::new();
    ports.retain(|port| seen.insert(*port));
    ports
}

/// What `ports` publishes.
pub(crate) fn published_ports(project: &Project, service: &Service) -> Vec<Published> {
    let everywhere = project.x_devctl.publish == Publish::AsWritten;
    service
        .ports
        .iter()
        .filter_map(|port| published(port, everywhere))
        .collect()
}

/// A published port. Compose's `8080:80` means every interface; devctl publishes on loopback unless the file names an address or says
/// `publish: as-written`.
fn published(port: &Port, everywhere: bool) -> Option<Published> {
    let host = match port.host_ip.as_deref() {
        Some(ip) => ip.parse().ok()?,
        None if everywhere => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let ports = match port.published.as_deref().unwrap_or_default() {
        "" | "0" => Vec::new(),
        range => {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            (first.parse::<u16>().ok()?..=last.parse::<u16>().ok()?).collect()
        }
    };
    Some(Published {
        target: port.target,
        host,
        ports,
        protocol: port.protocol.clone().unwrap_or_else(|| "tcp".to_owned()),
        app_protocol: port.app_protocol.clone(),
    })
}

fn stop_signal(service: &Service) -> Signal {
    let written = service.stop_signal.as_deref().unwrap_or("SIGTERM").to_uppercase();
    let name = if written.starts_with("SIG") {
        written
    } else {
        format!("SIG{written}")
    };
    name.parse().unwrap_or(Signal::SIGTERM)
}

fn hook(hook: &Hook, project: &Project) -> Option<HookSpec> {
    Some(HookSpec {
        command: hook.command.clone().filter(|command| !command.is_empty())?,
        dir: hook
            .working_dir
            .as_ref()
            .map(|dir| project.working_dir.join(dir))
            .filter(|dir| dir.is_dir()),
        env: hook
            .environment
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
            .collect(),
        inside: hook.working_dir.clone(),
        user: hook.user.clone(),
        privileged: hook.privileged,
    })
}

/// What `develop.watch` says.
fn watch(project: &Project, service: &Service) -> Vec<WatchRule> {
    let rules = service.develop.iter().flat_map(|develop| &develop.watch);
    rules
        .map(|rule| WatchRule {
            tree: SourceTree {
                context: context(project, service),
                ..source_tree(project, rule)
            },
            action: rule.action,
            target: rule.target.clone(),
            exec: hook(&rule.exec, project),
            initial: rule.initial_sync,
        })
        .collect()
}

/// What of it is left for a process: commands to run after a change. The files are where it reads them, and one that is built is built
/// again, whatever the rule says.
fn watch_of_a_process(project: &Project, service: &Service) -> Vec<WatchRule> {
    let native = service.x_devctl.native.as_ref();
    if native.is_some_and(|native| native.build.is_some()) {
        return Vec::new();
    }
    let mut rules = watch(project, service);
    rules.retain(|rule| rule.action == WatchAction::SyncExec);
    for rule in &mut rules {
        rule.target = None;
    }
    rules
}

/// Patterns of `develop.watch` that are none.
fn no_patterns(project: &Project, service: &Service) -> Vec<String> {
    let rules = service.develop.iter().flat_map(|develop| &develop.watch);
    let told = rules.flat_map(|rule| {
        let path = normal(&project.working_dir.join(&rule.path));
        [("include", &rule.include), ("ignore", &rule.ignore)].map(|(key, written)| {
            let bad = sources::patterns(&path, written).err()?;
            Some(format!(
                "`{key}` of its `develop.watch` counts for nothing: `{}` is no pattern",
                bad.text
            ))
        })
    });
    told.flatten().collect()
}

fn source_tree(project: &Project, rule: &Watch) -> SourceTree {
    SourceTree {
        path: normal(&project.working_dir.join(&rule.path)),
        include: rule.include.clone(),
        ignore: rule.ignore.clone(),
        context: None,
    }
}

/// The context of a service's image, where it is a directory of this machine.
fn context(project: &Project, service: &Service) -> Option<Context> {
    let build = service.build.as_ref()?;
    let root = normal(&project.working_dir.join(build.context.as_deref().unwrap_or(".")));
    let dockerfile = build.dockerfile.as_deref().unwrap_or("Dockerfile");
    root.is_dir().then(|| Context {
        root,
        dockerfile: build.dockerfile_inline.is_none().then(|| dockerfile.into()),
    })
}

fn build(ground: &Ground<'_>, service: &Service, what: &What) -> Option<BuildSpec> {
    let native = service.x_devctl.native.as_ref()?;
    let What::Process(plan) = what else { return None };
    let command = native.build.clone()?;
    let dir = plan.dir.clone();
    let program = plan.command.first()?;
    let artefact = program.contains('/').then(|| normal(&dir.join(program)));
    let watch = service.develop.iter().flat_map(|develop| &develop.watch);
    let sources = watch.map(|rule| source_tree(ground.project, rule)).collect();
    Some(BuildSpec {
        command,
        dir,
        env: ground.caller.clone(),
        artefact,
        sources,
    })
}

/// What a process without a build is started again for: files whose rule says so. Those of `sync` it looks at itself.
fn reads(ground: &Ground<'_>, service: &Service, what: &What) -> Option<BuildSpec> {
    let native = service.x_devctl.native.as_ref()?;
    let What::Process(plan) = what else { return None };
    if native.build.is_some() {
        return None;
    }
    let rules = service.develop.iter().flat_map(|develop| &develop.watch);
    let sources: Vec<SourceTree> = rules
        .filter(|rule| !matches!(rule.action, WatchAction::Sync | WatchAction::SyncExec))
        .map(|rule| source_tree(ground.project, rule))
        .collect();
    (!sources.is_empty()).then(|| BuildSpec {
        command: Vec::new(),
        dir: plan.dir.clone(),
        env: ground.caller.clone(),
        artefact: None,
        sources,
    })
}

/// The path without `.` and `..`, which need not exist.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// Bind mounts: path in the container -> path here.
pub(crate) fn binds(project: &Project, service: &Service) -> IndexMap<String, PathBuf> {
    let bind = |mount: &Mount| {
        let source = mount.source.as_ref().filter(|_| mount.kind == MountKind::Bind)?;
        Some((mount.target.clone()?, normal(&project.working_dir.join(source))))
    };
    let mut binds: IndexMap<String, PathBuf> = service.volumes.iter().filter_map(bind).collect();
    for reference in &service.configs {
        let Some(source) = &reference.source else { continue };
        let Some(file) = project.configs.get(source).and_then(|config| config.file.as_ref()) else {
            continue;
        };
        let target = reference.target.clone().unwrap_or_else(|| format!("/{source}"));
        binds.insert(target, normal(&project.working_dir.join(file)));
    }
    for reference in &service.secrets {
        let Some(source) = &reference.source else { continue };
        let Some(file) = project.secrets.get(source).and_then(|secret| secret.file.as_ref()) else {
            continue;
        };
        let target = match &reference.target {
            Some(target) if target.starts_with('/') => target.clone(),
            Some(target) => format!("/run/secrets/{target}"),
            None => format!("/run/secrets/{source}"),
        };
        binds.insert(target, normal(&project.working_dir.join(file)));
    }
    binds
}

/// The default of `x-devctl.swap`: a process with ports of its own can run beside its successor, unless it shares a queue with it
/// or has a fixed name.
pub(crate) fn swap(
    service: &Service,
    choice: &Choice,
    choices: &HashMap<String, Choice>,
    addresses: &Addresses,
    has_edges: bool,
) -> Swap {
    if !matches!(choice, Choice::Process | Choice::Container) {
        return Swap::Restart;
    }
    match service.x_devctl.swap {
        Some(devctl_compose::model::Swap::Overlap) => return Swap::Overlap,
        Some(devctl_compose::model::Swap::Restart) => return Swap::Restart,
        None => {}
    }
    if *choice == Choice::Container && (!has_edges || container::stands_alone(service)) {
        return Swap::Restart;
    }
    let native = service.x_devctl.native.as_ref();
    let has_ports = *choice == Choice::Container || native.is_some_and(|native| !native.ports.is_empty());
    let calls_a_broker = references(addresses, service, *choice == Choice::Container)
        .iter()
        .any(|(provider, port)| {
            *port == Some(start::AMQP_PORT) || matches!(choices.get(provider), Some(Choice::RabbitMq { .. }))
        });
    match has_ports && !calls_a_broker && service.container_name.is_none() {
        true => Swap::Overlap,
        false => Swap::Restart,
    }
}

/// What the file says of a service as a process, where it is one: a new command is a new run. How it is built is a matter of its
/// sources.
pub(crate) fn as_process(service: &Service, choice: &Choice) -> String {
    let native = service.x_devctl.native.clone().filter(|_| *choice == Choice::Process);
    let native = native.map(|native| Native { build: None, ..native });
    native
        .and_then(|native| serde_json::to_string(&native).ok())
        .unwrap_or_default()
}

/// A digest of the files that a server is given: other init scripts make another server.
pub(crate) fn mounted(project: &Project, service: &Service) -> String {
    let mut digests = Vec::new();
    for (target, path) in binds(project, service) {
        if path.is_file() {
            digests.push(format!("{target} {:?}", crate::build::digest(&path)));
        }
    }
    digests.join("\n")
}
