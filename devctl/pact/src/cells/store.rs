//! Cells in files, one each: written whole or not at all, bounded in number, and never trusted. A file that is damaged,
//! of another version or of another cell is one that is not there.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{Cell, Key};
use crate::verify::Outcome;

/// Changes with every change of what is written.
const VERSION: u32 = 1;

const MOST_CELLS: usize = 2_000;

/// A folder of known verdicts.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    most: usize,
}

#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    key: String,
    /// SHA-256 of `outcomes`.
    digest: String,
    /// The outcomes' JSON, as text: what is checked is exactly what is read.
    outcomes: String,
}

impl Store {
    /// The store in `folder`, which is made when something is written. It holds 2,000 cells; the one that was used
    /// longest ago goes first.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            most: MOST_CELLS,
        }
    }

    /// Holds at most this many cells.
    #[must_use]
    pub fn holding(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// What is known of a cell; nothing where its file is not there or cannot be trusted.
    pub fn read(&self, key: &Key) -> Cell {
        let path = self.path(key);
        let Ok(text) = fs::read_to_string(&path) else {
            return Cell::default();
        };
        match parse(&text, key) {
            Some(cell) => {
                touch(&path);
                cell
            }
            None => {
                tracing::debug!(path = %path.display(), "a file of known verdicts is damaged or old: passed over");
                Cell::default()
            }
        }
    }

    /// Keeps what is known of a cell. A cell of which nothing is known leaves no file.
    ///
    /// # Errors
    ///
    /// Where the folder cannot be written to. What was known before is then still known.
    pub fn write(&self, key: &Key, cell: &Cell) -> io::Result<()> {
        if cell.is_empty() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        let outcomes: Vec<&Outcome> = cell.outcomes().collect();
        let outcomes = serde_json::to_string(&outcomes)?;
        let written = Written {
            version: VERSION,
            key: key.0.clone(),
            digest: digest(&outcomes),
            outcomes,
        };
        // Readable by its owner alone, as answers may be anything.
        let mut file = NamedTempFile::new_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(&written)?)?;
        file.persist(self.path(key))?;
        self.prune()
    }

    fn path(&self, key: &Key) -> PathBuf {
        let plain = !key.0.is_empty() && key.0.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let name = if plain { key.0.clone() } else { digest(&key.0) };
        self.folder.join(format!("{name}.json"))
    }

    /// Removes those that were used longest ago, where there are too many.
    fn prune(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let used = fs::metadata(&path).and_then(|data| data.modified());
                files.push((used.unwrap_or(SystemTime::UNIX_EPOCH), path));
            }
        }
        let surplus = files.len().saturating_sub(self.most);
        files.sort();
        for (_, path) in files.into_iter().take(surplus) {
            // Another process may have been quicker.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }
}

fn parse(text: &str, key: &Key) -> Option<Cell> {
    let written: Written = serde_json::from_str(text).ok()?;
    if written.version != VERSION || written.key != key.0 || written.digest != digest(&written.outcomes) {
        return None;
    }
    let outcomes: Vec<Outcome> = serde_json::from_str(&written.outcomes).ok()?;
    let mut cell = Cell::default();
    for outcome in &outcomes {
        cell.keep(outcome);
    }
    Some(cell)
}

/// Marks a file as used now.
fn touch(path: &Path) {
    let _ = File::options()
        .append(true)
        .open(path)
        .and_then(|file| file.set_modified(SystemTime::now()));
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
