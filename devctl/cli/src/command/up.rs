//! `up`: make the project what its files say; in the foreground, stay with its logs until Ctrl-C takes it down.

use std::collections::HashMap;

use clap::{Args, ValueEnum};
use devctl_compose::model::{Condition, DependsOn};
use devctl_wire::v1::{LogQuery, NodeStatus, State, StatusRequest, UpRequest, VerifyWhen};
use nix::sys::signal::Signal;

use super::create::Create;
use super::test::Start;
use crate::args::{Services, TalkFormat};
use crate::client;
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::render::{Show, logs::LogStyle};
use crate::session::{self, Close, OnSignal, Session};

/// Create and start services, and follow their logs; Ctrl-C takes them down
#[derive(Args, Debug, Default)]
pub(crate) struct Up {
    #[command(flatten)]
    services: Services,

    /// Leave the services running and return
    #[arg(short, long, conflicts_with_all = ["abort_on_container_exit", "abort_on_container_failure", "exit_code_from"])]
    detach: bool,

    /// Return when all services are ready (jobs: completed), or as soon as one fails; implies --detach
    #[arg(long)]
    wait: bool,

    /// How long to wait [default: as long as it takes]
    #[arg(long, value_name = "SECONDS", requires = "wait")]
    wait_timeout: Option<u32>,

    /// Build before starting, even what looks built
    #[arg(long, conflicts_with = "no_build")]
    build: bool,

    /// Never build
    #[arg(long)]
    no_build: bool,

    /// Leave out what the named services depend on
    #[arg(long)]
    no_deps: bool,

    /// Recreate services even if nothing about them changed
    #[arg(long, conflicts_with = "no_recreate")]
    force_recreate: bool,

    /// Keep services that run, even if they changed
    #[arg(long)]
    no_recreate: bool,

    /// Create, but do not start
    #[arg(long, conflicts_with_all = ["wait", "detach"])]
    no_start: bool,

    /// Remove what runs and is no longer in the files
    #[arg(long)]
    remove_orphans: bool,

    /// When images are pulled [default: as the files say]
    #[arg(long, value_name = "POLICY", value_parser = ["always", "missing", "never", "policy"])]
    pull: Option<String>,

    /// What takes a container's place gets new anonymous volumes, instead of that one's
    #[arg(short = 'V', long)]
    renew_anon_volumes: bool,

    /// Grace period of what is replaced, seconds [default: as the files say]
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u32>,

    /// Recreate also what the named services depend on
    #[arg(long, conflicts_with = "no_recreate")]
    always_recreate_deps: bool,

    /// Show also the logs of what the named services depend on
    #[arg(long)]
    attach_dependencies: bool,

    /// Docker Compose's ways to say what devctl does anyway: it asks nothing, watches sources, tells little of pulls and builds
    #[arg(short = 'y', long, hide = true)]
    yes: bool,
    #[arg(short, long, hide = true)]
    watch: bool,
    #[arg(long, hide = true)]
    quiet_pull: bool,
    #[arg(long, hide = true)]
    quiet_build: bool,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    menu: Option<bool>,

    /// Number of replicas of a service; may be given several times
    #[arg(long, value_name = "SERVICE=NUM", value_parser = super::scale::count)]
    scale: Vec<(String, u32)>,

    /// Answer this service from its contracts instead of running it; may be given several times
    #[arg(long, value_name = "SERVICE", add = crate::complete::services())]
    stub: Vec<String>,

    /// When contracts are verified beside what runs: once when all is ready and after each reload, after each reload, or never
    /// [default: as `x-devctl.contracts.verify` says, else always]
    #[arg(long, value_enum, value_name = "WHEN")]
    verify: Option<When>,

    /// Verify no contracts: --verify never
    #[arg(long, conflicts_with = "verify")]
    no_verify: bool,

    /// Take everything down when a service ends
    #[arg(long)]
    abort_on_container_exit: bool,

    /// Take everything down when a service fails
    #[arg(long)]
    abort_on_container_failure: bool,

    /// End with this service's exit status; implies --abort-on-container-exit
    #[arg(long, value_name = "SERVICE", add = crate::complete::services())]
    exit_code_from: Option<String>,

    /// Show the logs of these services only
    #[arg(long, value_name = "SERVICE", add = crate::complete::services())]
    attach: Vec<String>,

    /// Do not show the logs of these services
    #[arg(long, value_name = "SERVICE", add = crate::complete::services())]
    no_attach: Vec<String>,

    /// No colours in logs
    #[arg(long)]
    no_color: bool,

