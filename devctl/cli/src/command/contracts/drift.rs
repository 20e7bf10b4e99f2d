//! `contracts drift`: runs the consumers' tests and holds what they write against what is committed.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use devctl_pact::drift::{self, Pair, Verdict};
use devctl_pact::index::Contract;
use nix::sys::signal::Signal;
use tokio::signal::unix::{SignalKind, signal};

use super::tests::{Tests, Wrote, count, declared, run_all};
use super::{Shape, committed, places, report, shown};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::Project;
use crate::suggest;

/// Run the consumers' tests, and say where the committed contracts are not what they write
///
/// Each service declares the command that writes its contracts as `x-devctl: {contracts: {tests: ...}}`; those of consumers that are
/// no services, the project declares in the same way. Tests write their pacts to `$PACT_OUTPUT_DIR`.
///
/// Exit status: 0 the committed contracts are what the tests write · 1 something is stale, missing or left over · 2 tests could not be run.
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(crate) struct Drift {
    /// Consumers [default: all]
    #[arg(value_name = "CONSUMER")]
    consumers: Vec<String>,

    /// Write what the tests say to the committed files, and remove what they do not say any more
    #[arg(long)]
    update: bool,

    /// How many commands run at a time [default: one per processor]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<usize>>,

    /// For people, or one JSON object per contract and line
    #[arg(long, value_enum, default_value_t = Shape::Table)]
    format: Shape,
}

enum Outcome {
    Wrote(Vec<Wrote>),
    Failed(Vec<Error>),
    Signalled(Signal),
}

impl Drift {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        let project = context.project()?;
        let committed = context.block_on(async { committed(&project).await })?;
        let tests = self.chosen(&project, &committed)?;
        let folder = tempfile::Builder::new()
            .prefix("devctl-drift-")
            .tempdir()
            .map_err(|source| Error::Io {
                doing: "make a folder for what the tests write".into(),
                source,
                help: None,
            })?;
        let wrote = match context.block_on(self.tested(context, &project, &tests, folder.path()))? {
            Outcome::Wrote(wrote) => wrote,
            Outcome::Signalled(signal) => return Ok(Exit::Signal(signal as i32)),
            Outcome::Failed(errors) => {
                for error in errors {
                    write!(io::stderr(), "{}", error.render(context.terminal.err))?;
                }
                return Ok(Exit::CouldNotRun);
            }
        };
        let mut written: Vec<Arc<Contract>> = wrote.into_iter().flat_map(|wrote| wrote.contracts).collect();
        let mut responsible = self.responsible(&project, &tests, &committed);
        if !self.consumers.is_empty() {
            // A command may write more than was asked about.
            written.retain(|contract| self.consumers.contains(&contract.consumer));
            responsible.retain(|consumer| self.consumers.contains(consumer));
        }
        let pairs = drift::drift(&committed, &written, &responsible);
        let unchecked = committed
            .iter()
            .map(|contract| contract.consumer.as_str())
            .filter(|consumer| !pairs.iter().any(|pair| pair.consumer == *consumer));
        let unchecked: BTreeSet<&str> = unchecked.filter(|_| self.consumers.is_empty()).collect();

