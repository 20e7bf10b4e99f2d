//! What outlives the daemon: `state.json` in the state directory.
//!
//! Written whole, to a new file that takes the old one's name, so that a crash leaves either. Never trusted blindly: a file
//! that cannot be read is said and passed over, and a process is only ended if pid and start time are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use devctl_core::NodeId;
use devctl_core::engine::{Completion, Memory, State};
use devctl_core::plan::ContentHash;
use devctl_drivers::process::ProcessId;
use serde::{Deserialize, Serialize};

/// The file's name under the state directory.
const FILE: &str = "state.json";

/// Beside it: the name and directory of the project that runs, for clients that cannot read the Compose files.
pub const KNOWN_PROJECT: &str = "project.json";

/// Everything that is kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Records {
    /// The highest run number: a later daemon counts on, so that no log is written over.
    pub(crate) last_run: u64,
    /// Jobs' work.
    pub(crate) completions: BTreeMap<String, CompletionRecord>,
    /// Good builds.
    pub(crate) builds: BTreeMap<String, BuildRecord>,
    /// Processes of runs, to be ended if daemon and guardian were both killed.
    pub(crate) processes: BTreeSet<ProcessId>,
    /// By node: its last container, which a later daemon may take over.
    pub(crate) containers: BTreeMap<String, ContainerRecord>,
}

/// A container, and the run that it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ContainerRecord {
    pub(crate) id: String,
    pub(crate) run: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CompletionRecord {
    hash: String,
    artefact: Option<String>,
    inputs: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct BuildRecord {
    stamp: Option<String>,
    artefact: Option<String>,
}

impl Records {
    /// Reads what an earlier daemon left. None of it is needed: a file that is missing or broken is an empty one.
    pub(crate) fn read(state_dir: &Path) -> Self {
        let path = state_dir.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "the records cannot be read and are begun anew");
                Self::default()
            }),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::warn!(path = %path.display(), %error, "the records cannot be read and are begun anew");
                }
                Self::default()
            }
        }
    }

    /// Writes them.
    pub(crate) fn write(&self, state_dir: &Path) -> io::Result<()> {
        let new = state_dir.join("state.json.new");
        std::fs::write(&new, serde_json::to_vec_pretty(self)?)?;
        std::fs::rename(new, state_dir.join(FILE))
    }

    /// Takes over what the engine knows.
    pub(crate) fn gather(&mut self, state: &State) {
        self.last_run = state.last_run();
        self.completions.clear();
        self.builds.clear();
        let present = state.nodes().map(|(id, node)| {
            let (completion, build) = (node.completion.clone(), &node.build);
            (
                id,
                Memory {
                    completion,
                    stamp: build.stamp.clone(),
                    artefact: build.artefact.clone(),
                },
            )
        });
        let absent = state.memories().map(|(id, memory)| (id, memory.clone()));
        for (id, memory) in present.chain(absent) {
            if let Some(done) = memory.completion {
                let record = CompletionRecord {
                    hash: done.hash.to_string(),
                    artefact: done.artefact.map(|artefact| artefact.to_string()),
                    inputs: done.inputs,
                };
                self.completions.insert(name(id), record);
            }
            if memory.stamp.is_some() || memory.artefact.is_some() {
                let artefact = memory.artefact.map(|artefact| artefact.to_string());
                self.builds.insert(
                    name(id),
                    BuildRecord {
                        stamp: memory.stamp,
                        artefact,
                    },
                );
            }
        }
    }

    /// Tells the engine what an earlier daemon knew.
    pub(crate) fn restore(&self, state: &mut State) {
        state.resume_numbers(self.last_run);
        for key in self.completions.keys().chain(self.builds.keys()) {
            let Some((service, index)) = key.rsplit_once('#') else {
                continue;
            };
            let Ok(index) = index.parse() else { continue };
            let completion = self.completions.get(key).map(|record| Completion {
                hash: ContentHash(record.hash.clone()),
                artefact: record.artefact.clone().map(ContentHash),
                inputs: record.inputs.clone(),
            });
            let build = self.builds.get(key);
            let stamp = build.and_then(|build| build.stamp.clone());
            let artefact = build.and_then(|build| build.artefact.clone()).map(ContentHash);
            state.remember(
                NodeId::new(service, index),
                Memory {
                    completion,
                    stamp,
                    artefact,
                },
            );
        }
    }
}

fn name(id: &NodeId) -> String {
    format!("{}#{}", id.service(), id.index())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_rubbish_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let mut records = Records {
            last_run: 7,
            ..Records::default()
        };
        records.processes.insert(ProcessId { pid: 1, start_time: 2 });
        records.write(dir.path()).unwrap();
        assert_eq!(Records::read(dir.path()), records);
        std::fs::write(dir.path().join(FILE), "{").unwrap();
        assert_eq!(Records::read(dir.path()), Records::default());
    }
}
