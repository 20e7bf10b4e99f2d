//! Where a project's things live.
//!
//! | what | where | why there |
//! |---|---|---|
//! | state, logs | `.devctl/NAME/` in the project | found with the project, ignored by git; one directory may be several projects (`-p`) |
//! | server data | root: `/var/lib/devctl/ID`; else `$XDG_DATA_HOME/devctl/ID` | a server's user cannot enter a home directory |
//! | sockets | root: `/run/devctl/ID`; else `$XDG_RUNTIME_DIR/devctl/ID`, `/tmp/devctl-UID/ID` | a socket's path has 108 bytes |
//! | templates | root: `/var/cache/devctl`; else `$XDG_CACHE_HOME/devctl` | shared by all projects |
//! | leases | beside the data of all projects | one file for a user |

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::user::{self, UserId};

/// Bytes that a unix socket's path may have on every system (Linux: 108 with the final zero; macOS: 104).
pub const SOCKET_PATH_LIMIT: usize = 103;

/// Below a project's directory: what devctl keeps of the projects that it is, a directory for each name.
pub const STATE: &str = ".devctl";

/// The file in a project's data and runtime directories that says where the project is: what is left of one that is gone is
/// known by it.
pub const OWNER: &str = ".project";

/// The environment variables that say where a user's things live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_DATA_HOME`.
    pub data_home: Option<PathBuf>,
    /// `XDG_CACHE_HOME`.
    pub cache_home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// `DEVCTL_HOME`: everything under one directory instead; for tests and odd machines.
    pub devctl_home: Option<PathBuf>,
}

/// Where one project's things live. Nothing is made until [`Dirs::create`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// The project's id: its name and the beginning of a hash of its directory, so that two checkouts differ.
    pub id: String,
    /// The project's directory.
    pub project: PathBuf,
    /// `.devctl/NAME` in the project.
    pub state: PathBuf,
    /// Logs, under the state directory.
    pub logs: PathBuf,
    /// Data of servers.
    pub data: PathBuf,
    /// Sockets.
    pub runtime: PathBuf,
    /// Templates, shared by all projects.
    pub cache: PathBuf,
    /// The file of leases, shared by all projects.
    pub leases: PathBuf,
}

impl Places {
    /// Takes them from this process's environment.
    pub fn from_env() -> Self {
        // The XDG specification ignores relative paths.
        let var = |name| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        Self {
            home: var("HOME"),
            data_home: var("XDG_DATA_HOME"),
            cache_home: var("XDG_CACHE_HOME"),
            runtime_dir: var("XDG_RUNTIME_DIR"),
            devctl_home: var("DEVCTL_HOME"),
        }
    }
}

impl Dirs {
    /// Where the things of that project live.
    pub fn of_project(project_dir: &Path, name: &str, places: &Places) -> Self {
        let real = fs::canonicalize(project_dir).unwrap_or_else(|_| project_dir.to_owned());
        let name = name.replace('/', "_");
        let id = format!("{name}-{}", short_hash(real.as_os_str().as_encoded_bytes()));
        let uid = user::current_uid();
        let home = |given: &Option<PathBuf>, below: &str| {
            let fallback = || places.home.as_ref().map(|home| home.join(below));
            given
                .clone()
                .or_else(fallback)
                .unwrap_or_else(|| PathBuf::from(format!("/tmp/devctl-{uid}")))
                .join("devctl")
        };
        let (data, runtime, cache) = match (&places.devctl_home, user::is_root()) {
            (Some(home), _) => (home.join("data"), home.join("run"), home.join("cache")),
            (None, true) => (
                "/var/lib/devctl".into(),
                "/run/devctl".into(),
                "/var/cache/devctl".into(),
            ),
            (None, false) => {
                let runtime = match &places.runtime_dir {
                    Some(dir) => dir.join("devctl"),
                    None => PathBuf::from(format!("/tmp/devctl-{uid}")),
                };
                (
                    home(&places.data_home, ".local/share"),
                    runtime,
                    home(&places.cache_home, ".cache"),
                )
            }
        };
        let state = real.join(STATE).join(name);
        Self {
            project: real,
            logs: state.join("logs"),
            state,
            leases: data.join("leases.json"),
            data: data.join(&id),
            // A hash alone: a socket's path is short of bytes, and a project's name may be long.
            runtime: runtime.join(short_hash(id.as_bytes())),
            cache,
            id,
        }
    }

