//! Watches sources and Compose files, and tells the loop what has changed.
//!
//! Directories are armed one by one, ignored ones never, so that a build's own output wakes nobody. The first change after quiet is
//! told at once (after a settling time shorter than a frame). Whether it is a change at all is decided by looking at what was
//! touched, not by the event; so lost events cost a look at everything, and where none come, looking is all there is.

mod burst;
mod doing;
mod loops;
pub(crate) mod rules;
mod system;
mod tell;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use devctl_core::NodeId;
use devctl_drivers::docker::build::Build;
use devctl_wire::v1;
use tokio::sync::{Mutex, mpsc};

use crate::command::Remark;
use crate::prepare::Preparer;
use crate::run_loop::Wake;
use crate::sources::{self, Listing};
use crate::spec::{BuildSpec, SourceTree, WatchRule};
use burst::Burst;
use doing::Doings;
use loops::Loops;
use system::{Heard, System, Unheard};
use tell::{Found, tell_all};

/// While git writes, its lock is looked at this often.
const LOCKED: Duration = Duration::from_millis(5);
/// Whoever writes without a break is not waited for any longer.
const BURST: Duration = Duration::from_millis(200);
/// A checkout of many files holds `.git/index.lock` meanwhile; longer than this nobody waits for it.
const CHECKOUT: Duration = Duration::from_secs(10);
/// Where events do not come.
const POLL: Duration = Duration::from_millis(500);

/// What is watched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    /// Nodes that are built, and from what.
    pub(crate) nodes: Vec<(NodeId, BuildSpec)>,
    /// Containers whose files are copied, or whose image is built again.
    pub(crate) containers: Vec<Contained>,
    /// The Compose files and whatever else was read for the project.
    pub(crate) files: Vec<PathBuf>,
    /// Files and folders of pacts and provider states.
    pub(crate) contracts: Vec<PathBuf>,
    /// What was asked for: asked again when a file changes.
    pub(crate) request: v1::UpRequest,
}

/// A container, and what a change of its files does to it.
#[derive(Debug, Clone)]
pub(crate) struct Contained {
    pub(crate) node: NodeId,
    pub(crate) rules: Vec<WatchRule>,
    /// How its image is built.
    pub(crate) build: Option<Box<Build>>,
    /// It is a process: what a command of its rules writes may be among its own sources.
    pub(crate) is_process: bool,
}

/// The way to a running watcher.
#[derive(Clone)]
pub(crate) struct Watch {
    wanted: mpsc::UnboundedSender<Watched>,
    doings: Doings,
}

impl Watch {
    /// Starts watching; nothing yet. `state`: a directory of devctl's own, where it is tested whether events come.
    pub(crate) fn start(wake: mpsc::UnboundedSender<Wake>, preparer: Arc<Mutex<Preparer>>, state: PathBuf) -> Self {
        let (wanted, inbox) = mpsc::unbounded_channel();
        let (found, finds) = mpsc::unbounded_channel();
        let watch = Self {
            wanted,
            doings: Doings::default(),
        };
        tokio::spawn(Watching::new(watch.doings.clone(), found).run(inbox, state));
        tokio::spawn(tell_all(finds, wake, preparer));
        watch
    }

    /// For a graph that is not to follow its files.
    pub(crate) fn nothing() -> Self {
        let (wanted, _nobody) = mpsc::unbounded_channel();
        Self {
            wanted,
            doings: Doings::default(),
        }
    }

    /// Watches this from now on, in place of what was watched before.
    pub(crate) fn set(&self, watched: Watched) {
        let _ended = self.wanted.send(watched);
    }
}

/// The watching task's own.
struct Watching {
    watched: Watched,
    /// Every tree that some node is built from, looked at once for all of them.
    trees: HashMap<SourceTree, Listing>,
    /// Where contracts are.
    contracts: Vec<SourceTree>,
    /// The files' state when they were read last.
    files: HashMap<PathBuf, Option<(u64, std::time::SystemTime)>>,
    loops: Loops,
    doings: Doings,
    found: mpsc::UnboundedSender<Found>,
}

impl Watching {
    fn new(doings: Doings, found: mpsc::UnboundedSender<Found>) -> Self {
        Self {
            watched: Watched::default(),
            trees: HashMap::new(),
            contracts: Vec::new(),
            files: HashMap::new(),
            loops: Loops::default(),
            doings,
            found,
        }
    }

