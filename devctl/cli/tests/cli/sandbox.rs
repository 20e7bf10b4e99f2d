//! A project in a directory of its own, with a home of its own, where the command can be run.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use devctl_drivers::dirs::{Dirs, Places};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fake::{Fake, Script};

/// The project that most tests use.
pub(crate) const SHOP: &str = r#"
name: shop
services:
  db:
    image: postgres:15
    environment:
      POSTGRES_PASSWORD: secret
  seed:
    image: shop/seed
    depends_on:
      db: {condition: service_healthy}
  api:
    image: shop/api
    depends_on:
      db: {condition: service_healthy}
      seed: {condition: service_completed_successfully}
    ports: ["8080:80"]
"#;

/// A project's directory and everything that devctl keeps about it; gone when dropped.
pub(crate) struct Sandbox {
    root: tempfile::TempDir,
}

impl Sandbox {
    /// A sandbox with this Compose file.
    pub(crate) fn new(compose: &str) -> Self {
        // Short: a socket's path has 108 bytes.
        let root = tempfile::Builder::new().prefix("dv").tempdir().unwrap();
        std::fs::create_dir(root.path().join("shop")).unwrap();
        std::fs::create_dir(root.path().join("home")).unwrap();
        let sandbox = Self { root };
        sandbox.write("compose.yaml", compose);
        sandbox
    }

    /// A sandbox with the usual project.
    pub(crate) fn shop() -> Self {
        Self::new(SHOP)
    }

    /// Where the project is.
    pub(crate) fn dir(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap().join("shop")
    }

    /// Writes a file of the project.
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir().join(name), text).unwrap();
    }

    /// Where devctl keeps what belongs to the project.
    pub(crate) fn dirs(&self) -> Dirs {
        let places = Places {
            devctl_home: Some(self.root.path().join("home")),
            ..Places::default()
        };
        Dirs::of_project(&self.dir(), "shop", &places)
    }

    /// A daemon for the project.
    pub(crate) fn daemon(&self, script: Script) -> Fake {
        Fake::serve(&self.dirs().api_socket(), script)
    }

    /// The command, ready to be run in the project's directory.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_devctl"));
        command
            .args(args)
            .current_dir(self.dir())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            // Whatever engine this machine has: these tests are about the command alone.
            .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
            .env("HOME", self.root.path())
            .env("DEVCTL_HOME", self.root.path().join("home"))
            .env("DEVCTL_RUNTIME", "native")
            .stdin(Stdio::null());
        command
    }

    /// Runs it: status, stdout and stderr as one text, with what differs from run to run taken out.
    pub(crate) fn devctl(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        self.shown(&output)
    }

    /// An output as one text.
    pub(crate) fn shown(&self, output: &Output) -> String {
        let status = output.status.code().map_or("killed".into(), |code| code.to_string());
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        let mut text = format!("status: {status}\n");
        for (name, part) in [("stdout", out), ("stderr", err)] {
            if !part.is_empty() {
                text.push_str(&format!("--- {name}\n{part}"));
            }
        }
        text.replace(&*self.dir().to_string_lossy(), "[DIR]")
            .replace(&*self.root.path().to_string_lossy(), "[ROOT]")
            .replace(devctl_wire::VERSION, "[VERSION]")
    }

    /// Starts it, to be watched.
    pub(crate) fn spawn(&self, args: &[&str]) -> Running {
        let mut child = self
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running {
            child,
            stdout,
            seen: String::new(),
        }
    }
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
    seen: String,
}

impl Running {
    /// Reads stdout up to a line that contains this.
    pub(crate) fn wait_for(&mut self, text: &str) {
        loop {
            let mut line = String::new();
            let read = self.stdout.read_line(&mut line).unwrap();
            self.seen.push_str(&line);
            assert!(read > 0, "`{text}` never came; what came:\n{}", self.seen);
            if line.contains(text) {
                return;
            }
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(mut self, sandbox: &Sandbox) -> String {
        let mut stdout = self.seen.into_bytes();
        self.stdout.read_to_end(&mut stdout).unwrap();
        let mut output = self.child.wait_with_output().unwrap();
        output.stdout = stdout;
        sandbox.shown(&output)
    }
}
