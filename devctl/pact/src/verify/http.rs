//! The fast loop for HTTP: one kept-alive client for a provider, and per interaction a state, a request and a match.
//! Its cost is linear in the interactions. One interaction at a time, since all share the provider's data.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pact_matching::{generate_request, match_response};
use pact_models::generators::GeneratorTestMode;
use pact_models::v4::http_parts::{HttpRequest, HttpResponse};
use pact_models::v4::synch_http::SynchronousHttp;
use url::Url;
use uuid::Uuid;

use super::request::{build, exchange};
use super::verdict::{Outcome, Verdict, Why};
use super::{ProviderStates, generator_context, slow, state_failed};
use crate::difference::{Difference, explain, from_mismatches};
use crate::graphql::Schema;
use crate::http_parts;
use crate::index::{Contract, Interaction, Kind};

/// Where the provider answers, and how it is asked.
#[derive(Debug, Clone)]
pub struct Target {
    /// What the pacts' paths are appended to.
    pub base: Url,
    /// An answer that takes longer breaks the promise. From the request's first byte to the answer's last.
    pub answer_within: Duration,
    /// Headers that every request gets which has none of the name, such as a token of a test environment.
    pub headers: Vec<(String, String)>,
}

impl Target {
    /// A provider at `base` that answers within 5 s.
    pub fn new(base: Url) -> Self {
        Self {
            base,
            answer_within: Duration::from_secs(5),
            headers: Vec::new(),
        }
    }
}

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error("set up the HTTP client")]
pub struct SetUpError(#[source] reqwest::Error);

/// Replays HTTP interactions at one provider. Keeps its connections between them.
#[derive(Debug)]
pub struct HttpVerifier {
    client: reqwest::Client,
    target: Target,
    schema: Option<Schema>,
}

impl HttpVerifier {
    /// A verifier of the provider at `target`.
    ///
    /// # Errors
    ///
    /// Where the system's certificates cannot be read, for an `https` target.
    pub fn new(target: Target) -> Result<Self, SetUpError> {
        // Without a provider the client would panic. One that a `main` chose before stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            // A promised redirect is an answer like any other.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(SetUpError)?;
        Ok(Self {
            client,
            target,
            schema: None,
        })
    }

    /// Holds GraphQL operations against the provider's schema as well: one that asks for what the schema does not have
    /// is broken, whatever the provider answers.
    #[must_use]
    pub fn with_schema(mut self, schema: Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Replays `interactions` in their order. `told` hears each outcome at once; where it returns false, the rest is
    /// left out (`--fail-fast`, a cancelled run).
    pub async fn verify_all(
        &self,
        interactions: &[(Arc<Contract>, Arc<Interaction>)],
        states: &dyn ProviderStates,
        mut told: impl FnMut(&Outcome) -> bool,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(interactions.len());
        for (contract, interaction) in interactions {
            let outcome = self.verify(contract, interaction, states).await;
            let on = told(&outcome);
            outcomes.push(outcome);
            if !on {
                break;
            }
        }
        outcomes
    }

    /// Replays one interaction.
    pub async fn verify(&self, contract: &Contract, interaction: &Interaction, states: &dyn ProviderStates) -> Outcome {
        let began = Instant::now();
        let outcome = |verdict| Outcome::new(contract, interaction, verdict, began.elapsed());
        let Kind::Http(http) = &interaction.kind else {
            let kind = interaction.protocol().into();
            return outcome(Verdict::CouldNotRun {
                why: Why::Kind { kind },
            });
        };
        let values = match states.set_up(&interaction.states).await {
            Ok(values) => values,
            Err(failure) => return outcome(state_failed(failure, interaction.pending)),
        };
        let context = generator_context(&interaction.states, &values);
        let request = generate_request(&http.request, &GeneratorTestMode::Provider, &context).await;
        let trace = Uuid::new_v4().simple().to_string();
        let answer = self.exchange(&request, &trace).await;
        let torn_down = states.tear_down(&interaction.states).await;

        let (verdict, response) = match answer {
            Ok(response) => match judge(contract, interaction, http, &response).await {
                Ok(mismatches) => {
                    let schema = self.schema.as_ref();
                    let mut differences = schema.map(|schema| schema.check_request(&request)).unwrap_or_default();
                    // What the schema says comes first: it is the reason for the rest.
                    differences.extend(mismatches);
                    (Verdict::of(differences, interaction.pending), Some(response))
                }
                Err(why) => (Verdict::CouldNotRun { why }, Some(response)),
            },
            Err(Unanswered::TooLate(difference)) => (Verdict::of(vec![*difference], interaction.pending), None),
            Err(Unanswered::CouldNotRun(why)) => (Verdict::CouldNotRun { why }, None),
        };
        let verdict = match (verdict, torn_down) {
            // What was left behind may break the next one: better told here than blamed on that.
            (Verdict::Passed, Err(failure)) => state_failed(failure, interaction.pending),
            (verdict, _) => verdict,
        };
        let mut outcome = outcome(verdict);
        if outcome.verdict != Verdict::Passed {
            outcome.exchange = Some(exchange(&request, response.as_ref()));
        }
        outcome.trace = Some(trace);
        outcome
    }

    async fn exchange(&self, request: &HttpRequest, trace: &str) -> Result<HttpResponse, Unanswered> {
        let mut added = self.target.headers.clone();
        added.push(("traceparent".to_owned(), format!("00-{trace}-{}-01", &trace[..16])));
        let request = build(&self.client, &self.target.base, request, &added)
            .map_err(|cause| Unanswered::CouldNotRun(Why::Request { cause }))?;
        let limit = self.target.answer_within;
        match tokio::time::timeout(limit, self.answer(request)).await {
            Ok(answer) => answer.map_err(Unanswered::CouldNotRun),
            Err(_) => Err(Unanswered::TooLate(Box::new(slow(limit)))),
        }
    }

    async fn answer(&self, request: reqwest::Request) -> Result<HttpResponse, Why> {
        let failed = |cause: reqwest::Error| {
            let connecting = cause.is_connect();
            let cause = root(&cause.without_url());
            if connecting {
                Why::Unreachable { cause }
            } else {
                Why::ConnectionLost { cause }
            }
        };
        let response: http::Response<reqwest::Body> = self.client.execute(request).await.map_err(failed)?.into();
        let (parts, body) = response.into_parts();
        let body = reqwest::Response::from(http::Response::new(body))
            .bytes()
            .await
            .map_err(failed)?;
        Ok(http_parts::response(&parts, body))
    }
}

enum Unanswered {
    TooLate(Box<Difference>),
    CouldNotRun(Why),
}

/// Holds the answer against the promise.
async fn judge(
    contract: &Contract,
    interaction: &Interaction,
    http: &SynchronousHttp,
    response: &HttpResponse,
) -> Result<Vec<Difference>, Why> {
    match_response(
        http.response.clone(),
        response.clone(),
        &contract.shell,
        &interaction.boxed,
    )
    .await
    .map(|mismatches| {
        let mut differences = from_mismatches(&mismatches);
        explain(&mut differences, &http.response.matching_rules);
        differences
    })
    .map_err(|cause| Why::Matcher {
        cause: format!("{cause:#}"),
    })
}

/// The innermost cause: the HTTP client's own sentences say little.
fn root(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
