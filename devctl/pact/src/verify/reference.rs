//! The same interactions through `pact_verifier`, Pact's own verifier: slower, and the judge of whether the fast loop
//! is right. States are set by us, the same way as in the fast loop; everything else is its own. For messages it asks an
//! endpoint of ours, which serves what was really published.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pact_matching::Mismatch;
use pact_models::pact::load_pact_from_json;
use pact_models::provider_states::ProviderState;
use pact_verifier::callback_executors::ProviderStateExecutor;
use pact_verifier::{
    FilterInfo, MismatchResult, NullRequestFilterExecutor, ProviderInfo, ProviderTransport, VerificationOptions,
    verify_pact_internal,
};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use uuid::Uuid;

use super::http::Target;
use super::published::{Endpoint, Published};
use super::request::exchange;
use super::verdict::{Outcome, Verdict, Why};
use super::{ProviderStates, Values};
use crate::difference::{explain, from_mismatches};
use crate::index::{Contract, Interaction, Kind};
use crate::message::{self, Delivery};

/// Replays HTTP interactions in their order, each as a pact of its own.
pub async fn verify_all(
    target: &Target,
    interactions: &[(Arc<Contract>, Arc<Interaction>)],
    states: Arc<dyn ProviderStates>,
) -> Vec<Outcome> {
    let handle = Handle::current();
    let mut outcomes = Vec::with_capacity(interactions.len());
    for (contract, interaction) in interactions {
        let job = {
            let (target, states, handle) = (target.clone(), Arc::clone(&states), handle.clone());
            let (contract, interaction) = (Arc::clone(contract), Arc::clone(interaction));
            // Its future is not `Send`: it gets a thread that may block.
            move || handle.block_on(verify(&target, &contract, &interaction, states.as_ref()))
        };
        outcomes.push(tokio::task::spawn_blocking(job).await.unwrap_or_else(|cause| {
            let why = Why::Matcher {
                cause: cause.to_string(),
            };
            Outcome::new(contract, interaction, Verdict::CouldNotRun { why }, Duration::ZERO)
        }));
    }
    outcomes
}

/// The verdict of Pact's own verifier on a promised message: the nearest of `deliveries`, which were really published,
/// is served to it.
pub async fn verify_message(
    contract: &Arc<Contract>,
    interaction: &Arc<Interaction>,
    deliveries: &[Delivery],
    took: Duration,
) -> Outcome {
    let outcome = |verdict| Outcome::new(contract, interaction, verdict, took);
    let could_not = |cause| {
        outcome(Verdict::CouldNotRun {
            why: Why::Matcher { cause },
        })
    };
    let nearest = match message::nearest(contract, interaction, deliveries).await {
        Ok(nearest) => nearest,
        Err(why) => return outcome(Verdict::CouldNotRun { why }),
    };
    let Some(delivery) = nearest.at.and_then(|at| deliveries.get(at)) else {
        // There is nothing that could be served.
        return outcome(Verdict::of(nearest.differences, interaction.pending));
    };
    let endpoint = match Endpoint::start(vec![Published::new(interaction, delivery)]).await {
        Ok(endpoint) => endpoint,
        Err(cause) => return could_not(cause.to_string()),
    };
    let address = endpoint.address();
    let handle = Handle::current();
    let job = {
        let (contract, interaction) = (Arc::clone(contract), Arc::clone(interaction));
        // Its future is not `Send`: it gets a thread that may block.
        move || handle.block_on(judge_message(address, &contract, &interaction))
    };
    match tokio::task::spawn_blocking(job).await {
        Ok(Ok(verdict)) => outcome(verdict),
        Ok(Err(cause)) => could_not(cause),
        Err(cause) => could_not(cause.to_string()),
    }
}

async fn judge_message(address: SocketAddr, contract: &Contract, interaction: &Interaction) -> Result<Verdict, String> {
    let Kind::Message(promised) = &interaction.kind else {
        return Err("it is no message".to_owned());
    };
    let transport = |name: &str| ProviderTransport {
        transport: name.to_owned(),
        port: Some(address.port()),
        path: Some("/".to_owned()),
        scheme: Some("http".to_owned()),
    };
    let mut transports = vec![transport("message"), transport("http")];
    transports.extend(promised.transport.as_deref().map(transport));
    let provider = ProviderInfo {
        name: contract.provider.clone(),
        host: address.ip().to_string(),
        transports,
        ..ProviderInfo::default()
    };
    let found = run(&provider, 5_000, Vec::new(), contract, interaction, Values::new()).await?;
    let mut differences = from_mismatches(&found);
    message::explain_delivery(&mut differences, promised);
    Ok(Verdict::of(differences, interaction.pending))
}

