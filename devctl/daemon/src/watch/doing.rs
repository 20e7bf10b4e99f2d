//! What nodes are doing, by which their own output is told from a person's work.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use devctl_core::NodeId;

use super::{Watch, loops};

/// What a node is doing, as far as it tells its own output from a person's work.
#[derive(Debug, Default, Clone)]
pub(super) struct Doing {
    /// Its last build or start.
    pub(super) began: Option<Instant>,
    /// What was changed then has made another product, and that one serves: it was a source.
    pub(super) proven: bool,
    /// What began is this run, and nothing else.
    pub(super) run: Option<u64>,
    /// It was there.
    pub(super) seen: bool,
    /// Of every run that is there.
    pub(super) processes: BTreeMap<u64, Vec<i32>>,
}

impl Doing {
    /// Whether the run that began last did not change these files: it is not there yet, or has not written that much.
    pub(super) fn is_acquitted(&self, changed: &BTreeSet<PathBuf>) -> bool {
        let Some(run) = self.run else { return false };
        match self.processes.get(&run) {
            Some(processes) => loops::cannot_have_written(processes, changed),
            None => !self.seen,
        }
    }
}

pub(super) type Doings = Arc<std::sync::Mutex<HashMap<NodeId, Doing>>>;

impl Watch {
    /// A run of the node begins, or something else that may write files (None), as a build.
    pub(crate) fn began(&self, node: &NodeId, run: Option<u64>) {
        let mut doings = self.doings.lock().unwrap_or_else(PoisonError::into_inner);
        let doing = doings.entry(node.clone()).or_default();
        (doing.began, doing.proven) = (Some(Instant::now()), false);
        (doing.run, doing.seen) = (run, false);
    }

    /// What the node's last change has led to is another product, which serves now.
    pub(crate) fn proven(&self, node: &NodeId) {
        let mut doings = self.doings.lock().unwrap_or_else(PoisonError::into_inner);
        doings.entry(node.clone()).or_default().proven = true;
    }

    /// The processes that there are, by node and run.
    pub(crate) fn processes<'a>(&self, all: impl Iterator<Item = (&'a NodeId, u64, i32)>) {
        let mut doings = self.doings.lock().unwrap_or_else(PoisonError::into_inner);
        doings.values_mut().for_each(|doing| doing.processes.clear());
        for (node, run, process) in all {
            let doing = doings.entry(node.clone()).or_default();
            doing.processes.entry(run).or_default().push(process);
            doing.seen |= doing.run == Some(run);
        }
    }
}
