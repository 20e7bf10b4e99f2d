//! Where a project's things live.
//!
//! | what | where | why there |
//! |---|---|---|
//! | state, logs | `.devctl/` in the project | found with the project, ignored by git |
//! | server data | root: `/var/lib/devctl/ID`; else `$XDG_DATA_HOME/devctl/ID` | a server's user cannot enter a home directory |
//! | sockets | root: `/run/devctl/ID`; else `$XDG_RUNTIME_DIR/devctl/ID`, `/tmp/devctl-UID/ID` | a socket's path has 108 bytes |
//! | templates | root: `/var/cache/devctl`; else `$XDG_CACHE_HOME/devctl` | shared by all projects |
//! | leases | beside the data of all projects | one file for a user |

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::user::UserId;

/// Bytes that a unix socket's path may have on every system (Linux: 108 with the final zero; macOS: 104).
pub const SOCKET_PATH_LIMIT: usize = 103;

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
    /// `.devctl` in the project.
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
        todo!()
    }
}

impl Dirs {
    /// Where the things of that project live.
    pub fn of_project(_project_dir: &Path, _name: &str, _places: &Places) -> Self {
        todo!()
    }

    /// Makes them all: the state directory with its `.gitignore`, the others closed to other users, save that a server's
    /// unprivileged user may pass through when devctl runs as root.
    ///
    /// # Errors
    /// Where one cannot be made.
    pub fn create(&self) -> Result<(), DirsError> {
        todo!()
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

/// Refuses a socket whose path the kernel would refuse.
///
/// # Errors
/// [`DirsError::SocketPathTooLong`].
pub fn check_socket_path(_path: &Path) -> Result<(), DirsError> {
    todo!()
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
        todo!()
    }
}
