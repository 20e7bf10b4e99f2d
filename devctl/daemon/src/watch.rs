//! Watches sources and Compose files, and tells the loop what has changed.
//!
//! Directories are armed one by one, ignored ones never, so that a build's own output wakes nobody. The first change after quiet is told at
//! once (after a settling time shorter than a frame); whether it is a change at all is decided by the sources' state, not by the event.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use devctl_core::NodeId;
use devctl_core::engine::Event;
use devctl_wire::v1;
use notify::{Config, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{Mutex, mpsc};

use crate::command::{Command, Remark, Wait};
use crate::prepare::Preparer;
use crate::run_loop::Wake;
use crate::sources;
use crate::spec::BuildSpec;

/// Editors write, rename and touch in bursts; a burst is one change.
const SETTLE: Duration = Duration::from_millis(15);
/// A checkout of many files holds `.git/index.lock` meanwhile; longer than this nobody waits for it.
const CHECKOUT: Duration = Duration::from_secs(10);
/// Where events do not come.
const POLL: Duration = Duration::from_millis(500);

/// What is watched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    /// Nodes that are built, and from what.
    pub(crate) nodes: Vec<(NodeId, BuildSpec)>,
    /// The Compose files and whatever else was read for the project.
    pub(crate) files: Vec<PathBuf>,
    /// What was asked for: asked again when a file changes.
    pub(crate) request: v1::UpRequest,
}

/// The way to a running watcher.
#[derive(Clone)]
pub(crate) struct Watch {
    wanted: mpsc::UnboundedSender<Watched>,
}

impl Watch {
    /// Starts watching; nothing yet.
    pub(crate) fn start(wake: mpsc::UnboundedSender<Wake>, preparer: Arc<Mutex<Preparer>>) -> Self {
        let (wanted, inbox) = mpsc::unbounded_channel();
        tokio::spawn(run(inbox, wake, preparer));
        Self { wanted }
    }

    /// For a graph that is not to follow its files.
    pub(crate) fn nothing() -> Self {
        let (wanted, _nobody) = mpsc::unbounded_channel();
        Self { wanted }
    }

    /// Watches this from now on, in place of what was watched before.
    pub(crate) fn set(&self, watched: Watched) {
        let _ended = self.wanted.send(watched);
    }
}

/// What the system says.
enum Heard {
    Paths(Vec<PathBuf>),
    /// Events were lost: everything may have changed.
    Everything,
}

struct Armed {
    watcher: Box<dyn notify::Watcher + Send>,
    dirs: HashSet<PathBuf>,
    /// Told once.
    full: bool,
}

async fn run(
    mut inbox: mpsc::UnboundedReceiver<Watched>,
    wake: mpsc::UnboundedSender<Wake>,
    preparer: Arc<Mutex<Preparer>>,
) {
    let (heard, mut events) = mpsc::unbounded_channel();
    let mut watched = Watched::default();
    let mut armed: Option<Armed> = None;
    loop {
        tokio::select! {
            wanted = inbox.recv() => {
                let Some(wanted) = wanted else { return };
                watched = wanted;
                armed = arm(armed.take(), &watched, &heard, &wake).await;
            }
            event = events.recv() => {
                let Some(first) = event else { return };
                let changed = settle(first, &mut events, &watched).await;
                // New directories first: what is written into them while this goes on must not be missed.
                armed = arm(armed.take(), &watched, &heard, &wake).await;
                tell(changed, &watched, &wake, &preparer).await;
            }
        }
    }
}

