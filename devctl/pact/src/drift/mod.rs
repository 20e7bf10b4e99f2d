//! Drift: whether the pacts that are committed are still those that the consumers' tests write.
//!
//! Two sets of contracts are compared by pair and by interaction, as meant and not as laid out: the order of interactions and
//! of keys says nothing, nor do values that stand for what is so anyway, nor which version of which library wrote the file.
//! [`compare()`] finds what differs; [`text()`] is a pact as it should be committed, the same bytes for the same promises.

mod compare;
mod layout;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::index::{Contract, Origin};

pub use compare::compare;
pub use layout::text;

/// What became of one pair of consumer and provider.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Who expects.
    pub consumer: String,
    /// Of whom.
    pub provider: String,
    /// What is to be said of it as a whole.
    pub verdict: Verdict,
    /// The committed files; none where it is missing.
    pub files: Vec<PathBuf>,
    /// How many interactions are promised now.
    pub interactions: usize,
    /// What differs: interactions by description, then what belongs to none.
    pub changes: Vec<Change>,
}

/// Whether what is committed is what is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It is.
    Same,
    /// Something of it is not.
    Stale,
    /// Nothing of it is committed.
    Missing,
    /// It is committed, and no test writes it any more.
    LeftOver,
}

impl Verdict {
    /// The word that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Stale => "stale",
            Self::Missing => "missing",
            Self::LeftOver => "left over",
        }
    }
}

/// One interaction that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Its description, with the states that it needs; `None` for what belongs to the pact as a whole.
    pub interaction: Option<String>,
    /// `Stale` where both have it.
    pub verdict: Verdict,
    /// Where the two differ, where both have it.
    pub differences: Vec<Difference>,
}

/// One place in which the committed pact and the written one differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Such as `$.response.body.content.status`.
    pub path: String,
    /// What is committed; `None` where nothing is.
    pub committed: Option<Value>,
    /// What the tests write; `None` where they write nothing.
    pub written: Option<Value>,
}

/// Compares what is committed with what was written, pair by pair in their order by name. Only pairs of `consumers` count; a
/// consumer that wrote a pact counts anyway.
pub fn drift(committed: &[Arc<Contract>], written: &[Arc<Contract>], consumers: &BTreeSet<String>) -> Vec<Pair> {
    let pair = |contract: &Arc<Contract>| (contract.consumer.clone(), contract.provider.clone());
    let mut pairs: BTreeSet<(String, String)> = written.iter().map(pair).collect();
    pairs.extend(committed.iter().map(pair).filter(|(consumer, _)| {
        consumers.contains(consumer) || written.iter().any(|contract| &contract.consumer == consumer)
    }));
    pairs
        .into_iter()
        .map(|(consumer, provider)| {
            let of = |contracts: &[Arc<Contract>]| -> Vec<Arc<Contract>> {
                let mut found = contracts.to_vec();
                found.retain(|contract| contract.consumer == consumer && contract.provider == provider);
                found
            };
            let (committed, written) = (of(committed), of(written));
            let files = committed.iter().filter_map(|contract| match &contract.origin {
                Origin::File(path) => Some(path.clone()),
                Origin::Url(_) | Origin::Memory(_) => None,
            });
            let files = files.collect();
            let changes = compare(&committed, &written);
            let verdict = match (committed.is_empty(), written.is_empty()) {
                (true, _) => Verdict::Missing,
                (_, true) => Verdict::LeftOver,
                _ if changes.is_empty() => Verdict::Same,
                _ => Verdict::Stale,
            };
            Pair {
                consumer,
                provider,
                verdict,
                files,
                interactions: written.iter().map(|contract| contract.interactions.len()).sum(),
                changes,
            }
        })
        .collect()
}
