//! What the system tells of changes: one watch per directory, and where that is not possible, looking again and again.

use std::collections::{BTreeSet, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Config, ErrorKind, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

/// What the system says.
#[derive(Debug)]
pub(super) enum Heard {
    /// Something happened here.
    Paths(Vec<PathBuf>, Stage),
    /// Events were lost: everything may have changed.
    Everything,
}

/// How far what happens to a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is there, empty.
    Made,
    /// Something was written into it.
    Written,
    /// Whoever wrote it has closed it, or it was moved here whole.
    Complete,
    /// It is not there any more.
    Gone,
    /// It was told to be gone from the first path and complete at the second: the two are one.
    Moved,
    /// Its content is as it was, or it is told of otherwise as well.
    Beside,
    /// A directory, a link, or where the system says no more.
    OpenEnded,
}

impl Stage {
    fn of(kind: EventKind) -> Self {
        match kind {
            EventKind::Create(CreateKind::File) => Self::Made,
            EventKind::Modify(ModifyKind::Data(_)) => Self::Written,
            EventKind::Access(AccessKind::Close(AccessMode::Write))
            | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Self::Complete,
            EventKind::Remove(RemoveKind::File) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => Self::Gone,
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => Self::Moved,
            EventKind::Modify(ModifyKind::Metadata(_)) => Self::Beside,
            _ => Self::OpenEnded,
        }
    }
}

/// Watches directories one by one.
pub(super) struct System {
    watcher: Option<RecommendedWatcher>,
    /// Whoever listens goes on listening, also where there is nobody to speak.
    _heard: mpsc::UnboundedSender<Heard>,
    /// What is armed: a directory that was deleted and made again is another one, and its watch is gone.
    armed: HashMap<PathBuf, Identity>,
    /// Why some of it is looked at again and again instead; told once.
    polled: bool,
}

/// Which directory it is. Numbers of files are given again at once, so the time of its making counts as well.
type Identity = (u64, u64, Option<SystemTime>);

/// Why events cannot be relied on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unheard {
    pub(super) why: String,
    pub(super) help: Option<String>,
}

impl System {
    /// Starts hearing. Where the system refuses, everything is to be looked at again and again.
    pub(super) fn start(heard: mpsc::UnboundedSender<Heard>) -> (Self, Option<Unheard>) {
        let (watcher, unheard) = match RecommendedWatcher::new(hear(heard.clone()), Config::default()) {
            Ok(watcher) => (Some(watcher), None),
            Err(error) => (None, Some(refused(&error))),
        };
        let system = Self {
            polled: unheard.is_some(),
            watcher,
            _heard: heard,
            armed: HashMap::new(),
        };
        (system, unheard)
    }

    /// Whether directories have to be looked at again and again.
    pub(super) fn is_polled(&self) -> bool {
        self.polled
    }

    /// From now on everything is looked at again and again as well.
    pub(super) fn poll(&mut self) {
        self.polled = true;
    }

    /// Something happened to these themselves: those that are armed may be others by now, and are armed anew.
    pub(super) fn doubt(&mut self, touched: &BTreeSet<PathBuf>) {
        for dir in touched {
            if self.armed.remove(dir).is_some()
                && let Some(watcher) = &mut self.watcher
            {
                let _was_deleted = watcher.unwatch(dir);
            }
        }
    }

    /// Watches these directories and no other. In place of one that is not there, the nearest that is: it tells when the
    /// missing one comes. What is armed now and was not before: whatever came into it until then has not been told.
    pub(super) fn arm(&mut self, dirs: impl IntoIterator<Item = PathBuf>) -> (BTreeSet<PathBuf>, Option<Unheard>) {
        let wanted: BTreeSet<PathBuf> = dirs.into_iter().filter_map(nearest).collect();
        let (mut new, mut unheard) = (BTreeSet::new(), None);
        let Some(watcher) = self.watcher.as_mut() else {
            return (new, unheard);
        };
        self.armed.retain(|dir, identity| {
            let stays = wanted.contains(dir) && self::identity(dir) == Some(*identity);
            if !stays {
                let _was_deleted = watcher.unwatch(dir);
            }
            stays
        });
        for dir in wanted {
            if self.armed.contains_key(&dir) {
                continue;
            }
            let Some(identity) = identity(&dir) else { continue };
            match watcher.watch(&dir, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    new.insert(dir.clone());
                    self.armed.insert(dir, identity);
                }
                Err(error) if !std::mem::replace(&mut self.polled, true) => unheard = Some(limit(&error, &dir)),
                Err(_) => {}
            }
        }
        (new, unheard)
    }

    /// Writes a file into `dir`, which nobody else watches, and waits for the word of it. None: it came.
    pub(super) async fn test(dir: &Path) -> Option<Unheard> {
        const PATIENCE: Duration = Duration::from_secs(2);
        let (heard, mut events) = mpsc::unbounded_channel();
        let (mut system, refused) = Self::start(heard);
        if refused.is_some() || system.arm([dir.to_owned()]).1.is_some() {
            // The watcher proper meets the same, and says so.
            return None;
        }
        let probe = dir.join(format!("watch-test-{}", std::process::id()));
        if tokio::fs::write(&probe, "").await.is_err() {
            return None;
        }
        let came = tokio::time::timeout(PATIENCE, events.recv()).await;
        let _gone = tokio::fs::remove_file(&probe).await;
        came.is_err().then(|| Unheard {
            why: format!("the file system of `{}` tells of no changes", dir.display()),
            help: None,
        })
    }
}

