//! What happens when sources change: `services.NAME.develop`.

use super::record::record;
use super::*;

record! {
    /// What happens when sources change.
    pub struct Develop {
        /// Rules, in order.
        watch: Vec<Watch>,
    }
}

record! {
    /// A rule: when something below `path` changes, do `action`.
    pub struct Watch {
        /// Path that is watched, absolute once paths are resolved.
        path: String [always],
        /// What to do.
        action: WatchAction [always],
        /// Path inside the container, for actions that copy.
        target: Option<String>,
        /// Command for `sync+exec`.
        exec: Hook [inline],
        /// Patterns that limit the rule.
        include: Vec<String>,
        /// Patterns that are left out.
        ignore: Vec<String>,
        /// Whether files are copied at the start as well.
        initial_sync: bool,
    }
}

/// What a watch rule does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum WatchAction {
    /// Copy the changed files into the container.
    #[default]
    Sync,
    /// Build the image again and replace the container.
    Rebuild,
    /// Restart the container.
    Restart,
    /// Copy, then restart.
    SyncRestart,
    /// Copy, then run a command inside.
    SyncExec,
}
