//! A place of its own for each verification of a project: two at once share nothing.

use std::fs::File;
use std::path::PathBuf;

use devctl_drivers::dirs::Dirs;

use super::VerifyError;

/// Verifications of one project at once; more than anybody starts.
const MOST: usize = 64;

/// A place, held until this is dropped: by its end, or by the process's, however that ends.
pub(super) struct Place {
    name: String,
    _lock: File,
}

impl Place {
    /// Takes the first that is free. `kind` keeps apart what must not share leftovers.
    pub(super) fn take(dirs: &Dirs, kind: &str) -> Result<Self, VerifyError> {
        for number in 1..=MOST {
            let name = format!("{kind}/{number}");
            let dir = dirs.state.join(&name);
            let path = dir.join("lock");
            let failed = |source| VerifyError::Place {
                path: path.clone(),
                source,
            };
            std::fs::create_dir_all(&dir).map_err(failed)?;
            let lock = File::create(&path).map_err(failed)?;
            match lock.try_lock() {
                Ok(()) => return Ok(Self { name, _lock: lock }),
                Err(std::fs::TryLockError::WouldBlock) => {}
                Err(std::fs::TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        Err(VerifyError::Nothing {
            what: format!("find a free place: {MOST} verifications of this project go on"),
            help: "wait until one has ended".to_owned(),
        })
    }

    /// Removes what places of that kind have left behind whose process was killed: data, sockets, records, and what still runs.
    pub(super) async fn sweep(dirs: &Dirs, kind: &str) {
        let Ok(numbers) = std::fs::read_dir(dirs.state.join(kind)) else {
            return;
        };
        for entry in numbers.flatten() {
            let number = entry.file_name().to_string_lossy().into_owned();
            let Ok(lock) = File::open(entry.path().join("lock")) else {
                continue;
            };
            if lock.try_lock().is_err() {
                continue;
            }
            let place = Self {
                name: format!("{kind}/{number}"),
                _lock: lock,
            };
            for graph in std::fs::read_dir(entry.path()).into_iter().flatten().flatten() {
                let own = place.dirs(dirs, &graph.file_name().to_string_lossy());
                let _records = crate::records_without_leftovers(&own).await;
                if let Err(error) = crate::remove::all_data(&own).await {
                    tracing::warn!(%error, "data of an earlier verification could not be removed");
                }
                let _was_not_there = std::fs::remove_dir_all(&own.runtime);
            }
            place.remove(dirs);
        }
    }

    /// Removes everything that was kept in it.
    pub(super) fn remove(&self, dirs: &Dirs) {
        let _was_gone = std::fs::remove_dir_all(dirs.state.join(&self.name));
    }

    /// The project's name in this place: what runs in an engine has names of its own there, as have directories here.
    pub(super) fn project_name(&self, name: &str) -> String {
        match self.name.as_str() {
            "verify/1" => name.to_owned(),
            other => format!("{name}-verify-{}", other.replace('/', "-")),
        }
    }

    /// Whether a place of any kind is held.
    pub(super) fn any_is_held(dirs: &Dirs) -> bool {
        let below = |dir: PathBuf| {
            std::fs::read_dir(dir)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
        };
        below(dirs.state.clone()).flat_map(below).any(|place| {
            let lock = File::open(place.join("lock"));
            lock.is_ok_and(|lock| matches!(lock.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
        })
    }

    /// The directories of one of its graphs.
    pub(super) fn dirs(&self, project: &Dirs, graph: &str) -> Dirs {
        project.apart(&format!("{}/{graph}", self.name))
    }
}

#[cfg(test)]
mod tests {
    use devctl_drivers::dirs::Places;

    use super::*;

    #[test]
    fn two_at_once_share_nothing_and_a_place_is_free_again() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places {
            devctl_home: Some(dir.path().join("home")),
            ..Places::default()
        };
        let dirs = Dirs::of_project(dir.path(), "shop", &places);
        let (one, two) = (
            Place::take(&dirs, "verify").unwrap(),
            Place::take(&dirs, "verify").unwrap(),
        );
        let (of_one, of_two) = (one.dirs(&dirs, "api"), two.dirs(&dirs, "api"));
        assert!(Place::any_is_held(&dirs));
        assert_eq!(
            [&one, &two].map(|place| place.project_name("shop")),
            ["shop", "shop-verify-verify-2"]
        );
        assert!(of_one.state != of_two.state && of_one.data != of_two.data && of_one.runtime != of_two.runtime);
        drop(one);
        assert_eq!(Place::take(&dirs, "verify").unwrap().dirs(&dirs, "api"), of_one);
        drop(two);
        assert!(!Place::any_is_held(&dirs));
    }
}
