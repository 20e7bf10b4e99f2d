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

/// Where the tests of a consumer write its pacts, whatever library they use.
const OUTPUT: &str = "PACT_OUTPUT_DIR";
/// How much of a failed command's output is shown.
const LAST_LINES: usize = 25;
/// Runs a command so that others go first.
const NICE: &str = "/usr/bin/nice";

/// One declared command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tests {
    /// Whose pacts it writes; none for those of consumers that are no services.
    pub consumers: Vec<String>,
    /// The command's words.
    command: Vec<String>,
}

/// How a command is run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Where its pacts go.
    pub folder: PathBuf,
    /// Where it runs: the project's directory.
    pub directory: PathBuf,
    /// All of its environment, but for what is set here.
    pub environment: Vec<(String, String)>,
    /// Everybody else goes first.
    pub gently: bool,
}

/// What a command wrote.
#[derive(Debug)]
pub struct Wrote {
    /// At least one for each consumer.
    pub contracts: Vec<Arc<Contract>>,
    /// How long that took.
    pub took: Duration,
}

/// Why there are no pacts.
#[derive(Debug, Default)]
pub struct TestError {
    /// What did not work, with the command.
    pub what: String,
    /// What to do about it.
    pub help: Option<String>,
    /// What it printed last.
    pub lines: Vec<String>,
    /// The command could not be run at all.
    pub source: Option<io::Error>,
}

/// The commands that the project declares, each once.
pub fn declared(project: &model::Project) -> Vec<Tests> {
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
    pub fn whose(&self) -> String {
        if self.consumers.is_empty() {
            "the project's other consumers".to_owned()
        } else {
            self.consumers.join(", ")
        }
    }

    /// The command as a shell reads it.
    pub fn line(&self) -> String {
        shell_words::join(&self.command)
    }

    /// Runs the command to its end; dropped before that, everything it has started is ended.
    ///
    /// # Errors
    /// Where it cannot be run, fails, or does not write what it is declared for.
    pub async fn run(&self, run: &Run) -> Result<Wrote, TestError> {
        let started = Instant::now();
        let io = |source| TestError {
            what: format!("run the consumer tests of {}: `{}`", self.whose(), self.line()),
            help: Some(format!(
                "`tests` is run in {}, without a shell",
                run.directory.display()
            )),
            source: Some(source),
            ..TestError::default()
        };
        let log = run.folder.with_extension("log");
        let running = self.spawn(run, &log).map_err(io)?;
        let status = running.wait().await.map_err(io)?;
        if !status.success() {
            let how = match status.code() {
                Some(code) => format!("exited with {code}"),
                None => "was killed".to_owned(),
            };
            return Err(TestError {
                what: format!("the consumer tests of {} failed: `{}` {how}", self.whose(), self.line()),
                lines: last_lines(&log),
                ..TestError::default()
            });
        }
        let contracts = self.read(&run.folder).await?;
        Ok(Wrote {
            contracts,
            took: started.elapsed(),
        })
    }

    fn spawn(&self, run: &Run, log: &Path) -> io::Result<Group> {
        std::fs::create_dir_all(&run.folder)?;
        let log = File::create(log)?;
        let (program, arguments) = self.command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = match run.gently && Path::new(NICE).exists() {
            true => {
                let mut command = std::process::Command::new(NICE);
                command.args(["-n", "10", program]);
                command
            }
            false => std::process::Command::new(program),
        };
        command
            .args(arguments)
            .current_dir(&run.directory)
            .env_clear()
            .envs(
                run.environment
                    .iter()
                    .filter(|(name, _)| !is_of_our_package(name))
                    .cloned(),
            )
            .env(OUTPUT, &run.folder)
            .env("PACT_DO_NOT_TRACK", "true")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let child = Command::from(command).spawn()?;
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        Ok(Group { child, group })
    }

    /// What it wrote: at least one pact of each consumer that it is declared for.
    async fn read(&self, folder: &Path) -> Result<Vec<Arc<Contract>>, TestError> {
        let help = format!(
            "tests write their pacts to `${OUTPUT}`; run by itself: `{OUTPUT}=/tmp/pacts {}`",
            self.line()
        );
        let silent = |what: String| TestError {
            what,
            help: Some(help.clone()),
            ..TestError::default()
        };
        let loaded = index::load(&[Source::Path(folder.to_owned())], folder).await;
        if loaded.contracts.is_empty() && std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none()) {
            return Err(silent(format!(
                "the consumer tests of {} wrote no pact: `{}`",
                self.whose(),
                self.line()
            )));
        }
        if let Some(problem) = loaded.problems.first() {
            return Err(TestError {
                what: crate::start::told(problem),
                help: problem.help().map(str::to_owned),
                ..TestError::default()
            });
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

/// What Cargo tells of the package that it runs. Started by `cargo run`, devctl has it of its own, and another Cargo that finds it
/// in its environment builds half of what there is anew.
fn is_of_our_package(name: &str) -> bool {
    const BEGINNINGS: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_"];
    matches!(
        name,
        "CARGO_CRATE_NAME" | "CARGO_BIN_NAME" | "CARGO_PRIMARY_PACKAGE" | "CARGO_TARGET_TMPDIR" | "OUT_DIR"
    ) || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

fn last_lines(log: &Path) -> Vec<String> {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.iter().all(|line| line.trim().is_empty()) {
        return Vec::new();
    }
    lines[lines.len().saturating_sub(LAST_LINES)..].to_vec()
}
