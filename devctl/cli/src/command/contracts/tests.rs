//! The consumers' tests: which commands are declared, and running them so that they write their pacts to a folder of ours.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use devctl_compose::model;
use devctl_pact::index::{self, Contract, Source};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;

use super::unreadable;
use crate::error::Error;
use crate::render::text::{sanitize, seconds};

/// Where the tests of a consumer write its pacts, whatever library they use.
const OUTPUT: &str = "PACT_OUTPUT_DIR";
/// How much of a failed command's output is shown.
const LAST_LINES: usize = 25;

/// One declared command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tests {
    /// Whose pacts it writes; none for those of consumers that are no services.
    pub(super) consumers: Vec<String>,
    /// The command's words.
    command: Vec<String>,
}

/// What a command wrote.
#[derive(Debug)]
pub(super) struct Wrote {
    pub(super) contracts: Vec<Arc<Contract>>,
    took: Duration,
}

/// The commands that the project declares, each once.
pub(super) fn declared(project: &model::Project) -> Vec<Tests> {
    let mut all: Vec<Tests> = Vec::new();
    let mut add = |consumer: Option<String>, command: &[String]| {
        if let Some(same) = all.iter_mut().find(|tests| tests.command == command) {
            same.consumers.extend(consumer);
        } else if !command.is_empty() {
            all.push(Tests {
                consumers: consumer.into_iter().collect(),
                command: command.to_vec(),
            });
        }
    };
    for (name, service) in project.services.iter().chain(&project.disabled_services) {
        if let Some(contracts) = &service.x_devctl.contracts
            && let Some(command) = &contracts.tests
        {
            add(
                Some(contracts.consumer.clone().unwrap_or_else(|| name.clone())),
                command,
            );
        }
    }
    if let Some(command) = project
        .x_devctl
        .contracts
        .as_ref()
        .and_then(|contracts| contracts.tests.as_ref())
    {
        add(None, command);
    }
    all
}

impl Tests {
    /// Whose tests they are, in words.
    pub(super) fn whose(&self) -> String {
        if self.consumers.is_empty() {
            "the project's other consumers".to_owned()
        } else {
            self.consumers.join(", ")
        }
    }

    fn line(&self) -> String {
        self.command
            .iter()
            .map(|word| match word.contains([' ', '"', '\'', '$']) || word.is_empty() {
                true => format!("'{}'", word.replace('\'', "'\\''")),
                false => word.clone(),
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    async fn run(self, at: usize, folder: PathBuf, directory: PathBuf) -> (usize, Result<Wrote, Error>) {
        let result = self.outcome(&folder, &directory).await;
        (at, result)
    }

    async fn outcome(&self, folder: &Path, directory: &Path) -> Result<Wrote, Error> {
        let started = Instant::now();
        let io = |source| Error::Io {
            doing: format!("run the consumer tests of {}: `{}`", self.whose(), self.line()),
            source,
            help: Some(format!("`tests` is run in {}, without a shell", directory.display())),
        };
        let log = folder.with_extension("log");
        let running = self.spawn(folder, directory, &log).map_err(io)?;
        let status = running.wait().await.map_err(io)?;
        if !status.success() {
            let how = match status.code() {
                Some(code) => format!("exited with {code}"),
                None => "was killed".to_owned(),
            };
            return Err(Error::Refused {
                what: format!("the consumer tests of {} failed: `{}` {how}", self.whose(), self.line()),
                help: Some(last_lines(&log)),
            });
        }
        let wrote = self.read(folder).await?;
        Ok(Wrote {
            contracts: wrote,
            took: started.elapsed(),
        })
    }

    fn spawn(&self, folder: &Path, directory: &Path, log: &Path) -> io::Result<Group> {
        std::fs::create_dir_all(folder)?;
        let log = File::create(log)?;
        let (program, arguments) = self.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = std::process::Command::new(program);
        command
            .args(arguments)
            .current_dir(directory)
            .env(OUTPUT, folder)
            .env("PACT_DO_NOT_TRACK", "true")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(is_of_our_package) {
                command.env_remove(name);
            }
        }
        let child = Command::from(command).spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Group { child, group })
    }

    /// What it wrote: at least one pact of each consumer that it is declared for.
    async fn read(&self, folder: &Path) -> Result<Vec<Arc<Contract>>, Error> {
        let help = format!(
            "tests write their pacts to `${OUTPUT}`; run by itself: `{OUTPUT}=/tmp/pacts {}`",
            self.line()
        );
        let silent = |what: String| Error::Refused {
            what,
            help: Some(help.clone()),
        };
        let loaded = index::load(&[Source::Path(folder.to_owned())], folder).await;
        if loaded.contracts.is_empty() && std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none()) {
            let what = format!(
                "the consumer tests of {} wrote no pact: `{}`",
                self.whose(),
                self.line()
            );
            return Err(silent(what));
        }
        if let Some(problem) = loaded.problems.first() {
            return Err(unreadable(problem));
        }
        let wrote: BTreeSet<&String> = loaded.contracts.iter().map(|contract| &contract.consumer).collect();
        if let Some(consumer) = self.consumers.iter().find(|consumer| !wrote.contains(consumer)) {
            let wrote: Vec<String> = wrote.iter().map(|consumer| format!("`{consumer}`")).collect();
            return Err(silent(format!(
                "the consumer tests of {} wrote pacts of {} and none of `{consumer}`",
                self.whose(),
                wrote.join(", ")
            )));
        }
        Ok(loaded.contracts)
    }
}

