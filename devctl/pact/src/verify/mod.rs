//! Replays promises at a real provider.
//!
//! [`http`] is the fast loop: one kept-alive client per provider, each interaction sent once and matched by the pact
//! crates directly, so the time grows with the interactions and no faster. [`mod@reference`] hands the same contract to
//! `pact_verifier`. Both ask the same [`States`] and give the same [`Checked`].

pub mod http;
pub mod reference;
mod rules;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use pact_models::provider_states::ProviderState;
use serde::Serialize;
use serde_json::Value;

use crate::difference::Difference;
use crate::index::{Interaction, InteractionId};

/// What became of one promise. Infrastructure that failed is never a broken promise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "verdict")]
pub enum Verdict {
    /// Kept.
    Passed,
    /// Not kept.
    Broken {
        /// In what, the most telling first.
        differences: Vec<Difference>,
    },
    /// Not kept, but not promised yet either.
    Pending {
        /// In what.
        differences: Vec<Difference>,
    },
    /// Nobody knows: the state could not be set, the provider was not there, or the interaction is of a kind that
    /// this way of verifying does not replay.
    CouldNotRun {
        /// Why.
        why: String,
    },
}

impl Verdict {
    /// Broken by `differences`, kept where there are none, and pending where the promise is.
    fn of(differences: Vec<Difference>, interaction: &Interaction) -> Self {
        match (differences.is_empty(), interaction.pending) {
            (true, _) => Self::Passed,
            (false, false) => Self::Broken { differences },
            (false, true) => Self::Pending { differences },
        }
    }
}

/// One promise, looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Which.
    #[serde(serialize_with = "id_as_text")]
    pub interaction: InteractionId,
    /// Its description and states.
    pub title: String,
    /// Where it begins in its pact, from 1.
    pub line: usize,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// States, request and matching together.
    #[serde(skip)]
    pub elapsed: Duration,
    /// What was asked, where it came to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<Sent>,
    /// The trace that the provider's own log lines and spans of this exchange belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

/// A request as it was sent. Values of headers that carry secrets are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sent {
    /// Its method.
    pub method: String,
    /// Where it went.
    pub url: String,
    /// Sorted by name.
    pub headers: Vec<(String, String)>,
    /// Text as it is, anything else as its size.
    pub body: String,
}

/// Sets what must be so at a provider before it is asked. One interaction at a time per database: the loop waits.
#[async_trait]
pub trait States: Send + Sync {
    /// Back to where every interaction starts.
    ///
    /// # Errors
    ///
    /// Why not; the interaction then could not run.
    async fn reset(&self) -> Result<(), StateError>;

    /// Makes `state` so. What it gives back feeds the interaction's generators.
    ///
    /// # Errors
    ///
    /// Why not; the interaction then could not run.
    async fn set_up(&self, state: &ProviderState) -> Result<HashMap<String, Value>, StateError>;

    /// Undoes what [`States::reset`] does not.
    ///
    /// # Errors
    ///
    /// Why not; the interaction then could not run.
    async fn tear_down(&self, state: &ProviderState) -> Result<(), StateError>;
}

/// A provider state could not be made so.
#[derive(Debug, Clone, thiserror::Error)]
#[error("set the state `{state}`: {why}")]
pub struct StateError {
    /// Which; empty for the reset.
    pub state: String,
    /// Why.
    pub why: String,
}

/// For providers that have no states: any that is named is taken to hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stateless;

#[async_trait]
impl States for Stateless {
    async fn reset(&self) -> Result<(), StateError> {
        Ok(())
    }

    async fn set_up(&self, _: &ProviderState) -> Result<HashMap<String, Value>, StateError> {
        Ok(HashMap::new())
    }

    async fn tear_down(&self, _: &ProviderState) -> Result<(), StateError> {
        Ok(())
    }
}

fn id_as_text<S: serde::Serializer>(id: &InteractionId, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(id)
}
