//! The machine's real PostgreSQL.

use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::log::RunLog;
use crate::probe::Probe;
use crate::process::{self, Exit, Process};

/// Directories that the server's user can enter, and a free port.
struct Bench {
    dir: tempfile::TempDir,
    spec: PostgresSpec,
}

/// Whether there is a PostgreSQL to test with. Where CI runs there must be.
fn here() -> bool {
    let here = !discover(&std::env::var("PATH").unwrap()).is_empty();
    assert!(
        here || std::env::var_os("CI").is_none(),
        "no PostgreSQL on this machine"
    );
    if !here {
        println!("skipped: no PostgreSQL on this machine");
    }
    here
}

impl Bench {
    fn new(env: &[(&str, &str)]) -> Self {
        let dir = tempfile::Builder::new().prefix("pg").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let spec = PostgresSpec {
            version: Requirement::Any,
            env: env
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            init: Vec::new(),
            command: Vec::new(),
            data_dir: dir.path().join("data/db"),
            socket_dir: dir.path().join("s"),
            // One for all tests and all runs, as users have it.
            cache_dir: std::env::temp_dir().join(format!("devctl-drivers-tests-{}", crate::user::current_uid())),
            listen: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        Self { dir, spec }
    }

    fn script(&mut self, name: &str, text: &str) {
        let dir = self.dir.path().join("init");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(name), text).unwrap();
        self.spec.init = vec![dir];
    }

    async fn prepare(&self) -> Result<Prepared, PostgresError> {
        prepare(&self.spec, &RunLog::discard()).await
    }
}

/// A server that is killed with the test.
struct Server(Process);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill_tree();
    }
}

