//! What became of one interaction. *Could not run* is kept apart from *broken* throughout: the provider is only blamed
//! for what it answered, or for answering too late.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::difference::{Difference, Part};
use crate::index::{Contract, Interaction, InteractionId};

/// The verdict on one interaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The promise is kept.
    Passed,
    /// It is not: in these ways, in an order that does not change from run to run. Never empty.
    Broken {
        /// What differs.
        mismatches: Vec<Difference>,
    },
    /// It is not, but it was only announced so far: nothing fails.
    Pending {
        /// What differs; empty where `why` says why it could not even be tried.
        mismatches: Vec<Difference>,
        /// Why it could not be tried, such as a state that is not written yet.
        why: Option<Why>,
    },
    /// Nothing is known about the promise.
    CouldNotRun {
        /// Why.
        why: Why,
    },
}

/// Why an interaction could not be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Why {
    /// A provider state could not be set.
    #[error("set the provider state: {what}")]
    State {
        /// A fragment that fits after "failed to".
        what: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// The provider could not be brought up, or ended before its turn.
    #[error("start the provider: {what}")]
    NotReady {
        /// What happened instead.
        what: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// The provider is not of the project, and nobody said where it runs.
    #[error("verify it here: {what}")]
    NotHere {
        /// Why not.
        what: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// What makes the provider publish failed.
    #[error("pull the trigger: {cause}")]
    Trigger {
        /// What it said.
        cause: String,
    },
    /// The broker is gone, or refuses.
    #[error("use the broker: {what}")]
    Broker {
        /// What happened.
        what: String,
    },
    /// No connection to the provider.
    #[error("reach the provider: {cause}")]
    Unreachable {
        /// What the network said.
        cause: String,
    },
    /// The provider went away in the middle of the answer.
    #[error("read the provider's answer: {cause}")]
    ConnectionLost {
        /// What the network said.
        cause: String,
    },
    /// The pact's request cannot be sent as it stands.
    #[error("send the request: {cause}")]
    Request {
        /// What is wrong with it.
        cause: String,
    },
    /// The matcher could not decide.
    #[error("match the answer: {cause}")]
    Matcher {
        /// What it said.
        cause: String,
    },
    /// This kind of interaction is not verified this way.
    #[error("verify a {kind} interaction this way")]
    Kind {
        /// The interaction's kind.
        kind: Cow<'static, str>,
    },
}

impl Why {
    /// What to do about it, where that is known.
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::State { help, .. } | Self::NotReady { help, .. } | Self::NotHere { help, .. } => help.as_deref(),
            _ => None,
        }
    }
}

impl Verdict {
    /// Nothing was tried, since the provider is not to be had here: neither kept nor broken, and no failure.
    pub fn is_not_here(&self) -> bool {
        matches!(
            self,
            Self::CouldNotRun {
                why: Why::NotHere { .. }
            }
        )
    }

    /// The word that reports use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Broken { .. } => "broken",
            Self::Pending { .. } => "pending",
            Self::CouldNotRun { .. } => "could-not-run",
        }
    }

    /// What differs, where something does.
    pub fn mismatches(&self) -> &[Difference] {
        match self {
            Self::Broken { mismatches } | Self::Pending { mismatches, .. } => mismatches,
            Self::Passed | Self::CouldNotRun { .. } => &[],
        }
    }

    /// Whether the promise is broken by time alone: the answer did not come within its limit.
    pub fn is_slow(&self) -> bool {
        let mismatches = self.mismatches();
        !mismatches.is_empty() && mismatches.iter().all(|one| one.part == Part::Time)
    }

    /// The verdict for what was found; a breach of a pending promise is pending.
    pub(crate) fn of(mismatches: Vec<Difference>, pending: bool) -> Self {
        match (mismatches.is_empty(), pending) {
            (true, _) => Self::Passed,
            (false, true) => Self::Pending { mismatches, why: None },
            (false, false) => Self::Broken { mismatches },
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The request that was sent and the answer that came, without secrets and cut to a readable length.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Exchange {
    /// `GET /items?page=2`, or `billing.v1.Billing/GetInvoice`; empty where a message came by itself.
    pub request: String,
    /// Sorted; what carries secrets is not shown.
    pub request_headers: Vec<(String, String)>,
    /// The request's body.
    pub request_body: String,
    /// The HTTP status; 0 where no answer came, or none of HTTP.
    pub status: u16,
    /// How it was answered: `404`, `NOT_FOUND: no such invoice`, `published to ...`; empty where it was not.
    pub answer: String,
    /// Sorted; what carries secrets is not shown.
    pub response_headers: Vec<(String, String)>,
    /// The answer's body.
    pub response_body: String,
}

/// One interaction, replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which.
    pub interaction: InteractionId,
    /// The consumer.
    pub consumer: String,
    /// The provider.
    pub provider: String,
    /// The pact's sentence.
    pub description: String,
    /// The names of the provider states.
    pub states: Vec<String>,
    /// `http`, `message`, `grpc` or `sync-message`.
    pub kind: Cow<'static, str>,
    /// Where the pact was read, with the line.
    pub pact: String,
    /// What became of it.
    pub verdict: Verdict,
    /// From setting the state to the verdict.
    pub took: Duration,
    /// What was sent and answered; none where nothing was sent, or where the promise was kept.
    pub exchange: Option<Exchange>,
    /// The W3C trace id that the request carried, in hexadecimal.
    pub trace: Option<String>,
    /// What the provider logged meanwhile, oldest first; whoever started it fills this in.
    pub logs: Vec<String>,
    /// The verdict was taken from the cache, nothing was replayed.
    pub cached: bool,
    /// The command that replays only this one; whoever was asked fills it in, anew each time.
    #[serde(skip)]
    pub again: String,
}

impl Outcome {
    /// An outcome with nothing but a verdict.
    pub fn new(contract: &Contract, interaction: &Interaction, verdict: Verdict, took: Duration) -> Self {
        Self {
            interaction: interaction.id.clone(),
            consumer: contract.consumer.clone(),
            provider: contract.provider.clone(),
            description: interaction.description.clone(),
            states: interaction.states.iter().map(|state| state.name.clone()).collect(),
            kind: interaction.protocol().into(),
            pact: format!("{}:{}", contract.origin, interaction.line),
            verdict,
            took,
            exchange: None,
            trace: None,
            logs: Vec::new(),
            cached: false,
            again: String::new(),
        }
    }

    /// The description, with the states that it needs.
    pub fn title(&self) -> String {
        if self.states.is_empty() {
            self.description.clone()
        } else {
            format!("{} (given {})", self.description, self.states.join(", "))
        }
    }
}
