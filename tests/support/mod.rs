//! A project in a directory of its own, with everything of devctl's under it, and the binary to drive it with. Dropping it takes
//! everything down, also when the test has failed.

pub(crate) mod containers;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// The service that most tests run: see its head for what it can be told.
pub(crate) const SERVICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/service.py");

/// One project.
pub(crate) struct Project {
    dir: tempfile::TempDir,
    home: PathBuf,
    /// Removed in the end; a second checkout shares the first one's.
    _home: Option<tempfile::TempDir>,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) took: Duration,
}

/// Whether a part of the machine is there. Without it a test is skipped, and says so; in CI it fails.
pub(crate) fn needs(there: bool, what: &str) -> bool {
    assert!(there || std::env::var_os("CI").is_none(), "there is no {what}");
    if !there {
        eprintln!("skipped: there is no {what}");
    }
    there
}

impl Project {
    /// A project with this `compose.yaml`.
    pub(crate) fn new(compose: &str) -> Self {
        // A server's unprivileged user must be able to pass through.
        let home = tempfile::Builder::new()
            .prefix("dvh")
            .tempdir_in("/tmp")
            .expect("a directory");
        open_to_all(home.path());
        let path = home.path().to_owned();
        Self::at_home(compose, path, Some(home))
    }

    /// Another checkout of the same project, by the same user.
    pub(crate) fn beside(&self, compose: &str) -> Self {
        Self::at_home(compose, self.home.clone(), None)
    }

