//! A stand-in for a provider, for one consumer: it answers what a contract between the two allows and nothing else.
//!
//! A request is looked up by method and path, then matched by the pact crates; GraphQL operations that ask for the same
//! are the same. Where several interactions allow it,
//! the choice is, in this order: the one whose provider states are the stub's current ones; the one whose query and
//! body are literally those of the request rather than allowed by a rule; the one that succeeds; the first. A request
//! that nothing allows is answered with 501 and a JSON body that names the nearest interaction and the difference
//! (see [`refusal`]); a gRPC call is answered with `UNIMPLEMENTED` and a message that says the same.

pub(crate) mod choice;
pub mod refusal;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use pact_matching::{RequestMatchResult, generate_response, match_request};
use pact_models::generators::GeneratorTestMode;
use pact_models::provider_states::ProviderState;
use pact_models::v4::http_parts::{HttpRequest, HttpResponse};
use pact_models::v4::synch_http::SynchronousHttp;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::graphql::operation::aligned;
use crate::graphql::{Normal, Operation};
use crate::grpc::Answer;
use crate::grpc::answer::{Calls, Received};
use crate::http_parts;
use crate::index::routes::Routes;
use crate::index::{Contract, Interaction, InteractionId, Kind};
use choice::Literal;

/// Tells a stub's answer from a real one; its value is the interaction's id, or `none`.
pub const STUB_HEADER: &str = "x-devctl-stub";

/// Answers in place of a provider. Shared by reference; answering needs no lock but a short one for the states.
#[derive(Debug)]
pub struct Stub {
    consumer: String,
    provider: String,
    routes: Routes,
    entries: Vec<Entry>,
    calls: Calls,
    states: RwLock<Arc<Vec<ProviderState>>>,
}

/// An answer with what follows its body.
#[derive(Debug)]
pub struct Reply {
    /// Head and body.
    pub response: Response<Bytes>,
    /// The trailers of a gRPC call that has messages; an answer without messages has them as headers.
    pub trailers: Option<HeaderMap>,
}

impl Reply {
    fn of(answer: &Answer) -> Self {
        let mut response = Response::new(answer.body());
        *response.headers_mut() = answer.metadata.clone();
        let headers = response.headers_mut();
        headers.insert("content-type", http::HeaderValue::from_static("application/grpc"));
        let mut trailers = Some(answer.trailers());
        if answer.messages.is_empty() {
            headers.extend(trailers.take().unwrap_or_default());
        }
        let id = answer.interaction.as_ref().map_or("none", |id| id.0.as_str());
        Self {
            response: mark(response, id),
            trailers,
        }
    }
}

#[derive(Debug)]
struct Entry {
    contract: Arc<Contract>,
    interaction: Arc<Interaction>,
    literal: Literal,
    /// What it asks for, where it is a GraphQL operation.
    asks: Option<Normal>,
    served: AtomicU64,
}

impl Entry {
    fn http(&self) -> Option<&SynchronousHttp> {
        match &self.interaction.kind {
            Kind::Http(http) => Some(http),
            Kind::Message(_) | Kind::SyncMessage(_) => None,
        }
    }
}

impl Stub {
    /// A stub of the provider of `contracts`, which are all between one consumer and one provider. Their HTTP
    /// interactions and gRPC calls are answered; messages are not its business.
    pub fn new(contracts: &[Arc<Contract>]) -> Self {
        let mut routes = Routes::default();
        let mut entries = Vec::new();
        for contract in contracts {
            for interaction in &contract.interactions {
                if let Kind::Http(http) = &interaction.kind {
                    routes.add(entries.len(), &http.request);
                    entries.push(Entry {
                        contract: Arc::clone(contract),
                        interaction: Arc::clone(interaction),
                        literal: Literal::new(&http.request),
                        asks: Operation::of(&http.request).and_then(|operation| operation.normal()),
                        served: AtomicU64::new(0),
                    });
                }
            }
        }
        let name = |of: fn(&Contract) -> &String| contracts.first().map(|first| of(first).clone()).unwrap_or_default();
        Self {
            consumer: name(|contract| &contract.consumer),
            provider: name(|contract| &contract.provider),
            routes,
            entries,
            calls: Calls::new(contracts),
            states: RwLock::default(),
        }
    }

    /// How many interactions it can answer from.
    pub fn len(&self) -> usize {
        self.entries.len() + self.calls.entries.len()
    }

    /// Whether there is nothing it could answer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The gRPC calls that it cannot answer from, each with its place and the reason: descriptors that are missing, say.
    pub fn problems(&self) -> Vec<String> {
        let unusable = self.calls.unusable.iter();
        unusable.map(|(place, cause)| format!("{place}: {cause}")).collect()
    }

    /// The provider states that hold from now on: they choose between interactions that allow the same request.
    pub fn set_states(&self, states: Vec<ProviderState>) {
        *self.states.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(states);
    }

