//! Everything that must be read, leased and opened before the loop is asked to bring a project up. Blocking and slow things happen
//! here, never in the loop.

pub(crate) mod checkout;
mod contracts;
mod docker;
mod edges;
mod project;
mod reach;
mod shared;
mod stand_ins;
mod way;

pub(crate) use edges::Opening;
pub(crate) use stand_ins::{Promised, Reread};
pub(crate) use way::redacted;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use devctl_compose::model::{Project, Service};
use devctl_core::NodeId;
use devctl_core::engine::{Found, Up};
use devctl_core::plan::{self, ContentHash, Direction, Facts, Kind, Plan, Swap};
use devctl_drivers::dirs::Dirs;
use devctl_drivers::docker::pull::PullPolicy;
use devctl_drivers::docker::{Listed, labels};
use devctl_drivers::lease::Leases;
use devctl_edge::{Edges, Redaction};
use devctl_wire::v1;
use indexmap::IndexMap;

pub(crate) use project::{LoadedProject, load};

use crate::command::{ProjectFacts, Remark, Reply, UpCommand, Wait};
use crate::engines::Engines;
use crate::sources;
use crate::spec::{NodeSpec, What};
use crate::specify::{self, Addresses, Asked, Choice, Docker, Ground, Machine};
use crate::stubs::StandIn;
use crate::verify::beside::Subject;

/// Prepares requests; knows what is open already.
pub(crate) struct Preparer {
    dirs: Arc<Dirs>,
    leases: Leases,
    edges: Arc<Edges>,
    engines: Engines,
    /// The project as it was read last, and the edges that it asked for.
    last: Option<(Arc<Project>, edges::Wanted)>,
}

impl Preparer {
    pub(crate) fn new(dirs: Arc<Dirs>, leases: Leases, edges: Arc<Edges>, engines: Engines) -> Self {
        Self {
            dirs,
            leases,
            edges,
            engines,
            last: None,
        }
    }

    /// Reads the files and makes ready what they ask for.
    pub(crate) async fn up(
        &mut self,
        request: v1::UpRequest,
        wait: Wait,
        reply: Reply,
    ) -> Result<UpCommand, v1::Outcome> {
        let loaded = project::load(&request.source.clone().unwrap_or_default()).await?;
        self.prepare(loaded, request, wait, reply).await
    }