/// Gathers a burst. None: everything.
async fn settle(
    first: Heard,
    events: &mut mpsc::UnboundedReceiver<Heard>,
    watched: &Watched,
) -> Option<BTreeSet<PathBuf>> {
    let mut paths = Some(BTreeSet::new());
    let mut add = |heard: Heard| match (heard, &mut paths) {
        (Heard::Paths(more), Some(paths)) => paths.extend(more),
        (Heard::Everything, paths) => *paths = None,
        _ => {}
    };
    add(first);
    while let Ok(Some(more)) = tokio::time::timeout(SETTLE, events.recv()).await {
        add(more);
    }
    let locks: Vec<PathBuf> = watched
        .nodes
        .iter()
        .flat_map(|(_, build)| &build.sources)
        .filter_map(|tree| git_lock(&tree.path))
        .collect();
    let checkout = async {
        while locks.iter().any(|lock| lock.exists()) {
            if let Ok(Some(more)) = tokio::time::timeout(SETTLE, events.recv()).await {
                add(more);
            }
        }
    };
    let _someone_crashed = tokio::time::timeout(CHECKOUT, checkout).await;
    paths
}

/// The lock that git holds while it writes the work tree that `path` is in.
fn git_lock(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .map(|dir| dir.join(".git"))
        .find(|git| git.is_dir())
        .map(|git| git.join("index.lock"))
}

async fn tell(
    changed: Option<BTreeSet<PathBuf>>,
    watched: &Watched,
    wake: &mpsc::UnboundedSender<Wake>,
    preparer: &Arc<Mutex<Preparer>>,
) {
    let concerns = |path: &Path| {
        changed
            .as_ref()
            .is_none_or(|changed| changed.iter().any(|one| one.starts_with(path)))
    };
    if watched.files.iter().any(|file| concerns(file)) {
        replan(watched, wake, preparer).await;
    }
    for (node, build) in &watched.nodes {
        if !build.sources.iter().any(|tree| concerns(&tree.path)) {
            continue;
        }
        let what = describe(changed.as_ref(), build);
        let digest = build.clone();
        let Ok(Some(source)) = tokio::task::spawn_blocking(move || sources::stamp(&digest)).await else {
            continue;
        };
        let _ended = wake.send(Wake::Event(Event::Changed {
            node: node.clone(),
            source,
            what,
        }));
    }
}

fn describe(changed: Option<&BTreeSet<PathBuf>>, build: &BuildSpec) -> String {
    let Some(changed) = changed else {
        return "its sources".to_owned();
    };
    // What an editor wrote beside the file and renamed is not there any more.
    let of_node = |path: &&PathBuf| build.sources.iter().any(|tree| path.starts_with(&tree.path)) && path.is_file();
    let of_node: Vec<&PathBuf> = changed.iter().filter(of_node).collect();
    match of_node.as_slice() {
        [] => "its sources".to_owned(),
        [one] => {
            let inside = build.sources.iter().find_map(|tree| one.strip_prefix(&tree.path).ok());
            match inside.filter(|inside| !inside.as_os_str().is_empty()) {
                Some(inside) => inside.display().to_string(),
                None => one
                    .file_name()
                    .unwrap_or(one.as_os_str())
                    .to_string_lossy()
                    .into_owned(),
            }
        }
        many => format!("{} files", many.len()),
    }
}

/// The Compose file itself: a changed one is a new plan, a broken one is told and the old plan stays.
async fn replan(watched: &Watched, wake: &mpsc::UnboundedSender<Wake>, preparer: &Arc<Mutex<Preparer>>) {
    let (reply, _nobody_waits) = mpsc::unbounded_channel();
    let request = v1::UpRequest {
        attach: false,
        dry_run: false,
        force_recreate: false,
        build: false,
        ..watched.request.clone()
    };
    let command = match preparer.lock().await.up(request, Wait::Started, reply).await {
        Ok(command) => Command::Up(Box::new(command)),
        Err(outcome) => {
            let lines: Vec<String> = outcome
                .diagnostics
                .iter()
                .map(|diagnostic| diagnostic.text.clone())
                .collect();
            Command::Remark(Remark {
                node: None,
                text: format!(
                    "the changed files cannot be used, the graph stays as it is: {}",
                    lines.join("\n")
                ),
                help: None,
            })
        }
    };
    let _ended = wake.send(Wake::Command(command));
}