        let mut out = io::stdout().lock();
        for pair in &pairs {
            match self.format {
                Shape::Json => writeln!(out, "{}", report::json(pair))?,
                Shape::Table => {
                    for line in report::lines(pair, &pairs, context.terminal.out) {
                        writeln!(out, "{line}")?;
                    }
                }
            }
        }
        let mut err = io::stderr().lock();
        for consumer in unchecked {
            let warning = context.terminal.err.warn("warning:");
            writeln!(
                err,
                "{warning} `{consumer}` has contracts, and nobody declares its tests: they were not checked"
            )?;
        }
        let differing: Vec<&Pair> = pairs.iter().filter(|pair| pair.verdict != Verdict::Same).collect();
        if differing.is_empty() {
            return Ok(Exit::Ok);
        }
        if self.update {
            for pair in &differing {
                writeln!(err, "{}", update(&project, pair, &written)?)?;
            }
            return Ok(Exit::Ok);
        }
        let of = count(pairs.len(), "contract");
        let help = context.terminal.err.help("help:");
        writeln!(
            err,
            "{} of {of} not what the tests write; `devctl contracts drift --update` writes that\n {help} \
             what a consumer expects has changed: its providers must keep the new contract before it is committed",
            differing.len()
        )?;
        Ok(Exit::Failed)
    }

    /// The commands of the consumers that were named; all where none was.
    fn chosen(&self, project: &Project, committed: &[Arc<Contract>]) -> Result<Vec<Tests>, Error> {
        places(project)?;
        let mut all = declared(&project.model);
        if all.is_empty() {
            return Err(Error::usage(
                "nobody declares the command that writes contracts",
                "for each consumer: `x-devctl: {contracts: {tests: cargo test --test contracts}}`; it writes to `$PACT_OUTPUT_DIR`",
            ));
        }
        if self.consumers.is_empty() {
            return Ok(all);
        }
        let own: BTreeSet<String> = all.iter().flat_map(|tests| tests.consumers.clone()).collect();
        let others: BTreeSet<&str> = committed
            .iter()
            .map(|contract| contract.consumer.as_str())
            .filter(|consumer| !own.contains(*consumer))
            .collect();
        let has_others = all.iter().any(|tests| tests.consumers.is_empty());
        for consumer in &self.consumers {
            if own.contains(consumer) || (has_others && others.contains(consumer.as_str())) {
                continue;
            }
            let known = own
                .iter()
                .map(String::as_str)
                .chain(others.iter().copied().filter(|_| has_others));
            let help = match suggest::nearest(consumer, known.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", known.collect::<Vec<_>>().join(", ")),
            };
            return Err(Error::usage(format!("nobody declares the tests of `{consumer}`"), help));
        }
        all.retain(|tests| match tests.consumers.as_slice() {
            [] => self.consumers.iter().any(|consumer| !own.contains(consumer)),
            consumers => consumers.iter().any(|consumer| self.consumers.contains(consumer)),
        });
        Ok(all)
    }

    /// The consumers of whom the tests that were run write everything.
    fn responsible(&self, project: &Project, tests: &[Tests], committed: &[Arc<Contract>]) -> BTreeSet<String> {
        let mut consumers: BTreeSet<String> = tests.iter().flat_map(|tests| tests.consumers.clone()).collect();
        if tests.iter().any(|tests| tests.consumers.is_empty()) {
            let own: BTreeSet<String> = declared(&project.model)
                .into_iter()
                .flat_map(|tests| tests.consumers)
                .collect();
            let services = project.services();
            let others = committed.iter().map(|contract| &contract.consumer);
            consumers.extend(
                others
                    .filter(|name| !own.contains(*name) && !services.contains(*name))
                    .cloned(),
            );
        }
        consumers
    }

    /// Runs the tests until they end, or devctl is told to.
    async fn tested(
        &self,
        context: &Context,
        project: &Project,
        tests: &[Tests],
        folder: &Path,
    ) -> Result<Outcome, Error> {
        let io = |source| Error::Io {
            doing: "listen for signals".into(),
            source,
            help: None,
        };
        let mut interrupt = signal(SignalKind::interrupt()).map_err(io)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(io)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(io)?;
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let jobs = self.jobs.map_or(processors, NonZero::get);
        let quiet = context.global.quiet;
        let mut say = |line: String| {
            if quiet {
                Ok(())
            } else {
                writeln!(io::stderr(), "{line}")
            }
        };
        tokio::select! {
            biased;
            _ = interrupt.recv() => Ok(Outcome::Signalled(Signal::SIGINT)),
            _ = terminate.recv() => Ok(Outcome::Signalled(Signal::SIGTERM)),
            _ = hangup.recv() => Ok(Outcome::Signalled(Signal::SIGHUP)),
            done = run_all(tests, folder, &project.model.working_dir, jobs, &mut say) => Ok(match done {
                Ok(wrote) => Outcome::Wrote(wrote),
                Err(errors) => Outcome::Failed(errors),
            }),
        }
    }
}

/// Makes what is committed what was written, and says what was done.
fn update(project: &Project, pair: &Pair, written: &[Arc<Contract>]) -> Result<String, Error> {
    let of = written
        .iter()
        .filter(|contract| contract.consumer == pair.consumer && contract.provider == pair.provider);
    let pacts: Vec<&serde_json::Value> = of.map(|contract| &contract.json).collect();
    let mut stale = pair.files.as_slice();
    let mut done = Vec::new();
    if pair.verdict != Verdict::LeftOver {
        let path = match pair.files.split_first() {
            Some((first, rest)) => {
                stale = rest;
                first.clone()
            }
            None => folder(project)?.join(format!("{}-{}.json", pair.consumer, pair.provider)),
        };
        replace(&path, &drift::text(&pacts)).map_err(|source| failed("write", &path, source))?;
        done.push(format!("wrote {}", shown(&path)));
    }
    for path in stale {
        let name = shown(path);
        std::fs::remove_file(path).map_err(|source| failed("remove", path, source))?;
        done.push(format!("removed {name}"));
    }
    Ok(done.join(", "))
}

/// Where a new pact goes: the first folder in which pacts are looked for.
fn folder(project: &Project) -> Result<PathBuf, Error> {
    let place = places(project)?
        .iter()
        .map(|place| project.model.working_dir.join(place))
        .find(|place| place.is_dir() || place.extension().is_none());
    place.ok_or_else(|| {
        Error::usage(
            "there is no folder for a new contract",
            "name one at the top of the Compose file: `x-devctl: {contracts: {pacts: [./pacts]}}`",
        )
    })
}

/// Whole or not at all.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    let mode = match std::fs::metadata(path) {
        Ok(old) => old.permissions(),
        Err(_) => std::os::unix::fs::PermissionsExt::from_mode(0o644),
    };
    new.as_file().set_permissions(mode)?;
    new.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn failed(doing: &str, path: &Path, source: io::Error) -> Error {
    Error::Io {
        doing: format!("{doing} `{}`", path.display()),
        source,
        help: None,
    }
}
