//! One verification from its beginning to its end: providers at once, up to a number; one broker for all.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use devctl_compose::model::Project;
use devctl_drivers::dirs::Dirs;
use devctl_pact::index::Index;
use devctl_pact::report::Report;
use devctl_pact::verify::{Outcome, Target, Verdict};
use devctl_wire::v1;
use futures::StreamExt;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::broker::Brokers;
use super::cells::{self, Known};
use super::messages::RECEIVED;
use super::place::Place;
use super::stand::Stand;
use super::work::{self, Work};
use super::{Teller, Told, Verified, VerifyArgs, VerifyError, changed, reduce, slot, summary};
use crate::prepare;
use crate::specify::{self, Asked, Choice, Machine};

/// A build that has nothing to do is done by then.
const REAL_BUILD: Duration = Duration::from_secs(2);

/// What all providers of a verification share.
pub(super) struct Session {
    pub(super) args: VerifyArgs,
    pub(super) project: Arc<Project>,
    /// The caller, who wants the machine's own servers where it has them: they boot faster than containers.
    pub(super) source: v1::Source,
    /// The versions of the servers that this machine has.
    pub(super) machine: String,
    pub(super) index: Arc<Index>,
    pub(super) tell: Teller,
    /// Ends everything: from outside, or after the first broken promise.
    pub(super) stop: CancellationToken,
    pub(super) ground: Arc<Ground>,
    pub(super) started: AtomicUsize,
    /// Where a provider stands is used again.
    pub(super) warm: bool,
}

/// What may outlive one verification.
pub(super) struct Ground {
    pub(super) place: Place,
    brokers: Mutex<Option<Result<Arc<Brokers>, v1::Failure>>>,
    /// How often brokers have been ended: ways to those before lead nowhere.
    ended: AtomicUsize,
}

/// Verifies what is asked for.
///
/// # Errors
///
/// Where nothing could be verified at all; what goes wrong with one provider is a verdict on its promises.
pub async fn verify(args: VerifyArgs, tell: Teller) -> Result<Verified, VerifyError> {
    let mut project = project(&args).await?;
    let mut found = work::find(&args, &project).await?;
    if let Some(revision) = &args.changed_since {
        changed::retain(&project, revision, &mut found).await?;
    }
    tell(Told::Found {
        providers: found.works.len(),
        promises: found.works.iter().map(Work::len).sum(),
    });
    let mut verified = Verified {
        problems: found.problems,
        ..Verified::default()
    };
    if args.dry_run {
        verified.planned = planned(&found.works);
        return Ok(verified);
    }
    args.dirs.create().map_err(|error| VerifyError::Nothing {
        what: error.to_string(),
        help: error.help().unwrap_or_default(),
    })?;
    let (source, machine) = with_own_servers(&args.source, &project).await;
    let place = Place::take(&args.dirs, "verify")?;
    project.name = place.project_name(&project.name);
    let session = Session {
        source,
        machine,
        ground: Arc::new(Ground::new(place)),
        stop: args.stop.child_token(),
        args,
        project: Arc::new(project),
        index: Arc::new(found.index),
        tell,
        started: AtomicUsize::new(0),
        warm: false,
    };
    let wanted: usize = found.works.iter().map(Work::len).sum();
    let outcomes = session.run(found.works).await;
    session.ground.end_brokers().await;
    verified.interrupted = session.args.stop.is_cancelled();
    verified.left_out = wanted.saturating_sub(outcomes.len());
    verified.started = session.started.into_inner();
    verified.report = Report::new(outcomes);
    if let Err(error) = summary::keep(&session.args.dirs.state, &verified.report) {
        tracing::warn!(%error, "the last verdicts could not be written");
    }
    Ok(verified)
}

/// What the files say; nothing, where there are none.
async fn project(args: &VerifyArgs) -> Result<Project, VerifyError> {
    if args.alone {
        return Ok(Project {
            name: args.source.project_name.clone(),
            working_dir: PathBuf::from(&args.source.working_directory),
            ..Project::default()
        });
    }
    let loaded = prepare::load(&args.source).await;
    let loaded = loaded.map_err(|outcome| {
        let texts = outcome.diagnostics.into_iter().map(|diagnostic| diagnostic.text);
        VerifyError::Project {
            problems: texts.collect(),
        }
    })?;
    Ok(loaded.project)
}