    /// Makes ready what a project asks for that has been read already.
    pub(crate) async fn prepare(
        &mut self,
        loaded: LoadedProject,
        request: v1::UpRequest,
        wait: Wait,
        reply: Reply,
    ) -> Result<UpCommand, v1::Outcome> {
        let source = request.source.clone().unwrap_or_default();
        let mut project = loaded.project;
        for (service, count) in &request.scale {
            if let Some(service) = project.services.get_mut(service) {
                service.scale = Some(i64::from(*count));
            }
        }
        project::check_names(&project, request.services.iter().chain(&request.stub))?;

        let caller: Arc<IndexMap<String, String>> = Arc::new(source.environment.clone().into_iter().collect());
        let path = caller.get("PATH").cloned().unwrap_or_default();
        let machine = blocking(move || Machine::look(&path)).await?;
        let runtime_of = |service: &Service| runtime_of(&source, service);
        let mut docker = docker::look(&self.engines, &project, runtime_of, &caller).await?;
        let name = project.name.clone();
        let mut remarks = Vec::new();
        if let Some(engine) = &docker.engine {
            let modes = (request.dry_run, source.strict_names);
            checkout::name(engine, &mut project, &self.dirs, modes, &mut remarks).await?;
        }
        let choices = choices(&self.dirs, &project, &request, runtime_of, &machine, &docker);
        let networks = match &docker.engine {
            Some(engine) => docker::networks(engine, &project, &choices, request.dry_run).await?,
            None => HashMap::new(),
        };

        let mut addresses = Addresses::new(&project);
        let wanted = edges::wanted(
            &project,
            &choices,
            &addresses,
            docker::has_edges(&project),
            &mut remarks,
        );
        let strict = source.strict_names;
        let opened = edges::open(
            self,
            &reach::Containers {
                project: &project,
                choices: &choices,
                networks: &networks,
                engine: docker.engine.as_ref(),
            },
            &wanted,
            (request.dry_run, strict),
            &mut addresses,
            &mut remarks,
        )
        .await?;

        words_of_a_shell(&project, &mut remarks);
        contracts::not_waited_for(&project, &choices, request.verify(), &mut remarks);
        let redact = way::redacted(&project);
        if !request.dry_run {
            let rules = Redaction::new(&redact).values(way::redacted_values(&project, &redact));
            self.edges.traffic().redact(rules);
        }
        let plan = plan(&project, &choices, &addresses, &docker, (&wanted, &request))?;
        let specs = self.specs(&project, &plan, &choices, &addresses, &caller, &docker, &request);
        let running = match &docker.engine {
            Some(engine) => docker::running(engine, &project).await,
            None => Vec::new(),
        };
        for spec in specs.iter().filter(|spec| matches!(spec.what, What::Container(_))) {
            remarks.extend(spec.notes.iter().map(|note| Remark {
                node: Some(spec.id.clone()),
                text: note.clone(),
                help: None,
            }));
        }
        let pacts_read = Instant::now();
        let stubs = stand_ins::of(
            &project,
            |provider| choices.get(provider) == Some(&Choice::Stub),
            &wanted,
            &mut remarks,
        )
        .await;
        let scope = scope(&plan, &request);
        if !request.dry_run && !request.no_recreate {
            docker::refresh(&running, &specs, &scope, &mut docker).await?;
        }
        let again = again(&plan, &request);
        let sources = stamps(&specs, &scope).await?;
        let project_facts = ProjectFacts {
            name,
            directory: project.working_dir.display().to_string(),
            compose_files: project
                .compose_files
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
        };
        let disabled: HashSet<String> = project.disabled_services.keys().cloned().collect();
        let enabled: HashSet<String> = project.services.keys().cloned().collect();
        let wanted_edges = wanted.ids();
        let project = Arc::new(project);
        let subject = Subject::new(project.clone(), source);
        let promised = Promised::new(project.clone(), &wanted);
        let contracts = crate::verify::expected::watched(&project);
        self.last = Some((project, wanted));
        Ok(UpCommand {
            up: Up {
                disabled,
                enabled,
                plan,
                scope,
                force_recreate: request.force_recreate,
                again,
                grace: request.timeout_s.map(|seconds| Duration::from_secs(seconds.into())),
                no_recreate: request.no_recreate,
                build: request.build,
                no_build: request.no_build,
                remove_orphans: request.remove_orphans,
                no_start: request.no_start,
                create: request.create,
                outdated: docker::outdated(&running, &specs, &docker),
                found: found(&running, &choices),
                sources,
            },
            specs,
            project: project_facts,
            superseded: docker::superseded(&running, &choices, docker.engine.as_ref()),
            containers: running
                .into_iter()
                .map(|container| (NodeId::new(container.service(), container.number()), container.id))
                .collect(),
            edges: opened,
            wanted_edges,
            stubs,
            pacts_read,
            promised,
            warnings: loaded.warnings,
            remarks,
            subject,
            contracts,
            files: loaded.files,
            wait,
            timeout: (request.wait_timeout_s > 0).then(|| Duration::from_secs(request.wait_timeout_s.into())),
            dry_run: request.dry_run,
            attach: request.attach,
            again: false,
            request,
            reply,
        })
    }

    /// Stand-ins for `service`, for each of its consumers.
    pub(crate) async fn stubs_of(
        &self,
        service: &str,
        remarks: &mut Vec<Remark>,
    ) -> Result<Vec<StandIn>, tonic::Status> {
        let Some((project, wanted)) = &self.last else {
            return Err(tonic::Status::failed_precondition("nothing is up: `devctl up` first"));
        };
        if !project.services.contains_key(service) {
            return Err(tonic::Status::not_found(format!("there is no service `{service}`")));
        }
        Ok(stand_ins::of(project, |provider| provider == service, wanted, remarks).await)
    }