    async fn run(self, inbox: mpsc::UnboundedReceiver<Watched>, state: PathBuf) {
        let (heard, events) = mpsc::unbounded_channel();
        let (system, unheard) = System::start(heard);
        self.say(unheard);
        self.follow(system, events, inbox, Some(state)).await;
    }

    /// Looks at what the system tells. `untested`: where it is to be tested first whether it tells anything.
    async fn follow(
        mut self,
        mut system: System,
        mut events: mpsc::UnboundedReceiver<Heard>,
        mut inbox: mpsc::UnboundedReceiver<Watched>,
        mut untested: Option<PathBuf>,
    ) {
        loop {
            let polled = system.is_polled();
            let changed = tokio::select! {
                wanted = inbox.recv() => {
                    let Some(wanted) = wanted else { return };
                    // Walking a tree takes milliseconds; this task does nothing else meanwhile, and the runtime has another thread.
                    tokio::task::block_in_place(|| self.begin(wanted, &mut system));
                    if let Some(dir) = untested.take()
                        && let Some(unheard) = System::test(&dir).await
                    {
                        system.poll();
                        self.say(Some(unheard));
                    }
                    continue;
                }
                event = events.recv() => {
                    let Some(first) = event else { return };
                    self.settle(first, &mut events).await
                }
                () = tokio::time::sleep(POLL), if polled => None,
            };
            tokio::task::block_in_place(|| self.look(changed.as_ref(), &mut system));
        }
    }

    /// Takes over what is to be watched.
    fn begin(&mut self, watched: Watched, system: &mut System) {
        self.watched = watched;
        self.contracts = self.watched.contracts.iter().map(SourceTree::all).collect();
        let wanted: HashSet<SourceTree> = self.sources().cloned().collect();
        self.trees.retain(|tree, _| wanted.contains(tree));
        for tree in wanted {
            if !system.is_polled() && system::is_shared(&tree.path) {
                system.poll();
                self.say(Some(Unheard {
                    why: format!(
                        "`{}` is on a file system that others may change unheard",
                        tree.path.display()
                    ),
                    help: None,
                }));
            }
            self.trees.entry(tree).or_insert_with_key(Listing::read);
        }
        self.files = self
            .watched
            .files
            .iter()
            .map(|file| (file.clone(), state(file)))
            .collect();
        let built = self.watched.nodes.iter().map(|(node, _)| node);
        let told = self.watched.containers.iter().map(|container| &container.node);
        self.loops.keep(&built.chain(told).collect());
        // What came meanwhile has not been told, and is no part of what was read.
        while !self.arm(system).is_empty() {
            self.look(None, system);
        }
    }

    fn sources(&self) -> impl Iterator<Item = &SourceTree> {
        let built = self.watched.nodes.iter().flat_map(|(_, build)| &build.sources);
        let rules = self.watched.containers.iter().flat_map(|container| &container.rules);
        built.chain(rules.map(|rule| &rule.tree)).chain(&self.contracts)
    }

    fn arm(&self, system: &mut System) -> BTreeSet<PathBuf> {
        let files = self.watched.files.iter().filter_map(|file| file.parent());
        let trees = self.trees.iter().flat_map(|(tree, listing)| {
            // A tree that is one file, or is not there, is seen from above.
            let above = (!tree.path.is_dir()).then(|| tree.path.parent()).flatten();
            let dirs = listing.dirs.iter().map(PathBuf::as_path);
            dirs.chain(above).chain([tree.path.as_path()])
        });
        let deciding = self.trees.keys().flat_map(Listing::decided_by);
        let deciding = deciding.filter_map(|file| file.parent().map(Path::to_owned));
        let (new, unheard) = system.arm(files.chain(trees).map(Path::to_owned).chain(deciding));
        self.say(unheard);
        new
    }

