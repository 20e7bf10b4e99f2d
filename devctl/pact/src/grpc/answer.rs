//! Answers calls from contracts: the choice among interactions that the stub and the mock share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use pact_models::generators::GeneratorTestMode;
use pact_models::provider_states::ProviderState;
use prost::Message as _;

use super::call::{Call, CallError, Protos, headers_as_metadata};
use super::frame;
use super::matching::{Side, compare};
use super::status::Code;
use crate::difference::{Difference, Part as Place};
use crate::index::{Contract, Interaction, InteractionId};
use crate::stub::choice::satisfies;

const MOST_DIFFERENCES: usize = 5;

/// What a call is answered with.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Which interaction allowed the call; none where nothing did.
    pub interaction: Option<InteractionId>,
    /// Sent before the messages.
    pub metadata: HeaderMap,
    /// Encoded, without their frames.
    pub messages: Vec<Bytes>,
    /// How it ends.
    pub code: Code,
    /// `grpc-message`, not encoded.
    pub message: String,
}

impl Answer {
    /// An answer that is no more than a status.
    pub fn status(code: Code, message: impl Into<String>) -> Self {
        Self {
            interaction: None,
            metadata: HeaderMap::new(),
            messages: Vec::new(),
            code,
            message: message.into(),
        }
    }

    /// The messages in their frames.
    pub fn body(&self) -> Bytes {
        match &self.messages[..] {
            [one] => frame::frame(one),
            several => several.iter().flat_map(|one| frame::frame(one)).collect(),
        }
    }

    /// The trailers, or the headers of an answer that has nothing else.
    pub fn trailers(&self) -> HeaderMap {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from(self.code as u16));
        if !self.message.is_empty()
            && let Ok(message) = HeaderValue::from_str(&frame::encoded(&self.message))
        {
            trailers.insert("grpc-message", message);
        }
        trailers
    }
}

/// Calls that contracts allow, and how often each was made.
#[derive(Debug)]
pub(crate) struct Calls {
    consumer: String,
    provider: String,
    pub(crate) entries: Vec<Entry>,
    /// Of two that allow a call, the one that was made less often: each of a consumer test's must be exercised.
    pub(crate) in_turn: bool,
    /// Interactions that cannot be answered from, with the reason.
    pub(crate) unusable: Vec<(String, CallError)>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) contract: Arc<Contract>,
    pub(crate) interaction: Arc<Interaction>,
    pub(crate) call: Call,
    pub(crate) path: String,
    pub(crate) served: AtomicU64,
}

/// A call, as it came.
pub(crate) struct Received<'a> {
    /// `package.Service/Method`.
    pub(crate) path: &'a str,
    pub(crate) metadata: &'a HeaderMap,
    pub(crate) body: Bytes,
}

impl Calls {
    pub(crate) fn new(contracts: &[Arc<Contract>]) -> Self {
        let first = contracts.first();
        let mut calls = Self {
            consumer: first.map(|first| first.consumer.clone()).unwrap_or_default(),
            provider: first.map(|first| first.provider.clone()).unwrap_or_default(),
            entries: Vec::new(),
            in_turn: false,
            unusable: Vec::new(),
        };
        let mut protos = Protos::default();
        for contract in contracts {
            for interaction in contract.interactions.iter().filter(|one| super::is_call(one)) {
                match Call::read_with(&mut protos, contract, interaction) {
                    Ok(call) => calls.entries.push(Entry {
                        contract: Arc::clone(contract),
                        interaction: Arc::clone(interaction),
                        path: call.path(),
                        call,
                        served: AtomicU64::new(0),
                    }),
                    Err(cause) => {
                        let place = format!("{}:{}", contract.origin, interaction.line);
                        calls.unusable.push((place, cause));
                    }
                }
            }
        }
        calls
    }

