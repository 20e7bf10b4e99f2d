//! What builds make. A product is known by every byte of it, but that it is another one than before is told by the first part
//! that differs: whoever waits for a reload does not wait for the rest to be read.
//!
//! So a new product's identity is a name that is given, not a digest of it: what was there before is kept, part by part, and a
//! product that is the same again keeps its name, also for the next daemon.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use devctl_core::plan::ContentHash;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes that are digested by themselves.
const PART: u64 = 1 << 20;
/// Between what is told and the learning of the rest: what is started now, and who calls it first, need the processor more.
const OTHERS_FIRST: Duration = Duration::from_millis(300);
/// Nobody gains by more threads than memory has lanes.
const THREADS: usize = 4;
const FILE: &str = "products.json";

/// Every product that was seen here last. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Products {
    file: PathBuf,
    known: Arc<Mutex<BTreeMap<PathBuf, Arc<Slot>>>>,
    others_first: Duration,
}

/// One product.
#[derive(Default)]
struct Slot {
    /// Locked while it is looked at.
    known: Mutex<Option<Known>>,
    /// How many would look at it next: nobody learns more than it takes to tell while somebody waits.
    waiting: Mutex<usize>,
    came: Condvar,
}

/// A product as it was.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    identity: String,
    len: u64,
    /// A digest of each part.
    parts: Vec<String>,
    /// Where parts are missing: the file, which may have another name by now or none, and its state then.
    #[serde(skip)]
    rest: Option<(File, State)>,
}

/// Which file it is, how long it is and when it was written.
type State = (u64, u64, std::time::SystemTime);

impl Products {
    /// What an earlier daemon knew, in its directory.
    pub(crate) fn read(state_dir: &Path) -> Self {
        let file = state_dir.join(FILE);
        // What is not there, or cannot be read, is looked at as a whole.
        let known: BTreeMap<PathBuf, Known> = std::fs::read(&file)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let slots = known
            .into_iter()
            .map(|(path, known)| (path, Arc::new(Slot::known(known))));
        Self {
            file,
            known: Arc::new(Mutex::new(slots.collect())),
            others_first: OTHERS_FIRST,
        }
    }

    /// Looks at a product and tells its identity as soon as that is sure; then learns the rest of it. Not told: it cannot be read.
    pub(crate) fn look(&self, path: &Path, tell: impl FnOnce(ContentHash)) {
        let slot = lock(&self.known).entry(path.to_owned()).or_default().clone();
        let mut known = slot.lock();
        let opened = File::open(path).ok();
        let Some((before, file)) = opened.and_then(|file| Some((state(&file)?, file))) else {
            *known = None;
            return;
        };
        let len = before.1;
        let found = match known.take() {
            Some(mut last) if last.len == len => match last.compare(&file) {
                Look::Same => {
                    tell(ContentHash(last.identity.clone()));
                    *known = Some(last);
                    return;
                }
                Look::Differs(part) => Some(name(&last.identity, &part)),
                Look::Read(_) | Look::Unreadable => None,
            },
            Some(last) => Some(name(&last.identity, &len.to_string())),
            None => None,
        };
        let all = 0..count(len);
        let (parts, identity) = match found {
            Some(identity) => {
                tell(ContentHash(identity.clone()));
                slot.wait_for_others(self.others_first);
                let stop = || *lock(&slot.waiting) > 0;
                (parts(&file, len, all, None, 1, stop), identity)
            }
            None => match parts(&file, len, all, None, THREADS, || false) {
                Look::Read(parts) => {
                    let identity = digest(parts.concat().as_bytes());
                    tell(ContentHash(identity.clone()));
                    (Look::Read(parts), identity)
                }
                unreadable => (unreadable, String::new()),
            },
        };
        // One that was written meanwhile is neither the one nor the other; one that another was put in the place of is what it was.
        let stayed = state(&file) == Some(before);
        *known = match parts {
            Look::Read(parts) if stayed => Some(Known {
                rest: (parts.len() < count(len)).then_some((file, before)),
                identity,
                len,
                parts,
            }),
            _ => None,
        };
        drop(known);
        self.keep();
    }