    /// Looks at what was touched (None: at everything), and tells what has changed.
    fn look(&mut self, touched: Option<&BTreeSet<PathBuf>>, system: &mut System) {
        let now = Instant::now();
        let mut before = HashMap::new();
        self.refresh(touched, &mut before);
        if let Some(touched) = touched {
            system.doubt(touched);
        }
        // What came into a new directory before it was armed has not been told.
        loop {
            let new = self.arm(system);
            if new.is_empty() {
                break;
            }
            self.refresh(Some(&new), &mut before);
        }
        let mut changed: HashMap<SourceTree, BTreeSet<PathBuf>> = HashMap::new();
        for (tree, before) in before {
            let differ = self.trees.get(&tree).map(|listing| listing.changed_since(&before));
            changed.extend(differ.filter(|differ| !differ.is_empty()).map(|differ| (tree, differ)));
        }
        for (node, build) in std::mem::take(&mut self.watched.nodes) {
            self.look_at(&node, &build, &changed, now);
            self.watched.nodes.push((node, build));
        }
        for container in std::mem::take(&mut self.watched.containers) {
            self.look_inside(&container, &changed, now);
            self.watched.containers.push(container);
        }
        let contracts = self.contracts.iter().filter_map(|tree| changed.get(tree)).flatten();
        let contracts: BTreeSet<PathBuf> = contracts.cloned().collect();
        if !contracts.is_empty() {
            let paths = contracts.into_iter().collect();
            let _ended = self.found.send(Found::Contracts { paths });
        }
        let files = self.files.iter_mut();
        let differ = files
            .map(|(file, before)| {
                let after = state(file);
                std::mem::replace(before, after) != after
            })
            .fold(false, |any, one| any | one);
        if differ {
            let _ended = self.found.send(Found::Files(Box::new(self.watched.request.clone())));
        }
    }

    /// Looks again, and keeps what each tree was before the first look.
    fn refresh(&mut self, touched: Option<&BTreeSet<PathBuf>>, before: &mut HashMap<SourceTree, Listing>) {
        for (tree, listing) in &mut self.trees {
            if touched.is_some_and(|touched| !touched.iter().any(|path| concerns(path, tree))) {
                continue;
            }
            before.entry(tree.clone()).or_insert_with(|| listing.clone());
            match touched {
                Some(touched) => listing.refresh(tree, touched),
                None => *listing = Listing::read(tree),
            }
        }
    }

    fn look_at(
        &mut self,
        node: &NodeId,
        build: &BuildSpec,
        changed: &HashMap<SourceTree, BTreeSet<PathBuf>>,
        now: Instant,
    ) {
        let of_node = build.sources.iter().filter_map(|tree| changed.get(tree)).flatten();
        let of_node: BTreeSet<PathBuf> = of_node
            .filter(|path| build.artefact.as_ref() != Some(path))
            .cloned()
            .collect();
        if of_node.is_empty() {
            return;
        }
        let trees: Vec<&SourceTree> = build.sources.iter().collect();
        let real = self.judge(node, of_node, (&trees, build.command.is_empty()), now);
        let listings = build.sources.iter().filter_map(|tree| self.trees.get(tree));
        if !real.is_empty()
            && let Some(source) = sources::stamp_of(build, listings)
        {
            let _ended = self.found.send(Found::Sources {
                node: node.clone(),
                source,
                what: describe(&real, &trees),
            });
        }
    }

    /// What of these changes is not the node's own doing; that is told, once.
    fn judge(
        &mut self,
        node: &NodeId,
        changed: BTreeSet<PathBuf>,
        (trees, unbuilt): (&[&SourceTree], bool),
        now: Instant,
    ) -> BTreeSet<PathBuf> {
        let doings = self.doings.lock().unwrap_or_else(PoisonError::into_inner);
        let doing = doings.get(node).cloned().unwrap_or_default();
        drop(doings);
        // A build's processes are gone when what they wrote is seen; a run's are not.
        let acquitted = unbuilt && doing.is_acquitted(&changed);
        let cause = doing.began.filter(|_| !doing.proven && !acquitted);
        let judged = self.loops.judge(node, changed, (cause, now), |changed| {
            let all: Vec<i32> = doing.processes.values().flatten().copied().collect();
            loops::written_by(&all, changed)
        });
        for path in &judged.named {
            let remark = Remark {
                node: Some(node.clone()),
                text: format!(
                    "it writes `{}` itself: that is no change of its sources",
                    inside(path, trees).display()
                ),
                help: Some("leave it out: `ignore` of its `develop.watch`, or `.gitignore`".to_owned()),
            };
            let _ended = self.found.send(Found::Said(remark));
        }
        judged.real
    }