    fn at_home(compose: &str, home: PathBuf, kept: Option<tempfile::TempDir>) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("dvp")
            .tempdir_in("/tmp")
            .expect("a directory");
        open_to_all(dir.path());
        let project = Self { dir, home, _home: kept };
        project.write("compose.yaml", compose);
        project
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.dir().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text.replace("$SERVICE", SERVICE)).expect("a file");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir().join(name)).unwrap_or_default()
    }

    /// The binary, in the project's directory, with an environment that is the same on every machine.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devctl"));
        command.args(args).current_dir(self.dir()).stdin(Stdio::null());
        command
            .env("DEVCTL_HOME", &self.home)
            // What a test needs of Docker it asks for itself: an engine that happens to answer changes nothing.
            .env("DEVCTL_RUNTIME", "native")
            .env("NO_COLOR", "1")
            .env_remove("CI");
        command
    }

    /// `up -d --wait` below namespaces of its own (unshare(1)'s words), after a line of a shell has prepared them. Whether there are
    /// such namespaces here; where CI says that they must be, that is asserted.
    pub(crate) fn up_in_namespaces(&self, namespaces: &[&str], prepare: &str) -> bool {
        let up = self.command(&["up", "-d", "--wait"]);
        let mut shell = Command::new("unshare");
        shell.args(["--user", "--map-root-user"]).args(namespaces);
        const INSIDE: &str = "inside";
        shell.args([
            "sh",
            "-c",
            &format!("{prepare} && echo {INSIDE} >&2 && exec \"$0\" \"$@\""),
        ]);
        shell.arg(up.get_program()).args(up.get_args()).current_dir(self.dir());
        shell.envs(up.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = shell.output().expect("unshare");
        let said = String::from_utf8_lossy(&output.stderr);
        if !said.lines().any(|line| line == INSIDE) {
            return needs(false, &format!("user namespace here ({said})"));
        }
        assert!(output.status.success(), "{said}");
        true
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Said {
        let began = Instant::now();
        let Output { status, stdout, stderr } = self.command(args).output().expect("devctl can be run");
        Said {
            code: status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&stdout).into_owned(),
            err: String::from_utf8_lossy(&stderr).into_owned(),
            took: began.elapsed(),
        }
    }

    /// Runs a line of a shell, as whoever pastes it would.
    pub(crate) fn shell(&self, line: &str) -> Said {
        let began = Instant::now();
        let command = self.command(&[]);
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(self.dir()).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let Output { status, stdout, stderr } = shell.output().expect("a shell");
        Said {
            code: status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&stdout).into_owned(),
            err: String::from_utf8_lossy(&stderr).into_owned(),
            took: began.elapsed(),
        }
    }

    /// Runs it, and it must end well.
    pub(crate) fn ok(&self, args: &[&str]) -> Said {
        let said = self.run(args);
        assert_eq!(
            said.code,
            0,
            "devctl {} failed:\n{}{}",
            args.join(" "),
            said.out,
            said.err
        );
        said
    }

    /// The state of every node.
    pub(crate) fn nodes(&self) -> Vec<serde_json::Value> {
        let said = self.ok(&["ps", "-a", "--format", "json"]);
        said.out
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// One node's `ps` entry.
    pub(crate) fn node(&self, name: &str) -> serde_json::Value {
        let nodes = self.nodes();
        let node = nodes
            .iter()
            .find(|node| node["Service"] == name || node["Name"] == name);
        node.cloned()
            .ok_or_else(|| format!("no node `{name}` in {nodes:?}"))
            .expect("the node")
    }

    /// The main process of a node.
    pub(crate) fn pid(&self, name: &str) -> i64 {
        let node = self.node(name);
        node["PID"]
            .as_i64()
            .or_else(|| node["Pid"].as_i64())
            .ok_or_else(|| format!("no process in {node}"))
            .expect("the process")
    }

    /// Every process that belongs to the project: started with its directory or its home in the environment or command line.
    pub(crate) fn processes(&self) -> Vec<(i32, String)> {
        let marks = [self.dir().display().to_string(), self.home.display().to_string()];
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            if pid == std::process::id() as i32 {
                continue;
            }
            let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
            let (command, environment) = (read("cmdline"), read("environ"));
            let holds = |bytes: &[u8]| {
                marks
                    .iter()
                    .any(|mark| bytes.windows(mark.len()).any(|part| part == mark.as_bytes()))
            };
            if !command.is_empty() && (holds(&command) || holds(&environment)) {
                found.push((pid, String::from_utf8_lossy(&command).replace('\0', " ")));
            }
        }
        found
    }

    /// The process of its daemon.
    pub(crate) fn daemon(&self) -> i32 {
        let processes = self.processes();
        let found = processes.iter().find(|(_, command)| command.contains("__daemon"));
        found.map(|(pid, _)| *pid).expect("a daemon")
    }

    /// What devctl keeps of it in its directory.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        let entries = std::fs::read_dir(self.dir().join(".devctl")).into_iter().flatten();
        let project = entries.flatten().find(|entry| entry.path().is_dir());
        project.map(|project| project.path().join(name)).unwrap_or_default()
    }

    /// Waits until nothing of the project runs; how long that took.
    pub(crate) fn wait_until_gone(&self, limit: Duration) -> Duration {
        let began = Instant::now();
        wait_for("every process to end", limit, || {
            self.processes().is_empty().then_some(())
        });
        began.elapsed()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.state("daemon.log")).unwrap_or_default();
            eprintln!("--- daemon.log\n{log}---");
        }
        let _gone = self.command(&["down", "-v", "-t", "2", "--remove-orphans"]).output();
        for (pid, _) in self.processes() {
            let _gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

fn open_to_all(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)).expect("permissions");
}

/// Looks again and again until there is something to see. For states of the world that nobody announces.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::yield_now();
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    // Below what the system gives to outgoing connections, any of which could take it before its user does; and clear of devctl's leases.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = std::process::id().wrapping_mul(97);
    loop {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 10_000 + u16::try_from(start.wrapping_add(step) % 10_000).unwrap_or_default();
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A GET, by hand: status and body. None where nobody answers.
pub(crate) fn get(address: &str, path: &str) -> Option<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n")?.1.to_owned();
    Some((status, body))
}
