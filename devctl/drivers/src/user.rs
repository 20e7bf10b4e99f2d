//! Whom a process runs as. PostgreSQL refuses root and RabbitMQ has no need of it, so both are given an unprivileged user.

use std::path::PathBuf;

use nix::unistd::{Uid, User, geteuid};

/// A user to run as: looked up once, so that a spawn needs no name service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserId {
    /// The login name.
    pub name: String,
    /// The user's id.
    pub uid: u32,
    /// The primary group's id. Supplementary groups are dropped.
    pub gid: u32,
    /// The home directory as the user database names it; it need not exist.
    pub home: PathBuf,
}

impl UserId {
    /// The user of that name, if the machine has one.
    pub fn named(name: &str) -> Option<Self> {
        User::from_name(name).ok().flatten().map(Self::from)
    }

    /// The user that this process runs as; `None` where the user database does not know it.
    pub fn current() -> Option<Self> {
        User::from_uid(geteuid()).ok().flatten().map(Self::from)
    }

    /// Whom to drop to: the first of `preferred` that exists, otherwise `nobody`. `None` when not root (nothing to drop).
    pub fn to_drop_to(preferred: &[&str]) -> Option<Self> {
        if !is_root() {
            return None;
        }
        preferred
            .iter()
            .chain(&["nobody"])
            .find_map(|name| Self::named(name))
            .or(Some(Self {
                name: "nobody".into(),
                uid: 65534,
                gid: 65534,
                home: PathBuf::from("/"),
            }))
    }
}

impl From<User> for UserId {
    fn from(user: User) -> Self {
        Self {
            name: user.name,
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            home: user.dir,
        }
    }
}

/// Whether this process is root.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// The id of the user that this process runs as.
pub fn current_uid() -> u32 {
    Uid::effective().as_raw()
}
