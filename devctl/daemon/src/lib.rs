//! The daemon: one loop per project that reads the files, runs the graph, and answers clients at a unix socket.
//!
//! [`run`] is all there is to it from outside: started by `devctl __daemon`, as the child of a guardian.

mod api;
pub mod assess;
mod build;
mod clock;
mod command;
pub mod consumer_tests;
mod container;
mod convert;
mod edges;
mod engines;
mod feed;
mod files;
mod hooks;
pub mod images;
mod inside;
mod live;
mod one_off;
mod outcome;
mod perform;
mod prepare;
mod product;
mod records;
mod remove;
mod run_loop;
mod snapshot;
mod sources;
mod spec;
mod specify;
mod start;
mod stubs;
mod sync;
pub mod verify;
mod watch;
mod wiring;

pub use devctl_core::engine::ends_a_process;
pub use files::DiskFiles;
pub use prepare::checkout::docker_name;
pub use records::KNOWN_PROJECT;

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use devctl_drivers::dirs::{Dirs, DirsError};
use devctl_drivers::guardian::{self, Guarded};
use devctl_drivers::lease::Leases;
use devctl_drivers::log::{LogStore, Retention};
use devctl_edge::{EdgeError, Edges, EdgesConfig};
use devctl_wire::v1;
use devctl_wire::v1::devctl_server::DevctlServer;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, mpsc};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Api;
use crate::command::{Command, Remark};
use crate::engines::Engines;
use crate::feed::Feed;
use crate::perform::{Means, Performer};
use crate::prepare::Preparer;
use crate::product::Products;
use crate::records::Records;
use crate::run_loop::{Loop, Wake};
use crate::verify::beside::Beside;
use crate::watch::Watch;
use crate::wiring::Wiring;

/// How long what an earlier daemon left behind may take to end by itself.
const LEFTOVER_GRACE: Duration = Duration::from_secs(2);
/// How long clients may take to read their last words.
const FAREWELL: Duration = Duration::from_secs(2);

/// Which project a daemon serves.
#[derive(Debug, Clone)]
pub struct DaemonArgs {
    /// The project's name.
    pub project_name: String,
    /// The project's directory.
    pub project_directory: PathBuf,
    /// Where its things live.
    pub dirs: Dirs,
}