impl Session {
    async fn run(&self, works: Vec<Work>) -> Vec<Outcome> {
        let jobs = self.args.jobs.unwrap_or_else(jobs);
        let each = works
            .iter()
            .enumerate()
            .map(async |(at, work)| (at, Box::pin(self.one(work)).await));
        let mut outcomes: Vec<(usize, Vec<Outcome>)> = futures::stream::iter(each)
            .buffer_unordered(jobs.max(1))
            .collect()
            .await;
        outcomes.sort_by_key(|(at, _)| *at);
        outcomes.into_iter().flat_map(|(_, outcomes)| outcomes).collect()
    }

    async fn one(&self, work: &Work) -> Vec<Outcome> {
        match &work.place {
            work::Place::NotHere { what, help } => work.all(&Work::not_here(what, help), &[]),
            work::Place::Url(url) => slot::verify_url(self, work, url).await,
            work::Place::Service(service) => {
                if self.stop.is_cancelled() {
                    return Vec::new();
                }
                let built = Box::pin(self.build(work, service)).await;
                if let Err(outcomes) = built {
                    return outcomes;
                }
                let mut stand = None;
                let outcomes = self.known_or_new(work, service, &mut stand).await;
                if let Some(stand) = stand {
                    stand.end().await;
                }
                outcomes
            }
        }
    }

    /// The verdicts that are known of what was built, and new ones for the rest. `stand`: where the service stood the last time, and
    /// then where it stands now, for whoever wants to use it again; it has to be ended.
    pub(super) async fn known_or_new(&self, work: &Work, service: &str, stand: &mut Option<Stand>) -> Vec<Outcome> {
        let original = work;
        let mut work = work.clone();
        let known = match self.args.no_cache {
            true => None,
            false => Known::of(self, &work, service).await,
        };
        let mut outcomes = known.as_ref().map(|known| known.take(&mut work)).unwrap_or_default();
        for outcome in &outcomes {
            self.heard(outcome);
        }
        if work.len() > 0 {
            let new = Box::pin(slot::verify(self, &work, service, stand)).await;
            if let Some(known) = &known {
                known.keep(&work, &new);
            }
            outcomes.extend(new);
        }
        work::in_order(&mut outcomes, original);
        outcomes
    }

    /// Builds the service. A broker that it needs boots meanwhile, where the build turns out to be one that takes its time: then
    /// there is hardly a verdict that is known.
    async fn build(&self, work: &Work, service: &str) -> Result<(), Vec<Outcome>> {
        let mut build = std::pin::pin!(cells::build(self, work, service));
        tokio::select! {
            built = &mut build => return built,
            () = tokio::time::sleep(REAL_BUILD) => {}
        }
        let needs = reduce::needs(&self.project, service, &|name| self.has_contracts(name));
        let boot = async {
            if !needs.brokers.is_empty() {
                // Whoever needs them is told why there are none.
                let _booted = self.brokers().await;
            }
        };
        let (built, ()) = tokio::join!(build, boot);
        built
    }

    /// Whether some pact names the service as a provider.
    pub(super) fn has_contracts(&self, service: &str) -> bool {
        let provider = prepare::pacticipant(&self.project, service, true);
        self.index.of_provider(&provider).next().is_some()
    }

    /// The brokers, booted by whoever needs them first.
    pub(super) async fn brokers(&self) -> Result<Arc<Brokers>, v1::Failure> {
        let mut held = self.ground.brokers.lock().await;
        if let Some(known) = held.as_ref() {
            return known.clone();
        }
        (self.tell)(Told::Broker);
        let role = |service: &devctl_compose::model::Service| reduce::role(service, false) == reduce::Role::Broker;
        let services = self.project.services.values().filter(|service| role(service));
        let names: BTreeSet<String> = services.map(|service| service.name.clone()).collect();
        let started = Brokers::start(&self.source, self.dirs("broker"), &self.project, &names).await;
        held.insert(started.map(Arc::new)).clone()
    }

    /// Hears a verdict; whether to go on.
    pub(super) fn heard(&self, outcome: &Outcome) -> bool {
        (self.tell)(Told::Replayed(Box::new(outcome.clone())));
        if self.args.fail_fast && matches!(outcome.verdict, Verdict::Broken { .. }) {
            self.stop.cancel();
            return false;
        }
        true
    }

