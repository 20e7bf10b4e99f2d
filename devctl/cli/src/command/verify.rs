//! `verify`: replays every promise at the provider that made it.
//!
//! What is started is started by a second process of this program, whose parent this one becomes: whichever of the two is
//! killed, nothing is left behind (`devctl_drivers::guardian`). No daemon is needed, and none is asked.

mod again;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use devctl_daemon::verify::{self, Conclusion, Shard, Told, VerifyArgs, VerifyError};
use devctl_drivers::guardian::{self, GUARDIAN_VARIABLE, Guarded};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::args::{Format, TalkFormat};
use crate::context::Context;
use crate::error::Error;
use crate::exit::Exit;
use crate::project::{Project, ProjectError};
use crate::render::verdicts::{self, Progress};
use crate::verifications;

/// Start each provider alone and replay what its consumers expect of it
#[derive(Args, Debug)]
#[command(after_help = "Exit status: 0 all kept · 1 a contract is broken · 2 could not run · 130 interrupted")]
pub(crate) struct Verify {
    /// Pact files, folders, globs or URLs [default: those that the project names]
    #[arg(value_name = "PACT")]
    pacts: Vec<String>,

    /// Only this provider; may be given several times
    #[arg(long = "provider", value_name = "PROVIDER")]
    providers: Vec<String>,

    /// Only this consumer; may be given several times
    #[arg(long = "consumer", value_name = "CONSUMER")]
    consumers: Vec<String>,

    /// Only the interaction of this id, or those whose description matches
    #[arg(long, value_name = "REGEX")]
    interaction: Option<regex::Regex>,

    /// Only what may have changed since this revision
    #[arg(long, value_name = "REV")]
    changed_since: Option<String>,

    /// Only the I-th of N equal parts
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,

    /// Providers at once [default: as many as there are cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,

    /// Replay even what is known
    #[arg(long)]
    no_cache: bool,

    /// End with the first broken promise
    #[arg(long)]
    fail_fast: bool,

    /// How long an answer may take before it breaks the promise
    // The same as `verify::ANSWER_WITHIN`.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    answer_within: Duration,

    /// Where a provider runs that is not to be started
    #[arg(long = "url", value_name = "PROVIDER=URL", value_parser = pair)]
    urls: Vec<(String, String)>,

    /// Judge HTTP and published messages by Pact's own verifier (gRPC has none here)
    #[arg(long)]
    reference: bool,

    /// Replay nothing: bring one provider up with an endpoint for its states, for Pact's own tools, and wait
    #[arg(long, conflicts_with_all = ["reference", "junit", "json", "html", "urls"], requires = "providers")]
    serve: bool,

    /// Write a JUnit report
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    junit: Option<PathBuf>,

    /// Write a JSON report
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    json: Option<PathBuf>,

    /// Write a report as one HTML page
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    html: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) talk: TalkFormat,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text
        .split_once('=')
        .filter(|(name, url)| !name.is_empty() && !url.is_empty());
    let pair = pair.map(|(name, url)| (name.to_owned(), url.to_owned()));
    pair.ok_or_else(|| "write it as PROVIDER=http://HOST:PORT".to_owned())
}

impl Verify {
    /// Runs it.
    pub(crate) fn run(self, context: &Context) -> Result<Exit, Error> {
        // Who says where the pacts are, and where each provider runs, has said everything.
        let alone = match self.pacts.is_empty() || self.urls.is_empty() {
            true => None,
            false => Project::without_files(&context.global),
        };
        let is_alone = alone.is_some();
        let project = match alone {
            Some(project) => project,
            None => context.project()?,
        };
        if self.serve && self.providers.len() != 1 {
            return Err(Error::Refused {
                what: format!("failed to serve {} providers: one at a time", self.providers.len()),
                help: Some("name one: `--provider NAME --serve`".to_owned()),
            });
        }
        if self.serve && context.global.dry_run {
            return Err(Error::usage(
                "`--serve` replays nothing: there is nothing to list",
                "leave out one of `--serve` and `--dry-run`",
            ));
        }
        if context.global.dry_run || is_guarded() {
            return self.verify(context, &project, is_alone);
        }
        let io_error = |doing: &str| {
            let doing = doing.to_owned();
            move |source| Error::Io {
                doing,
                source,
                help: None,
            }
        };
        let again = guardian::Daemon {
            program: std::env::current_exe().map_err(io_error("find this program"))?,
            args: std::env::args_os().skip(1).collect(),
            output: None,
            own_group: false,
        };
        let status = guardian::run(&again).map_err(io_error("start the verification"))?;
        Ok(Exit::Of(status))
    }

