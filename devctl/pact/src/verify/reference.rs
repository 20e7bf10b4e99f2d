//! The same contract through `pact_verifier`: slower, and the measure of the fast loop.
//!
//! Its future is not `Send`, so it runs on a thread of its own. Each interaction is handed over alone: the crate clones
//! the whole pact for every interaction, and resets are due between two of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pact_models::pact::load_pact_from_json;
use pact_models::provider_states::ProviderState;
use pact_verifier::callback_executors::ProviderStateExecutor;
use pact_verifier::{
    FilterInfo, MismatchResult, NullRequestFilterExecutor, ProviderInfo, ProviderTransport, VerificationOptions,
    verify_pact_internal,
};
use serde_json::Value;
use url::Url;

use super::{Checked, States, Verdict};
use crate::difference::from_mismatches;
use crate::index::{Contract, Interaction, Kind};

/// The reference could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// No runtime for its thread.
    #[error("start the reference verifier's thread")]
    Start(#[source] std::io::Error),
    /// Its thread ended without a result.
    #[error("get a result from the reference verifier: it panicked")]
    Panicked,
}

/// Looks at the HTTP interactions of `contract` by `pact_verifier`, in the file's order.
///
/// # Errors
///
/// Where the verifier's thread cannot start or does not end as it should.
pub async fn verify(
    base: &Url,
    limit: Duration,
    contract: &Arc<Contract>,
    states: Arc<dyn States>,
) -> Result<Vec<Checked>, ReferenceError> {
    let (send, receive) = tokio::sync::oneshot::channel();
    let (base, contract) = (base.clone(), Arc::clone(contract));
    std::thread::Builder::new()
        .name("pact-reference".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let result = runtime.map(|runtime| runtime.block_on(every(&base, limit, &contract, &states)));
            // Nobody waits any more where the caller was dropped.
            let _ = send.send(result);
        })
        .map_err(ReferenceError::Start)?;
    receive
        .await
        .map_err(|_| ReferenceError::Panicked)?
        .map_err(ReferenceError::Start)
}

async fn every(base: &Url, limit: Duration, contract: &Contract, states: &Arc<dyn States>) -> Vec<Checked> {
    let mut checked = Vec::new();
    for (at, interaction) in contract.interactions.iter().enumerate() {
        let began = Instant::now();
        let verdict = match &interaction.kind {
            Kind::Http(_) => one(base, limit, contract, at, interaction, states).await,
            other => Verdict::CouldNotRun {
                why: format!("a {} is not verified over HTTP", other.name()),
            },
        };
        checked.push(Checked {
            interaction: interaction.id.clone(),
            title: interaction.title(),
            line: interaction.line,
            verdict,
            elapsed: began.elapsed(),
            sent: None,
            trace: None,
        });
    }
    checked
}

async fn one(
    base: &Url,
    limit: Duration,
    contract: &Contract,
    at: usize,
    interaction: &Interaction,
    states: &Arc<dyn States>,
) -> Verdict {
    let could_not = |why: String| Verdict::CouldNotRun { why };
    let mut json = contract.json.clone();
    if let Some(list) = json.get_mut("interactions").and_then(Value::as_array_mut) {
        let alone = list.get(at).cloned();
        *list = alone.into_iter().collect();
    }
    let pact = match load_pact_from_json(&contract.origin.to_string(), &json) {
        Ok(pact) => pact,
        Err(cause) => return could_not(format!("{cause:#}")),
    };
    let executor = Arc::new(Executor {
        states: Arc::clone(states),
        reset: AtomicBool::new(false),
    });
    let options = VerificationOptions::<NullRequestFilterExecutor> {
        // The provider is on loopback; without this the CA store is read again for every interaction.
        disable_ssl_verification: true,
        request_timeout: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        follow_redirects: false,
        coloured_output: false,
        ..VerificationOptions::default()
    };
    let result = verify_pact_internal(
        &provider(base, contract),
        &FilterInfo::None,
        pact,
        &options,
        &executor,
        false,
        Duration::ZERO,
    )
    .await;
    let outcome = match result {
        Ok(result) => result.results.into_iter().next().map(|first| first.result),
        Err(cause) => return could_not(format!("{cause:#}")),
    };
    match outcome {
        Some(Ok(())) => Verdict::Passed,
        Some(Err(MismatchResult::Mismatches { mismatches, .. })) => {
            Verdict::of(from_mismatches(&mismatches), interaction)
        }
        Some(Err(MismatchResult::Error(why, _))) => could_not(why),
        None => could_not("pact_verifier looked at no interaction".to_owned()),
    }
}

fn provider(base: &Url, contract: &Contract) -> ProviderInfo {
    ProviderInfo {
        name: contract.provider.clone(),
        host: base.host_str().unwrap_or("127.0.0.1").to_owned(),
        transports: vec![ProviderTransport {
            transport: "http".to_owned(),
            port: base.port_or_known_default(),
            path: Some(base.path().trim_end_matches('/').to_owned()),
            scheme: Some(base.scheme().to_owned()),
        }],
        ..ProviderInfo::default()
    }
}

/// Our states, as `pact_verifier` calls them: one call per state, with an empty name where there is none.
struct Executor {
    states: Arc<dyn States>,
    reset: AtomicBool,
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").finish_non_exhaustive()
    }
}

#[async_trait]
impl ProviderStateExecutor for Executor {
    async fn call(
        self: Arc<Self>,
        _: Option<String>,
        state: &ProviderState,
        setup: bool,
        _: Option<&reqwest::Client>,
    ) -> Result<HashMap<String, Value>, anyhow::Error> {
        if setup && !self.reset.swap(true, Ordering::SeqCst) {
            self.states.reset().await?;
        }
        match (state.name.is_empty(), setup) {
            (true, _) => Ok(HashMap::new()),
            (false, true) => Ok(self.states.set_up(state).await?),
            (false, false) => {
                self.states.tear_down(state).await?;
                Ok(HashMap::new())
            }
        }
    }

    fn teardown(&self) -> bool {
        true
    }
}