    #[expect(clippy::too_many_arguments, reason = "what a spec is made of")]
    fn specs(
        &self,
        project: &Project,
        plan: &Plan,
        choices: &HashMap<String, Choice>,
        addresses: &Addresses,
        caller: &Arc<IndexMap<String, String>>,
        docker: &Docker,
        request: &v1::UpRequest,
    ) -> Vec<Arc<NodeSpec>> {
        let ground = Ground {
            project,
            dirs: &self.dirs,
            caller: caller.clone(),
            engine: docker.engine.as_ref(),
            choices,
            addresses,
            redact: way::redacted(project),
            pull: match request.pull.as_str() {
                "always" => Some(PullPolicy::Always),
                "missing" => Some(PullPolicy::Missing),
                "never" => Some(PullPolicy::Never),
                _ => None,
            },
            renew_volumes: request.renew_anon_volumes,
        };
        let spec = |(id, node): (&NodeId, &plan::NodePlan)| {
            let service = project.services.get(id.service())?;
            Some(Arc::new(specify::node(&ground, service, id.clone(), node.hash.clone())))
        };
        plan.nodes.iter().filter_map(spec).collect()
    }
}

/// What is asked for a service: by its own name, or for all.
fn runtime_of(source: &v1::Source, service: &Service) -> v1::Runtime {
    let own = source.runtimes.get(&service.name).copied();
    own.and_then(|own| v1::Runtime::try_from(own).ok())
        .unwrap_or_else(|| source.runtime())
}

/// The containers that are taken over: those whose service is to run in one.
fn found(running: &[Listed], choices: &HashMap<String, Choice>) -> Vec<Found> {
    running
        .iter()
        .filter(|container| choices.get(container.service()) == Some(&Choice::Container))
        .map(|container| Found {
            node: NodeId::new(container.service(), container.number()),
            hash: ContentHash(container.label(labels::HASH).unwrap_or_default().to_owned()),
            number: None,
            artefact: Some(ContentHash(container.image_id.clone())),
            paused: container.state == "paused",
        })
        .collect()
}

fn choices(
    dirs: &Dirs,
    project: &Project,
    request: &v1::UpRequest,
    runtime_of: impl Fn(&Service) -> v1::Runtime,
    machine: &Machine,
    docker: &Docker,
) -> HashMap<String, Choice> {
    let choose = |service: &Service| {
        let asked = Asked {
            runtime: runtime_of(service),
            stubbed: request.stub.contains(&service.name),
            has_data: specify::has_data(dirs, service),
        };
        (
            service.name.clone(),
            specify::choose(project, service, asked, machine, docker),
        )
    };
    project.services.values().map(choose).collect()
}

fn plan(
    project: &Project,
    choices: &HashMap<String, Choice>,
    addresses: &Addresses,
    docker: &Docker,
    (wanted, request): (&edges::Wanted, &v1::UpRequest),
) -> Result<Plan, v1::Outcome> {
    let edges = docker::has_edges(project);
    let facts = |service: &Service| {
        let choice = choices.get(&service.name).unwrap_or(&Choice::Stub);
        let native = service.x_devctl.native.as_ref();
        Facts {
            stub: matches!(choice, Choice::Stub | Choice::External(_)),
            tested: match choice {
                Choice::Postgres(_) | Choice::RabbitMq { .. } => true,
                Choice::Process => specify::is_tested(service),
                Choice::Container => specify::container_is_tested(project, service, docker),
                _ => false,
            },
            health: (*choice == Choice::Container)
                .then(|| specify::image_health(project, service, docker))
                .flatten(),
            builds: match choice {
                Choice::Process => native.is_some_and(|native| native.build.is_some()),
                Choice::Container => specify::container_builds(project, service, docker, request.build),
                _ => false,
            },
            host: docker
                .engine
                .as_ref()
                .filter(|_| *choice == Choice::Container)
                .map(|engine| engine.endpoint().host.clone()),
            swap: match wanted.is_called_directly(&service.name) {
                true => Swap::Restart,
                false => specify::swap(service, choice, choices, addresses, edges),
            },
            verify: contracts::verify(project, service, choice, request.verify()),
            tests: contracts::tests(project, service, choice, request.verify()),
            salt: format!(
                "{}\0{}\0{}",
                choice.salt(),
                specify::mounted(project, service),
                specify::as_process(service, choice)
            ),
        }
    };
    let mut plan = plan::build(project, facts).map_err(|error| {
        let help = "take one of these out of its `depends_on`";
        project::invalid(vec![format!("error: {error}\nhelp: {help}")])
    })?;
    for node in plan.nodes.values_mut().filter(|node| node.kind == Kind::Job) {
        node.swap = Swap::Restart;
    }
    Ok(plan)
}

