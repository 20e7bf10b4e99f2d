//! Provider states for the verifiers of others, which ask for them over HTTP: POST of `{"state", "params", "action"}`, where the
//! action is `setup` or `teardown` (Pact's `--state-change-url`). What setting a state returns is answered.
//!
//! They ask for each state of an interaction apart, while ours are set together on fresh data: those that came since the last
//! tear-down are set once more with each that is added. So they must be told to ask for tear-downs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use pact_models::provider_states::ProviderState;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::served::Served;
use crate::verify::{ProviderStates, StateFailure};

const LONGEST_QUESTION: usize = 1 << 20;

/// Sets states that are asked for over HTTP; it stops when dropped.
#[derive(Debug)]
pub struct StateServer(Served);

struct Setter {
    states: Arc<dyn ProviderStates>,
    /// Those of the interaction that goes on.
    set: Mutex<Vec<ProviderState>>,
}

impl StateServer {
    /// Sets `states` for whoever asks, on a free port of loopback.
    ///
    /// # Errors
    ///
    /// Where the system gives no port.
    pub async fn start(states: Arc<dyn ProviderStates>) -> io::Result<Self> {
        let setter = Arc::new(Setter {
            states,
            set: Mutex::default(),
        });
        let answer = move |request| {
            let setter = Arc::clone(&setter);
            async move { answer(request, &setter).await }
        };
        Served::start(answer).await.map(Self)
    }

    /// Where it answers, at every path.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }
}

impl Setter {
    /// Sets a state beside those that were set since the last tear-down. No name: the interaction has no state.
    async fn set_up(&self, state: ProviderState) -> Result<Value, StateFailure> {
        let mut set = self.set.lock().await;
        // Whoever asks for the same again, or for none, has begun another interaction.
        if state.name.is_empty() || set.iter().any(|known| known.name == state.name) {
            set.clear();
        }
        if !state.name.is_empty() {
            set.push(state);
        }
        let values = self.states.set_up(&set).await;
        if values.is_err() {
            set.clear();
        }
        Ok(values?.into_iter().collect::<serde_json::Map<_, _>>().into())
    }

    async fn tear_down(&self) -> Result<Value, StateFailure> {
        let set = std::mem::take(&mut *self.set.lock().await);
        self.states.tear_down(&set).await.map(|()| json!({}))
    }
}

async fn answer(request: Request<Incoming>, setter: &Setter) -> Response<Full<Bytes>> {
    let told = |status: StatusCode, body: &Value| {
        let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        *response.status_mut() = status;
        response
    };
    let refused = |status, why: &str| told(status, &json!({ "error": why }));
    if request.method() != Method::POST {
        return refused(StatusCode::METHOD_NOT_ALLOWED, "a state is asked for with POST");
    }
    let Ok(body) = Limited::new(request.into_body(), LONGEST_QUESTION).collect().await else {
        return refused(StatusCode::BAD_REQUEST, "the question could not be read");
    };
    let Ok(question) = serde_json::from_slice::<Value>(&body.to_bytes()) else {
        let why = r#"the question is no JSON; expected {"state": NAME, "params": {}, "action": "setup" or "teardown"}"#;
        return refused(StatusCode::BAD_REQUEST, why);
    };
    let word = |key: &str| question.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut state = ProviderState::default(word("state"));
    let params = question.get("params").and_then(Value::as_object);
    state.params.extend(
        params
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    let done = match word("action") {
        "" | "setup" => setter.set_up(state).await,
        "teardown" => setter.tear_down().await,
        other => {
            let why = format!("`{other}` is none of `setup`, `teardown`");
            return refused(StatusCode::BAD_REQUEST, &why);
        }
    };
    match done {
        Ok(values) => told(StatusCode::OK, &values),
        Err(failure) => {
            let why = format!("failed to {}", failure.what);
            told(
                StatusCode::INTERNAL_SERVER_ERROR,
                &json!({ "error": why, "help": failure.help }),
            )
        }
    }
}