    /// No service names before log lines
    #[arg(long)]
    no_log_prefix: bool,

    /// The time before each log line
    #[arg(long)]
    timestamps: bool,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

/// No service can have this name.
const NOBODY: &str = "/";

/// The kind of a node that others wait for to complete.
const JOB: &str = "job";

/// When contracts are verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    /// Once when all is ready, and after each reload
    Always,
    /// After each reload
    Save,
    /// Never
    Never,
}

impl Up {
    /// Of these services, left running.
    pub(super) fn detached(services: Vec<String>) -> Self {
        Self {
            services: Services { services },
            detach: true,
            ..Self::default()
        }
    }

    /// `test`: a copy, waited for; its contracts are verified elsewhere.
    pub(super) fn copied(start: Start) -> Self {
        Self {
            stub: start.stub,
            build: start.build,
            no_build: start.no_build,
            wait: true,
            wait_timeout: start.wait_timeout,
            no_verify: true,
            ..Self::detached(start.services)
        }
    }

    /// `scale`: of these services so many replicas, and nothing else of them is changed.
    pub(super) fn scaled(scale: Vec<(String, u32)>, no_deps: bool) -> Self {
        Self {
            no_deps,
            no_recreate: true,
            scale: scale.clone(),
            ..Self::detached(scale.into_iter().map(|(service, _)| service).collect())
        }
    }