/// A command is run as it stands, without a shell: what only a shell understands is told.
fn words_of_a_shell(project: &Project, remarks: &mut Vec<Remark>) {
    const SHELL: &[&str] = &["&&", "||", ";", "|", ">", ">>", "<", "2>&1", "&"];
    for service in project.services.values() {
        let Some(native) = &service.x_devctl.native else {
            continue;
        };
        for (key, command) in [("build", &native.build), ("command", &native.command)] {
            let odd = command
                .iter()
                .flatten()
                .find(|word| SHELL.contains(&word.as_str()) || word.ends_with(';'));
            if let Some(word) = odd {
                remarks.push(Remark {
                    node: Some(NodeId::from(service.name.as_str())),
                    text: format!("its `x-devctl.native.{key}` has `{word}`, and is not run by a shell"),
                    help: Some(format!("write `{key}: [sh, -c, \"...\"]` for a shell")),
                });
            }
        }
    }
}

/// Whom `up` is about: those that are named and what they need, or everyone.
fn scope(plan: &Plan, request: &v1::UpRequest) -> Vec<NodeId> {
    if request.services.is_empty() {
        return plan.nodes.keys().cloned().collect();
    }
    let named: Vec<NodeId> = plan
        .nodes
        .keys()
        .filter(|id| request.services.iter().any(|name| name == id.service()))
        .cloned()
        .collect();
    match request.no_deps {
        true => named,
        false => plan.reach(&named, Direction::Dependencies),
    }
}

/// The jobs that run again though they are done.
fn again(plan: &Plan, request: &v1::UpRequest) -> Vec<NodeId> {
    let is_meant = |id: &&NodeId| {
        request
            .services
            .iter()
            .chain(&request.again)
            .any(|name| name == id.service())
    };
    plan.nodes.keys().filter(is_meant).cloned().collect()
}

async fn stamps(specs: &[Arc<NodeSpec>], scope: &[NodeId]) -> Result<HashMap<NodeId, String>, v1::Outcome> {
    let built: Vec<Arc<NodeSpec>> = specs
        .iter()
        .filter(|spec| (spec.build.is_some() || spec.image_build().is_some()) && scope.contains(&spec.id))
        .cloned()
        .collect();
    blocking(move || {
        // Several services often share their sources: each tree is walked once.
        let mut known: HashMap<String, Option<String>> = HashMap::new();
        let mut stamps = HashMap::new();
        for spec in built {
            if let Some(build) = spec.image_build() {
                let stamp = build.stamp().ok().flatten();
                stamps.extend(stamp.map(|stamp| (spec.id.clone(), stamp)));
                continue;
            }
            let Some(build) = &spec.build else { continue };
            let key = format!(
                "{:?} {:?} {:?} {:?}",
                build.command, build.dir, build.artefact, build.sources
            );
            let stamp = known.entry(key).or_insert_with(|| sources::stamp(build));
            stamps.extend(stamp.clone().map(|stamp| (spec.id.clone(), stamp)));
        }
        stamps
    })
    .await
}

/// A service's name in pacts.
pub(crate) fn pacticipant(project: &Project, service: &str, provider: bool) -> String {
    let contracts = project
        .services
        .get(service)
        .and_then(|service| service.x_devctl.contracts.as_ref());
    let named = contracts.and_then(|contracts| {
        if provider {
            contracts.provider.clone()
        } else {
            contracts.consumer.clone()
        }
    });
    named.unwrap_or_else(|| service.to_owned())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, v1::Outcome> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| project::invalid(vec![format!("error: failed to prepare: {error}")]))
}
