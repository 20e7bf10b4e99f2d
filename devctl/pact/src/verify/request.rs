//! A pact's request as one that can be sent, and what reports show of an exchange.

use std::collections::HashMap;

use bytes::Bytes;
use http::Method;
use pact_models::bodies::OptionalBody;
use pact_models::v4::http_parts::{HttpRequest, HttpResponse};
use url::Url;

use super::verdict::Exchange;
use crate::difference::{is_secret, short};
use crate::http_parts::header_map;

/// The request to send; an error says what HTTP does not allow.
pub(super) fn build(
    client: &reqwest::Client,
    base: &Url,
    request: &HttpRequest,
    added: &[(String, String)],
) -> Result<reqwest::Request, String> {
    let method =
        Method::from_bytes(request.method.as_bytes()).map_err(|_| format!("`{}` is no HTTP method", request.method))?;
    let mut text = base.as_str().trim_end_matches('/').to_owned();
    if !request.path.starts_with('/') {
        text.push('/');
    }
    text.push_str(&request.path);
    let mut url = Url::parse(&text).map_err(|cause| format!("`{}` is no path: {cause}", request.path))?;
    if let Some(query) = request.query.as_ref().filter(|query| !query.is_empty()) {
        url.set_query(Some(&query_string(query)));
    }
    let (mut headers, refused) = header_map(request.headers.as_ref());
    if !refused.is_empty() {
        return Err(format!("HTTP does not allow the headers {}", refused.join(", ")));
    }
    for (name, value) in added {
        if let (Ok(name), Ok(value)) = (name.parse::<http::HeaderName>(), value.parse::<http::HeaderValue>()) {
            headers.entry(name).or_insert(value);
        }
    }
    let mut builder = client.request(method, url).headers(headers);
    if let Some(body) = body(request) {
        builder = builder.body(body);
    }
    builder.build().map_err(|cause| cause.without_url().to_string())
}

/// Sorted, since the model keeps no order.
fn query_string(query: &HashMap<String, Vec<Option<String>>>) -> String {
    let mut sorted: Vec<_> = query.iter().collect();
    sorted.sort();
    let mut parts = Vec::new();
    let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    for (name, values) in sorted {
        for value in values {
            parts.push(match value {
                Some(value) => format!("{}={}", encode(name), encode(value)),
                None => encode(name),
            });
        }
    }
    parts.join("&")
}

fn body(request: &HttpRequest) -> Option<Bytes> {
    match &request.body {
        OptionalBody::Present(bytes, _, _) => Some(bytes.clone()),
        // A JSON body that is `null` is a body.
        OptionalBody::Null if request.content_type().is_some_and(|kind| kind.is_json()) => {
            Some(Bytes::from_static(b"null"))
        }
        OptionalBody::Null | OptionalBody::Empty | OptionalBody::Missing => None,
    }
}

/// What reports show.
pub(super) fn exchange(request: &HttpRequest, response: Option<&HttpResponse>) -> Exchange {
    let query = request.query.as_ref().filter(|query| !query.is_empty());
    let target = match query {
        Some(query) => format!("{}?{}", request.path, query_string(query)),
        None => request.path.clone(),
    };
    Exchange {
        request: format!("{} {target}", request.method),
        request_headers: shown(request.headers.as_ref()),
        request_body: text(&request.body),
        status: response.map(|response| response.status).unwrap_or_default(),
        answer: response.map(|response| response.status.to_string()).unwrap_or_default(),
        response_headers: shown(response.and_then(|response| response.headers.as_ref())),
        response_body: response.map(|response| text(&response.body)).unwrap_or_default(),
    }
}

/// A body as it is read, whatever its content type is called; what is no text is described.
fn text(body: &OptionalBody) -> String {
    match body.value().map(|bytes| String::from_utf8(bytes.to_vec())) {
        None => String::new(),
        Some(Ok(text)) => short(&text),
        Some(Err(bytes)) => format!("{} bytes, not text", bytes.as_bytes().len()),
    }
}

fn shown(headers: Option<&HashMap<String, Vec<String>>>) -> Vec<(String, String)> {
    let mut shown: Vec<(String, String)> = headers
        .into_iter()
        .flatten()
        .map(|(name, values)| {
            let value = if is_secret(name) {
                "(not shown)".to_owned()
            } else {
                values.join(", ")
            };
            (name.to_lowercase(), value)
        })
        .collect();
    shown.sort();
    shown
}
