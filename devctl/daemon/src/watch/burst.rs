//! A burst of events, and how long it is worth waiting for more of it.
//!
//! Editors write, rename and touch in bursts; a burst is one change. Where the system tells of a file's end as well as of its
//! beginning (inotify does), a burst of which nothing is under way any more is waited for no longer than a scheduler's slice.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::system::{Heard, Stage};
use crate::sources;

/// After this time without a word a burst is over.
const SETTLE: Duration = Duration::from_millis(5);
/// The same where every file of it is complete: more may come only of other files.
const COMPLETE: Duration = Duration::from_millis(1);
/// The same where a file is being written. Its end is told where the system tells of ends, so this is seldom waited for; and whoever
/// writes often loses the processor to this very look between making the file empty and filling it.
const WRITTEN: Duration = match cfg!(target_os = "linux") {
    true => Duration::from_millis(30),
    false => SETTLE,
};
/// The same where a tool writes many files: what it does is heard from another thread, which may be behind.
const MANY: Duration = Duration::from_millis(30);
/// Nobody saves so many at once by hand.
const MANY_FILES: usize = 16;

/// What has been heard since the last look.
#[derive(Debug)]
pub(super) struct Burst {
    /// None: everything may have changed.
    paths: Option<BTreeSet<PathBuf>>,
    files: HashMap<PathBuf, File>,
    /// What has no end that would be told: it is waited for so long.
    open_ended: Option<Duration>,
}

#[derive(Debug, Default)]
struct File {
    /// It was not there before the burst: whoever made it may take it away again.
    is_new: bool,
    /// More of it is to come, and is waited for so long.
    awaited: Option<Duration>,
}

impl Burst {
    pub(super) fn new(first: Heard) -> Self {
        let mut burst = Self {
            paths: Some(BTreeSet::new()),
            files: HashMap::new(),
            open_ended: None,
        };
        burst.add(first);
        burst
    }

    pub(super) fn add(&mut self, heard: Heard) {
        let (paths, stage) = match heard {
            Heard::Everything => {
                self.paths = None;
                self.open_ended = self.open_ended.max(Some(SETTLE));
                return;
            }
            Heard::Paths(paths, stage) => (paths, stage),
        };
        match (stage, paths.as_slice()) {
            (Stage::Beside, _) => {}
            (Stage::Moved, [from, to]) => self.moved(from, to),
            (Stage::OpenEnded | Stage::Moved, _) => self.open_ended = self.open_ended.max(Some(SETTLE)),
            // What never counts is not waited for either.
            _ => paths
                .iter()
                .filter(|path| !is_scratch(path))
                .for_each(|path| self.touch(path, stage)),
        }
        if let Some(all) = &mut self.paths {
            all.extend(paths);
        }
    }

    fn touch(&mut self, path: &Path, stage: Stage) {
        let known = self.files.contains_key(path);
        let file = self.files.entry(path.to_owned()).or_default();
        file.is_new |= stage == Stage::Made && !known;
        file.awaited = match stage {
            Stage::Made | Stage::Written => Some(WRITTEN),
            // It may come back.
            Stage::Gone => (!file.is_new).then_some(SETTLE),
            // A new one is often only on its way to another name.
            _ => file.is_new.then_some(SETTLE),
        };
    }

    /// One that was there before the burst is set aside while its place is taken, and goes when that is done.
    fn moved(&mut self, from: &Path, to: &Path) {
        let was_there = self.files.get(from).is_some_and(|file| !file.is_new);
        if let Some(file) = self.files.get_mut(to).filter(|_| was_there) {
            file.is_new = true;
            file.awaited = Some(SETTLE);
        }
    }

    /// How long without a word until it is over.
    pub(super) fn patience(&self) -> Duration {
        let files = self.files.values().filter_map(|file| file.awaited);
        let many = (self.files.len() >= MANY_FILES).then_some(MANY);
        files.chain(self.open_ended).chain(many).max().unwrap_or(COMPLETE)
    }

    /// A tool that writes many files is done.
    pub(super) fn of_many(&mut self) {
        self.open_ended = Some(MANY);
    }

    /// What was touched. None: everything.
    pub(super) fn touched(self) -> Option<BTreeSet<PathBuf>> {
        self.paths
    }
}

fn is_scratch(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str);
    name.is_some_and(sources::is_scratch)
}

#[cfg(test)]
mod tests {
    use super::Stage::{Complete, Gone, Made, Moved, Written};
    use super::*;

