//! Captured exchanges as an HTTP archive (HAR 1.2), which browsers and most HTTP tools open.

use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};

use crate::capture::{Body, Exchange, Outcome, Record};
use crate::id::Protocol;

/// An archive of all exchanges among `records`; connections and AMQP have no place in this format.
pub fn har<'a>(records: impl IntoIterator<Item = &'a Record>) -> Value {
    let entries: Vec<Value> = records
        .into_iter()
        .filter_map(|record| match record {
            Record::Exchange(exchange) => Some(entry(exchange)),
            _ => None,
        })
        .collect();
    json!({"log": {
        "version": "1.2",
        "creator": {"name": "devctl", "version": env!("CARGO_PKG_VERSION")},
        "entries": entries,
    }})
}

fn entry(exchange: &Exchange) -> Value {
    let version = if exchange.protocol == Protocol::Http {
        "HTTP/1.1"
    } else {
        "HTTP/2"
    };
    let request = &exchange.request;
    let mut asked = json!({
        "method": request.method,
        "url": format!("http://{}{}", request.authority, request.uri),
        "httpVersion": version,
        "cookies": [],
        "headers": pairs(&request.headers),
        "queryString": query(&request.uri),
        "headersSize": -1,
        "bodySize": request.body.size,
    });
    if request.body.size > 0 {
        asked["postData"] = json!({
            "mimeType": header(&request.headers, "content-type"),
            "text": request.body.text().map_or_else(|| base64(&request.body), str::to_owned),
        });
    }
    let mut all = json!({
        "startedDateTime": exchange.started.to_string(),
        "time": millis(exchange.timing.total),
        "request": asked,
        "response": response(exchange, version),
        "cache": {},
        "timings": {
            "blocked": millis(exchange.timing.held),
            "send": 0,
            "wait": millis(exchange.timing.first_byte.unwrap_or_default().saturating_sub(exchange.timing.held)),
            "receive": millis(exchange.timing.total.saturating_sub(exchange.timing.first_byte.unwrap_or_default())),
        },
        "_edge": exchange.edge.to_string(),
        "_served": exchange.served,
    });
    if let Some(trace) = &exchange.trace {
        all["_traceId"] = trace.trace_id.as_str().into();
    }
    all
}

fn response(exchange: &Exchange, version: &str) -> Value {
    let Some(response) = &exchange.response else {
        // Status 0 is how browsers write an answer that never came.
        let why = match &exchange.outcome {
            Outcome::Failed { why } => why.as_str(),
            _ => "the caller left",
        };
        return json!({
            "status": 0, "statusText": "", "httpVersion": version, "cookies": [], "headers": [], "redirectURL": "",
            "content": {"size": 0, "mimeType": ""}, "headersSize": -1, "bodySize": 0, "_error": why,
        });
    };
    let mut content = json!({"size": response.body.size, "mimeType": header(&response.headers, "content-type")});
    match response.body.text() {
        Some(text) => content["text"] = text.into(),
        None => {
            content["text"] = base64(&response.body).into();
            content["encoding"] = "base64".into();
        }
    }
    json!({
        "status": response.status,
        "statusText": "",
        "httpVersion": version,
        "cookies": [],
        "headers": pairs(&response.headers),
        "redirectURL": header(&response.headers, "location"),
        "content": content,
        "headersSize": -1,
        "bodySize": response.body.size,
        "_trailers": pairs(&response.trailers),
    })
}

fn pairs(headers: &[(String, String)]) -> Value {
    headers
        .iter()
        .map(|(name, value)| json!({"name": name, "value": value}))
        .collect()
}

fn query(uri: &str) -> Value {
    let query = uri.split_once('?').map_or("", |(_, query)| query);
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        json!({"name": name, "value": value})
    };
    query.split('&').filter(|part| !part.is_empty()).map(pair).collect()
}

fn header<'a>(headers: &'a [(String, String)], wanted: &str) -> &'a str {
    headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        .map_or("", |(_, value)| value)
}

fn base64(body: &Body) -> String {
    base64::engine::general_purpose::STANDARD.encode(&body.data)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
