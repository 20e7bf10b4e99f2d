//! Parameters in the values of a step: `${name}` within a string; a string that is nothing else becomes the value itself.

use std::collections::BTreeMap;
use std::error::Error;

use serde_json::Value;

use super::file::{Call, Message};

type Params = BTreeMap<String, Value>;

/// `value` with its parameters filled in.
pub(super) fn filled(value: &Value, params: &Params) -> Value {
    match value {
        Value::String(text) => filled_text(text, params),
        Value::Array(items) => items.iter().map(|item| filled(item, params)).collect(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), filled(value, params)));
            Value::Object(fields.collect())
        }
        other => other.clone(),
    }
}

pub(super) fn filled_call(call: &Call, params: &Params) -> Call {
    Call {
        method: call.method.clone(),
        path: string(&filled_text(&call.path, params)),
        headers: strings(&call.headers, params),
        body: call.body.as_ref().map(|body| filled(body, params)),
        expect: call.expect,
    }
}

pub(super) fn filled_message(message: &Message, params: &Params) -> Message {
    Message {
        exchange: message.exchange.clone(),
        routing_key: string(&filled_text(&message.routing_key, params)),
        headers: strings(&message.headers, params),
        content_type: message.content_type.clone(),
        body: filled(&message.body, params),
    }
}

/// An error with its causes, in one line.
pub(super) fn text(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

fn strings(of: &BTreeMap<String, String>, params: &Params) -> BTreeMap<String, String> {
    of.iter()
        .map(|(name, value)| (name.clone(), string(&filled_text(value, params))))
        .collect()
}

fn filled_text(text: &str, params: &Params) -> Value {
    let whole = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    if let Some(value) = whole.and_then(|name| params.get(name)) {
        return value.clone();
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        out.push_str(before);
        match after.split_once('}') {
            Some((name, later)) if params.contains_key(name) => {
                out.push_str(&params.get(name).map(string).unwrap_or_default());
                rest = later;
            }
            _ => {
                out.push_str("${");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Value::String(out)
}

/// A value as text, strings without their quotes.
pub(super) fn string(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