    /// What the changes mean to a container, or to a process that has nothing to build.
    fn look_inside(&mut self, container: &Contained, changed: &HashMap<SourceTree, BTreeSet<PathBuf>>, now: Instant) {
        let trees: Vec<&SourceTree> = container.rules.iter().map(|rule| &rule.tree).collect();
        let mut real: Option<BTreeSet<PathBuf>> = None;
        if container.is_process {
            let all: BTreeSet<PathBuf> = trees
                .iter()
                .filter_map(|tree| changed.get(*tree))
                .flatten()
                .cloned()
                .collect();
            if all.is_empty() {
                return;
            }
            real = Some(self.judge(&container.node, all, (&trees, false), now));
        }
        let of_tree = |tree: &SourceTree| {
            let mut changed = changed.get(tree).cloned().unwrap_or_default();
            changed.retain(|path| real.as_ref().is_none_or(|real| real.contains(path)));
            changed
        };
        let batch = rules::batch(&container.rules, of_tree, |path| path.symlink_metadata().is_ok());
        if batch.is_empty() {
            return;
        }
        let paths: BTreeSet<PathBuf> = trees.iter().flat_map(|tree| of_tree(tree)).collect();
        let what = describe(&paths, &trees);
        let node = container.node.clone();
        let found = match (&container.build, batch.rebuild) {
            (Some(build), true) => Found::Image {
                node,
                build: build.clone(),
                what,
            },
            // There is nothing to build: checked when the files were read.
            (None, true) => return,
            (_, false) => Found::Batch { node, batch, what },
        };
        let _ended = self.found.send(found);
    }

    /// Gathers a burst. None: everything.
    async fn settle(&self, first: Heard, events: &mut mpsc::UnboundedReceiver<Heard>) -> Option<BTreeSet<PathBuf>> {
        let mut burst = Burst::new(first);
        let locks: BTreeSet<PathBuf> = self.sources().filter_map(|tree| git_lock(&tree.path)).collect();
        let is_locked = || locks.iter().any(|lock| lock.exists());
        // Git may be done before everything that it did has been heard.
        let began_locked = is_locked();
        gather(&mut burst, events).await;
        if began_locked || is_locked() {
            let checkout = async {
                while is_locked() {
                    if let Ok(Some(more)) = tokio::time::timeout(LOCKED, events.recv()).await {
                        burst.add(more);
                    }
                }
            };
            let _someone_crashed = tokio::time::timeout(CHECKOUT, checkout).await;
            burst.of_many();
            gather(&mut burst, events).await;
        }
        burst.touched()
    }

    fn say(&self, unheard: Option<Unheard>) {
        let Some(Unheard { why, help }) = unheard else { return };
        let _ended = self.found.send(Found::Said(Remark {
            node: None,
            text: format!("{why}: sources are looked at twice a second"),
            help,
        }));
    }
}

/// Waits for more of a burst until it is over, or goes on for too long.
async fn gather(burst: &mut Burst, events: &mut mpsc::UnboundedReceiver<Heard>) {
    let more = async {
        while let Ok(Some(more)) = tokio::time::timeout(burst.patience(), events.recv()).await {
            burst.add(more);
        }
    };
    let _goes_on = tokio::time::timeout(BURST, more).await;
}

/// The path lies in the tree, or the tree in it, or it decides what counts there.
fn concerns(path: &Path, tree: &SourceTree) -> bool {
    path.starts_with(&tree.path) || tree.path.starts_with(path) || Listing::decided_by(tree).any(|file| file == path)
}

/// When it was written, and how long it is; None where it is not there.
fn state(file: &Path) -> Option<(u64, std::time::SystemTime)> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

/// The lock that git holds while it writes the work tree that `path` is in.
fn git_lock(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .map(|dir| dir.join(".git"))
        .find(|git| git.is_dir())
        .map(|git| git.join("index.lock"))
}

/// A path as people name it: below its tree.
fn inside<'a>(path: &'a Path, trees: &[&SourceTree]) -> &'a Path {
    let below = trees.iter().find_map(|tree| path.strip_prefix(&tree.path).ok());
    below
        .filter(|below| !below.as_os_str().is_empty())
        .or_else(|| path.file_name().map(Path::new))
        .unwrap_or(path)
}

/// What changed, as people name it. Of files that are there and such that are gone, the former: the others were an editor's.
fn describe(changed: &BTreeSet<PathBuf>, trees: &[&SourceTree]) -> String {
    let there: Vec<&PathBuf> = changed.iter().filter(|path| path.symlink_metadata().is_ok()).collect();
    let named = if there.is_empty() {
        changed.iter().collect()
    } else {
        there
    };
    match named.as_slice() {
        [one] => inside(one, trees).display().to_string(),
        more => format!("{} files", more.len()),
    }
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
