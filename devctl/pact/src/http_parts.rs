//! Between the `http` crate's types and the pact models', the same way round for stub and verification.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use pact_models::bodies::OptionalBody;
use pact_models::headers::parse_header;
use pact_models::http_parts::HttpPart;
use pact_models::query_strings::parse_query_string;
use pact_models::v4::http_parts::{HttpRequest, HttpResponse};

/// A received request in the pact crates' terms.
pub fn request(parts: &http::request::Parts, body: Bytes) -> HttpRequest {
    let mut request = HttpRequest {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().and_then(parse_query_string),
        headers: headers(&parts.headers),
        ..HttpRequest::default()
    };
    request.body = optional(body, &request);
    request
}

/// A received response in the pact crates' terms.
pub fn response(parts: &http::response::Parts, body: Bytes) -> HttpResponse {
    let mut response = HttpResponse {
        status: parts.status.as_u16(),
        headers: headers(&parts.headers),
        ..HttpResponse::default()
    };
    response.body = optional(body, &response);
    response
}

/// Headers to send. What is no header (a name or value that HTTP does not allow) is given back.
pub fn header_map(headers: Option<&HashMap<String, Vec<String>>>) -> (HeaderMap, Vec<String>) {
    let mut map = HeaderMap::new();
    let mut refused = Vec::new();
    for (name, values) in headers.into_iter().flatten() {
        for value in values {
            match (HeaderName::try_from(name), HeaderValue::from_str(value)) {
                (Ok(name), Ok(value)) => {
                    map.append(name, value);
                }
                _ => refused.push(name.clone()),
            }
        }
    }
    (map, refused)
}

fn headers(map: &HeaderMap) -> Option<HashMap<String, Vec<String>>> {
    let mut headers = HashMap::with_capacity(map.keys_len());
    for (name, value) in map {
        let Ok(value) = value.to_str() else { continue };
        let values: &mut Vec<String> = headers.entry(name.as_str().to_owned()).or_default();
        values.extend(
            parse_header(name.as_str(), value)
                .into_iter()
                .map(|value| value.trim().to_owned()),
        );
    }
    (!headers.is_empty()).then_some(headers)
}

fn optional(body: Bytes, part: &dyn HttpPart) -> OptionalBody {
    if body.is_empty() {
        OptionalBody::Empty
    } else {
        OptionalBody::Present(body, part.content_type(), None)
    }
}
