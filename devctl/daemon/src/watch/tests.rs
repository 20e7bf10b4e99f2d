//! What is told of work on real files.

use std::collections::BTreeMap;
use std::process::Command as Run;

use devctl_core::engine::Event;
use devctl_drivers::dirs::{Dirs, Places};
use devctl_drivers::lease::Leases;
use devctl_edge::{Edges, EdgesConfig};

use super::doing::Doing;
use super::*;
use crate::command::Command;
use crate::engines::Engines;

/// A watched directory, and what is found out about it.
struct Bench {
    dir: tempfile::TempDir,
    /// Nobody watches here.
    aside: tempfile::TempDir,
    _wanted: mpsc::UnboundedSender<Watched>,
    found: mpsc::UnboundedReceiver<Found>,
    doings: Doings,
}

impl Bench {
    /// Watches `src` of a new directory for the node `api`, and `compose.yaml`.
    fn new(prepare: impl FnOnce(&Path)) -> Self {
        Self::with(prepare, watched)
    }

    fn with(prepare: impl FnOnce(&Path), watched: impl FnOnce(&Path) -> Watched) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("src")).unwrap();
        std::fs::write(dir.path().join("compose.yaml"), "services: {}\n").unwrap();
        prepare(dir.path());
        let (wanted, inbox) = mpsc::unbounded_channel();
        let (find, found) = mpsc::unbounded_channel();
        let (heard, events) = mpsc::unbounded_channel();
        let doings = Doings::default();
        let mut watching = Watching::new(doings.clone(), find);
        let (mut system, unheard) = System::start(heard);
        assert_eq!(unheard, None);
        watching.begin(watched(dir.path()), &mut system);
        tokio::spawn(watching.follow(system, events, inbox, None));
        Self {
            dir,
            aside: tempfile::tempdir().unwrap(),
            _wanted: wanted,
            found,
            doings,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// There is no moment at which the file is there and not whole: it is told once.
    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        let whole = self.aside.path().join("whole");
        std::fs::write(&whole, text).unwrap();
        std::fs::rename(&whole, self.path(name)).unwrap();
    }

    fn shell(&self, script: &str) {
        let done = Run::new("sh")
            .args(["-ec", script])
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    async fn next(&mut self) -> String {
        let found = tokio::time::timeout(Duration::from_secs(20), self.found.recv()).await;
        match found.expect("something is told").unwrap() {
            Found::Files(_) => "files".to_owned(),
            Found::Sources { node, what, .. } => format!("{node}: {what}"),
            Found::Contracts { paths } => format!("contracts: {} files", paths.len()),
            Found::Said(remark) => format!("said: {}", remark.text),
            Found::Batch { node, batch, what } => format!("{node}: {what}: {:?} {:?}", batch.copy, batch.delete),
            Found::Image { node, what, .. } => format!("{node}: image: {what}"),
        }
    }

    /// What has been told of all that was done until now. Of what is found in one look, the Compose file is told last.
    async fn until_now(&mut self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path("compose.yaml")).unwrap();
        self.write("compose.yaml", &format!("{text}#\n"));
        let mut told = Vec::new();
        loop {
            match self.next().await.as_str() {
                "files" => return told,
                other => told.push(other.to_owned()),
            }
        }
    }
}

fn watched(dir: &Path) -> Watched {
    let tree = SourceTree {
        ignore: vec!["ignored/".to_owned()],
        ..SourceTree::all(dir.join("src"))
    };
    let build = BuildSpec {
        command: vec!["make".to_owned()],
        dir: dir.to_owned(),
        env: Arc::default(),
        artefact: Some(dir.join("src/product")),
        sources: vec![tree],
    };
    Watched {
        nodes: vec![("api".into(), build)],
        containers: Vec::new(),
        contracts: vec![dir.join("pacts"), dir.join("states.yaml")],
        files: vec![dir.join("compose.yaml")],
        request: v1::UpRequest::default(),
    }
}

