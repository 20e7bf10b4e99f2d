//! Replays gRPC calls at a provider, over one kept-alive connection: unary calls and streams of the server, metadata,
//! status, and every field by its path. One at a time, since all share the provider's data.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use pact_models::generators::GeneratorTestMode;
use prost_reflect::DynamicMessage;
use serde_json::Value;
use uuid::Uuid;

use super::verdict::{Exchange, Outcome, Verdict, Why};
use super::{ProviderStates, generator_context, slow, state_failed};
use crate::difference::{Difference, Part, is_secret, short};
use crate::grpc::call::{Protos, headers_as_metadata};
use crate::grpc::client::{Answered, Client, Unanswered, shown, shown_message};
use crate::grpc::matching::{Side, compare};
use crate::grpc::versions::otherwise;
use crate::grpc::{Call, Code, Proto, is_call};
use crate::index::{Contract, Interaction};

/// Where the provider answers, and how it is asked.
#[derive(Debug, Clone)]
pub struct GrpcTarget {
    /// `127.0.0.1:9090`.
    pub address: String,
    /// An answer that takes longer breaks the promise; a stream's to its end.
    pub answer_within: Duration,
    /// Metadata that every call gets which has none of the name, such as a token of a test environment.
    pub metadata: Vec<(String, String)>,
}

impl GrpcTarget {
    /// A provider at `address` that answers within 5 s.
    pub fn new(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            answer_within: Duration::from_secs(5),
            metadata: Vec::new(),
        }
    }
}

/// Replays gRPC interactions at one provider.
#[derive(Debug)]
pub struct GrpcVerifier {
    client: Client,
    target: GrpcTarget,
    proto: Option<Proto>,
    protos: Mutex<Protos>,
}

impl GrpcVerifier {
    /// A verifier of the provider at `target`; it connects at the first call.
    pub fn new(target: GrpcTarget) -> Self {
        Self {
            client: Client::new(&target.address),
            target,
            proto: None,
            protos: Mutex::default(),
        }
    }

    /// Knows the provider's own `.proto` files as well: where a promise is broken, a field of it that was renumbered or
    /// has another type there is named, in the request too.
    #[must_use]
    pub fn with_proto(mut self, proto: Proto) -> Self {
        self.proto = Some(proto);
        self
    }

    /// Replays `interactions` in their order. `told` hears each outcome at once; where it returns false, the rest is
    /// left out.
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
        let call = match self.read(contract, interaction) {
            Ok(call) => call,
            Err(why) => return outcome(Verdict::CouldNotRun { why }),
        };
        let values = match states.set_up(&interaction.states).await {
            Ok(values) => values,
            Err(failure) => return outcome(state_failed(failure, interaction.pending)),
        };
        let context = generator_context(&interaction.states, &values);
        let trace = Uuid::new_v4().simple().to_string();
        let (verdict, mut exchange) = match self.request(&call, &context, &trace).await {
            Err(cause) => (
                Verdict::CouldNotRun {
                    why: Why::Request { cause },
                },
                None,
            ),
            Ok(request) => {
                let (verdict, answered) = self.ask(&call, &request, interaction.pending).await;
                (verdict, Some(exchange(&call, &request, answered.as_ref())))
            }
        };
        let torn_down = states.tear_down(&interaction.states).await;
        let verdict = match (verdict, torn_down) {
            // What was left behind may break the next one: better told here than blamed on that.
            (Verdict::Passed, Err(failure)) => state_failed(failure, interaction.pending),
            (verdict, _) => verdict,
        };
        let mut outcome = outcome(verdict);
        if outcome.verdict != Verdict::Passed {
            outcome.exchange = exchange.take();
        }
        outcome.trace = Some(trace);
        outcome
    }

    fn read(&self, contract: &Contract, interaction: &Interaction) -> Result<Call, Why> {
        if !is_call(interaction) {
            let kind = interaction.protocol().into();
            return Err(Why::Kind { kind });
        }
        let mut protos = self.protos.lock().unwrap_or_else(PoisonError::into_inner);
        Call::read_with(&mut protos, contract, interaction).map_err(|cause| Why::Request {
            cause: match cause.help() {
                Some(help) => format!("{cause}; {help}"),
                None => cause.to_string(),
            },
        })
    }

    async fn request(&self, call: &Call, context: &HashMap<&str, Value>, trace: &str) -> Result<Sent, String> {
        let mode = GeneratorTestMode::Provider;
        let message = call.request.generated(&mode, context).await?;
        let mut metadata = HeaderMap::new();
        call.request.metadata.examples(&mut metadata, &mode, context);
        for (name, value) in &self.target.metadata {
            if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), value.parse()) {
                metadata.entry(name).or_insert(value);
            }
        }
        let parent = format!("00-{trace}-{}-01", &trace[..16]);
        if let Ok(value) = parent.parse() {
            metadata.entry("traceparent").or_insert(value);
        }
        Ok(Sent { message, metadata })
    }

    async fn ask(&self, call: &Call, request: &Sent, pending: bool) -> (Verdict, Option<Answered>) {
        let message = prost::Message::encode_to_vec(&request.message);
        let limit = self.target.answer_within;
        match self.client.call(&call.path(), &request.metadata, &message, limit).await {
            Ok(answered) => {
                let mut differences = judge(call, &answered);
                if let (Some(proto), false) = (&self.proto, differences.is_empty()) {
                    let known: Vec<String> = differences.iter().map(|one| one.path.clone()).collect();
                    let otherwise = otherwise(call, proto).into_iter();
                    differences.extend(otherwise.filter(|one| !known.contains(&one.path)));
                }
                (Verdict::of(differences, pending), Some(answered))
            }
            Err(Unanswered::TooLate(limit)) => (Verdict::of(vec![slow(limit)], pending), None),
            Err(Unanswered::Unreachable(cause)) => (could_not(Why::Unreachable { cause }), None),
            Err(Unanswered::Lost(cause)) => (could_not(Why::ConnectionLost { cause }), None),
            Err(Unanswered::Request(cause)) => (could_not(Why::Request { cause }), None),
        }
    }
}

