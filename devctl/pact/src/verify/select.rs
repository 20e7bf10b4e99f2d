//! Which interactions are replayed.

use std::sync::Arc;

use regex::Regex;

use crate::index::{Contract, Index, Interaction};

/// One of several equal parts of all interactions, so that several machines share them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    pub index: usize,
    /// How many there are.
    pub of: usize,
}

impl std::str::FromStr for Shard {
    type Err = String;

    /// Reads `2/5`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text
            .split_once('/')
            .and_then(|(index, of)| Some((index.parse().ok()?, of.parse().ok()?)));
        match parsed {
            Some((index, of)) if (1..=of).contains(&index) => Ok(Self { index, of }),
            _ => Err(format!("a shard is written `I/N` with I from 1 to N, not `{text}`")),
        }
    }
}

/// What is asked for. The default is everything.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only these providers; empty for all.
    pub providers: Vec<String>,
    /// Only these consumers; empty for all.
    pub consumers: Vec<String>,
    /// Only interactions whose id this is, or whose description (with its states) it matches.
    pub interaction: Option<Regex>,
    /// Only this part of what is left.
    pub shard: Option<Shard>,
}

impl Selection {
    /// The interactions of `index` that are asked for, in the index's order.
    pub fn pick(&self, index: &Index) -> Vec<(Arc<Contract>, Arc<Interaction>)> {
        let wanted = |names: &[String], name: &String| names.is_empty() || names.contains(name);
        index
            .contracts()
            .iter()
            .filter(|contract| {
                wanted(&self.providers, &contract.provider) && wanted(&self.consumers, &contract.consumer)
            })
            .flat_map(|contract| {
                let interactions = contract.interactions.iter();
                interactions.map(move |interaction| (Arc::clone(contract), Arc::clone(interaction)))
            })
            .filter(|(_, interaction)| {
                let asked = |regex: &Regex| regex.as_str() == interaction.id.0 || regex.is_match(&interaction.title());
                self.interaction.as_ref().is_none_or(asked)
            })
            .filter(|(_, interaction)| self.shard.is_none_or(|shard| shard.has(&interaction.id.0)))
            .collect()
    }
}

impl Shard {
    /// Whether an interaction is of this part: by its id, so that a new interaction moves no other.
    fn has(self, id: &str) -> bool {
        let number = u64::from_str_radix(id, 16).unwrap_or_default();
        let of = u64::try_from(self.of).unwrap_or(u64::MAX);
        usize::try_from(number % of).is_ok_and(|part| part + 1 == self.index)
    }
}
