//! The fast loop: HTTP interactions of one provider, one after the other over a kept-alive connection.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pact_matching::{generate_request, match_response};
use pact_models::bodies::OptionalBody;
use pact_models::generators::GeneratorTestMode;
use pact_models::v4::http_parts::{HttpRequest, HttpResponse};
use pact_models::v4::synch_http::SynchronousHttp;
use serde_json::Value;
use url::Url;

use super::{Checked, Sent, StateError, States, Verdict, rules};
use crate::difference::{Difference, Part, from_mismatches, is_secret};
use crate::http_parts;
use crate::index::{Contract, Interaction, Kind};

/// A provider that runs, and a connection to it that is kept.
#[derive(Debug)]
pub struct Provider {
    base: Url,
    limit: Duration,
    client: reqwest::Client,
}

/// The provider cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// No client for it.
    #[error("make an HTTP client")]
    Client(#[source] reqwest::Error),
    /// An address that cannot take a path.
    #[error("use `{0}` as a provider's address")]
    Address(Url),
}

/// The exchange did not come to an answer.
enum Unanswered {
    Slow,
    Failed(String),
}

impl Provider {
    /// The provider at `base`; an answer that takes longer than `limit` breaks its promise.
    ///
    /// # Errors
    ///
    /// Where `base` is no address to put a path behind, or TLS cannot be set up.
    pub fn new(base: Url, limit: Duration) -> Result<Self, ProviderError> {
        if base.cannot_be_a_base() {
            return Err(ProviderError::Address(base));
        }
        // Already chosen by the binary, as a rule; a library's caller may not have.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(ProviderError::Client)?;
        Ok(Self { base, limit, client })
    }

    /// Looks at those HTTP interactions of `contract` that `wanted` names, in the file's order.
    pub async fn verify(
        &self,
        contract: &Contract,
        states: &dyn States,
        wanted: impl Fn(&Interaction) -> bool,
    ) -> Vec<Checked> {
        let mut checked = Vec::new();
        for interaction in contract.interactions.iter().filter(|interaction| wanted(interaction)) {
            checked.push(self.verify_one(contract, interaction, states).await);
        }
        checked
    }

    /// Looks at one interaction: reset, states, request, matching, tear-down.
    pub async fn verify_one(&self, contract: &Contract, interaction: &Interaction, states: &dyn States) -> Checked {
        let began = Instant::now();
        let mut checked = Checked {
            interaction: interaction.id.clone(),
            title: interaction.title(),
            line: interaction.line,
            verdict: Verdict::Passed,
            elapsed: Duration::ZERO,
            sent: None,
            trace: None,
        };
        checked.verdict = match &interaction.kind {
            Kind::Http(http) => self.replay(contract, interaction, http, states, &mut checked).await,
            other => Verdict::CouldNotRun {
                why: format!("a {} is not verified over HTTP", other.name()),
            },
        };
        checked.elapsed = began.elapsed();
        checked
    }

    async fn replay(
        &self,
        contract: &Contract,
        interaction: &Interaction,
        http: &SynchronousHttp,
        states: &dyn States,
        checked: &mut Checked,
    ) -> Verdict {
        let context = match set_up(interaction, states).await {
            Ok(context) => context,
            Err(problem) => {
                return Verdict::CouldNotRun {
                    why: problem.to_string(),
                };
            }
        };
        let context: HashMap<&str, Value> = context
            .iter()
            .map(|(key, value)| (key.as_str(), value.clone()))
            .collect();
        let request = generate_request(&http.request, &GeneratorTestMode::Provider, &context).await;
        let verdict = match self.exchange(&request, checked).await {
            Ok(actual) => judge(contract, interaction, http, actual).await,
            Err(Unanswered::Slow) => {
                let limit = format!("within {:?}", self.limit);
                let message = format!("no whole answer within {:?}", self.limit);
                Verdict::of(
                    vec![Difference::new(Part::Time, "", &limit, "later", message)],
                    interaction,
                )
            }
            Err(Unanswered::Failed(why)) => Verdict::CouldNotRun { why },
        };
        for state in &interaction.states {
            if let Err(problem) = states.tear_down(state).await {
                return Verdict::CouldNotRun {
                    why: format!("after the exchange: {problem}"),
                };
            }
        }
        verdict
    }

