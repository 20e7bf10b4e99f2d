//! What differs between a pair's committed pacts and its written ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::layout::{is_of_a_library, name};
use super::{Change, Difference, Verdict};
use crate::grpc::json::{Unset, to_json};
use crate::grpc::{Call, is_call};
use crate::index::{Contract, Interaction};

/// Compares the pacts of one pair.
pub fn compare(committed: &[Arc<Contract>], written: &[Arc<Contract>]) -> Vec<Change> {
    let (old, new) = (interactions(committed), interactions(written));
    let names: BTreeSet<&Name> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for name in names {
        let (verdict, differences) = match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => (Verdict::Stale, differences(old, new)),
            (None, _) => (Verdict::Missing, Vec::new()),
            (_, None) => (Verdict::LeftOver, Vec::new()),
        };
        if verdict != Verdict::Stale || !differences.is_empty() {
            let interaction = new.get(name).or(old.get(name)).map(title);
            changes.push(Change {
                interaction,
                verdict,
                differences,
            });
        }
    }
    if !committed.is_empty() && !written.is_empty() {
        let differences = differences(&head(committed), &head(written));
        if !differences.is_empty() {
            changes.push(Change {
                interaction: None,
                verdict: Verdict::Stale,
                differences,
            });
        }
    }
    changes
}

/// Description, states, type, and how many were named so before it.
type Name = ((String, String, String), usize);

fn interactions(of: &[Arc<Contract>]) -> BTreeMap<Name, Value> {
    let mut seen: BTreeMap<(String, String, String), usize> = BTreeMap::new();
    let mut found = BTreeMap::new();
    for contract in of {
        for list in ["interactions", "messages"] {
            for (at, interaction) in contract.json[list].as_array().into_iter().flatten().enumerate() {
                let name = name(interaction);
                let nth = seen.entry(name.clone()).and_modify(|count| *count += 1).or_insert(0);
                let mut meant = meant(interaction);
                if let Some(read) = contract.interactions.get(at).filter(|read| is_call(read)) {
                    decode(contract, read, &mut meant);
                }
                found.insert((name, *nth), meant);
            }
        }
    }
    found
}

/// Puts the messages of a gRPC call in the place of their bytes, so that a difference in them has a path. Bytes that cannot be
/// read are compared as they are.
fn decode(contract: &Contract, interaction: &Interaction, json: &mut Value) {
    let Ok(call) = Call::read(contract, interaction) else {
        return;
    };
    let messages = std::iter::once(&call.request).chain(&call.answers);
    let mut messages = messages.map(|part| to_json(&part.message, Unset::Hidden));
    let mut put = |part: Option<&mut Value>| {
        if let Some(content) = part.and_then(|part| part.pointer_mut("/contents/content")) {
            *content = messages.next().unwrap_or_default();
        }
    };
    put(json.get_mut("request"));
    for answer in json["response"].as_array_mut().into_iter().flatten() {
        put(Some(answer));
    }
}

/// What belongs to no interaction: the specification's version, and what plugins need.
fn head(of: &[Arc<Contract>]) -> Value {
    let mut head = Map::new();
    for contract in of {
        for (key, value) in contract.json["metadata"].as_object().into_iter().flatten() {
            if !is_of_a_library(key) {
                let key = if key == "pact-specification" {
                    "pactSpecification"
                } else {
                    key
                };
                head.insert(key.to_owned(), meant(value));
            }
        }
    }
    json!({ "metadata": head })
}

/// The same without what is so anyway where nothing is said.
fn meant(json: &Value) -> Value {
    match json {
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(key, value)| !goes_without_saying(key, value));
            // What a service sent and what stands in a body is data: nothing in it goes without saying.
            let data = |key: &str| matches!(key, "content" | "contents" | "body" | "params" | "metadata");
            let fields = fields.map(|(key, value)| {
                let value = if data(key) { value.clone() } else { meant(value) };
                (key.clone(), value)
            });
            Value::Object(fields.collect())
        }
        Value::Array(items) => items.iter().map(meant).collect(),
        other => other.clone(),
    }
}

fn goes_without_saying(key: &str, value: &Value) -> bool {
    match key {
        "pending" => value == false,
        "transport" => value == "http",
        "matchingRules" | "generators" | "comments" | "headers" | "query" | "params" => {
            value.as_object().is_some_and(Map::is_empty)
        }
        "providerStates" => value.as_array().is_some_and(Vec::is_empty),
        _ => false,
    }
}

/// The description, with the states that it needs.
fn title(interaction: &Value) -> String {
    let description = interaction["description"].as_str().unwrap_or_default();
    let states: Vec<&str> = match (&interaction["providerStates"], &interaction["providerState"]) {
        (Value::Array(states), _) => states.iter().filter_map(|state| state["name"].as_str()).collect(),
        (_, Value::String(state)) => vec![state],
        _ => Vec::new(),
    };
    if states.is_empty() {
        description.to_owned()
    } else {
        format!("{description} (given {})", states.join(", "))
    }
}

fn differences(committed: &Value, written: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk("$", Some(committed), Some(written), &mut found);
    found
}

fn walk(path: &str, committed: Option<&Value>, written: Option<&Value>, found: &mut Vec<Difference>) {
    match (committed, written) {
        (Some(old), Some(new)) if old == new => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                walk(&below(path, key), old.get(key), new.get(key), found);
            }
        }
        (Some(Value::Array(old)), Some(Value::Array(new))) => {
            for at in 0..old.len().max(new.len()) {
                walk(&format!("{path}[{at}]"), old.get(at), new.get(at), found);
            }
        }
        (committed, written) => found.push(Difference {
            path: path.to_owned(),
            committed: committed.cloned(),
            written: written.cloned(),
        }),
    }
}

fn below(path: &str, key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !key.is_empty() && key.chars().all(plain) {
        format!("{path}.{key}")
    } else {
        format!("{path}['{key}']")
    }
}