    pub(super) fn one_started(&self) {
        self.started.fetch_add(1, Ordering::Relaxed);
    }

    /// How a provider at `base` is asked.
    pub(super) fn target(&self, base: Url) -> Target {
        Target {
            answer_within: self.args.answer_within,
            ..Target::new(base)
        }
    }

    /// The directories of one of its graphs.
    pub(super) fn dirs(&self, graph: &str) -> Dirs {
        self.ground.place.dirs(&self.args.dirs, graph)
    }

    /// The file that declares a service's provider states.
    pub(super) fn states_file(&self, service: &str) -> Option<PathBuf> {
        let contracts = self.project.services.get(service)?.x_devctl.contracts.as_ref()?;
        Some(specify::normal(
            &self.project.working_dir.join(contracts.states.as_ref()?),
        ))
    }
}

impl Ground {
    pub(super) fn new(place: Place) -> Self {
        Self {
            place,
            brokers: Mutex::default(),
            ended: AtomicUsize::new(0),
        }
    }

    /// Which brokers these are: another number, other ones.
    pub(super) fn generation(&self) -> usize {
        self.ended.load(Ordering::Relaxed)
    }

    /// Ends the brokers, if there are any.
    pub(super) async fn end_brokers(&self) {
        let brokers = self.brokers.lock().await.take();
        self.ended.fetch_add(1, Ordering::Relaxed);
        // Whoever else holds them is at its end, and has nothing more to ask of them.
        if let Some(Ok(brokers)) = brokers
            && let Some(brokers) = Arc::into_inner(brokers)
        {
            brokers.end().await;
        }
    }

    /// Forgets brokers that could not be booted, or have ended since: the next one who needs them tries again.
    pub(super) async fn forget_lost_brokers(&self) {
        let lost = match self.brokers.lock().await.as_ref() {
            Some(Ok(brokers)) => !brokers.are_up().await,
            Some(Err(_)) => true,
            None => false,
        };
        if lost {
            self.end_brokers().await;
        }
    }
}

/// The caller's words, with the machine's own PostgreSQL and RabbitMQ for every service that they can stand in for.
pub(super) async fn with_own_servers(source: &v1::Source, project: &Project) -> (v1::Source, String) {
    let mut source = source.clone();
    if source.runtime() == v1::Runtime::Docker {
        return (source, String::new());
    }
    let path = source.environment.get("PATH").cloned().unwrap_or_default();
    let Ok(machine) = tokio::task::spawn_blocking(move || Machine::look(&path)).await else {
        return (source, String::new());
    };
    let asked = Asked {
        runtime: v1::Runtime::Native,
        stubbed: false,
        has_data: false,
    };
    for service in project.services.values() {
        let choice = specify::choose(project, service, asked, &machine, &specify::Docker::default());
        if matches!(choice, Choice::Postgres(_) | Choice::RabbitMq { .. }) {
            let native = v1::Runtime::Native.into();
            source.runtimes.entry(service.name.clone()).or_insert(native);
        }
    }
    (source, format!("{machine:?}"))
}

/// As many as there are cores: a provider that is replayed keeps about one of them busy.
fn jobs() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}

fn planned(works: &[Work]) -> Vec<String> {
    let mut lines = Vec::new();
    for work in works {
        let place = match &work.place {
            work::Place::Service(service) => format!("service `{service}`, started alone"),
            work::Place::Url(url) => format!("at {url}"),
            work::Place::NotHere { what, .. } => format!("not verifiable here: {what}"),
        };
        let many = if work.len() == 1 { "" } else { "s" };
        lines.push(format!("{}: {} promise{many}, {place}", work.provider, work.len()));
        for (contract, interaction) in &work.promises {
            lines.push(format!(
                "  {}  {}: {}",
                interaction.id,
                contract.consumer,
                interaction.title()
            ));
        }
        for (contract, interaction) in &work.receives {
            let (id, provider) = (&interaction.id, &contract.provider);
            lines.push(format!(
                "  {id}{RECEIVED}  takes from {provider}: {}",
                interaction.description
            ));
        }
    }
    lines
}
