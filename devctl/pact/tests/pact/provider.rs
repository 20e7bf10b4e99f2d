//! A provider in this process that answers what a corpus case says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Answers by path; ends when dropped.
pub(crate) struct Provider {
    pub(crate) address: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Judges a received request and gives the answer.
pub(crate) type Answer = Box<dyn Fn(&http::request::Parts, &Bytes) -> Response<Body> + Send + Sync>;

impl Provider {
    pub(crate) async fn new(answers: HashMap<String, Answer>) -> Self {
        let app = Router::new().fallback(answer).with_state(Arc::new(answers));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, server }
    }

    pub(crate) fn url(&self) -> url::Url {
        format!("http://{}/", self.address).parse().unwrap()
    }
}

async fn answer(State(answers): State<Arc<HashMap<String, Answer>>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    match answers.get(parts.uri.path()) {
        Some(answer) => answer(&parts, &body),
        None => status(404),
    }
}

pub(crate) fn status(code: u16) -> Response<Body> {
    Response::builder().status(code).body(Body::empty()).unwrap()
}

/// `{status, contentType, headers, json | text | base64}` as a response.
pub(crate) fn respond(actual: &Value) -> Response<Body> {
    let mut response = Response::builder().status(u16::try_from(actual["status"].as_u64().unwrap()).unwrap());
    if let Some(kind) = actual["contentType"].as_str() {
        response = response.header("content-type", kind);
    }
    for (name, value) in actual["headers"].as_object().into_iter().flatten() {
        for value in value.as_array().unwrap_or(&vec![value.clone()]) {
            response = response.header(name, value.as_str().unwrap());
        }
    }
    response.body(Body::from(body_of(actual).unwrap_or_default())).unwrap()
}

/// The body that a case writes as `json`, `text` or `base64`.
pub(crate) fn body_of(of: &Value) -> Option<Vec<u8>> {
    use base64::Engine as _;
    if let Some(json) = of.get("json") {
        return Some(json.to_string().into_bytes());
    }
    if let Some(text) = of["text"].as_str() {
        return Some(text.as_bytes().to_vec());
    }
    let encoded = of["base64"].as_str()?;
    Some(base64::engine::general_purpose::STANDARD.decode(encoded).unwrap())
}