    fn verify(self, context: &Context, project: &Project, alone: bool) -> Result<Exit, Error> {
        // Two providers of cryptography are in the tree; whoever opens a TLS connection must not have to choose.
        let _was_set = rustls::crypto::ring::default_provider().install_default();
        let stop = CancellationToken::new();
        let args = VerifyArgs {
            source: context.source(project),
            alone,
            dirs: project.dirs.clone(),
            pacts: self.pacts.clone(),
            providers: self.providers.clone(),
            consumers: self.consumers.clone(),
            interaction: self.interaction.clone(),
            changed_since: self.changed_since.clone(),
            shard: self.shard,
            jobs: self.jobs.map(usize::from),
            no_cache: self.no_cache || self.serve,
            fail_fast: self.fail_fast,
            reference: self.reference,
            dry_run: context.global.dry_run,
            serve: self.serve,
            urls: self.urls.clone(),
            answer_within: self.answer_within,
            stop: stop.clone(),
        };
        let progress = Arc::new(Progress::new(context.terminal, context.global.quiet));
        let (hears, terminal) = (progress.clone(), context.terminal);
        let hear = move |told| match told {
            Told::Serving(serving) => {
                hears.end();
                // Whoever closed stdout wants to hear nothing.
                let _closed = verdicts::serving(&serving, terminal);
            }
            told => hears.hear(told),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|source| Error::Io {
                doing: "start a runtime".into(),
                source,
                help: None,
            })?;
        let ended = runtime.block_on(async move {
            if !context.global.dry_run {
                for problem in verifications::remove_left_behind(context, project).await {
                    eprintln!("warning: an earlier verification left something behind: failed to {problem}");
                }
            }
            tokio::spawn(until_told(stop));
            verify::verify(args, Arc::new(hear)).await
        });
        runtime.shutdown_timeout(Duration::from_millis(200));
        progress.end();
        let mut verified = ended.map_err(error)?;
        if self.serve && verified.interrupted {
            // That is how it ends.
            return Ok(Exit::Ok);
        }
        verified.report.asked(&again::asked(&self, &context.global));
        let written = self.write(&verified);
        match context.terminal.format {
            Format::Json => verdicts::json(&verified)?,
            Format::Tty | Format::Plain => verdicts::text(&verified, context, progress.took())?,
        }
        // What was found out is told whether or not a report could be written.
        written?;
        if verified.interrupted {
            return Ok(Exit::Signal(2));
        }
        let asked_for = self.providers.iter().any(|_| verified.report.counts.not_here > 0);
        Ok(match verified.conclusion() {
            Conclusion::Kept if asked_for => Exit::CouldNotRun,
            Conclusion::Kept => Exit::Ok,
            Conclusion::Broken => Exit::Failed,
            Conclusion::CouldNotRun => Exit::CouldNotRun,
        })
    }

    /// Writes the reports that are asked for; one that cannot be written hides no other.
    fn write(&self, verified: &verify::Verified) -> Result<(), Error> {
        let report = &verified.report;
        let mut failed = None;
        let mut file = |path: &Option<PathBuf>, text: &dyn Fn() -> io::Result<String>| {
            let Some(path) = path else { return };
            if let Err(source) = text().and_then(|text| std::fs::write(path, text)) {
                failed.get_or_insert(Error::Io {
                    doing: format!("write `{}`", path.display()),
                    source,
                    help: None,
                });
            }
        };
        file(&self.junit, &|| verify::junit::render(report).map_err(io::Error::other));
        file(&self.json, &|| Ok(format!("{:#}\n", verify::json::render(report))));
        file(&self.html, &|| Ok(verify::html::render(report)));
        failed.map_or(Ok(()), Err)
    }
}

/// Whether this is the process that a guardian started, and not a service further down that has inherited the variable.
fn is_guarded() -> bool {
    let parent = nix::unistd::getppid().as_raw().to_string();
    std::env::var(GUARDIAN_VARIABLE).is_ok_and(|guardian| guardian == parent)
}

/// Waits for whatever ends it: a signal, or its guardian's death.
async fn until_told(stop: CancellationToken) {
    let mut guarded = Guarded::take();
    let lost = async {
        match &mut guarded {
            Some(guarded) => guarded.lost().await,
            None => std::future::pending().await,
        }
    };
    let heard = async |kind| match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = lost => {}
        () = heard(SignalKind::interrupt()) => {}
        () = heard(SignalKind::terminate()) => {}
        () = heard(SignalKind::hangup()) => {}
    }
    stop.cancel();
}

fn error(error: VerifyError) -> Error {
    match error {
        VerifyError::Project { problems } => Error::Project(ProjectError::Invalid { diagnostics: problems }),
        VerifyError::Nothing { what, help } => Error::Refused {
            what: format!("failed to {what}"),
            help: (!help.is_empty()).then_some(help),
        },
        VerifyError::Place { path, source } => Error::Io {
            doing: format!("lock `{}`", path.display()),
            source,
            help: None,
        },
    }
}