async fn start(prepared: &Prepared) -> Server {
    let server = Server(process::spawn(&prepared.process, &RunLog::discard()).unwrap());
    let probe = Probe::Postgres(prepared.login.clone());
    let began = Instant::now();
    loop {
        let tested = probe.test(Duration::from_secs(10)).await;
        if tested.ok {
            return server;
        }
        assert_eq!(server.0.try_wait(), None, "{}", tested.output);
        assert!(began.elapsed() < Duration::from_secs(30), "{}", tested.output);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn ask(prepared: &Prepared, question: &str) -> Result<(), String> {
    crate::probe::execute(&prepared.login, question).await
}

#[tokio::test]
async fn a_first_start_means_what_the_image_means_and_a_second_keeps_the_data() {
    if !here() {
        return;
    }
    let mut bench = Bench::new(&[
        ("POSTGRES_USER", "billing"),
        ("POSTGRES_PASSWORD", "it's \"secret\""),
        ("POSTGRES_DB", "invoices"),
    ]);
    bench.spec.command = vec!["postgres".into(), "-c".into(), "max_connections=33".into()];
    bench.script("20-rows.sql", "INSERT INTO t VALUES (1), (2);");
    bench.script(
        "10-table.sh",
        "psql -v ON_ERROR_STOP=1 --username \"$POSTGRES_USER\" --dbname \"$POSTGRES_DB\" -c 'CREATE TABLE t (n int)'\n",
    );
    bench.script("README.md", "not a script");
    let began = Instant::now();
    let prepared = bench.prepare().await.unwrap();
    assert!(prepared.first_start);
    let server = start(&prepared).await;
    println!("first start: {:?}", began.elapsed());
    assert_eq!(ask(&prepared, "SELECT 1/(count(*) - 1) FROM t").await, Ok(()));
    let settings = "SELECT 1/(CASE WHEN current_setting('max_connections') = '33' AND current_setting('fsync') = 'off' THEN 1 ELSE 0 END)";
    assert_eq!(ask(&prepared, settings).await, Ok(()));
    assert_eq!(ask(&prepared, "INSERT INTO t VALUES (3)").await, Ok(()));
    let mut wrong = prepared.clone();
    wrong.login.password = Some("wrong".into());
    assert!(
        ask(&wrong, "SELECT 1")
            .await
            .unwrap_err()
            .contains("password authentication failed")
    );
    assert_eq!(server.0.stop(STOP_SIGNAL, Duration::from_secs(20)).await, Exit::Code(0));

    let began = Instant::now();
    let again = bench.prepare().await.unwrap();
    assert!(!again.first_start);
    let server = start(&again).await;
    println!("second start: {:?}", began.elapsed());
    assert_eq!(ask(&again, "SELECT 1/(count(*) - 2) FROM t").await, Ok(()));
    server.0.kill_tree();
    server.0.wait().await;
    // Killed, it leaves its lock behind; the next start is none the worse.
    start(&bench.prepare().await.unwrap()).await;
}

#[tokio::test]
async fn a_script_that_fails_says_why_and_the_next_start_begins_anew() {
    if !here() {
        return;
    }
    let mut bench = Bench::new(&[("POSTGRES_HOST_AUTH_METHOD", "trust")]);
    bench.script("1.sql", "CREATE TABLE t (n int);");
    bench.script("2.sql", "SELECT * FROM no_such_table;");
    let error = bench.prepare().await.unwrap_err();
    let PostgresError::InitScript { script, output } = &error else {
        panic!("{error}")
    };
    assert_eq!(script, &bench.dir.path().join("init/2.sql"));
    assert!(output.contains("relation \"no_such_table\" does not exist"), "{output}");
    assert!(error.help().is_some());
    assert!(!bench.spec.data_dir.exists());
    bench.script("2.sql", "INSERT INTO t VALUES (1);");
    let prepared = bench.prepare().await.unwrap();
    assert!(prepared.first_start);
    let _server = start(&prepared).await;
    assert_eq!(ask(&prepared, "SELECT 1/count(*) FROM t").await, Ok(()));
}

#[tokio::test]
async fn the_server_never_runs_as_root_and_listens_on_loopback_alone() {
    if !here() {
        return;
    }
    let bench = Bench::new(&[("POSTGRES_PASSWORD", "x")]);
    let prepared = bench.prepare().await.unwrap();
    let server = start(&prepared).await;
    let pid = server.0.id().pid;
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(format!("/proc/{pid}")).unwrap());
    assert_ne!(owner, 0);
    let found = crate::lease::who_listens(bench.spec.listen).unwrap();
    assert_eq!(found.pid, Some(pid));
    let other = SocketAddr::from(([127, 9, 9, 9], bench.spec.listen.port()));
    assert_eq!(crate::lease::who_listens(other), None);
}

#[tokio::test]
async fn versions_that_will_not_do_are_named_with_what_to_do() {
    if !here() {
        return;
    }
    let mut bench = Bench::new(&[("POSTGRES_PASSWORD", "x")]);
    bench.spec.version = "99".parse().unwrap();
    let error = bench.prepare().await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("find PostgreSQL 99 on this machine (found "),
        "{error}"
    );
    assert!(
        error.help().unwrap().contains("native: {version:"),
        "{:?}",
        error.help()
    );
    bench.spec.version = Requirement::Any;
    fs::create_dir_all(&bench.spec.data_dir).unwrap();
    fs::write(bench.spec.data_dir.join("PG_VERSION"), "9.6\n").unwrap();
    assert!(matches!(bench.prepare().await, Err(PostgresError::OtherVersion { made_by, .. }) if made_by == "9.6"));
}

#[tokio::test]
async fn a_directory_that_the_servers_user_cannot_enter_is_named() {
    if !here() || !crate::user::is_root() {
        println!("skipped: not root");
        return;
    }
    let bench = Bench::new(&[("POSTGRES_PASSWORD", "x")]);
    fs::set_permissions(bench.dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = bench.prepare().await.unwrap_err();
    let closed: &Path = bench.dir.path();
    assert!(
        matches!(&error, PostgresError::Unreachable { dir, .. } if dir == closed),
        "{error}"
    );
}