    async fn exchange(&self, request: &HttpRequest, checked: &mut Checked) -> Result<HttpResponse, Unanswered> {
        let url = self.address(request);
        let (mut headers, refused) = http_parts::header_map(request.headers.as_ref());
        if !refused.is_empty() {
            return Err(Unanswered::Failed(format!(
                "HTTP does not allow the headers {}",
                refused.join(", ")
            )));
        }
        let method = http::Method::from_bytes(request.method.to_uppercase().as_bytes())
            .map_err(|_| Unanswered::Failed(format!("HTTP does not allow the method `{}`", request.method)))?;
        if !headers.contains_key("traceparent") {
            let trace = uuid::Uuid::new_v4().simple().to_string();
            if let Ok(value) = format!("00-{trace}-{}-01", &trace[..16]).parse() {
                headers.insert("traceparent", value);
                checked.trace = Some(trace);
            }
        }
        let body = body_of(request);
        checked.sent = Some(sent(&method, &url, request, &body));
        let mut outgoing = self.client.request(method, url).headers(headers);
        if !body.is_empty() {
            outgoing = outgoing.body(body);
        }
        let answer = async {
            let response: http::Response<reqwest::Body> = outgoing.send().await?.into();
            let (parts, body) = response.into_parts();
            let whole = reqwest::Response::from(http::Response::new(body)).bytes().await?;
            Ok::<_, reqwest::Error>(http_parts::response(&parts, whole))
        };
        match tokio::time::timeout(self.limit, answer).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(cause)) => Err(Unanswered::Failed(format!(
                "the provider did not answer: {}",
                chain(&cause.without_url())
            ))),
            Err(_) => Err(Unanswered::Slow),
        }
    }

    fn address(&self, request: &HttpRequest) -> Url {
        let mut url = self.base.clone();
        let path = format!(
            "{}/{}",
            self.base.path().trim_end_matches('/'),
            request.path.trim_start_matches('/')
        );
        url.set_path(&path);
        if let Some(query) = &request.query {
            let mut sorted: Vec<_> = query.iter().collect();
            sorted.sort();
            let mut pairs = url.query_pairs_mut();
            for (key, values) in sorted {
                for value in values {
                    match value {
                        Some(value) => pairs.append_pair(key, value),
                        None => pairs.append_key_only(key),
                    };
                }
            }
        }
        url
    }
}

/// Resets, sets every state, and gathers what feeds the generators: parameters, then what the states gave back.
pub(super) async fn set_up(
    interaction: &Interaction,
    states: &dyn States,
) -> Result<HashMap<String, Value>, StateError> {
    states.reset().await?;
    let mut context: HashMap<String, Value> = interaction
        .states
        .iter()
        .flat_map(|state| state.params.clone())
        .collect();
    for state in &interaction.states {
        context.extend(states.set_up(state).await?);
    }
    Ok(context)
}

async fn judge(
    contract: &Contract,
    interaction: &Interaction,
    http: &SynchronousHttp,
    actual: HttpResponse,
) -> Verdict {
    match match_response(http.response.clone(), actual, &contract.shell, &interaction.boxed).await {
        Ok(mismatches) => {
            let mut differences = from_mismatches(&mismatches);
            rules::name(&mut differences, &http.response.matching_rules);
            Verdict::of(differences, interaction)
        }
        Err(cause) => Verdict::CouldNotRun {
            why: format!("the answer cannot be matched: {cause:#}"),
        },
    }
}

fn body_of(request: &HttpRequest) -> Bytes {
    match &request.body {
        OptionalBody::Present(bytes, _, _) => bytes.clone(),
        OptionalBody::Null if request.content_type().is_some_and(|kind| kind.is_json()) => Bytes::from_static(b"null"),
        OptionalBody::Null | OptionalBody::Empty | OptionalBody::Missing => Bytes::new(),
    }
}

fn sent(method: &http::Method, url: &Url, request: &HttpRequest, body: &Bytes) -> Sent {
    let mut headers: Vec<(String, String)> = request
        .headers
        .iter()
        .flatten()
        .flat_map(|(name, values)| values.iter().map(move |value| (name, value)))
        .map(|(name, value)| {
            let shown = if is_secret(name) {
                "(not shown)".to_owned()
            } else {
                value.clone()
            };
            (name.clone(), shown)
        })
        .collect();
    headers.sort();
    let body = std::str::from_utf8(body).map_or_else(|_| format!("{} bytes", body.len()), str::to_owned);
    Sent {
        method: method.to_string(),
        url: url.to_string(),
        headers,
        body,
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