    /// The provider states that hold now.
    pub fn states(&self) -> Arc<Vec<ProviderState>> {
        Arc::clone(&self.states.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every provider state that some interaction names, sorted: what [`Stub::set_states`] can choose from.
    pub fn known_states(&self) -> Vec<&str> {
        let calls = self.calls.entries.iter().flat_map(|entry| &entry.interaction.states);
        let requests = self.entries.iter().flat_map(|entry| &entry.interaction.states);
        let mut names: Vec<&str> = requests.chain(calls).map(|state| state.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// How often each interaction was answered; an interaction that was never exercised has 0.
    pub fn served(&self) -> impl Iterator<Item = (&InteractionId, u64)> {
        let calls = self
            .calls
            .entries
            .iter()
            .map(|entry| (&entry.interaction.id, &entry.served));
        let requests = self.entries.iter().map(|entry| (&entry.interaction.id, &entry.served));
        requests
            .chain(calls)
            .map(|(id, served)| (id, served.load(Ordering::Relaxed)))
    }

    /// The answer to `request`, be it HTTP or a gRPC call, with the trailers that a call ends with.
    pub async fn reply(&self, request: Request<Bytes>) -> Reply {
        let kind = request.headers().get("content-type");
        let grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        if !grpc {
            return Reply {
                response: self.answer(request).await,
                trailers: None,
            };
        }
        let (head, body) = request.into_parts();
        let received = Received {
            path: head.uri.path().trim_start_matches('/'),
            metadata: &head.headers,
            body,
        };
        Reply::of(&self.calls.answer(&received, &self.states()).await)
    }

    /// The answer to an HTTP request.
    pub async fn answer(&self, request: Request<Bytes>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let received = http_parts::request(&parts, body);
        let asks = Operation::of(&received).and_then(|operation| operation.normal());
        let mut tried = Vec::new();
        for at in self.candidates(&received) {
            let entry = &self.entries[at];
            match allowed(entry, &received, asks.as_ref()).await {
                Some(result) if result.all_matched() => {
                    entry.served.fetch_add(1, Ordering::Relaxed);
                    return self.respond(entry, &parts).await;
                }
                Some(result) => tried.push((at, result)),
                None => {}
            }
        }
        self.refuse(&received, asks.as_ref(), &tried)
    }

    /// The interactions of the request's method and path, likeliest first.
    fn candidates(&self, received: &HttpRequest) -> Vec<usize> {
        let mut found = self.routes.find(&received.method, &received.path);
        if found.is_empty() {
            // Pacts hold paths as people write them; on the wire they are encoded.
            let decoded = percent_decode_str(&received.path).decode_utf8_lossy();
            if decoded != received.path {
                found = self.routes.find(&received.method, &decoded);
            }
        }
        if found.len() > 1 {
            let states = self.states();
            let literal = Literal::of_actual(received);
            found.sort_by_cached_key(|at| choice::rank(&self.entries[*at], &states, &literal, *at));
        }
        found
    }

    async fn respond(&self, entry: &Entry, asked: &http::request::Parts) -> Response<Bytes> {
        let Some(http) = entry.http() else {
            return failure(&entry.interaction.id.0, "the interaction is not an HTTP one");
        };
        let host = asked.headers.get("host").and_then(|value| value.to_str().ok());
        let host = host
            .or_else(|| asked.uri.authority().map(http::uri::Authority::as_str))
            .unwrap_or("localhost");
        let url = format!("http://{host}");
        let port = host
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse::<u16>().ok())
            .unwrap_or(80);
        let context = HashMap::from([("mockServer", json!({ "url": url, "href": url, "port": port }))]);
        let generated: HttpResponse = if http.response.generators.is_empty() {
            http.response.clone()
        } else {
            generate_response(&http.response, &GeneratorTestMode::Consumer, &context).await
        };
        to_wire(&generated, &entry.interaction.id.0)
    }

    fn refuse(
        &self,
        received: &HttpRequest,
        asks: Option<&Normal>,
        tried: &[(usize, RequestMatchResult)],
    ) -> Response<Bytes> {
        let body = match refusal::nearest(self, received, asks, tried) {
            Some((entry, differences)) => refusal::body(self, received, Some(entry), &differences),
            None => refusal::body(self, received, None, &[]),
        };
        plain(501, "none", &body)
    }
}

/// What `entry` says to the request; `None` where the pact crates cannot match it at all.
async fn allowed(entry: &Entry, received: &HttpRequest, asks: Option<&Normal>) -> Option<RequestMatchResult> {
    let mut expected = entry.http()?.request.clone();
    let mut actual = if asks.is_some() && asks == entry.asks.as_ref() {
        aligned(&expected, received)
    } else {
        received.clone()
    };
    if actual.path != expected.path {
        let decoded = percent_decode_str(&actual.path).decode_utf8_lossy().into_owned();
        if decoded == expected.path {
            actual.path = decoded;
        }
    }
    expected.method.make_ascii_uppercase();
    match_request(expected, actual, &entry.contract.shell, &entry.interaction.boxed)
        .await
        .ok()
}

fn to_wire(generated: &HttpResponse, id: &str) -> Response<Bytes> {
    let (headers, refused) = http_parts::header_map(generated.headers.as_ref());
    if !refused.is_empty() {
        return failure(
            id,
            &format!(
                "the contract's answer has headers that HTTP does not allow: {}",
                refused.join(", ")
            ),
        );
    }
    let body = generated.body.value().unwrap_or_default();
    let Ok(mut response) = Response::builder().status(generated.status).body(body) else {
        return failure(
            id,
            &format!(
                "the contract's answer has the status {}, which HTTP does not know",
                generated.status
            ),
        );
    };
    *response.headers_mut() = headers;
    // The body goes out whole; what a recorded answer said about its framing no longer holds.
    for framing in ["content-length", "transfer-encoding", "connection"] {
        response.headers_mut().remove(framing);
    }
    if !response.headers().contains_key("content-type")
        && let Some(kind) = generated.body.content_type()
        && let Ok(value) = kind.to_string().parse()
    {
        response.headers_mut().insert("content-type", value);
    }
    mark(response, id)
}

fn failure(id: &str, why: &str) -> Response<Bytes> {
    plain(502, id, &json!({ "error": why }))
}

fn plain(status: u16, id: &str, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(serde_json::to_vec_pretty(body).unwrap_or_default()));
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static("application/json"));
    mark(response, id)
}

fn mark(mut response: Response<Bytes>, id: &str) -> Response<Bytes> {
    if let Ok(value) = http::HeaderValue::from_str(id) {
        response.headers_mut().insert(STUB_HEADER, value);
    }
    response
}