    /// The same kind of places for something of the project's that runs apart from it, such as a verification. `state` lies in the
    /// project's own state directory, so that git ignores it.
    #[must_use]
    pub fn apart(&self, name: &str) -> Self {
        let id = format!("{}-{}", self.id, name.replace('/', "-"));
        let state = self.state.join(name);
        Self {
            project: self.project.clone(),
            logs: state.join("logs"),
            state,
            data: self.data.with_file_name(&id),
            // Beside the project's own, and as short.
            runtime: self.runtime.with_file_name(short_hash(id.as_bytes())),
            cache: self.cache.clone(),
            leases: self.leases.clone(),
            id,
        }
    }

    /// Makes them all: the state directory, ignored by git, the others closed to other users, save that a server's
    /// unprivileged user may pass through when devctl runs as root.
    ///
    /// # Errors
    /// Where one cannot be made.
    pub fn create(&self) -> Result<(), DirsError> {
        make(&self.state, 0o755)?;
        let ignore = self.project.join(STATE).join(".gitignore");
        if !ignore.exists() {
            fs::write(
                &ignore,
                "# Written by devctl: nothing here belongs into the repository.\n*\n",
            )
            .map_err(|source| DirsError::Make { path: ignore, source })?;
        }
        make(&self.logs, 0o755)?;
        // Root's servers run as other users, who may pass through but not look around.
        let mode = if user::is_root() { 0o711 } else { 0o700 };
        for dir in [&self.data, &self.runtime, &self.cache] {
            if let Some(parent) = dir.parent()
                && !parent.exists()
            {
                make(parent, mode)?;
            }
            make(dir, mode)?;
        }
        for dir in [&self.data, &self.runtime] {
            let owner = dir.join(OWNER);
            if !owner.exists() {
                fs::write(&owner, self.project.as_os_str().as_encoded_bytes())
                    .map_err(|source| DirsError::Make { path: owner, source })?;
            }
        }
        check_socket_path(&self.api_socket())
    }

    /// The data directory of a node.
    pub fn node_data(&self, node: &str) -> PathBuf {
        self.data.join(node)
    }

    /// The socket that the daemon's API listens on.
    pub fn api_socket(&self) -> PathBuf {
        self.runtime.join("api.sock")
    }
}