    /// What is heard, and how long more is waited for after it. Of a move: `FROM TO`.
    #[track_caller]
    fn check(events: &[(&str, Stage, Duration)]) {
        let mut burst: Option<Burst> = None;
        for (number, (names, stage, patience)) in events.iter().enumerate() {
            let heard = Heard::Paths(names.split(' ').map(PathBuf::from).collect(), *stage);
            let burst = match &mut burst {
                Some(burst) => {
                    burst.add(heard);
                    burst
                }
                none => none.insert(Burst::new(heard)),
            };
            assert_eq!(burst.patience(), *patience, "event {number}: {burst:?}");
        }
    }

    #[test]
    fn a_file_that_is_closed_is_complete() {
        check(&[
            ("a", Written, WRITTEN),
            ("a", Written, WRITTEN),
            ("a", Complete, COMPLETE),
            ("a", Stage::Beside, COMPLETE),
            ("b", Written, WRITTEN),
            ("b", Complete, COMPLETE),
            ("dir", Stage::OpenEnded, SETTLE),
        ]);
    }

    #[test]
    fn a_new_file_may_be_on_its_way_to_another_name() {
        check(&[
            ("a.tmp", Made, WRITTEN),
            ("a.tmp", Written, WRITTEN),
            ("a.tmp", Complete, SETTLE),
            ("a.tmp", Gone, COMPLETE),
            ("a", Complete, COMPLETE),
            ("a.tmp a", Moved, COMPLETE),
        ]);
    }

    #[test]
    fn a_file_that_was_there_may_come_back() {
        check(&[("a", Gone, SETTLE), ("a", Made, WRITTEN), ("a", Gone, SETTLE)]);
        // Put there from where nobody listens.
        check(&[("a", Complete, COMPLETE)]);
    }

    #[test]
    fn one_that_is_set_aside_is_waited_for_until_it_is_gone() {
        // Helix: written anew.
        check(&[
            ("a", Gone, SETTLE),
            ("a1.bck", Complete, SETTLE),
            ("a a1.bck", Moved, SETTLE),
            ("a", Made, WRITTEN),
            ("a", Written, WRITTEN),
            ("a", Complete, SETTLE),
            ("a1.bck", Gone, COMPLETE),
        ]);
        // Written beside it, and put in its place.
        check(&[
            ("a.tmp", Made, WRITTEN),
            ("a.tmp", Complete, SETTLE),
            ("a", Gone, SETTLE),
            ("a.old", Complete, SETTLE),
            ("a a.old", Moved, SETTLE),
            ("a.tmp", Gone, SETTLE),
            ("a", Complete, SETTLE),
            ("a.tmp a", Moved, SETTLE),
            ("a.old", Gone, COMPLETE),
        ]);
    }

    #[test]
    fn what_never_counts_is_not_waited_for() {
        // Vim, with a backup; then JetBrains.
        check(&[
            ("4913", Made, COMPLETE),
            ("4913", Gone, COMPLETE),
            ("a", Gone, SETTLE),
            ("a~", Complete, SETTLE),
            ("a a~", Moved, SETTLE),
            ("a", Made, WRITTEN),
            ("a", Complete, COMPLETE),
            ("a~", Gone, COMPLETE),
        ]);
        check(&[
            ("a___jb_tmp___", Made, COMPLETE),
            ("a___jb_tmp___", Complete, COMPLETE),
            ("a", Gone, SETTLE),
            ("a___jb_old___", Complete, SETTLE),
            ("a a___jb_old___", Moved, SETTLE),
            ("a___jb_tmp___", Gone, SETTLE),
            ("a", Complete, COMPLETE),
            ("a___jb_tmp___ a", Moved, COMPLETE),
        ]);
    }

    #[test]
    fn many_files_are_not_one_persons_save() {
        let names: Vec<String> = (0..MANY_FILES).map(|number| number.to_string()).collect();
        let patience = |number| if number + 1 < MANY_FILES { COMPLETE } else { MANY };
        let events: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(number, name)| (name.as_str(), Complete, patience(number)))
            .collect();
        check(&events);
        let mut checkout = Burst::new(Heard::Paths(vec!["a".into()], Complete));
        checkout.of_many();
        checkout.add(Heard::Paths(vec!["dir".into()], Stage::OpenEnded));
        assert_eq!(checkout.patience(), MANY);
    }

    #[test]
    fn lost_events_are_everything() {
        let mut burst = Burst::new(Heard::Paths(vec!["a".into()], Complete));
        burst.add(Heard::Everything);
        burst.add(Heard::Paths(vec!["a".into()], Complete));
        assert_eq!((burst.patience(), burst.touched()), (SETTLE, None));
    }
}
