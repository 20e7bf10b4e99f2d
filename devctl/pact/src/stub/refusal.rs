//! What a consumer is told that asks for something no contract of its allows: the nearest interaction, and what
//! differs from it.

use pact_matching::RequestMatchResult;
use pact_models::v4::http_parts::HttpRequest;
use serde_json::{Value, json};

use super::{Entry, Stub};
use crate::difference::{Difference, Part, explain, from_mismatches};
use crate::graphql::Normal;

const MOST_OPERATIONS: usize = 20;

/// The interaction that the request was closest to, and the differences from it.
pub(super) fn nearest<'a>(
    stub: &'a Stub,
    received: &HttpRequest,
    asks: Option<&Normal>,
    tried: &[(usize, RequestMatchResult)],
) -> Option<(&'a Entry, Vec<Difference>)> {
    let best = tried.iter().min_by_key(|(at, result)| {
        let apart = match (&stub.entries[*at].asks, asks) {
            (Some(wanted), Some(asks)) => wanted.distance(asks),
            _ => 0,
        };
        (result.mismatches().len(), apart, *at)
    });
    if let Some((at, result)) = best {
        let at = *at;
        let entry = &stub.entries[at];
        let mut differences = from_mismatches(&result.mismatches());
        if let Some(http) = entry.http() {
            explain(&mut differences, &http.request.matching_rules);
        }
        in_fields(&mut differences, entry, asks);
        return Some((entry, differences));
    }
    let entry = stub.entries.iter().max_by(|one, other| {
        let (one, other) = (likeness(one, received), likeness(other, received));
        // The earlier of two equals, as `max_by` would take the later.
        one.total_cmp(&other).then(std::cmp::Ordering::Greater)
    })?;
    let expected = &entry.http()?.request;
    let mut differences = Vec::new();
    if !expected.method.eq_ignore_ascii_case(&received.method) {
        let message = format!("expected {} but was {}", expected.method, received.method);
        differences.push(Difference::new(
            Part::Method,
            "",
            &expected.method,
            &received.method,
            message,
        ));
    }
    if expected.path != received.path {
        let message = format!(
            "no interaction has the path `{}`; the nearest is `{}`",
            received.path, expected.path
        );
        differences.push(Difference::new(Part::Path, "", &expected.path, &received.path, message));
    }
    Some((entry, differences))
}

/// Of two GraphQL queries says which fields differ: the texts themselves say little.
fn in_fields(differences: &mut [Difference], entry: &Entry, asks: Option<&Normal>) {
    let (Some(wanted), Some(asks)) = (&entry.asks, asks) else {
        return;
    };
    let Some(told) = wanted.compared_to(asks) else { return };
    for difference in differences
        .iter_mut()
        .filter(|one| one.path == "$.query" || one.path == "query")
    {
        difference.message = format!("the query asks for something else: {told}");
    }
}

/// How like an interaction's method and path are to the request's, from 0 to 1.2.
fn likeness(entry: &Entry, received: &HttpRequest) -> f64 {
    let Some(http) = entry.http() else { return 0.0 };
    let method = if http.request.method.eq_ignore_ascii_case(&received.method) {
        0.2
    } else {
        0.0
    };
    method + strsim::normalized_levenshtein(&http.request.path, &received.path)
}

/// The answer's body. Its fields are stable: tools may read them.
pub(super) fn body(stub: &Stub, received: &HttpRequest, nearest: Option<&Entry>, differences: &[Difference]) -> Value {
    let mut query: Vec<String> = received.query.iter().flatten().map(|(key, _)| key.clone()).collect();
    query.sort();
    let operation = format!("{} {}", received.method, received.path);
    let mut known: Vec<String> = stub
        .entries
        .iter()
        .filter_map(Entry::http)
        .map(|http| format!("{} {}", http.request.method, http.request.path))
        .collect();
    known.sort();
    known.dedup();
    let more = known.len().saturating_sub(MOST_OPERATIONS);
    known.truncate(MOST_OPERATIONS);
    json!({
        "error": format!("no contract between `{}` and `{}` allows {operation}", stub.consumer, stub.provider),
        "help": format!(
            "`{0}` is a stub here. If `{1}` should ask this, write a consumer test of `{1}` that does; otherwise correct the request",
            stub.provider, stub.consumer
        ),
        "consumer": stub.consumer,
        "provider": stub.provider,
        "request": { "method": received.method, "path": received.path, "query": query },
        "nearest": nearest.map(|entry| json!({
            "interaction": entry.interaction.id.0,
            "description": entry.interaction.description,
            "states": entry.interaction.states.iter().map(|state| state.name.as_str()).collect::<Vec<_>>(),
            "pact": format!("{}:{}", entry.contract.origin, entry.interaction.line),
            "differences": differences,
        })),
        "known": known,
        "more": more,
    })
}