/// A command with whatever it started in its group. Dropped before it has ended, all of it is ended.
struct Group {
    child: Child,
    group: Option<Pid>,
}

impl Group {
    async fn wait(mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        // From here on the number may be another's.
        self.group = None;
        status
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // Compilers and test binaries bear being killed; nobody waits for them any more.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

/// Runs them, `jobs` at a time, and says what begins and ends. All that failed is told, not the first alone.
pub(super) async fn run_all(
    all: &[Tests],
    folder: &Path,
    directory: &Path,
    jobs: usize,
    say: &mut dyn FnMut(String) -> io::Result<()>,
) -> Result<Vec<Wrote>, Vec<Error>> {
    let mut waiting = all.iter().cloned().enumerate();
    let mut running = JoinSet::new();
    let mut wrote: Vec<Option<Wrote>> = all.iter().map(|_| None).collect();
    let mut failed = Vec::new();
    loop {
        while running.len() < jobs.max(1)
            && let Some((at, tests)) = waiting.next()
        {
            say(format!(
                "running the consumer tests of {}: {}",
                tests.whose(),
                tests.line()
            ))
            .map_err(|e| vec![e.into()])?;
            running.spawn(tests.run(at, folder.join(at.to_string()), directory.to_owned()));
        }
        match running.join_next().await {
            None => break,
            Some(Ok((at, Ok(done)))) => {
                let took = seconds(u64::try_from(done.took.as_millis()).unwrap_or(u64::MAX));
                let count = count(done.contracts.len(), "pact");
                say(format!("{}: {count} in {took}", all[at].whose())).map_err(|e| vec![e.into()])?;
                wrote[at] = Some(done);
            }
            Some(Ok((_, Err(error)))) => failed.push(error),
            Some(Err(error)) => failed.push(io::Error::other(error).into()),
        }
    }
    if failed.is_empty() {
        Ok(wrote.into_iter().flatten().collect())
    } else {
        Err(failed)
    }
}

/// What Cargo tells of the package that it runs. Started by `cargo run`, devctl has it of its own, and another Cargo that finds it
/// in its environment builds half of what there is anew.
fn is_of_our_package(name: &str) -> bool {
    const BEGINNINGS: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_"];
    matches!(
        name,
        "CARGO_CRATE_NAME" | "CARGO_BIN_NAME" | "CARGO_PRIMARY_PACKAGE" | "CARGO_TARGET_TMPDIR" | "OUT_DIR"
    ) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

/// `1 pact`, `2 pacts`.
pub(super) fn count(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn last_lines(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<String> = text.lines().map(|line| sanitize(line, false)).collect();
    if lines.iter().all(|line| line.trim().is_empty()) {
        return "it printed nothing; run it by itself".to_owned();
    }
    let from = lines.len().saturating_sub(LAST_LINES);
    format!("its last lines:\n{}", lines[from..].join("\n"))
}
