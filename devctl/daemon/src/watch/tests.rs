//! What is told of work on real files.

use std::process::Command as Run;

use super::*;

/// A watched directory, and what is found out about it.
struct Bench {
    dir: tempfile::TempDir,
    wanted: mpsc::UnboundedSender<Watched>,
    found: mpsc::UnboundedReceiver<Found>,
    doings: Doings,
}

impl Bench {
    /// Watches `src` of a new directory for the node `api`, and `compose.yaml`.
    async fn new(prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("src")).unwrap();
        std::fs::write(dir.path().join("compose.yaml"), "services: {}\n").unwrap();
        prepare(dir.path());
        let (wanted, inbox) = mpsc::unbounded_channel();
        let (find, found) = mpsc::unbounded_channel();
        let doings = Doings::default();
        tokio::spawn(Watching::new(doings.clone(), find).run(inbox, None));
        let mut bench = Self {
            dir,
            wanted,
            found,
            doings,
        };
        bench.watch();
        bench.settled().await;
        bench
    }

    fn watch(&self) {
        let tree = SourceTree {
            ignore: vec!["ignored/".to_owned()],
            ..SourceTree::all(self.path("src"))
        };
        let build = BuildSpec {
            command: vec!["make".to_owned()],
            dir: self.path(""),
            env: Arc::default(),
            artefact: Some(self.path("src/product")),
            sources: vec![tree],
        };
        let watched = Watched {
            nodes: vec![("api".into(), build)],
            containers: Vec::new(),
            contracts: vec![self.path("pacts"), self.path("states.yaml")],
            files: vec![self.path("compose.yaml")],
            request: v1::UpRequest::default(),
        };
        self.wanted.send(watched).unwrap();
    }

    /// Everything that was wanted has been taken over: a change of the Compose file is told.
    async fn settled(&mut self) {
        let mut round = 0;
        loop {
            round += 1;
            self.write(
                "compose.yaml",
                &format!("services: {{}} # {round} {}\n", "x".repeat(round)),
            );
            if let Ok(found) = tokio::time::timeout(Duration::from_millis(300), self.found.recv()).await {
                assert!(matches!(found, Some(Found::Files(_))), "{found:?}");
                break;
            }
            assert!(round < 50, "nothing is told");
        }
        while let Ok(Some(_)) = tokio::time::timeout(BURST, self.found.recv()).await {}
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        std::fs::write(self.path(name), text).unwrap();
    }

    fn shell(&self, script: &str) {
        let done = Run::new("sh")
            .args(["-ec", script])
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// The next thing that is told; the Compose file, which may be told twice, is passed over.
    async fn told(&mut self) -> String {
        loop {
            let told = self.next().await;
            if told != "files" {
                return told;
            }
        }
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

    /// Nothing but a change of the Compose file is told: what was done before it was none.
    async fn nothing_but_files(&mut self, mark: &str) {
        self.write("compose.yaml", mark);
        assert_eq!(self.next().await, "files");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_pacts_and_provider_states_are_told_also_where_they_are_new() {
    let mut bench = Bench::new(|_| {}).await;
    bench.write("states.yaml", "states: {}\n");
    assert_eq!(bench.next().await, "contracts: 1 files");
    std::fs::create_dir(bench.path("pacts")).unwrap();
    bench.write("pacts/web-api.json", "{}");
    assert_eq!(bench.next().await, "contracts: 1 files");
    bench.write("pacts/web-api.json", "{ }");
    assert_eq!(bench.next().await, "contracts: 1 files");
    bench.nothing_but_files("services: {a: {}}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_save_is_told_by_its_name_and_what_is_ignored_is_not() {
    let mut bench = Bench::new(|dir| std::fs::write(dir.join("src/.gitignore"), "gen/\n").unwrap()).await;
    bench.write("src/main.rs", "fn main() {}");
    assert_eq!(bench.told().await, "api: main.rs");
    bench.write("src/ignored/x", "x");
    bench.write("src/gen/x", "x");
    bench.write("src/product", "x");
    bench.nothing_but_files("services: {a: 1}").await;
    bench.write("src/deep/er/mod.rs", "mod x;");
    assert_eq!(bench.told().await, "api: deep/er/mod.rs");
    bench.write("src/deep/er/mod.rs", "mod xy;");
    assert_eq!(bench.told().await, "api: deep/er/mod.rs");
}

#[tokio::test(flavor = "multi_thread")]
async fn editors_dances_are_one_change_of_one_file() {
    let mut bench = Bench::new(|dir| std::fs::write(dir.join("src/main.rs"), "1").unwrap()).await;
    let src = bench.path("src");
    let at = |name: &str| src.join(name);
    let write = |name: &str, text: &str| std::fs::write(at(name), text).unwrap();
    let rename = |from: &str, to: &str| std::fs::rename(at(from), at(to)).unwrap();
    let remove = |name: &str| std::fs::remove_file(at(name)).unwrap();
    // Vim with a backup; then a safe write through a temporary file; then JetBrains'.
    let dances: [&dyn Fn(); 3] = [
        &|| {
            write("4913", "");
            remove("4913");
            rename("main.rs", "main.rs~");
            write("main.rs", "22");
            remove("main.rs~");
        },
        &|| {
            write(".main.rs.x1", "333");
            rename(".main.rs.x1", "main.rs");
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
        assert_eq!(bench.told().await, "api: main.rs", "dance {number}");
        bench.nothing_but_files(&format!("services: {{}} # {number}")).await;
    }
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
    })
    .await;
    bench.shell("git checkout -q -");
    assert_eq!(bench.told().await, "api: 1000 files");
    bench.nothing_but_files("services: {after: checkout}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_may_go_and_come_back() {
    let mut bench = Bench::new(|dir| std::fs::create_dir(dir.join("src/a")).unwrap()).await;
    bench.write("src/a/one", "1");
    assert_eq!(bench.told().await, "api: a/one");
    bench.shell("rm -r src");
    assert_eq!(bench.told().await, "api: a/one");
    for text in ["2", "22"] {
        bench.write("src/a/one", text);
        assert_eq!(bench.told().await, "api: a/one");
    }
    // Gone and back at once: the watch of the old directory is no good for the new one.
    bench.shell("rm -r src/a; mkdir src/a; printf 333 > src/a/one");
    assert_eq!(bench.told().await, "api: a/one");
    bench.write("src/a/one", "4444");
    assert_eq!(bench.told().await, "api: a/one");
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

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_of_the_node_writes_is_named_and_left_out() {
    let mut bench = Bench::new(|_| {}).await;
    let own = i32::try_from(std::process::id()).unwrap();
    let doing = Doing {
        processes: vec![own],
        ..Doing::default()
    };
    bench.doings.lock().unwrap().insert("api".into(), doing);
    let mut log = std::fs::File::create(bench.path("src/app.log")).unwrap();
    std::io::Write::write_all(&mut log, b"line\n").unwrap();
    let told = bench.told().await;
    assert!(told.starts_with("said: it writes `app.log` itself"), "{told}");
    std::io::Write::write_all(&mut log, b"another line\n").unwrap();
    bench.nothing_but_files("services: {b: 2}").await;
}
