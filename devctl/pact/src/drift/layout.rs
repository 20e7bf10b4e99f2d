//! A pact as it should be committed: keys by name, interactions by description and states, nothing that differs from one run or
//! one library's version to the next.

use serde_json::{Map, Value, json};

use crate::index::contract::canonical;

/// The pact's text. Several pacts of one pair become one.
pub fn text(pacts: &[&Value]) -> String {
    let mut joined = Map::new();
    let mut interactions = Vec::new();
    let mut list = "interactions";
    for pact in pacts {
        for (key, value) in pact.as_object().into_iter().flatten() {
            match (key.as_str(), value) {
                ("interactions" | "messages", Value::Array(items)) => {
                    if key == "messages" {
                        list = "messages";
                    }
                    interactions.extend(items.iter().cloned());
                }
                (_, value) => {
                    joined.insert(key.clone(), value.clone());
                }
            }
        }
    }
    interactions.sort_by_cached_key(name);
    joined.insert(list.to_owned(), Value::Array(interactions));
    if let Some(Value::Object(metadata)) = joined.get_mut("metadata") {
        metadata.retain(|key, _| !is_of_a_library(key));
    }
    format!("{:#}\n", sorted(Value::Object(joined)))
}

/// Whether this key of a pact's metadata only says which library wrote the file.
pub(super) fn is_of_a_library(key: &str) -> bool {
    // What Pact's libraries write: pactRust, pactRuby, pact-jvm, pact-js, client and the like. What a pact means, the
    // specification's version and the plugins say.
    !matches!(key, "pactSpecification" | "pact-specification" | "plugins")
}

/// What tells an interaction from the others of its pact.
pub(super) fn name(interaction: &Value) -> (String, String, String) {
    let text = |key: &str| interaction[key].as_str().unwrap_or_default().to_owned();
    let states = interaction.get("providerStates").or(interaction.get("providerState"));
    (
        text("description"),
        canonical(states.unwrap_or(&json!([]))),
        text("type"),
    )
}

fn sorted(json: Value) -> Value {
    match json {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(fields.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        other => other,
    }
}