async fn verify(
    target: &Target,
    contract: &Contract,
    interaction: &Interaction,
    states: &dyn ProviderStates,
) -> Outcome {
    let began = Instant::now();
    let outcome = |verdict| Outcome::new(contract, interaction, verdict, began.elapsed());
    if !matches!(interaction.kind, Kind::Http(_)) {
        let kind = interaction.protocol().into();
        return outcome(Verdict::CouldNotRun {
            why: Why::Kind { kind },
        });
    }
    let values = match states.set_up(&interaction.states).await {
        Ok(values) => values,
        Err(failure) => {
            let why = Why::State {
                what: failure.what,
                help: failure.help,
            };
            return outcome(Verdict::CouldNotRun { why });
        }
    };
    let trace = Uuid::new_v4().simple().to_string();
    let mut target = target.clone();
    let parent = format!("00-{trace}-{}-01", &trace[..16]);
    target.headers.push(("traceparent".to_owned(), parent));
    let verdict = judge(&target, contract, interaction, values)
        .await
        .unwrap_or_else(|cause| Verdict::CouldNotRun {
            why: Why::Matcher { cause },
        });
    let mut outcome = match states.tear_down(&interaction.states).await {
        Ok(()) => outcome(verdict),
        Err(failure) => outcome(Verdict::CouldNotRun {
            why: Why::State {
                what: failure.what,
                help: failure.help,
            },
        }),
    };
    if let (Kind::Http(http), false) = (&interaction.kind, outcome.verdict == Verdict::Passed) {
        // The verifier keeps the answer to itself.
        outcome.exchange = Some(exchange(&http.request, None));
    }
    outcome.trace = Some(trace);
    outcome
}

async fn judge(
    target: &Target,
    contract: &Contract,
    interaction: &Interaction,
    values: Values,
) -> Result<Verdict, String> {
    let transport = ProviderTransport {
        transport: "http".to_owned(),
        port: target.base.port_or_known_default(),
        path: Some(target.base.path().to_owned()),
        scheme: Some(target.base.scheme().to_owned()),
    };
    let provider = ProviderInfo {
        name: contract.provider.clone(),
        host: target.base.host_str().unwrap_or("localhost").to_owned(),
        transports: vec![transport],
        ..ProviderInfo::default()
    };
    let limit = u64::try_from(target.answer_within.as_millis()).unwrap_or(u64::MAX);
    let found = run(&provider, limit, target.headers.clone(), contract, interaction, values).await?;
    let mut differences = from_mismatches(&found);
    if let Kind::Http(http) = &interaction.kind {
        explain(&mut differences, &http.response.matching_rules);
    }
    Ok(Verdict::of(differences, interaction.pending))
}

/// Runs the verifier on one interaction; what it finds is empty where the promise is kept.
async fn run(
    provider: &ProviderInfo,
    limit: u64,
    headers: Vec<(String, String)>,
    contract: &Contract,
    interaction: &Interaction,
    values: Values,
) -> Result<Vec<Mismatch>, String> {
    let pact = load_pact_from_json(&contract.origin.to_string(), &alone(contract, interaction))
        .map_err(|cause| format!("{cause:#}"))?;
    let options = VerificationOptions::<NullRequestFilterExecutor> {
        request_timeout: limit,
        custom_headers: headers.into_iter().collect(),
        coloured_output: false,
        follow_redirects: false,
        ..VerificationOptions::default()
    };
    let executor = Arc::new(Returned(values));
    let result = verify_pact_internal(
        provider,
        &FilterInfo::None,
        pact,
        &options,
        &executor,
        false,
        Duration::ZERO,
    )
    .await
    .map_err(|cause| format!("{cause:#}"))?;
    match result.results.into_iter().next() {
        None => Err("pact_verifier ran no interaction".to_owned()),
        Some(one) => match one.result {
            Ok(()) => Ok(Vec::new()),
            Err(MismatchResult::Mismatches { mismatches, .. }) => Ok(mismatches),
            Err(MismatchResult::Error(error, _)) => Err(error),
        },
    }
}

/// The pact with this interaction alone: the verifier would go through all of them to find it.
fn alone(contract: &Contract, interaction: &Interaction) -> Value {
    let at = contract.interactions.iter().position(|one| one.id == interaction.id);
    let mut fields = serde_json::Map::new();
    for (key, value) in contract.json.as_object().into_iter().flatten() {
        let value = match key.as_str() {
            "interactions" | "messages" => json!([at.and_then(|at| value.get(at))]),
            _ => value.clone(),
        };
        fields.insert(key.clone(), value);
    }
    Value::Object(fields)
}

/// Hands over what our own set-up returned.
#[derive(Debug)]
struct Returned(Values);

#[async_trait]
impl ProviderStateExecutor for Returned {
    async fn call(
        self: Arc<Self>,
        _interaction: Option<String>,
        _state: &ProviderState,
        _setup: bool,
        _client: Option<&reqwest::Client>,
    ) -> anyhow::Result<HashMap<String, Value>> {
        Ok(self.0.clone())
    }

    fn teardown(&self) -> bool {
        false
    }
}
