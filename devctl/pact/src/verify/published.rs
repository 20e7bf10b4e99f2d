//! What was really published, for a verifier that asks over HTTP as Pact's own does: POST of a description and states,
//! answered with the contents and, in `Pact-Message-Metadata`, the metadata as JSON in base64.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use pact_models::provider_states::ProviderState;
use serde_json::{Map, Value, json};

use crate::index::{Interaction, Kind};
use crate::message::Delivery;
use crate::served::Served;

/// The header that carries a message's metadata.
pub const METADATA_HEADER: &str = "pact-message-metadata";

const LONGEST_QUESTION: usize = 1 << 20;

/// A message under the description and states that a verifier asks for.
#[derive(Debug, Clone)]
pub struct Published {
    description: String,
    states: Vec<ProviderState>,
    metadata: Map<String, Value>,
    content_type: Option<String>,
    body: Bytes,
}

impl Published {
    /// `delivery` as the answer to `interaction`. Its metadata has the names that the pact uses; what the pact does not
    /// speak of is not served.
    pub fn new(interaction: &Interaction, delivery: &Delivery) -> Self {
        let mut metadata = Map::new();
        if let Kind::Message(message) = &interaction.kind {
            for key in message.contents.metadata.keys() {
                if let Some(value) = delivery.metadatum(key) {
                    metadata.insert(key.clone(), value);
                }
            }
        }
        Self {
            description: interaction.description.clone(),
            states: interaction.states.clone(),
            metadata,
            content_type: delivery.content_type.clone(),
            body: delivery.body.clone(),
        }
    }

    fn answers(&self, question: &Value) -> bool {
        let asked = question.get("providerStates").and_then(Value::as_array);
        let asked: Vec<&str> = asked
            .into_iter()
            .flatten()
            .filter_map(|state| state.get("name").and_then(Value::as_str))
            .collect();
        let own: Vec<&str> = self.states.iter().map(|state| state.name.as_str()).collect();
        question.get("description").and_then(Value::as_str) == Some(&self.description) && asked == own
    }

    fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body.clone()));
        let headers = response.headers_mut();
        if let Some(kind) = self
            .content_type
            .as_ref()
            .and_then(|kind| HeaderValue::from_str(kind).ok())
        {
            headers.insert("content-type", kind);
        }
        let metadata = STANDARD.encode(Value::from(self.metadata.clone()).to_string());
        if let Ok(metadata) = HeaderValue::from_str(&metadata) {
            headers.insert(METADATA_HEADER, metadata);
        }
        response
    }
}

/// Serves messages on loopback; it stops when dropped.
#[derive(Debug)]
pub struct Endpoint(Served);

impl Endpoint {
    /// Serves `messages` on a free port.
    ///
    /// # Errors
    ///
    /// Where the system gives no port.
    pub async fn start(messages: Vec<Published>) -> io::Result<Self> {
        let messages = Arc::new(messages);
        let answer = move |request| {
            let messages = Arc::clone(&messages);
            async move { answer(request, &messages).await }
        };
        Served::start(answer).await.map(Self)
    }

    /// Where it answers, at every path.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }
}

async fn answer(request: Request<Incoming>, messages: &[Published]) -> Response<Full<Bytes>> {
    let refused = |status: StatusCode, why: &str| {
        let mut response = Response::new(Full::new(Bytes::from(json!({ "error": why }).to_string())));
        *response.status_mut() = status;
        response
    };
    if request.method() != Method::POST {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "a message is asked for with POST");
    }
    let Ok(body) = Limited::new(request.into_body(), LONGEST_QUESTION).collect().await else {
        return refused(StatusCode::BAD_REQUEST, "the question could not be read");
    };
    let Ok(question) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
        return refused(StatusCode::BAD_REQUEST, "the question is no JSON");
    };
    match messages.iter().find(|message| message.answers(&question)) {
        Some(message) => message.response(),
        None => refused(
            StatusCode::NOT_FOUND,
            "no message of this description and these states was published",
        ),
    }
}
