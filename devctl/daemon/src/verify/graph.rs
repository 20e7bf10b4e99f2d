//! A graph of its own for a verification: the daemon's loop, leases and edges in directories apart from the project's, so
//! that nothing of a running `devctl up` is touched. It serves no socket and watches no file.

use std::sync::Arc;
use std::time::Duration;

use devctl_compose::model::Project;
use devctl_core::NodeId;
use devctl_core::engine::{Event, Verb};
use devctl_drivers::dirs::{Dirs, DirsError};
use devctl_drivers::lease::Leases;
use devctl_drivers::log::{LogStore, Retention};
use devctl_edge::{EdgeError, Edges, EdgesConfig};
use devctl_wire::v1;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;

use crate::command::{Command, Wait};
use crate::engines::Engines;
use crate::feed::Feed;
use crate::live::Live;
use crate::perform::{Means, Performer};
use crate::prepare::{LoadedProject, Preparer};
use crate::product::Products;
use crate::run_loop::{Loop, Wake};
use crate::stubs::StandIn;
use crate::watch::Watch;
use crate::wiring::Wiring;

/// What is asked to end at once has ended by then, or is told of.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no graph.
#[derive(Debug, thiserror::Error)]
pub(super) enum GraphError {
    /// A directory that it needs.
    #[error(transparent)]
    Dirs(#[from] DirsError),
    /// Its edges.
    #[error(transparent)]
    Edges(#[from] EdgeError),
}

/// A running loop, with the way to it.
pub(super) struct Graph {
    dirs: Arc<Dirs>,
    pub(super) logs: LogStore,
    pub(super) edges: Arc<Edges>,
    wake: mpsc::UnboundedSender<Wake>,
    preparer: Mutex<Preparer>,
    tasks: TaskTracker,
    running: JoinHandle<std::io::Result<Loop>>,
}

impl Graph {
    /// An empty graph. Data of an earlier one in the same place is removed, its processes are ended.
    pub(super) async fn start(dirs: Dirs) -> Result<Self, GraphError> {
        dirs.create()?;
        let dirs = Arc::new(dirs);
        let records = crate::records_without_leftovers(&dirs).await;
        if let Err(error) = crate::remove::all_data(&dirs).await {
            tracing::warn!(%error, "data of an earlier verification could not be removed");
        }
        dirs.create()?;
        let (wake, inbox) = mpsc::unbounded_channel();
        let logs = LogStore::new(&dirs.logs, Retention::default());
        let leases = Leases::at(&dirs.leases);
        let edges = Arc::new(Edges::new(EdgesConfig::default())?);
        let tasks = TaskTracker::new();
        let engines = Engines::new(wake.clone());
        let means = Means {
            beside: None,
            dirs: dirs.clone(),
            engines: engines.clone(),
            leases: leases.clone(),
            logs: logs.clone(),
            products: Products::read(&dirs.state),
            tasks: tasks.clone(),
            wake: wake.clone(),
        };
        let all = Loop::new(
            Performer::new(means),
            Wiring::new(edges.clone()),
            Watch::nothing(),
            Feed::new(),
            records,
            dirs.state.clone(),
        );
        Ok(Self {
            preparer: Mutex::new(Preparer::new(dirs.clone(), leases, edges.clone(), engines)),
            dirs,
            logs,
            edges,
            wake,
            tasks,
            running: tokio::spawn(all.run(inbox, None)),
        })
    }

    /// Makes the graph what `project` says, and waits until these services (none: all of them) are ready or have failed.
    pub(super) async fn up(
        &self,
        project: Project,
        source: &v1::Source,
        (services, stubs): (Vec<String>, Vec<StandIn>),
        limit: Duration,
    ) -> v1::Outcome {
        let request = v1::UpRequest {
            source: Some(source.clone()),
            services,
            wait: true,
            no_build: true,
            remove_orphans: true,
            wait_timeout_s: u32::try_from(limit.as_secs()).unwrap_or(u32::MAX),
            ..v1::UpRequest::default()
        };
        let loaded = LoadedProject {
            project,
            warnings: Vec::new(),
            files: Vec::new(),
        };
        let (reply, own) = mpsc::unbounded_channel();
        let prepared = self
            .preparer
            .lock()
            .await
            .prepare(loaded, request, Wait::Ready, reply)
            .await;
        match prepared {
            Ok(mut command) => {
                command.stubs = stubs;
                self.send(Command::Up(Box::new(command)));
                outcome(own).await
            }
            Err(outcome) => outcome,
        }
    }

    /// Ends a node at once: nothing that it might still want to do is worth waiting for.
    pub(super) async fn kill(&self, node: &str) {
        let request = v1::ActRequest {
            services: vec![node.to_owned()],
            no_deps: true,
            timeout_s: Some(0),
            ..v1::ActRequest::default()
        };
        let (reply, own) = mpsc::unbounded_channel();
        let verb = Verb::Stop;
        self.send(Command::Act { verb, request, reply });
        if tokio::time::timeout(END_LIMIT, outcome(own)).await.is_err() {
            tracing::warn!(node, "a verification's provider did not end in time");
        }
    }

    /// A node's run, if it has one.
    pub(super) async fn look(&self, service: &str) -> Option<Live> {
        let (reply, answer) = oneshot::channel();
        let node = NodeId::from(service);
        self.send(Command::Look { node, reply });
        answer.await.ok().flatten()
    }

    /// Ends everything at once and removes what it kept, but for its logs.
    pub(super) async fn end(self) {
        // Containers and volumes outlive a shutdown: they are taken down first.
        let request = v1::DownRequest {
            volumes: true,
            kill: true,
            ..v1::DownRequest::default()
        };
        let (reply, own) = mpsc::unbounded_channel();
        self.send(Command::Down { request, reply });
        if tokio::time::timeout(END_LIMIT, outcome(own)).await.is_err() {
            tracing::warn!("a verification's graph was not taken down in time");
        }
        let _ended = self.wake.send(Wake::Event(Event::Shutdown { kill: true }));
        match tokio::time::timeout(END_LIMIT, self.running).await {
            Ok(Ok(Ok(all))) => all.finish(),
            Ok(_) => {}
            Err(_) => tracing::warn!("a verification's graph did not end in time"),
        }
        self.edges.shutdown(Duration::ZERO).await;
        self.tasks.close();
        let _late = tokio::time::timeout(Duration::from_secs(2), self.tasks.wait()).await;
        if let Err(error) = crate::remove::all_data(&self.dirs).await {
            tracing::warn!(%error, "data of a verification could not be removed");
        }
        let _was_not_there = tokio::fs::remove_dir_all(&self.dirs.runtime).await;
    }

    fn send(&self, command: Command) {
        // A loop that has ended answers nobody: whoever waits sees the end of the channel.
        let _ended = self.wake.send(Wake::Command(command));
    }
}

/// The outcome among a client's own updates; a loop that ended meanwhile has stopped everything.
async fn outcome(mut own: mpsc::UnboundedReceiver<v1::Update>) -> v1::Outcome {
    while let Some(update) = own.recv().await {
        if let Some(v1::update::What::Outcome(outcome)) = update.what {
            return outcome;
        }
    }
    v1::Outcome {
        result: v1::Result::Stopped.into(),
        ..v1::Outcome::default()
    }
}