struct Sent {
    message: DynamicMessage,
    metadata: HeaderMap,
}

fn could_not(why: Why) -> Verdict {
    Verdict::CouldNotRun { why }
}

/// Holds the answer against the promise.
fn judge(call: &Call, answered: &Answered) -> Vec<Difference> {
    let promised = &call.status;
    if promised.code != answered.code {
        return vec![status(call, answered)];
    }
    let mut differences = Vec::new();
    if promised.code != Code::Ok {
        let text = Value::from(answered.message.as_str());
        differences.extend(
            promised
                .message
                .differences(&[("grpc-message".to_owned(), text)].into()),
        );
    }
    let metadata = headers_as_metadata(&answered.metadata);
    for part in &call.answers {
        differences.extend(part.metadata.differences(&metadata));
    }
    if call.answers.len() != answered.messages.len() {
        differences.push(count(call.answers.len(), answered.messages.len()));
    }
    let stream = call.method.is_server_streaming();
    for (at, (part, bytes)) in call.answers.iter().zip(&answered.messages).enumerate() {
        for mut difference in compare(&part.message, bytes, &part.rules, Side::Answer) {
            if stream {
                difference.path = format!("$[{at}]{}", difference.path.trim_start_matches('$'));
            }
            differences.push(difference);
        }
    }
    differences.sort();
    differences.dedup();
    differences
}

fn status(call: &Call, answered: &Answered) -> Difference {
    let told = |code: Code, text: &str| {
        if text.is_empty() {
            code.to_string()
        } else {
            format!("{code}: {text}")
        }
    };
    let (expected, actual) = (
        told(call.status.code, call.status.text()),
        told(answered.code, &answered.message),
    );
    let message = format!("expected the status {} but was {actual}", call.status.code);
    let mut difference = Difference::new(Part::Status, "", &expected, &actual, message);
    difference.rule = Some("must have this status".to_owned());
    difference
}

fn count(promised: usize, came: usize) -> Difference {
    let messages = |count: usize| format!("{count} message{}", if count == 1 { "" } else { "s" });
    let message = format!("expected {}, {} came", messages(promised), came);
    let mut difference = Difference::new(Part::Body, "$", &messages(promised), &messages(came), message);
    difference.rule = Some("must have as many messages".to_owned());
    difference
}

fn exchange(call: &Call, request: &Sent, answered: Option<&Answered>) -> Exchange {
    let messages = |list: &[Bytes]| {
        let lines = list.iter().map(|bytes| shown(&call.method.output(), bytes).to_string());
        short(&lines.collect::<Vec<_>>().join("\n"))
    };
    Exchange {
        request: call.path(),
        request_headers: pairs(&request.metadata),
        request_body: short(&shown_message(&request.message).to_string()),
        status: 0,
        answer: match answered {
            None => String::new(),
            Some(answered) if answered.message.is_empty() => answered.code.to_string(),
            Some(answered) => format!("{}: {}", answered.code, answered.message),
        },
        response_headers: answered.map(|answered| pairs(&answered.metadata)).unwrap_or_default(),
        response_body: answered
            .map(|answered| messages(&answered.messages))
            .unwrap_or_default(),
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut shown: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| {
            let value = if is_secret(name.as_str()) {
                "(not shown)".to_owned()
            } else {
                String::from_utf8_lossy(value.as_bytes()).into_owned()
            };
            (name.as_str().to_owned(), value)
        })
        .collect();
    shown.sort();
    shown
}
