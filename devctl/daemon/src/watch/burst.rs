//! A burst of events, and how long it is worth waiting for more of it.
//!
//! Editors write, rename and touch in bursts; a burst is one change. Where the system tells of a file's end as well as of its
//! beginning (inotify does), a burst of which nothing is under way any more is waited for no longer than a scheduler's slice.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use super::system::{Heard, Stage};

/// After this time without a word a burst is over.
const SETTLE: Duration = Duration::from_millis(5);
/// The same where every file of it is complete: more may come only of other files.
const COMPLETE: Duration = Duration::from_millis(1);

/// What has been heard since the last look.
#[derive(Debug)]
pub(super) struct Burst {
    /// None: everything may have changed.
    paths: Option<BTreeSet<PathBuf>>,
    files: HashMap<PathBuf, File>,
    /// Something of it has no end that would be told.
    open_ended: bool,
}

#[derive(Debug, Default)]
struct File {
    /// It was not there before the burst: whoever made it may take it away again.
    is_new: bool,
    /// It is written, or is away and may come back.
    unfinished: bool,
}

impl Burst {
    pub(super) fn new(first: Heard) -> Self {
        let mut burst = Self {
            paths: Some(BTreeSet::new()),
            files: HashMap::new(),
            open_ended: false,
        };
        burst.add(first);
        burst
    }

    pub(super) fn add(&mut self, heard: Heard) {
        let (paths, stage) = match heard {
            Heard::Everything => {
                self.paths = None;
                self.open_ended = true;
                return;
            }
            Heard::Paths(paths, stage) => (paths, stage),
        };
        for path in &paths {
            let known = self.files.contains_key(path);
            match stage {
                Stage::Beside => {}
                Stage::OpenEnded => self.open_ended = true,
                _ => {
                    let file = self.files.entry(path.clone()).or_default();
                    file.is_new |= stage == Stage::Made && !known;
                    file.unfinished = match stage {
                        Stage::Gone => !file.is_new,
                        // A new one is often only on its way to another name.
                        Stage::Complete => file.is_new,
                        _ => true,
                    };
                }
            }
        }
        if let Some(all) = &mut self.paths {
            all.extend(paths);
        }
    }

    /// How long without a word until it is over.
    pub(super) fn patience(&self) -> Duration {
        match self.open_ended || self.files.values().any(|file| file.unfinished) {
            true => SETTLE,
            false => COMPLETE,
        }
    }

    /// What was touched. None: everything.
    pub(super) fn touched(self) -> Option<BTreeSet<PathBuf>> {
        self.paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(events: &[(&str, Stage)], patience: Duration) {
        let mut events = events
            .iter()
            .map(|(name, stage)| Heard::Paths(vec![PathBuf::from(name)], *stage));
        let mut burst = Burst::new(events.next().unwrap());
        events.for_each(|event| burst.add(event));
        assert_eq!(burst.patience(), patience, "{burst:?}");
    }

    #[test]
    fn a_file_that_is_closed_is_complete() {
        use Stage::{Complete, Written};
        check(&[("a", Written)], SETTLE);
        check(&[("a", Written), ("a", Written), ("a", Complete)], COMPLETE);
        check(&[("a", Written), ("a", Complete), ("b", Written)], SETTLE);
        check(&[("a", Written), ("a", Complete), ("a", Stage::Beside)], COMPLETE);
        check(&[("a", Complete), ("dir", Stage::OpenEnded)], SETTLE);
    }

    #[test]
    fn a_new_file_may_be_on_its_way_to_another_name() {
        use Stage::{Complete, Gone, Made, Written};
        let new = [("a.tmp", Made), ("a.tmp", Written), ("a.tmp", Complete)];
        check(&new, SETTLE);
        let moved = [new.as_slice(), &[("a.tmp", Gone), ("a", Complete)]].concat();
        check(&moved, COMPLETE);
    }

    #[test]
    fn a_file_that_was_there_may_come_back() {
        use Stage::{Complete, Gone, Made, Written};
        // Written beside it, and put in its place.
        let replaced = [
            ("a.tmp", Made),
            ("a.tmp", Written),
            ("a.tmp", Complete),
            ("a.tmp", Gone),
            ("a", Complete),
        ];
        check(&replaced, COMPLETE);
        // Set aside, and written anew.
        let aside = [("a", Gone), ("a~", Complete)];
        check(&aside, SETTLE);
        let anew = [
            ("a", Gone),
            ("a~", Complete),
            ("a", Made),
            ("a", Written),
            ("a", Complete),
            ("a~", Gone),
        ];
        check(&anew[..5], COMPLETE);
        check(&anew, SETTLE);
        // It came back and went: it was no new one.
        check(&[("a", Gone), ("a", Made), ("a", Gone)], SETTLE);
    }

    #[test]
    fn lost_events_are_everything() {
        let mut burst = Burst::new(Heard::Paths(vec!["a".into()], Stage::Complete));
        burst.add(Heard::Everything);
        burst.add(Heard::Paths(vec!["a".into()], Stage::Complete));
        assert_eq!((burst.patience(), burst.touched()), (SETTLE, None));
    }
}