/// Why a daemon could not serve.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// A directory that it needs.
    #[error(transparent)]
    Dirs(#[from] DirsError),
    /// The asynchronous runtime.
    #[error("start the runtime")]
    Runtime(#[source] io::Error),
    /// The API's socket.
    #[error("listen on `{}`", path.display())]
    Socket {
        /// Its path.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Another daemon serves the project.
    #[error("serve this project: another daemon does already, at `{}`", path.display())]
    Taken {
        /// Its socket.
        path: PathBuf,
    },
    /// The edges.
    #[error(transparent)]
    Edges(#[from] EdgeError),
    /// The loop.
    #[error("watch for signals")]
    Signals(#[source] io::Error),
}

impl DaemonError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Dirs(error) => error.help(),
            Self::Taken { .. } => Some("`devctl ps` asks it; `devctl down` ends it".to_owned()),
            _ => None,
        }
    }
}

/// Serves a project until nothing of it runs and nobody asks. Writes `ready` to `told` when it listens.
///
/// # Errors
/// Where it cannot begin to serve. Whatever goes wrong later is told to clients.
pub fn run(args: DaemonArgs, told: &mut dyn Write) -> Result<(), DaemonError> {
    open_more_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("devctl")
        .enable_all()
        .build()
        .map_err(DaemonError::Runtime)?;
    let ended = runtime.block_on(serve(args, told));
    // A blocking read that hangs must not keep a daemon that has nothing left to do.
    runtime.shutdown_timeout(Duration::from_millis(200));
    ended
}

/// Two for each connection on an edge: a login shell's 1,024 are soon used up. No more than this, since services inherit it, and some
/// go through all that there may be when they start.
const FILES: u64 = 1 << 16;

fn open_more_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| match hard.min(FILES) {
        more if more > soft => setrlimit(Resource::RLIMIT_NOFILE, more, hard),
        _ => Ok(()),
    });
    if let Err(error) = raised {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

async fn serve(args: DaemonArgs, told: &mut dyn Write) -> Result<(), DaemonError> {
    let guarded = Guarded::take();
    let dirs = Arc::new(args.dirs);
    dirs.create()?;
    let socket = dirs.api_socket();
    let listener = listen(&socket).await?;

    let records = records_without_leftovers(&dirs).await;
    let (wake, inbox) = mpsc::unbounded_channel();
    let logs = LogStore::new(&dirs.logs, Retention::default());
    tokio::spawn(tell_of_lost_lines(logs.clone(), wake.clone()));
    let leases = Leases::at(&dirs.leases);
    let edges = Arc::new(Edges::new(EdgesConfig::default())?);
    let feed = Feed::new();
    let engines = Engines::new(wake.clone());
    let tasks = TaskTracker::new();
    let means = Means {
        dirs: dirs.clone(),
        engines: engines.clone(),
        leases: leases.clone(),
        logs: logs.clone(),
        beside: Some(Beside::start(dirs.clone(), wake.clone(), tasks.clone()).await),
        products: Products::read(&dirs.state),
        tasks,
        wake: wake.clone(),
    };
    let performer = Performer::new(means.clone());
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let watching = wake.clone();
    let api = Api {
        wake,
        feed: feed.clone(),
        edges: edges.clone(),
        dirs: dirs.clone(),
        logs,
        preparer: Arc::new(Mutex::new(Preparer::new(dirs.clone(), leases, edges.clone(), engines))),
        removing: TaskTracker::new(),
        hello: v1::HelloReply {
            project: args.project_name,
            project_directory: args.project_directory.display().to_string(),
            pid: std::process::id(),
            started_unix_ms: i64::try_from(started.as_millis()).unwrap_or(i64::MAX),
            ..v1::HelloReply::default()
        },
    };
    let removing = api.removing.clone();
    let done = CancellationToken::new();
    let watch = Watch::start(watching, api.preparer.clone(), dirs.state.clone());
    let server = tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(DevctlServer::new(api).max_decoding_message_size(64 << 20))
            .serve_with_incoming_shutdown(UnixListenerStream::new(listener), done.clone().cancelled_owned()),
    );
    // Whoever started this daemon may have gone: that is no reason not to serve.
    let _gone = told.write_all(b"ready\n").and_then(|()| told.flush());

    let wiring = Wiring::new(edges.clone());
    let ended = Loop::new(performer, wiring, watch, feed, records, dirs.state.clone())
        .run(inbox, guarded)
        .await;
    let ended = ended.map_err(DaemonError::Signals)?;
    removing.close();
    let _left_to_the_next = tokio::time::timeout(run_loop::REMOVING, removing.wait()).await;
    ended.finish();
    // The socket goes first: whoever comes now starts another daemon, instead of asking this one.
    let _was_gone = std::fs::remove_file(&socket);
    edges.shutdown(Duration::from_millis(100)).await;
    means.tasks.close();
    let _late = tokio::time::timeout(FAREWELL, means.tasks.wait()).await;
    done.cancel();
    let _late = tokio::time::timeout(FAREWELL, server).await;
    Ok(())
}

/// Says that log lines are being lost, once until some are stored again, and not in a rush: where little is left, a short line
/// may find its place between two long ones.
async fn tell_of_lost_lines(logs: LogStore, wake: mpsc::UnboundedSender<Wake>) {
    const PAUSE: Duration = Duration::from_secs(30);
    let mut losing = logs.losing();
    while losing.changed().await.is_ok() {
        let Some(lost) = losing.borrow_and_update().clone() else {
            continue;
        };
        let remark = Remark {
            node: None,
            text: format!(
                "log lines of {}, and perhaps of others, are lost: {}",
                lost.node, lost.reason
            ),
            help: Some(format!(
                "make room where `{}` is; what comes then is kept again",
                logs.root().display()
            )),
        };
        if wake.send(Wake::Command(Command::Remark(remark))).is_err() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What is remembered; processes that an earlier one left behind are ended first.
pub(crate) async fn records_without_leftovers(dirs: &Dirs) -> Records {
    let mut records = Records::read(&dirs.state);
    if !records.processes.is_empty() {
        let recorded: Vec<_> = records.processes.iter().copied().collect();
        let project = dirs.id.clone();
        let end = move || guardian::end_leftovers(&recorded, &project, LEFTOVER_GRACE);
        let ended = tokio::task::spawn_blocking(end).await;
        if let Ok(ended) = ended
            && !ended.is_empty()
        {
            tracing::warn!(
                count = ended.len(),
                "ended processes that an earlier daemon had left behind"
            );
        }
        records.processes.clear();
    }
    records
}

/// The socket, for its owner alone. One that nobody answers at is a dead daemon's, and is taken over.
async fn listen(path: &std::path::Path) -> Result<UnixListener, DaemonError> {
    let failed = |source| DaemonError::Socket {
        path: path.to_owned(),
        source,
    };
    if UnixStream::connect(path).await.is_ok() {
        return Err(DaemonError::Taken { path: path.to_owned() });
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}