fn short_hash(of: &[u8]) -> String {
    let hash = Sha256::digest(of);
    hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Refuses a socket whose path the kernel would refuse.
///
/// # Errors
/// [`DirsError::SocketPathTooLong`].
pub fn check_socket_path(path: &Path) -> Result<(), DirsError> {
    match path.as_os_str().len() > SOCKET_PATH_LIMIT {
        true => Err(DirsError::SocketPathTooLong { path: path.to_owned() }),
        false => Ok(()),
    }
}

/// Makes a directory with this mode, its parents too. One that is there must be ours: in `/tmp` anybody could have made it.
fn make(dir: &Path, mode: u32) -> Result<(), DirsError> {
    let failed = |source| DirsError::Make {
        path: dir.to_owned(),
        source,
    };
    if let Ok(data) = fs::symlink_metadata(dir) {
        let owner = data.uid();
        if owner != user::current_uid() && !user::is_root() {
            return Err(DirsError::Foreign {
                path: dir.to_owned(),
                owner,
            });
        }
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(failed)?;
    fs::set_permissions(dir, fs::Permissions::from_mode(mode)).map_err(failed)
}

/// The first directory on the way to `path` that `user` may not enter. `None`: the way is free, as far as it exists.
pub fn closed_to(user: &UserId, path: &Path) -> Option<PathBuf> {
    let mut way: Vec<&Path> = path.ancestors().collect();
    way.reverse();
    way.into_iter()
        .find(|dir| fs::metadata(dir).is_ok_and(|data| data.is_dir() && !permits(user, &data, 0o1)))
        .map(Path::to_owned)
}

/// Whether `user` has a permission (1: execute or enter, 2: write, 4: read). Supplementary groups are dropped at a spawn and do not count.
pub(crate) fn permits(user: &UserId, data: &fs::Metadata, bit: u32) -> bool {
    let mode = data.mode();
    if user.uid == 0 {
        return data.is_dir() || mode & 0o111 != 0 || bit != 0o1;
    }
    let shift = match (data.uid() == user.uid, data.gid() == user.gid) {
        (true, _) => 6,
        (false, true) => 3,
        (false, false) => 0,
    };
    mode >> shift & bit == bit
}

/// Whether an error says that the disk (or the user's quota) is full.
pub fn is_disk_full(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded
    )
}

/// Why a directory could not be made ready.
#[derive(Debug, thiserror::Error)]
pub enum DirsError {
    /// It cannot be made.
    #[error("make directory `{}`", path.display())]
    Make {
        /// The directory.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// It is there, and belongs to somebody else.
    #[error("use directory `{}`: it belongs to user {owner}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// Its owner's id.
        owner: u32,
    },
    /// The path of a socket does not fit.
    #[error("use socket path `{}`: {} bytes, and {SOCKET_PATH_LIMIT} is the most", path.display(), path.as_os_str().len())]
    SocketPathTooLong {
        /// The path.
        path: PathBuf,
    },
}

impl DirsError {
    /// What to do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Make { source, path } if is_disk_full(source) => Some(format!(
                "the disk that holds `{}` is full: free some space (`df -h`)",
                path.display()
            )),
            Self::Make { .. } => Some("make it writable, or set DEVCTL_HOME to a directory that is".into()),
            Self::Foreign { path, .. } => Some(format!(
                "remove `{}`, or set XDG_RUNTIME_DIR or DEVCTL_HOME to a directory of yours",
                path.display()
            )),
            Self::SocketPathTooLong { .. } => Some("set XDG_RUNTIME_DIR or DEVCTL_HOME to a shorter path".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(home: &Path) -> Places {
        Places {
            devctl_home: Some(home.to_owned()),
            ..Places::default()
        }
    }

    #[test]
    fn two_checkouts_of_one_project_share_nothing_but_caches() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        fs::create_dir_all(&one).unwrap();
        fs::create_dir_all(&two).unwrap();
        let of = |checkout: &Path| Dirs::of_project(checkout, "shop", &places(dir.path()));
        let (first, second) = (of(&one), of(&two));
        assert!(first.id.starts_with("shop-") && first.id != second.id);
        assert!(first.data != second.data && first.runtime != second.runtime && first.state != second.state);
        assert_eq!((&first.cache, &first.leases), (&second.cache, &second.leases));
        assert_eq!(of(&one), first);
    }

    #[test]
    fn two_projects_of_one_directory_share_nothing_but_caches() {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str| Dirs::of_project(dir.path(), name, &places(dir.path()));
        let (first, second) = (of("shop"), of("shop-2"));
        assert!(first.data != second.data && first.runtime != second.runtime && first.state != second.state);
        assert_eq!((&first.cache, &first.leases), (&second.cache, &second.leases));
        assert!(first.apart("1").runtime != second.apart("1").runtime);
    }

    #[test]
    fn all_are_made_and_git_ignores_the_state() {
        let dir = tempfile::tempdir().unwrap();
        let dirs = Dirs::of_project(dir.path(), "shop", &places(&dir.path().join("home")));
        dirs.create().unwrap();
        dirs.create().unwrap();
        assert!(
            fs::read_to_string(dir.path().join(STATE).join(".gitignore"))
                .unwrap()
                .ends_with("*\n")
        );
        let mode = fs::metadata(&dirs.runtime).unwrap().mode() & 0o077;
        assert_eq!(mode, if user::is_root() { 0o011 } else { 0 });
    }

    #[test]
    fn a_socket_path_that_the_kernel_would_refuse_is_refused_first() {
        assert!(check_socket_path(Path::new("/run/short.sock")).is_ok());
        let error = check_socket_path(&PathBuf::from(format!("/{}", "x".repeat(103)))).unwrap_err();
        assert!(error.to_string().ends_with("104 bytes, and 103 is the most"), "{error}");
        assert!(error.help().is_some());
    }

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let closed = dir.path().join("closed");
        fs::create_dir_all(closed.join("inner")).unwrap();
        for (path, mode) in [(dir.path(), 0o755), (&closed, 0o700)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let stranger = UserId {
            name: "stranger".into(),
            uid: 4242,
            gid: 4242,
            home: "/".into(),
        };
        assert_eq!(closed_to(&stranger, &closed.join("inner")), Some(closed.clone()));
        assert_eq!(closed_to(&stranger, dir.path()), None);
    }
}
