//! Verification while the graph runs: a provider that was reloaded is started once more, beside the serving run and out of everybody's
//! way, and its promises are replayed at that one.
//!
//! Nothing of the running graph is touched: databases, broker, ports and edges are this one's own. What takes long to come up (servers,
//! the broker) is kept up between two saves, until nothing has been verified for a while or the node is let go. The orders come from
//! the engine (`Effect::Verify` and its like), and each is answered by one event.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use devctl_compose::model::Project;
use devctl_core::NodeId;
use devctl_core::engine::{Event, Failure, Tested, Verification};
use devctl_drivers::dirs::Dirs;
use devctl_pact::index::{Contract, Index, Kind};
use devctl_pact::report::Report;
use devctl_wire::v1;
use tokio::sync::{Mutex, OnceCell, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::expected::{self, Expected};
use super::place::Place;
use super::session::{Ground, Session, with_own_servers};
use super::stand::Stand;
use super::work::{self, Work};
use super::{ANSWER_WITHIN, VerifyArgs, VerifyError, summary};
use crate::consumer_tests;
use crate::prepare::pacticipant;
use crate::run_loop::Wake;
use crate::specify;
use crate::start::told;

/// The places of verifications of this kind.
const PLACE: &str = "beside";
/// Servers that nobody has needed for so long are ended; the next verification boots them again.
const KEPT_UP: Duration = Duration::from_secs(600);
/// Those who have waited for a save call the new run now; on a machine of few cores a second one that starts in the same moment is felt.
const CALLERS_FIRST: Duration = Duration::from_millis(50);

/// What is verified: the project as it was planned last.
pub(crate) struct Subject {
    pub(super) project: Arc<Project>,
    pub(super) source: v1::Source,
    /// The source with the machine's own servers, and what these are; looked at once.
    own: OnceCell<(v1::Source, String)>,
}

impl Subject {
    pub(crate) fn new(project: Arc<Project>, source: v1::Source) -> Self {
        Self {
            project,
            source,
            own: OnceCell::new(),
        }
    }
}

/// The way to what verifies. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Beside {
    all: Arc<All>,
}

struct All {
    dirs: Arc<Dirs>,
    wake: mpsc::UnboundedSender<Wake>,
    tasks: TaskTracker,
    subject: std::sync::Mutex<Option<Arc<Subject>>>,
    expected: Mutex<Expected>,
    running: std::sync::Mutex<HashMap<u64, CancellationToken>>,
    ground: Mutex<Option<Arc<Ground>>>,
    stands: std::sync::Mutex<HashMap<String, Arc<Mutex<Held>>>>,
    /// Services that have been verified and not been let go since.
    users: std::sync::Mutex<HashSet<String>>,
}

/// One service's stand; whoever verifies it holds the lock.
#[derive(Default)]
struct Held {
    stand: Option<Stand>,
    used: Option<Instant>,
}

impl Beside {
    /// Nothing is up yet; what an earlier one has left behind is removed.
    pub(crate) async fn start(dirs: Arc<Dirs>, wake: mpsc::UnboundedSender<Wake>, tasks: TaskTracker) -> Self {
        Place::sweep(&dirs, PLACE).await;
        let all = Arc::new(All {
            dirs,
            wake,
            tasks,
            subject: std::sync::Mutex::default(),
            expected: Mutex::default(),
            running: std::sync::Mutex::default(),
            ground: Mutex::default(),
            stands: std::sync::Mutex::default(),
            users: std::sync::Mutex::default(),
        });
        let kept = Arc::downgrade(&all);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(KEPT_UP / 10).await;
                let Some(all) = kept.upgrade() else { return };
                all.end_unused().await;
            }
        });
        Self { all }
    }

    /// The project is this now.
    pub(crate) fn set(&self, subject: Subject) {
        *lock(&self.all.subject) = Some(Arc::new(subject));
    }

    /// Verifies the contracts in which the node's service is the provider.
    pub(crate) fn verify(&self, node: NodeId, check: u64) {
        let stop = self.begin(&node, check);
        self.all.tasks.spawn(self.all.clone().verify(node, check, stop));
    }

    /// Runs the tests that write the contracts in which the node's service is the consumer.
    pub(crate) fn test(&self, node: NodeId, check: u64) {
        let (all, stop) = (self.all.clone(), self.begin(&node, check));
        self.all.tasks.spawn(async move {
            let tested = stop.run_until_cancelled(all.test(node.service())).await;
            lock(&all.running).remove(&check);
            if let Some(outcome) = tested {
                all.send(Event::Tested { node, check, outcome });
            }
        });
    }

    fn begin(&self, node: &NodeId, check: u64) -> CancellationToken {
        let stop = CancellationToken::new();
        lock(&self.all.running).insert(check, stop.clone());
        lock(&self.all.users).insert(node.service().to_owned());
        stop
    }

    /// A verification, or tests, are overtaken.
    pub(crate) fn cancel(&self, check: u64) {
        if let Some(stop) = lock(&self.all.running).remove(&check) {
            stop.cancel();
        }
    }

    /// Ends whatever is kept up for a node. What was under way for it has been cancelled.
    pub(crate) fn let_go(&self, node: NodeId) {
        lock(&self.all.users).remove(node.service());
        let all = self.all.clone();
        self.all.tasks.spawn(async move {
            all.end_stand(node.service()).await;
            all.end_ground_if_unused().await;
            all.send(Event::LetGo { node });
        });
    }

    /// Pacts or provider states have changed on disk: whoever is expected something else of is told.
    pub(crate) fn changed(&self, paths: Vec<PathBuf>) {
        let all = self.all.clone();
        self.all.tasks.spawn(async move { all.reread(&paths).await });
    }
}

