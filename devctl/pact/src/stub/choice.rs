//! Which interaction is tried first, where several have the request's method and path.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use pact_models::provider_states::ProviderState;
use pact_models::v4::http_parts::HttpRequest;
use serde_json::Value;

use super::Entry;
use crate::graphql::Operation;
use crate::index::contract::canonical;

/// What a request says literally, hashed: equal hashes are tried first, so that thousands of interactions at one path
/// cost a comparison of numbers each and not a match each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Literal {
    query: u64,
    body: u64,
}

impl Literal {
    pub(super) fn new(request: &HttpRequest) -> Self {
        let query: BTreeMap<&String, &Vec<Option<String>>> = request.query.iter().flatten().collect();
        let body = request.body.value().unwrap_or_default();
        let json = request.content_type().is_some_and(|kind| kind.is_json());
        let parsed = if json {
            serde_json::from_slice::<Value>(&body).ok()
        } else {
            None
        };
        let asks = Operation::of(request).and_then(|operation| Some((operation.normal()?, operation.variables)));
        let body = match parsed {
            // Written otherwise, asked the same.
            Some(_) if asks.is_some() => hash(&asks.map(|(asks, variables)| (asks, canonical(&variables.into())))),
            Some(value) => hash(&canonical(&value)),
            None => hash(&body),
        };
        Self {
            query: hash(&query),
            body,
        }
    }

    pub(super) fn of_actual(request: &HttpRequest) -> Self {
        Self::new(request)
    }

    fn differing(self, other: Self) -> usize {
        usize::from(self.query != other.query) + usize::from(self.body != other.body)
    }
}

/// Smaller is tried earlier. States that hold come first, then no states, then states that do not hold: they are
/// alternatives, so without any chosen one still gets an answer.
pub(super) fn rank(
    entry: &Entry,
    current: &[ProviderState],
    received: &Literal,
    at: usize,
) -> (u8, usize, usize, bool, usize) {
    let wanted = &entry.interaction.states;
    let holds = wanted
        .iter()
        .all(|state| current.iter().any(|now| satisfies(now, state)));
    let (class, states) = match (wanted.len(), holds) {
        (0, _) => (1, 0),
        // Of two that hold, the one that says more about the situation.
        (count, true) => (0, usize::MAX - count),
        (_, false) => (2, 0),
    };
    let fails = entry.http().is_none_or(|http| http.response.status >= 400);
    (class, states, received.differing(entry.literal), fails, at)
}

/// `now` is the state that an interaction wants: of the same name, and where parameters were set, with those.
pub(crate) fn satisfies(now: &ProviderState, wanted: &ProviderState) -> bool {
    now.name == wanted.name
        && now
            .params
            .iter()
            .all(|(key, value)| wanted.params.get(key).is_none_or(|is| is == value))
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