    /// Writes down what is known, for the next daemon. One that cannot be written costs it a look at everything.
    fn keep(&self) {
        let slots = lock(&self.known);
        // One that is being looked at is written down when that is done.
        let mut known = BTreeMap::new();
        for (path, slot) in slots.iter() {
            let of_slot = slot.known.try_lock().ok();
            let whole = of_slot.filter(|of_slot| of_slot.as_ref().is_some_and(|known| known.rest.is_none()));
            known.extend(whole.map(|whole| (path, whole)));
        }
        let known: BTreeMap<_, Option<&Known>> = known.iter().map(|(path, known)| (path, known.as_ref())).collect();
        let new = self.file.with_extension("json.new");
        let written = serde_json::to_vec(&known)
            .map_err(std::io::Error::from)
            .and_then(|text| std::fs::write(&new, text))
            .and_then(|()| std::fs::rename(&new, &self.file));
        if let Err(error) = written {
            tracing::debug!(%error, "what is known of products could not be written");
        }
    }
}

impl Slot {
    fn known(known: Known) -> Self {
        Self {
            known: Mutex::new(Some(known)),
            ..Self::default()
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Known>> {
        *lock(&self.waiting) += 1;
        self.came.notify_all();
        let known = lock(&self.known);
        *lock(&self.waiting) -= 1;
        known
    }

    /// So long, or until somebody would look at it.
    fn wait_for_others(&self, time: Duration) {
        let nobody = |waiting: &mut usize| *waiting == 0;
        let _came = self.came.wait_timeout_while(lock(&self.waiting), time, nobody);
    }
}

impl Known {
    /// Whether a file of the same length is the same. What is missing is only read where all else is equal.
    fn compare(&mut self, file: &File) -> Look {
        let (learnt, all) = (self.parts.len(), count(self.len));
        let look = parts(file, self.len, 0..learnt, Some(&self.parts), THREADS, || false);
        match (look, self.rest.take()) {
            (Look::Same, Some((own, before))) => match parts(&own, self.len, learnt..all, None, THREADS, || false) {
                Look::Read(rest) if state(&own) == Some(before) => {
                    self.parts.extend(rest);
                    parts(file, self.len, learnt..all, self.parts.get(learnt..), THREADS, || false)
                }
                _ => Look::Unreadable,
            },
            (look, _) => look,
        }
    }
}

/// What comes of reading a product.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// It is as it was.
    Same,
    /// This part is another one.
    Differs(String),
    /// Its parts, where there was nothing to compare with.
    Read(Vec<String>),
    Unreadable,
}

fn count(len: u64) -> usize {
    usize::try_from(len.div_ceil(PART)).unwrap_or(usize::MAX)
}

/// Reads these parts of a file, on several threads; ends at the first part that is not as it was. `stop`: what has been read until
/// then will do, but not nothing; for one thread alone.
fn parts(
    file: &File,
    len: u64,
    range: Range<usize>,
    before: Option<&[String]>,
    threads: usize,
    stop: impl Fn() -> bool + Sync,
) -> Look {
    let first = range.start;
    let (next, ended) = (AtomicUsize::new(first), AtomicBool::new(false));
    let differs = Mutex::new(None);
    let work = || {
        let mut read = Vec::new();
        while !ended.load(Relaxed) {
            let number = next.fetch_add(1, Relaxed);
            if number >= range.end || (number > first && stop()) {
                return Some(read);
            }
            let Some(part) = part(file, number, len) else {
                ended.store(true, Relaxed);
                return None;
            };
            if before.is_some_and(|before| before.get(number - first) != Some(&part)) {
                ended.store(true, Relaxed);
                *lock(&differs) = Some(part);
                return None;
            }
            read.push((number, part));
        }
        None
    };
    // The first part is looked at before anybody else is woken: a linker's note of what it has made stands there.
    if let Some(before) = before.filter(|_| !range.is_empty()) {
        match part(file, first, len) {
            Some(part) if before.first() != Some(&part) => return Look::Differs(part),
            Some(_) => {}
            None => return Look::Unreadable,
        }
    }
    let read: Vec<Option<Vec<(usize, String)>>> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(range.len())).map(|_| scope.spawn(work)).collect();
        let own = work();
        let joined = others.into_iter().map(|thread| thread.join().ok().flatten());
        joined.chain([own]).collect()
    });
    if let Some(part) = lock(&differs).take() {
        return Look::Differs(part);
    }
    let Some(read) = read.into_iter().collect::<Option<Vec<_>>>() else {
        return Look::Unreadable;
    };
    if before.is_some() {
        return Look::Same;
    }
    let all: BTreeMap<usize, String> = read.into_iter().flatten().collect();
    Look::Read(all.into_values().collect())
}

