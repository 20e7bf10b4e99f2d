//! A run's outcomes, grouped and counted once, for every form of report: [`junit`], [`mod@json`], [`html`] and [`text`].
//!
//! Order is that of names, never of chance: providers, consumers, then interactions as their pacts have them.

pub mod html;
pub mod json;
pub mod junit;
pub mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::verify::{Outcome, Verdict};

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// One for each provider, by name.
    pub providers: Vec<ProviderReport>,
    /// Over all of them.
    pub counts: Counts,
}

/// One provider's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderReport {
    /// The provider.
    pub provider: String,
    /// One for each of its consumers, by name.
    pub consumers: Vec<ConsumerReport>,
    /// Over all of them.
    pub counts: Counts,
}

/// One consumer's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerReport {
    /// The consumer.
    pub consumer: String,
    /// In the order of their pacts.
    pub outcomes: Vec<Outcome>,
}

/// How many of each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Kept.
    pub passed: usize,
    /// Not kept.
    pub broken: usize,
    /// Not kept, but only announced.
    pub pending: usize,
    /// Nothing is known.
    pub could_not_run: usize,
    /// Not tried: the provider is not of the project, and nobody said where it runs.
    pub not_here: usize,
    /// Of all these, how many were taken from the cache.
    pub cached: usize,
}

/// What a run came to in one word; its number is the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// Every promise is kept, or pending.
    Kept = 0,
    /// One is broken. Said before [`Conclusion::CouldNotRun`], since that much is known.
    Broken = 1,
    /// None is known to be broken, but not all could be run.
    CouldNotRun = 2,
}

impl Report {
    /// The report of `outcomes`.
    pub fn new(outcomes: Vec<Outcome>) -> Self {
        let mut grouped: BTreeMap<String, BTreeMap<String, Vec<Outcome>>> = BTreeMap::new();
        let mut report = Self::default();
        for outcome in outcomes {
            report.counts.add(&outcome);
            let consumers = grouped.entry(outcome.provider.clone()).or_default();
            consumers.entry(outcome.consumer.clone()).or_default().push(outcome);
        }
        for (provider, consumers) in grouped {
            let mut counts = Counts::default();
            consumers.values().flatten().for_each(|outcome| counts.add(outcome));
            let consumers = consumers.into_iter();
            report.providers.push(ProviderReport {
                provider,
                consumers: consumers
                    .map(|(consumer, outcomes)| ConsumerReport { consumer, outcomes })
                    .collect(),
                counts,
            });
        }
        report
    }

    /// Says of each outcome how only it is replayed.
    pub fn asked(&mut self, asked: &Asked) {
        let directory = Some(format!("{}/", asked.directory.display())).filter(|directory| directory.len() > 1);
        let consumers = self.providers.iter_mut().flat_map(|provider| &mut provider.consumers);
        for outcome in consumers.flat_map(|consumer| &mut consumer.outcomes) {
            outcome.again = asked.again(outcome);
            let Some(directory) = &directory else { continue };
            if let Some(below) = outcome.pact.strip_prefix(directory) {
                outcome.pact = below.to_owned();
            }
            if let Verdict::Broken { mismatches } | Verdict::Pending { mismatches, .. } = &mut outcome.verdict {
                mismatches.iter_mut().for_each(|one| one.name_from(directory));
            }
        }
    }

    /// What the exit status says.
    pub fn conclusion(&self) -> Conclusion {
        match self.counts {
            Counts { broken: 1.., .. } => Conclusion::Broken,
            Counts { could_not_run: 1.., .. } => Conclusion::CouldNotRun,
            _ => Conclusion::Kept,
        }
    }

    /// Every outcome, in the report's order.
    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        let consumers = self.providers.iter().flat_map(|provider| &provider.consumers);
        consumers.flat_map(|consumer| &consumer.outcomes)
    }
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        let of = match outcome.verdict {
            Verdict::Passed => &mut self.passed,
            Verdict::Broken { .. } => &mut self.broken,
            Verdict::Pending { .. } => &mut self.pending,
            Verdict::CouldNotRun { .. } if outcome.verdict.is_not_here() => &mut self.not_here,
            Verdict::CouldNotRun { .. } => &mut self.could_not_run,
        };
        *of += 1;
        self.cached += usize::from(outcome.cached);
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.passed + self.broken + self.pending + self.could_not_run + self.not_here
    }

    /// `12 kept, 1 broken`: what is 0 is left out, but for the kept.
    pub fn sentence(&self) -> String {
        let mut parts = vec![format!("{} kept", self.passed)];
        let others = [
            (self.broken, "broken"),
            (self.pending, "pending"),
            (self.could_not_run, "could not run"),
            (self.not_here, "not verifiable here"),
        ];
        parts.extend(
            others
                .iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| format!("{count} {word}")),
        );
        if self.cached > 0 {
            parts.push(format!("{} from the cache", self.cached));
        }
        parts.join(", ")
    }
}

/// How a run was asked for, so that a part of it can be asked for again: the words around `verify` and its selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The program, and what names the project: `devctl -f compose/compose.yaml`.
    pub before: Vec<String>,
    /// What says how it is replayed, and which pacts are read.
    pub after: Vec<String>,
    /// The caller's directory: pacts below it are named from there.
    pub directory: PathBuf,
}

impl Default for Asked {
    fn default() -> Self {
        Self {
            before: vec!["devctl".to_owned()],
            after: Vec::new(),
            directory: PathBuf::new(),
        }
    }
}

impl Asked {
    /// The command that replays only this interaction, whatever is known of it; to be pasted into a shell.
    pub fn again(&self, outcome: &Outcome) -> String {
        let id = outcome.interaction.to_string();
        let selection = [
            "verify",
            "--no-cache",
            "--provider",
            &outcome.provider,
            "--consumer",
            &outcome.consumer,
            "--interaction",
            &id,
        ];
        let before = self.before.iter().map(String::as_str);
        shell_words::join(before.chain(selection).chain(self.after.iter().map(String::as_str)))
    }
}
