//! A PostgreSQL of the test's own, on a socket in a temporary directory; gone when dropped.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, chown};
use tempfile::TempDir;
use tokio_postgres::NoTls;

const BIN: &str = "/usr/lib/postgresql/15/bin";

pub(crate) struct Server {
    dir: TempDir,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        }
        let _ = self.process.wait();
    }
}

impl Server {
    /// None, with a word about it, where the machine has no PostgreSQL; on CI that is a failure.
    pub(crate) async fn start() -> Option<Self> {
        if !Path::new(BIN).exists() {
            assert!(std::env::var_os("CI").is_none(), "no PostgreSQL 15 in {BIN}");
            eprintln!("skipped: no PostgreSQL 15 in {BIN}");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("pact-pg").tempdir().unwrap();
        if let Ok(Some(user)) = User::from_name("postgres") {
            // Refused unless root; then the server runs as whoever we are.
            let _ = chown(dir.path(), Some(user.uid), Some(user.gid));
        }
        let path = |name: &str| dir.path().join(name).display().to_string();
        let made = command("initdb")
            .args(["-D", &path("data"), "-A", "trust", "-U", "devctl", "-N"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let process = command("postgres")
            .args(["-D", &path("data"), "-h", "", "-k", &path(""), "-c", "fsync=off"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { dir, process };
        while tokio_postgres::connect(&server.config("postgres"), NoTls)
            .await
            .is_err()
        {
            tokio::task::yield_now().await;
        }
        Some(server)
    }

    pub(crate) fn config(&self, database: &str) -> String {
        format!("host={} user=devctl dbname={database}", self.dir.path().display())
    }

    /// A database in which these statements were run.
    pub(crate) async fn database(&self, name: &str, statements: &[String]) -> tokio_postgres::Client {
        self.client("postgres")
            .await
            .batch_execute(&format!("CREATE DATABASE {name}"))
            .await
            .unwrap();
        let client = self.client(name).await;
        for statement in statements {
            client.batch_execute(statement).await.unwrap();
        }
        client
    }

    async fn client(&self, database: &str) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.config(database), NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }
}

/// A command of PostgreSQL's, never as root: it refuses that.
fn command(program: &str) -> Command {
    let program = format!("{BIN}/{program}");
    if !nix::unistd::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", &program]);
    command
}