impl All {
    /// Verifies, answers, and makes everything ready for the next time.
    async fn verify(self: Arc<Self>, node: NodeId, check: u64, stop: CancellationToken) {
        let service = node.service().to_owned();
        let held = lock(&self.stands).entry(service.clone()).or_default().clone();
        let mut held = held.lock_owned().await;
        // One that is cancelled meanwhile replays nothing.
        let _cancelled = tokio::time::timeout(CALLERS_FIRST, stop.cancelled()).await;
        let outcome = self.replay(&service, &stop, &mut held.stand).await;
        lock(&self.running).remove(&check);
        let outcome = outcome.unwrap_or_else(Verification::failed);
        // Told first: nobody has to wait until everything is put back.
        self.send(Event::Verified { node, check, outcome });
        let is_used = lock(&self.users).contains(&service);
        if let Some(mut stand) = held.stand.take() {
            if is_used && stand.clear().await {
                held.stand = Some(stand);
            } else {
                stand.end().await;
            }
        }
        held.used = Some(Instant::now());
    }

    async fn replay(
        &self,
        service: &str,
        stop: &CancellationToken,
        stand: &mut Option<Stand>,
    ) -> Result<Verification, Failure> {
        let subject = lock(&self.subject).clone();
        let Some(subject) = subject.filter(|_| !stop.is_cancelled()) else {
            return Ok(Verification::default());
        };
        let (index, problems) = self.expected.lock().await.read(&subject).await;
        let unread = problems.first().map(Failure::new);
        let work = work(&subject.project, &index, service);
        if work.len() == 0 {
            // Of whom something is expected is not known where a pact cannot be read: whoever waits for it must not be let through.
            return match unread {
                Some(failure) if is_awaited(&subject.project, service) => Err(failure),
                _ => Ok(Verification::default()),
            };
        }
        let session = self.session(&subject, index, stop.clone()).await?;
        session.ground.forget_lost_brokers().await;
        let report = Report::new(session.known_or_new(&work, service, stand).await);
        if stop.is_cancelled() {
            return Ok(Verification::default());
        }
        if let Err(error) = summary::keep(&self.dirs.state, &report) {
            tracing::warn!(%error, "the last verdicts could not be written");
        }
        let mut outcome = summary::of(&subject.source, &report);
        outcome.trouble = outcome.trouble.or(unread);
        Ok(outcome)
    }

    async fn session(&self, subject: &Subject, index: Arc<Index>, stop: CancellationToken) -> Result<Session, Failure> {
        let mut ground = self.ground.lock().await;
        let ground = match ground.as_ref() {
            Some(ground) => ground.clone(),
            None => {
                let place = Place::take(&self.dirs, PLACE).map_err(|error| failure(&error))?;
                ground.insert(Arc::new(Ground::new(place))).clone()
            }
        };
        let own = subject
            .own
            .get_or_init(|| with_own_servers(&subject.source, &subject.project))
            .await;
        Ok(Session {
            args: VerifyArgs {
                source: subject.source.clone(),
                alone: false,
                dirs: (*self.dirs).clone(),
                pacts: Vec::new(),
                providers: Vec::new(),
                consumers: Vec::new(),
                interaction: None,
                changed_since: None,
                shard: None,
                jobs: None,
                no_cache: false,
                fail_fast: false,
                reference: false,
                dry_run: false,
                serve: false,
                urls: Vec::new(),
                answer_within: ANSWER_WITHIN,
                stop: stop.clone(),
            },
            project: Arc::new(Project {
                name: ground.place.project_name(&subject.project.name),
                ..(*subject.project).clone()
            }),
            source: own.0.clone(),
            machine: own.1.clone(),
            index,
            tell: Arc::new(|_| {}),
            stop,
            ground,
            started: Default::default(),
            warm: true,
        })
    }