/// The directory itself, or the nearest above it that is there.
fn nearest(dir: PathBuf) -> Option<PathBuf> {
    dir.ancestors().find(|dir| dir.is_dir()).map(Path::to_owned)
}

fn identity(dir: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(dir).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.created().ok()))
}

fn hear(heard: mpsc::UnboundedSender<Heard>) -> impl Fn(notify::Result<notify::Event>) + Send + 'static {
    move |event| {
        let said = match event {
            Ok(event) if event.need_rescan() => Heard::Everything,
            Ok(event) => {
                let closed = AccessKind::Close(AccessMode::Write);
                if matches!(event.kind, EventKind::Access(access) if access != closed) {
                    return;
                }
                Heard::Paths(event.paths, Stage::of(event.kind))
            }
            Err(_) => return,
        };
        let _ended = heard.send(said);
    }
}

/// There is no watcher at all: the user has too many of them (inotify_init(2), EMFILE).
fn refused(error: &notify::Error) -> Unheard {
    Unheard {
        why: format!("the system gives no more watchers ({error})"),
        help: Some("raise the limit: `sysctl fs.inotify.max_user_instances=1024`".to_owned()),
    }
}

fn limit(error: &notify::Error, dir: &Path) -> Unheard {
    let full = matches!(error.kind, ErrorKind::MaxFilesWatch);
    Unheard {
        why: match full {
            true => format!("the system's limit of watches is reached at `{}`", dir.display()),
            false => format!("`{}` cannot be watched ({error})", dir.display()),
        },
        help: full.then(|| "raise the limit: `sysctl fs.inotify.max_user_watches=524288`".to_owned()),
    }
}

/// Whether files here may be changed by other machines, of which this one's kernel hears nothing: network and shared file
/// systems.
#[cfg(target_os = "linux")]
pub(super) fn is_shared(path: &Path) -> bool {
    use nix::sys::statfs::{FsType, statfs};
    // statfs(2): NFS, SMB, SMB2, CIFS, 9p (also WSL's drives), FUSE (also Docker Desktop's), VirtualBox's shared folders.
    const SHARED: &[i64] = &[
        0x6969,
        0x517b,
        0xfe53_4d42,
        0xff53_4d42,
        0x0102_1997,
        0x6573_5546,
        0x786f_4256,
    ];
    let shared = |FsType(kind): FsType| {
        SHARED
            .iter()
            .any(|known| i128::from(*known) == i128::from(kind) & 0xffff_ffff)
    };
    path.ancestors()
        .find_map(|path| statfs(path).ok())
        .is_some_and(|found| shared(found.filesystem_type()))
}

/// Whether files here may be changed by other machines.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_shared(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn hears(events: &mut mpsc::UnboundedReceiver<Heard>, path: &Path) {
        let heard = async {
            while let Some(heard) = events.recv().await {
                if matches!(heard, Heard::Paths(paths, _) if paths.iter().any(|one| one == path)) {
                    return;
                }
            }
        };
        let came = tokio::time::timeout(Duration::from_secs(10), heard).await;
        assert!(came.is_ok(), "nothing of {}", path.display());
    }

    #[tokio::test]
    async fn a_directory_that_comes_back_is_watched_again() {
        let dir = tempfile::tempdir().unwrap();
        let (heard, mut events) = mpsc::unbounded_channel();
        let (mut system, refused) = System::start(heard);
        assert_eq!(refused, None);
        let sub = dir.path().join("sub/dir");
        assert_eq!(
            system.arm([sub.clone()]),
            (BTreeSet::from([dir.path().to_owned()]), None)
        );
        std::fs::create_dir_all(&sub).unwrap();
        hears(&mut events, &dir.path().join("sub")).await;
        for name in ["one", "two"] {
            system.doubt(&BTreeSet::from([sub.clone()]));
            system.arm([sub.clone()]);
            std::fs::write(sub.join(name), "x").unwrap();
            hears(&mut events, &sub.join(name)).await;
            // Gone and back within a moment: the same path, another directory.
            std::fs::remove_dir_all(&sub).unwrap();
            std::fs::create_dir_all(&sub).unwrap();
        }
    }

    #[tokio::test]
    async fn events_come_here() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(System::test(dir.path()).await, None);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(!is_shared(dir.path()));
    }

    #[test]
    fn limits_are_told_with_their_names() {
        let dir = Path::new("/src");
        let told = limit(&notify::Error::new(ErrorKind::MaxFilesWatch), dir);
        assert!(told.help.unwrap().contains("fs.inotify.max_user_watches"));
        let told = refused(&notify::Error::io(std::io::Error::from_raw_os_error(24)));
        assert!(told.help.unwrap().contains("fs.inotify.max_user_instances"));
    }
}