/// The digest of one part.
fn part(file: &File, number: usize, len: u64) -> Option<String> {
    let from = u64::try_from(number).ok()? * PART;
    let mut bytes = vec![0; usize::try_from(PART.min(len - from)).ok()?];
    file.read_exact_at(&mut bytes, from).ok()?;
    Some(digest(&bytes))
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A name for what came after `last`.
fn name(last: &str, difference: &str) -> String {
    let now = jiff::Timestamp::now().as_nanosecond();
    digest(format!("{last} {difference} {now}").as_bytes())
}

fn state(file: &File) -> Option<State> {
    let metadata = file.metadata().ok()?;
    Some((metadata.ino(), metadata.len(), metadata.modified().ok()?))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bench {
        dir: tempfile::TempDir,
        products: Products,
    }

    impl Bench {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            Self {
                products: Products {
                    others_first: Duration::ZERO,
                    ..Products::read(dir.path())
                },
                dir,
            }
        }

        fn look(&self) -> Option<ContentHash> {
            let mut told = None;
            self.products
                .look(&self.dir.path().join("product"), |identity| told = Some(identity));
            told
        }

        fn of(&self, content: &[u8]) -> ContentHash {
            std::fs::write(self.dir.path().join("product"), content).unwrap();
            self.look().unwrap()
        }
    }

    #[test]
    fn a_product_is_known_by_every_byte_of_it() {
        let bench = Bench::new();
        let part = usize::try_from(PART).unwrap();
        let mut content = vec![7; 3 * part + 5];
        let mut last = bench.of(&content);
        assert_eq!(bench.of(&content), last);
        for at in [0, part - 1, part, 2 * part + 9, 3 * part + 4] {
            content[at] ^= 1;
            let changed = bench.of(&content);
            assert_ne!(changed, last, "{at}");
            assert_eq!(bench.of(&content), changed, "{at}");
            last = changed;
        }
        content.pop();
        assert_ne!(bench.of(&content), last);
        let empty = bench.of(b"");
        assert_eq!(bench.of(b""), empty);
    }

    /// Somebody saves again at once: what was built is looked at while the product before is still being learnt.
    #[test]
    fn whoever_looks_next_ends_the_learning_and_misses_nothing_by_that() {
        let part = usize::try_from(PART).unwrap();
        let zero = vec![0; 3 * part];
        let changed = |at: usize| {
            let mut content = zero.clone();
            content[0] = 1;
            content[at] = 1;
            content
        };
        // The same again, and others by what was learnt and by what was not.
        for (again, is_same) in [(changed(0), true), (changed(1), false), (changed(2 * part), false)] {
            let bench = Bench::new();
            bench.of(&zero);
            let path = bench.dir.path().join("product");
            let put = |content: &[u8]| {
                std::fs::write(path.with_extension("new"), content).unwrap();
                std::fs::rename(path.with_extension("new"), &path).unwrap();
            };
            put(&changed(0));
            let (mut first, mut second) = (None, None);
            std::thread::scope(|scope| {
                bench.products.look(&path, |identity| {
                    first = Some(identity);
                    put(&again);
                    scope.spawn(|| second = bench.look());
                    let slot = lock(&bench.products.known).get(&path).unwrap().clone();
                    while *lock(&slot.waiting) == 0 {
                        std::thread::yield_now();
                    }
                });
            });
            assert!(first.is_some() && second.is_some());
            assert_eq!(first == second, is_same, "{first:?} {second:?}");
            assert_eq!(bench.look(), second);
        }
    }

    #[test]
    fn its_name_outlives_the_daemon() {
        let mut bench = Bench::new();
        bench.of(b"one");
        let second = bench.of(b"two");
        bench.products = Products::read(bench.dir.path());
        assert_eq!(bench.look(), Some(second));
        std::fs::write(bench.dir.path().join(FILE), "{").unwrap();
        bench.products = Products::read(bench.dir.path());
        let whole = bench.look();
        bench.products = Bench::new().products;
        assert_eq!(
            bench.look(),
            whole,
            "of a product that nothing is known of, its content alone says which it is"
        );
    }

    #[test]
    fn what_is_not_there_has_no_name() {
        let bench = Bench::new();
        assert_eq!(bench.look(), None);
        let first = bench.of(b"one");
        std::fs::remove_file(bench.dir.path().join("product")).unwrap();
        assert_eq!(bench.look(), None);
        assert_eq!(bench.of(b"one"), first);
    }
}