    /// Runs a consumer's tests; where they expect something else now, its providers are told.
    async fn test(&self, service: &str) -> Result<Tested, Failure> {
        let Some(subject) = lock(&self.subject).clone() else {
            return Ok(Tested::default());
        };
        let project = &subject.project;
        let consumer = pacticipant(project, service, false);
        let declared = consumer_tests::declared(project);
        let Some(tests) = declared.into_iter().find(|tests| tests.consumers.contains(&consumer)) else {
            return Ok(Tested::default());
        };
        let folder = tempfile::Builder::new().prefix("devctl-pacts-").tempdir();
        let folder =
            folder.map_err(|error| Failure::new(format!("failed to make a folder for what they write: {error}")))?;
        let run = consumer_tests::Run {
            folder: folder.path().join("0"),
            directory: project.working_dir.clone(),
            environment: subject.source.environment.clone().into_iter().collect(),
            gently: true,
        };
        let wrote = tests.run(&run).await.map_err(|error| Failure {
            what: error.what,
            help: error.help,
            output: error.lines,
        })?;
        let mut expected = self.expected.lock().await;
        // What is committed is what it is held against.
        let _read = expected.read(&subject).await;
        let (changed, of) = expected.wrote(&consumer, wrote.contracts);
        drop(expected);
        self.expect_of(project, &changed, &format!("what {service} expects"));
        Ok(Tested {
            took: wrote.took,
            changed: of,
        })
    }

    /// Files of pacts, or of provider states, have changed.
    async fn reread(&self, paths: &[PathBuf]) {
        let Some(subject) = lock(&self.subject).clone() else {
            return;
        };
        let mut expected = self.expected.lock().await;
        let before = expected.forget();
        // Read here, and not by the first who asks: to see what differs.
        let _read = expected.read(&subject).await;
        let changed = expected.changed_since(&before);
        drop(expected);
        let what = match paths {
            [one] => one
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            more => format!("{} files", more.len()),
        };
        let mut services = expected::services(&subject.project, &changed);
        let states = subject.project.services.values().filter(|service| {
            let states = service
                .x_devctl
                .contracts
                .as_ref()
                .and_then(|contracts| contracts.states.as_ref());
            states.is_some_and(|file| paths.contains(&specify::normal(&subject.project.working_dir.join(file))))
        });
        services.extend(states.map(|service| service.name.clone()));
        self.tell_expected(services, &what);
    }

    fn expect_of(&self, project: &Project, names: &BTreeSet<String>, what: &str) {
        self.tell_expected(expected::services(project, names), what);
    }

    fn tell_expected(&self, mut services: Vec<String>, what: &str) {
        services.sort();
        services.dedup();
        for service in services {
            let node = NodeId::from(service.as_str());
            let what = what.to_owned();
            self.send(Event::Expected { node, what });
        }
    }

    async fn end_stand(&self, service: &str) {
        let held = lock(&self.stands).remove(service);
        if let Some(held) = held
            && let Some(stand) = held.lock().await.stand.take()
        {
            stand.end().await;
        }
    }

    /// Ends the broker, and gives the place back, where nobody is verified any more.
    async fn end_ground_if_unused(&self) {
        let mut ground = self.ground.lock().await;
        if lock(&self.users).is_empty()
            && let Some(ground) = ground.take()
        {
            ground.end_brokers().await;
            ground.place.remove(&self.dirs);
        }
    }

    /// Ends what nobody has needed for long.
    async fn end_unused(&self) {
        let all: Vec<Arc<Mutex<Held>>> = lock(&self.stands).values().cloned().collect();
        let mut in_use = false;
        for held in all {
            // One that is locked is in use.
            let Ok(mut held) = held.try_lock() else {
                in_use = true;
                continue;
            };
            if held.used.is_some_and(|used| used.elapsed() < KEPT_UP) {
                in_use = true;
            } else if let Some(stand) = held.stand.take() {
                stand.end().await;
            }
        }
        if !in_use && let Some(ground) = self.ground.lock().await.as_ref() {
            ground.end_brokers().await;
        }
    }

    fn send(&self, event: Event) {
        // The loop is gone only when the daemon ends: then nobody is left to tell.
        let _ended = self.wake.send(Wake::Event(event));
    }
}

/// What is promised by a service, and the messages that it is promised.
fn work(project: &Project, index: &Index, service: &str) -> Work {
    let provider = pacticipant(project, service, true);
    let consumer = pacticipant(project, service, false);
    let promises = |contract: &Arc<Contract>| {
        let contract = contract.clone();
        let interactions = contract.interactions.clone();
        interactions
            .into_iter()
            .map(move |interaction| (contract.clone(), interaction))
    };
    Work {
        place: work::Place::Service(service.to_owned()),
        promises: index.of_provider(&provider).flat_map(promises).collect(),
        receives: index
            .of_consumer(&consumer)
            .flat_map(promises)
            .filter(|(_, interaction)| matches!(interaction.kind, Kind::Message(_)))
            .collect(),
        provider,
    }
}

/// Whether somebody's start waits for its contracts.
fn is_awaited(project: &Project, service: &str) -> bool {
    let mut services = project.services.values();
    services.any(|other| other.x_devctl.depends_on.contains_key(service))
}

fn failure(error: &VerifyError) -> Failure {
    Failure::new(told(error))
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