    pub(crate) async fn answer(&self, received: &Received<'_>, states: &[ProviderState]) -> Answer {
        let encoding = received
            .metadata
            .get("grpc-encoding")
            .and_then(|value| value.to_str().ok());
        let message = match frame::messages(received.body.clone(), encoding) {
            Ok(messages) if messages.len() == 1 => messages.into_iter().next().unwrap_or_default(),
            Ok(messages) => {
                let what = format!("expected one message, {} came", messages.len());
                return Answer::status(Code::Unimplemented, what);
            }
            Err(cause) => return Answer::status(Code::Internal, cause),
        };
        let mut candidates: Vec<&Entry> = self
            .entries
            .iter()
            .filter(|entry| entry.path == received.path)
            .collect();
        candidates.sort_by_key(|entry| self.rank(entry, states, &message));
        let mut nearest: Option<(&Entry, Vec<Difference>)> = None;
        for entry in candidates {
            let differences = entry.differences(received.metadata, &message);
            if differences.is_empty() {
                entry.served.fetch_add(1, Ordering::Relaxed);
                return entry.answered().await;
            }
            if nearest
                .as_ref()
                .is_none_or(|(_, least)| differences.len() < least.len())
            {
                nearest = Some((entry, differences));
            }
        }
        self.refusal(received.path, nearest)
    }

    /// Smaller is tried first: as for HTTP, states that hold, then none, then alternatives; then what is literally so.
    fn rank(&self, entry: &Entry, states: &[ProviderState], message: &Bytes) -> (u64, u8, usize, bool, bool) {
        let wanted = &entry.interaction.states;
        let holds = wanted
            .iter()
            .all(|state| states.iter().any(|now| satisfies(now, state)));
        let (class, count) = match (wanted.len(), holds) {
            (0, _) => (1, 0),
            (count, true) => (0, usize::MAX - count),
            (_, false) => (2, 0),
        };
        let literal = entry.call.request.message.encode_to_vec() != message[..];
        let served = if self.in_turn {
            entry.served.load(Ordering::Relaxed)
        } else {
            0
        };
        (served, class, count, literal, entry.call.status.code != Code::Ok)
    }

    fn refusal(&self, path: &str, nearest: Option<(&Entry, Vec<Difference>)>) -> Answer {
        let (consumer, provider) = (&self.consumer, &self.provider);
        let mut text = format!("no contract between `{consumer}` and `{provider}` allows this call of {path}");
        let nearest = nearest.or_else(|| {
            let entry = self.entries.iter().max_by(|one, other| {
                let like = |entry: &Entry| strsim::normalized_levenshtein(&entry.path, path);
                like(one).total_cmp(&like(other)).then(std::cmp::Ordering::Greater)
            })?;
            let message = format!("no interaction calls `{path}`; the nearest calls `{}`", entry.path);
            Some((
                entry,
                vec![Difference::new(Place::Path, "", &entry.path, path, message)],
            ))
        });
        if let Some((entry, differences)) = nearest {
            let place = format!("{}:{}", entry.contract.origin, entry.interaction.line);
            text.push_str(&format!("; nearest is `{}` ({place})", entry.interaction.title()));
            for difference in differences.iter().take(MOST_DIFFERENCES) {
                text.push_str("; ");
                text.push_str(&difference.sentence());
            }
            if differences.len() > MOST_DIFFERENCES {
                text.push_str(&format!("; and {} more", differences.len() - MOST_DIFFERENCES));
            }
        }
        if let Some((place, cause)) = self.unusable.first() {
            text.push_str(&format!("; {place} cannot be answered from: {cause}"));
        }
        Answer::status(Code::Unimplemented, text)
    }
}

impl Entry {
    fn differences(&self, metadata: &HeaderMap, message: &Bytes) -> Vec<Difference> {
        let request = &self.call.request;
        let mut differences = request.metadata.differences(&headers_as_metadata(metadata));
        differences.extend(compare(&request.message, message, &request.rules, Side::Request));
        differences
    }

    async fn answered(&self) -> Answer {
        let call = &self.call;
        let nothing = HashMap::new();
        let mut messages = Vec::with_capacity(call.answers.len());
        for part in &call.answers {
            match part.generated(&GeneratorTestMode::Consumer, &nothing).await {
                Ok(message) => messages.push(message.encode_to_vec().into()),
                Err(cause) => return Answer::status(Code::Internal, cause),
            }
        }
        let mut metadata = HeaderMap::new();
        for part in &call.answers {
            part.metadata
                .examples(&mut metadata, &GeneratorTestMode::Consumer, &nothing);
        }
        Answer {
            interaction: Some(self.interaction.id.clone()),
            metadata,
            messages,
            code: call.status.code,
            message: call.status.text().to_owned(),
        }
    }
}