/// Watches every directory that is not ignored, and those that the files are in.
async fn arm(
    armed: Option<Armed>,
    watched: &Watched,
    heard: &mpsc::UnboundedSender<Heard>,
    wake: &mpsc::UnboundedSender<Wake>,
) -> Option<Armed> {
    let trees: Vec<BuildSpec> = watched.nodes.iter().map(|(_, build)| build.clone()).collect();
    let files = watched.files.clone();
    let (heard, wake) = (heard.clone(), wake.clone());
    let task = tokio::task::spawn_blocking(move || {
        let mut dirs: HashSet<PathBuf> = files
            .iter()
            .filter_map(|file| file.parent())
            .map(Path::to_owned)
            .collect();
        for build in &trees {
            for tree in &build.sources {
                dirs.extend(sources::directories(tree));
            }
        }
        let mut armed = armed.or_else(|| listen(&heard))?;
        let gone: Vec<PathBuf> = armed.dirs.difference(&dirs).cloned().collect();
        for dir in gone {
            armed.dirs.remove(&dir);
            let _was_deleted = armed.watcher.unwatch(&dir);
        }
        for dir in dirs {
            if armed.dirs.contains(&dir) && dir.exists() {
                continue;
            }
            match armed.watcher.watch(&dir, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    armed.dirs.insert(dir);
                }
                Err(error) if !armed.full && matches!(error.kind, notify::ErrorKind::MaxFilesWatch) => {
                    let remark = Remark {
                        node: None,
                        text: format!(
                            "not all sources are watched by events, `{}` and others are looked at twice a second: the system's limit is reached",
                            dir.display()
                        ),
                        help: Some("raise it: `sysctl fs.inotify.max_user_watches=524288`".to_owned()),
                    };
                    let _ended = wake.send(Wake::Command(Command::Remark(remark)));
                    armed = poll(&heard, armed)?;
                    let _now_polled = armed.watcher.watch(&dir, RecursiveMode::NonRecursive);
                    armed.dirs.insert(dir);
                }
                Err(_) => {}
            }
        }
        Some(armed)
    });
    task.await.ok().flatten()
}

fn hear(heard: &mpsc::UnboundedSender<Heard>) -> impl Fn(notify::Result<notify::Event>) + Send + 'static {
    let heard = heard.clone();
    move |event| {
        let said = match event {
            Ok(event) if event.need_rescan() => Heard::Everything,
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
            Ok(event) => Heard::Paths(event.paths),
            Err(_) => return,
        };
        let _ended = heard.send(said);
    }
}

fn listen(heard: &mpsc::UnboundedSender<Heard>) -> Option<Armed> {
    let watcher = RecommendedWatcher::new(hear(heard), Config::default()).ok()?;
    Some(Armed {
        watcher: Box::new(watcher),
        dirs: HashSet::new(),
        full: false,
    })
}

/// The same directories, looked at again and again.
fn poll(heard: &mpsc::UnboundedSender<Heard>, before: Armed) -> Option<Armed> {
    let config = Config::default().with_poll_interval(POLL);
    let mut watcher = PollWatcher::new(hear(heard), config).ok()?;
    for dir in &before.dirs {
        let _was_deleted = watcher.watch(dir, RecursiveMode::NonRecursive);
    }
    Some(Armed {
        watcher: Box::new(watcher),
        dirs: before.dirs,
        full: true,
    })
}

/// What of a plan is to be watched: each source tree once per node.
pub(crate) fn of_nodes<'a>(
    specs: impl Iterator<Item = (&'a NodeId, Option<&'a BuildSpec>)>,
) -> Vec<(NodeId, BuildSpec)> {
    let mut nodes: HashMap<NodeId, BuildSpec> = HashMap::new();
    for (id, build) in specs {
        if let Some(build) = build.filter(|build| !build.sources.is_empty()) {
            nodes.insert(id.clone(), build.clone());
        }
    }
    nodes.into_iter().collect()
}
