//! Verdicts kept by content. A key holds everything that could change the verdict, so nothing ever has to expire;
//! *could not run* is never kept, and neither is a broken promise's exchange trusted beyond its key.

mod store;

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest as _, Sha256};

use crate::index::{Contract, Interaction, InteractionId};
use crate::verify::{Outcome, Verdict};

pub use store::Store;

/// Changes whenever this crate would judge otherwise: the pact crates' version, or our own way of asking.
const MATCHER: &str = concat!("pact_matching 2.1, devctl ", env!("CARGO_PKG_VERSION"), ", 2");

const MOST_LOG_LINES: usize = 50;

/// What one pact's verdicts against one provider hang on. Every field is a digest or a version, in the caller's words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ingredients {
    /// [`Contract::digest`](crate::index::Contract::digest).
    pub pact: String,
    /// The provider's build, without version control's stamps.
    pub build: String,
    /// The states file.
    pub states: String,
    /// The migrations.
    pub migrations: String,
    /// The provider's environment, by name; secrets as digests.
    pub environment: Vec<(String, String)>,
    /// The pacts that its neighbours' stubs answer from.
    pub neighbours: Vec<String>,
    /// The servers it ran against, such as `postgres 15.8`.
    pub servers: Vec<String>,
    /// How it was asked: the answer's time limit, added headers.
    pub target: String,
}

/// Names a cell's content.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(pub String);

impl Ingredients {
    /// The key: the same for the same content, whatever the order of lists.
    pub fn key(&self) -> Key {
        let mut environment: Vec<String> = self
            .environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let (mut neighbours, mut servers) = (self.neighbours.clone(), self.servers.clone());
        environment.sort();
        neighbours.sort();
        servers.sort();
        let mut hash = Sha256::new();
        let mut list = |items: &[String]| {
            // Lengths keep one field from running into the next.
            hash.update(items.len().to_le_bytes());
            for item in items {
                hash.update(item.len().to_le_bytes());
                hash.update(item.as_bytes());
            }
        };
        let single = [&self.pact, &self.build, &self.states, &self.migrations, &self.target].map(Clone::clone);
        list(&[MATCHER.to_owned()]);
        list(&single);
        list(&environment);
        list(&neighbours);
        list(&servers);
        Key(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}

/// The known verdicts of one cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    outcomes: BTreeMap<InteractionId, Outcome>,
}

impl Cell {
    /// Keeps an outcome; one that could not be run is not kept, and returns false.
    pub fn keep(&mut self, outcome: &Outcome) -> bool {
        let unknown = matches!(
            outcome.verdict,
            Verdict::CouldNotRun { .. } | Verdict::Pending { why: Some(_), .. }
        );
        if !unknown {
            let mut kept = outcome.clone();
            kept.cached = false;
            kept.logs.truncate(MOST_LOG_LINES);
            self.outcomes.insert(kept.interaction.clone(), kept);
        }
        !unknown
    }

    /// What is known, marked as taken from the cache.
    pub fn find(&self, interaction: &InteractionId) -> Option<Outcome> {
        self.outcomes.get(interaction).map(|known| Outcome {
            cached: true,
            ..known.clone()
        })
    }

    /// As [`Cell::find`], with the pact's place as it is now: the same content may lie in another folder.
    pub fn find_in(&self, contract: &Contract, interaction: &Interaction) -> Option<Outcome> {
        let mut known = self.find(&interaction.id)?;
        known.pact = format!("{}:{}", contract.origin, interaction.line);
        Some(known)
    }

    /// Everything that is known, in the order of ids.
    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.outcomes.values()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }
}

/// Known verdicts, in memory; [`Store`] keeps them in files.
#[derive(Debug, Default)]
pub struct Verdicts {
    cells: HashMap<Key, Cell>,
}

impl Verdicts {
    /// Keeps an outcome; one that could not be run is not kept, and returns false.
    pub fn keep(&mut self, key: &Key, outcome: &Outcome) -> bool {
        self.cells.entry(key.clone()).or_default().keep(outcome)
    }

    /// What is known, marked as taken from the cache.
    pub fn find(&self, key: &Key, interaction: &InteractionId) -> Option<Outcome> {
        self.cells.get(key)?.find(interaction)
    }
}
