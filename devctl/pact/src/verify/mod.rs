//! Replays promises against a running provider: state, request, match, verdict.
//!
//! [`http`] is the fast loop, on one kept-alive client; [`grpc`] is the same for calls; [`mod@reference`] hands the same interactions to `pact_verifier`,
//! so that the two can be held against each other, with [`published`] serving messages to it; [`select`] picks what is replayed. What a verdict says, and that a
//! failure of ours is never a provider's, stands in [`verdict`]. States are set through [`ProviderStates`].

pub mod grpc;
pub mod http;
pub mod published;
pub mod reference;
mod request;
pub mod select;
pub mod verdict;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use pact_models::provider_states::ProviderState;
use serde_json::Value;

use crate::difference::{Difference, Part};

pub use grpc::{GrpcTarget, GrpcVerifier};
pub use http::{HttpVerifier, SetUpError, Target};
pub use select::{Selection, Shard};
pub use verdict::{Exchange, Outcome, Verdict, Why};

/// What setting states returned: a name and a value each, for the generators of the interaction.
pub type Values = HashMap<String, Value>;

/// Why a provider state could not be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct StateFailure {
    /// A fragment that fits after "failed to".
    pub what: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// Sets provider states at a provider.
#[async_trait]
pub trait ProviderStates: Send + Sync {
    /// Makes the provider fresh, then sets `states` in their order. Called before every interaction, without states
    /// too: what the interaction before left behind must not be seen.
    async fn set_up(&self, states: &[ProviderState]) -> Result<Values, StateFailure>;

    /// Undoes what does not go away by itself. Called after every interaction whose set-up succeeded.
    async fn tear_down(&self, states: &[ProviderState]) -> Result<(), StateFailure>;
}

/// For providers that have no state of their own: nothing is set, and every state is taken to hold.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoStates;

#[async_trait]
impl ProviderStates for NoStates {
    async fn set_up(&self, _states: &[ProviderState]) -> Result<Values, StateFailure> {
        Ok(Values::new())
    }

    async fn tear_down(&self, _states: &[ProviderState]) -> Result<(), StateFailure> {
        Ok(())
    }
}

/// What generators see: the states' parameters, and above them what setting the states returned.
fn generator_context<'a>(states: &'a [ProviderState], values: &'a Values) -> HashMap<&'a str, Value> {
    let params = states.iter().flat_map(|state| &state.params);
    params
        .chain(values)
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect()
}

fn state_failed(failure: StateFailure, pending: bool) -> Verdict {
    let why = Why::State {
        what: failure.what,
        help: failure.help,
    };
    if pending {
        // An announced promise may well name a state that nobody has written yet.
        Verdict::Pending {
            mismatches: Vec::new(),
            why: Some(why),
        }
    } else {
        Verdict::CouldNotRun { why }
    }
}

/// An answer that did not come in time.
fn slow(limit: Duration) -> Difference {
    let promised = format!("an answer within {} ms", limit.as_millis());
    let message = format!("expected {promised}, there was none");
    let mut difference = Difference::new(Part::Time, "", &promised, "no answer", message);
    difference.rule = Some("must be answered in time".to_owned());
    difference
}