    /// `create`: made ready, and not started.
    pub(super) fn created(create: Create) -> Self {
        // Compose's word for it: an image that can be built is built anew.
        let pull_builds = create.pull.as_deref() == Some("build");
        Self {
            services: create.services,
            build: create.build || pull_builds,
            no_build: create.no_build,
            force_recreate: create.force_recreate,
            no_recreate: create.no_recreate,
            pull: create.pull.filter(|_| !pull_builds),
            remove_orphans: create.remove_orphans,
            scale: create.scale,
            no_start: true,
            ..Self::default()
        }
    }

    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let scaled = self.scale.iter().map(|(service, _)| service);
        let named = [&self.services.services, &self.stub].into_iter().flatten();
        let project = context.project_of(named.chain(&self.exit_code_from).chain(scaled))?;
        project.check_services(self.attach.iter().chain(&self.no_attach))?;
        project.has_services()?;
        context.block_on(self.converse(context, &project))
    }

    async fn converse(self, context: &Context, project: &Project) -> Result<Exit, Error> {
        // Before anything can be printed, so that the first lines are not lost.
        let since = jiff::Timestamp::now();
        let attached = !(self.detach || self.wait || context.global.dry_run || self.no_start);
        let mut request = self.request(context, project, attached);
        let mut client = client::find_or_start(project).await?;
        self.keep_replicas(&mut client, &mut request).await?;
        let updates = match client.up(request.clone()).await {
            // A daemon with nothing to do ends itself, and this one was just about to.
            Err(status) if status.code() == tonic::Code::Unavailable => {
                client = client::find_or_start(project).await?;
                client.up(request).await
            }
            answer => answer,
        };
        let updates = updates?.into_inner();
        let mut render = context.renderer(Show {
            logs: LogStyle {
                no_prefix: self.no_log_prefix,
                timestamps: self.timestamps,
                no_color: self.no_color,
            },
            plan: context.global.dry_run,
            quiet: false,
        });
        let mut ended: Option<NodeStatus> = None;
        let mut watcher = |status: &NodeStatus| {
            let ends = self.ends(status);
            if ends && ended.is_none() {
                ended = Some(status.clone());
            }
            ends
        };
        let session = Session {
            render: &mut *render,
            on_signal: if attached {
                OnSignal::Release
            } else {
                OnSignal::Leave("left; what was started goes on, and `devctl down` ends it")
            },
            attach: attached.then(|| LogQuery {
                services: self.shown(project),
                since_unix_ns: i64::try_from(since.as_nanosecond()).ok(),
                ..Default::default()
            }),
            watcher: attached.then_some(&mut watcher),
        };
        let close = session.run(&mut client, updates).await?;
        Ok(self.exit(&close, ended.as_ref()))
    }

    /// What is not named keeps as many replicas as it has.
    async fn keep_replicas(&self, client: &mut devctl_wire::Client, request: &mut UpRequest) -> Result<(), Error> {
        if request.services.is_empty() {
            return Ok(());
        }
        let nodes = client.status(StatusRequest::default()).await?.into_inner().nodes;
        for node in nodes.iter().filter(|node| !request.services.contains(&node.service)) {
            if node.wanted && node.index > 1 && !self.scale.iter().any(|(name, _)| *name == node.service) {
                let count = request.scale.entry(node.service.clone()).or_default();
                *count = node.index.max(*count);
            }
        }
        Ok(())
    }

    fn request(&self, context: &Context, project: &Project, attached: bool) -> UpRequest {
        UpRequest {
            source: Some(context.source(project)),
            services: self.services.services.clone(),
            attach: attached,
            wait: self.wait,
            wait_timeout_s: self.wait_timeout.unwrap_or(0),
            build: self.build,
            no_build: self.no_build,
            no_deps: self.no_deps,
            force_recreate: self.force_recreate || self.always_recreate_deps,
            no_recreate: self.no_recreate,
            remove_orphans: self.remove_orphans,
            dry_run: context.global.dry_run,
            no_start: self.no_start,
            create: self.no_start,
            scale: self.scale.iter().cloned().collect::<HashMap<_, _>>(),
            stub: self.stub.clone(),
            verify: self.verify().into(),
            pull: self.pull.clone().unwrap_or_default(),
            renew_anon_volumes: self.renew_anon_volumes,
            timeout_s: self.timeout,
            // Whoever goes by their end wants them to run; the daemon sees to what is named.
            again: self.again(project),
        }
    }

    /// Those by whose end it goes. What somebody waits for may be done before.
    fn again(&self, project: &Project) -> Vec<String> {
        let is_awaited = |name: &String| {
            let waits = |on: &DependsOn| on.condition == Condition::CompletedSuccessfully;
            let mut services = project.model.services.values();
            services.any(|service| service.depends_on.get(name).is_some_and(waits))
        };
        let mut again: Vec<String> = self.exit_code_from.iter().cloned().collect();
        if self.abort_on_container_exit {
            again.extend(project.services().into_iter().filter(|name| !is_awaited(name)));
        }
        again
    }

    fn verify(&self) -> VerifyWhen {
        match self.verify {
            _ if self.no_verify => VerifyWhen::Never,
            None => VerifyWhen::AsWritten,
            Some(When::Always) => VerifyWhen::Always,
            Some(When::Save) => VerifyWhen::Save,
            Some(When::Never) => VerifyWhen::Never,
        }
    }

    /// Whose logs are shown; empty: everybody's.
    fn shown(&self, project: &Project) -> Vec<String> {
        if !self.attach.is_empty() {
            return self.attach.clone();
        }
        let candidates = match self.services.services.as_slice() {
            named if self.attach_dependencies && !named.is_empty() => super::pull::reach(project, named, true),
            named => named.to_vec(),
        };
        // `attach: false` of the file.
        let is_quiet = |name: &String| {
            project
                .model
                .service(name)
                .is_some_and(|service| service.attach == Some(false))
        };
        let is_left_out = |name: &String| self.no_attach.contains(name) || is_quiet(name);
        let everybody = project.services();
        if !everybody.iter().any(is_left_out) {
            return candidates;
        }
        let candidates = if candidates.is_empty() { everybody } else { candidates };
        let shown: Vec<String> = candidates.into_iter().filter(|service| !is_left_out(service)).collect();
        match shown.is_empty() {
            // None at all would be everybody.
            true => vec![NOBODY.to_owned()],
            false => shown,
        }
    }

    /// Whether the end of this node is the end of all.
    fn ends(&self, status: &NodeStatus) -> bool {
        let failed = status.state() == State::Failed;
        let completed = status.state() == State::Completed;
        if let Some(service) = &self.exit_code_from {
            return (failed || completed) && status.service == *service;
        }
        // A job is done, and those that wait for it go on from there.
        let over = failed || (completed && status.kind != JOB);
        (self.abort_on_container_exit && over) || (self.abort_on_container_failure && failed)
    }

    /// A service's own status where asked for; SIGTERM of its own doing is still a failure of it.
    fn exit(&self, close: &Close, ended: Option<&NodeStatus>) -> Exit {
        match (close, ended) {
            (Close::Signal(signal), None) => Exit::Signal(*signal as i32),
            (_, Some(status)) => status
                .exit_code
                .and_then(|code| u8::try_from(code).ok())
                .map_or_else(|| killed(status), Exit::Of),
            _ => session::exit(close),
        }
    }
}

fn killed(status: &NodeStatus) -> Exit {
    status
        .signal
        .parse::<Signal>()
        .map_or(Exit::Failed, |signal| Exit::Signal(signal as i32))
}
