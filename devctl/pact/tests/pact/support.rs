//! Pacts made in the tests, and requests to ask a stub.

use std::sync::Arc;

use bytes::Bytes;
use devctl_pact::index::{Contract, LoadError, Origin, parse};
use devctl_pact::stub::Stub;
use http::{Request, Response};
use serde_json::{Value, json};

/// A V4 pact between `web` and `shop`.
pub(crate) fn pact(interactions: &Value) -> Value {
    json!({
        "consumer": {"name": "web"},
        "provider": {"name": "shop"},
        "interactions": interactions,
        "metadata": {"pactSpecification": {"version": "4.0"}},
    })
}

/// An HTTP interaction of V4.
pub(crate) fn http(description: &str, request: &Value, response: &Value) -> Value {
    json!({"type": "Synchronous/HTTP", "description": description, "request": request, "response": response})
}

/// The contract of a pact's JSON.
pub(crate) fn contract(pact: &Value) -> Arc<Contract> {
    Arc::new(read(&pact.to_string()).unwrap())
}

/// A pact's text, as `load` would read it from a file.
pub(crate) fn read(text: &str) -> Result<Contract, LoadError> {
    parse(&Origin::Memory("a.json".to_owned()), text)
}

/// A stub of `interactions`.
pub(crate) fn stub(interactions: &Value) -> Stub {
    Stub::new(&[contract(&pact(interactions))])
}

/// Asks the stub with an optional JSON body.
pub(crate) async fn ask(stub: &Stub, method: &str, target: &str, body: Option<&Value>) -> Response<Bytes> {
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header("host", "shop:8080");
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let bytes = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    stub.answer(request.body(bytes).unwrap()).await
}

/// An answer's JSON.
pub(crate) fn body(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}