/// The same for a node with nothing to build: a save is a new run of it.
fn run_as_it_is(dir: &Path) -> Watched {
    let mut watched = watched(dir);
    watched.nodes[0].1.command.clear();
    watched
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_pacts_and_provider_states_are_told_also_where_they_are_new() {
    let mut bench = Bench::new(|_| {});
    bench.write("states.yaml", "states: {}\n");
    assert_eq!(bench.next().await, "contracts: 1 files");
    std::fs::create_dir(bench.path("pacts")).unwrap();
    bench.write("pacts/web-api.json", "{}");
    assert_eq!(bench.next().await, "contracts: 1 files");
    bench.write("pacts/web-api.json", "{ }");
    assert_eq!(bench.next().await, "contracts: 1 files");
    assert_eq!(bench.until_now().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_is_told_by_its_name_and_what_is_ignored_is_not() {
    let mut bench = Bench::new(|dir| std::fs::write(dir.join("src/.gitignore"), "gen/\n").unwrap());
    bench.write("src/main.rs", "fn main() {}");
    assert_eq!(bench.next().await, "api: main.rs");
    bench.write("src/ignored/x", "x");
    bench.write("src/gen/x", "x");
    bench.write("src/product", "x");
    assert_eq!(bench.until_now().await, [""; 0]);
    bench.write("src/deep/er/mod.rs", "mod x;");
    assert_eq!(bench.next().await, "api: deep/er/mod.rs");
    bench.write("src/deep/er/mod.rs", "mod xy;");
    assert_eq!(bench.next().await, "api: deep/er/mod.rs");
}

/// That they are one change is for [`Burst`] to say: here nobody knows how long each step takes.
#[tokio::test(flavor = "multi_thread")]
async fn editors_dances_are_changes_of_one_file() {
    let mut bench = Bench::new(|dir| std::fs::write(dir.join("src/main.rs"), "1").unwrap());
    let src = bench.path("src");
    let at = |name: &str| src.join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
    let rename = |from: &str, to: &str| std::fs::rename(at(from), at(to)).unwrap();
    let remove = |name: &str| std::fs::remove_file(at(name)).unwrap();
    // Vim with a backup; then JetBrains'.
    let dances: [&dyn Fn(); 2] = [
        &|| {
            write("4913", "");
            remove("4913");
            rename("main.rs", "main.rs~");
            write("main.rs", "22");
            remove("main.rs~");
        },
        &|| {
            write("main.rs___jb_tmp___", "4444");
            rename("main.rs", "main.rs___jb_old___");
            rename("main.rs___jb_tmp___", "main.rs");
            remove("main.rs___jb_old___");
        },
    ];
    for (number, dance) in dances.iter().enumerate() {
        dance();
        let told = bench.until_now().await;
        assert!(!told.is_empty(), "dance {number}");
        assert!(
            told.iter().all(|told| told == "api: main.rs"),
            "dance {number}: {told:?}"
        );
    }
}

#[test]
fn a_change_is_named_by_what_is_there_now() {
    let dir = tempfile::tempdir().unwrap();
    let tree = SourceTree::all(dir.path());
    let at = |name: &str| dir.path().join(name);
    let named = |names: &[&str]| describe(&names.iter().map(|name| at(name)).collect(), &[&tree]);
    std::fs::write(at("main.rs"), "").unwrap();
    std::fs::write(at("lib.rs"), "").unwrap();
    assert_eq!(named(&["main.rs", ".main.rs.x1", "main.rs3a.bck"]), "main.rs");
    assert_eq!(named(&["main.rs", "lib.rs", "gone.rs"]), "2 files");
    assert_eq!(named(&["gone.rs"]), "gone.rs");
}

/// Git's lock goes, and only then is heard what git did last.
#[tokio::test(start_paused = true)]
async fn a_checkout_is_over_when_all_of_it_has_been_heard() {
    let dir = tempfile::tempdir().unwrap();
    let (src, lock) = (dir.path().join("src"), dir.path().join(".git/index.lock"));
    std::fs::create_dir(dir.path().join(".git")).unwrap();
    std::fs::write(&lock, "").unwrap();
    let mut watching = Watching::new(Doings::default(), mpsc::unbounded_channel().0);
    watching.watched = watched(dir.path());
    let (heard, mut events) = mpsc::unbounded_channel();
    let written = |name: &str| Heard::Paths(vec![src.join(name)], system::Stage::Complete);
    let (one, two, three) = (written("1"), written("2"), written("3"));
    // On a clock of its own, which goes on when everybody waits.
    let git = async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        heard.send(two).unwrap();
        std::fs::remove_file(&lock).unwrap();
        tokio::time::sleep(Duration::from_millis(8)).await;
        heard.send(three).unwrap();
        heard
    };
    let (touched, _heard) = tokio::join!(watching.settle(one, &mut events), git);
    let all = ["1", "2", "3"].map(|name| src.join(name));
    assert_eq!(touched, Some(all.into_iter().collect()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_of_a_thousand_files_is_one_batch() {
    let mut bench = Bench::new(|dir| {
        let git = "git init -q . && git config user.email a@b && git config user.name n && printf 'compose.yaml' > .gitignore";
        let files = "for d in $(seq 50); do mkdir -p src/$d; for f in $(seq 20); do echo 1 > src/$d/$f; done; done";
        let two = "git add . && git commit -qm one && git checkout -qb two && for d in $(seq 50); do for f in $(seq 20); do echo two > src/$d/$f; done; done; git commit -qam two";
        let script = format!("{git}; {files}; {two}");
        let done = Run::new("sh").args(["-ec", &script]).current_dir(dir).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    });
    bench.shell("git checkout -q -");
    assert_eq!(bench.next().await, "api: 1000 files");
    assert_eq!(bench.until_now().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_may_go_and_come_back() {
    let mut bench = Bench::new(|dir| std::fs::create_dir(dir.join("src/a")).unwrap());
    bench.write("src/a/one", "1");
    assert_eq!(bench.next().await, "api: a/one");
    bench.shell("rm -r src");
    assert_eq!(bench.next().await, "api: a/one");
    for text in ["2", "22"] {
        bench.write("src/a/one", text);
        assert_eq!(bench.next().await, "api: a/one");
    }
    // Gone and back at once: the watch of the old directory is no good for the new one.
    bench.shell("rm -r src/a; mkdir src/a; printf 333 > src/a/one");
    let told = bench.until_now().await;
    assert!(
        !told.is_empty() && told.iter().all(|told| told == "api: a/one"),
        "{told:?}"
    );
    bench.write("src/a/one", "4444");
    assert_eq!(bench.next().await, "api: a/one");
}

/// An `up` that pulls images is being prepared, perhaps for minutes.
#[tokio::test]
async fn saves_are_told_while_the_project_is_being_prepared() {
    let dir = tempfile::tempdir().unwrap();
    let (wake, mut woken) = mpsc::unbounded_channel();
    let places = Places {
        devctl_home: Some(dir.path().join("home")),
        ..Places::default()
    };
    let dirs = Arc::new(Dirs::of_project(dir.path(), "shop", &places));
    let edges = Arc::new(Edges::new(EdgesConfig::default()).unwrap());
    let leases = Leases::at(&dirs.leases);
    let preparer = Preparer::new(dirs, leases, edges, Engines::new(wake.clone()));
    let preparer = Arc::new(Mutex::new(preparer));
    let _up = preparer.lock().await;
    let (found, finds) = mpsc::unbounded_channel();
    found.send(Found::Files(Box::default())).unwrap();
    let paths = vec![dir.path().join("pacts/web-api.json")];
    found.send(Found::Contracts { paths: paths.clone() }).unwrap();
    let (node, source, what) = ("api".into(), String::new(), "main.rs".to_owned());
    found.send(Found::Sources { node, source, what }).unwrap();
    tokio::spawn(tell_all(finds, wake, preparer.clone()));
    let mut next = async || {
        let next = tokio::time::timeout(Duration::from_secs(20), woken.recv()).await;
        next.expect("nobody waits for the preparer").unwrap()
    };
    assert!(matches!(next().await, Wake::Command(Command::Contracts { paths: told }) if told == paths));
    assert!(matches!(next().await, Wake::Event(Event::Changed { what, .. }) if what == "main.rs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_events_cost_a_look_at_everything() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("main.rs"), "1").unwrap();
    let (find, mut found) = mpsc::unbounded_channel();
    let mut watching = Watching::new(Doings::default(), find);
    let (heard, _unused) = mpsc::unbounded_channel();
    let (mut system, _) = System::start(heard);
    let tree = SourceTree::all(dir.path());
    let build = BuildSpec {
        command: Vec::new(),
        dir: dir.path().to_owned(),
        env: Arc::default(),
        artefact: None,
        sources: vec![tree],
    };
    let watched = Watched {
        nodes: vec![("api".into(), build)],
        ..Watched::default()
    };
    watching.begin(watched, &mut system);
    std::fs::write(dir.path().join("main.rs"), "22").unwrap();
    watching.look(None, &mut system);
    assert!(matches!(found.try_recv(), Ok(Found::Sources { what, .. }) if what == "main.rs"));
    watching.look(None, &mut system);
    assert!(found.try_recv().is_err(), "the same again is no change");
}

/// Saves of `src/main.py`, which a process runs as it is, each 300 ms after a start of it: what is told of them.
async fn saved_in_step(doing: impl Fn(u64) -> Doing) -> Vec<String> {
    let mut bench = Bench::with(|_| {}, run_as_it_is);
    let mut told = Vec::new();
    for round in 0..3 {
        let doing = Doing {
            began: Instant::now().checked_sub(Duration::from_millis(300)),
            run: Some(round),
            ..doing(round)
        };
        bench.doings.lock().unwrap().insert("api".into(), doing);
        // Of another length each time: two within one tick of the file system's clock are told apart by that alone.
        bench.write("src/main.py", &"x".repeat(4000 + told.len()));
        told.push(bench.next().await);
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn saves_in_step_are_a_persons_where_the_new_run_cannot_have_written_them() {
    let mut idle = tokio::process::Command::new("sleep");
    let idle = idle.arg("1000").kill_on_drop(true).spawn().unwrap();
    let pid = i32::try_from(idle.id().unwrap()).unwrap();
    let there = saved_in_step(|round| Doing {
        seen: true,
        processes: BTreeMap::from([(round, vec![pid])]),
        ..Doing::default()
    });
    let there = there.await;
    assert_eq!(there, ["api: main.py"; 3]);
    let not_there_yet = saved_in_step(|_| Doing::default()).await;
    assert_eq!(not_there_yet, there);
    let gone_again = saved_in_step(|_| Doing {
        seen: true,
        ..Doing::default()
    });
    assert_eq!(
        gone_again.await[2],
        "said: it writes `main.py` itself: that is no change of its sources"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_of_the_node_writes_is_named_and_left_out() {
    let mut bench = Bench::new(|_| {});
    let own = i32::try_from(std::process::id()).unwrap();
    let doing = Doing {
        processes: BTreeMap::from([(1, vec![own])]),
        ..Doing::default()
    };
    bench.doings.lock().unwrap().insert("api".into(), doing);
    let mut log = std::fs::File::create(bench.path("src/app.log")).unwrap();
    std::io::Write::write_all(&mut log, b"line\n").unwrap();
    let told = bench.next().await;
    assert!(told.starts_with("said: it writes `app.log` itself"), "{told}");
    std::io::Write::write_all(&mut log, b"another line\n").unwrap();
    assert_eq!(bench.until_now().await, [""; 0]);
}
