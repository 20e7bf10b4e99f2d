//! `devctl verify`: every promise of a provider is replayed at the real thing, started alone with what it needs.
//!
//! The life of a verification: `work` reads pacts and says who is to be verified where; `cells` builds each provider and
//! takes the verdicts that are known; `broker` boots one broker for all; `slot` brings one provider up in a graph of its
//! own (`graph`, reduced by `reduce`) and replays; what comes of it is a [`Verified`]. Nothing of a running `devctl up` is
//! touched: directories, ports, databases and virtual hosts are the verification's own.

pub(crate) mod beside;
mod broker;
mod cells;
mod changed;
mod documents;
mod doers;
pub(crate) mod expected;
mod graph;
mod messages;
mod place;
mod ready;
mod reduce;
mod session;
mod slot;
mod stand;
mod summary;
mod vhost;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use devctl_drivers::dirs::Dirs;
use devctl_wire::v1;
use tokio_util::sync::CancellationToken;

pub use devctl_pact::report::{Asked, Conclusion, Counts, Report, html, json, junit, text};
pub use devctl_pact::verify::{Outcome, Shard, Verdict, Why};
pub use session::verify;
pub use summary::{LastVerdict, last};

/// How long an answer may take where nothing else is said. The same on save and by command, so that both know each other's verdicts.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Debug, Clone)]
pub struct VerifyArgs {
    /// The caller: its files, environment and directory.
    pub source: v1::Source,
    /// There is no Compose file, and none is needed: every provider runs somewhere else (`urls`).
    pub alone: bool,
    /// Where the project's things live.
    pub dirs: Dirs,
    /// Pacts, folders, globs and URLs in place of those that the project names; relative to the caller's directory.
    pub pacts: Vec<String>,
    /// Only these providers, as pacts or as the project name them.
    pub providers: Vec<String>,
    /// Only these consumers.
    pub consumers: Vec<String>,
    /// Only interactions with this id, or whose description matches.
    pub interaction: Option<regex::Regex>,
    /// Only what may have changed since that revision.
    pub changed_since: Option<String>,
    /// Only this part.
    pub shard: Option<Shard>,
    /// Providers at once. None: as many as there are cores, two at least.
    pub jobs: Option<usize>,
    /// Verdicts that are known are not taken.
    pub no_cache: bool,
    /// The first broken promise ends it.
    pub fail_fast: bool,
    /// Replayed by `pact_verifier`.
    pub reference: bool,
    /// Nothing is started.
    pub dry_run: bool,
    /// Nothing is replayed: a provider that is ready waits for the verifiers of others.
    pub serve: bool,
    /// Where providers run that are not of the project.
    pub urls: Vec<(String, String)>,
    /// An answer that takes longer breaks the promise.
    pub answer_within: Duration,
    /// Ends everything at once.
    pub stop: CancellationToken,
}

/// What is told while it goes on.
#[derive(Debug, Clone)]
pub enum Told {
    /// So many promises of so many providers; so many verdicts are known.
    Found {
        /// Providers.
        providers: usize,
        /// Promises.
        promises: usize,
    },
    /// A provider is built.
    Building {
        /// Which.
        provider: String,
    },
    /// The broker boots.
    Broker,
    /// A provider is brought up.
    Starting {
        /// Which.
        provider: String,
    },
    /// It is ready; promises are replayed.
    Ready {
        /// Which.
        provider: String,
        /// From nothing to ready.
        took: Duration,
        /// How many are replayed.
        promises: usize,
    },
    /// It waits for the verifiers of others.
    Serving(Box<Serving>),
    /// One verdict.
    Replayed(Box<Outcome>),
    /// A warning.
    Warning(String),
}

/// Where a provider waits for the verifiers of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// As the pacts name it.
    pub provider: String,
    /// Where it answers HTTP.
    pub url: Option<String>,
    /// Where it answers gRPC.
    pub grpc: Option<String>,
    /// Where its states are asked for (Pact's `--state-change-url`, with tear-downs).
    pub states: String,
    /// The pacts that have promises of it over HTTP.
    pub pacts: Vec<String>,
}

/// Whoever is told; called from several tasks.
pub type Teller = Arc<dyn Fn(Told) + Send + Sync>;

/// What a verification came to.
#[derive(Debug, Clone, Default)]
pub struct Verified {
    /// Every verdict.
    pub report: Report,
    /// What could not be read, and other reasons why not everything is known.
    pub problems: Vec<String>,
    /// Providers that were started.
    pub started: usize,
    /// Promises that were left out after the first broken one.
    pub left_out: usize,
    /// What would be done, a line each: of a dry run.
    pub planned: Vec<String>,
    /// It was ended from outside.
    pub interrupted: bool,
}

impl Verified {
    /// What the exit status says.
    pub fn conclusion(&self) -> Conclusion {
        match self.report.conclusion() {
            Conclusion::Kept if !self.problems.is_empty() => Conclusion::CouldNotRun,
            conclusion => conclusion,
        }
    }
}

/// Whether some verification of the project goes on, in whatever process.
pub fn is_going_on(dirs: &Dirs) -> bool {
    place::Place::any_is_held(dirs)
}

/// Why nothing was verified at all.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The project's files cannot be used.
    #[error("use the project's files")]
    Project {
        /// Every problem, rendered.
        problems: Vec<String>,
    },
    /// What was asked for is not there.
    #[error("{what}")]
    Nothing {
        /// A fragment that fits after "failed to".
        what: String,
        /// What to do about it.
        help: String,
    },
    /// A place of its own could not be had.
    #[error("lock `{}`", path.display())]
    Place {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
}
