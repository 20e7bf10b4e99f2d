//! The pact as a file: written whole, in an order that does not change from run to run, and beside what other tests of
//! the pair have written.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::MockError;
use crate::grpc::Proto;
use crate::grpc::proto::PLUGIN;

/// The plugin's version whose shape is written; tools that have the plugin ask for at least this one.
const PLUGIN_VERSION: &str = "0.6.0";

/// A pact of V4 with these interactions.
pub(super) fn pact(consumer: &str, provider: &str, proto: &Proto, interactions: Vec<Value>) -> Value {
    json!({
        "consumer": { "name": consumer },
        "provider": { "name": provider },
        "interactions": interactions,
        "metadata": {
            "pactSpecification": { "version": "4.0" },
            "plugins": [plugin(json!({ proto.key(): proto.plugin_entry() }))],
        },
    })
}

fn plugin(configuration: Value) -> Value {
    json!({ "name": PLUGIN, "version": PLUGIN_VERSION, "configuration": configuration })
}

/// Writes `pact` to its file in `folder`; interactions of the same description and states are replaced, others stay.
pub(super) fn merge(folder: &Path, pact: Value) -> Result<PathBuf, MockError> {
    let name = |role: &str| pact[role]["name"].as_str().unwrap_or_default().to_owned();
    let path = folder.join(format!("{}-{}.json", name("consumer"), name("provider")));
    let failed = |cause| MockError::Write {
        path: path.clone(),
        cause,
    };
    fs::create_dir_all(folder).map_err(failed)?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    // Tests run beside each other, in one process and in several.
    file.lock().map_err(failed)?;
    let merged = match existing(&mut file).map_err(failed)? {
        None => pact,
        Some(text) => {
            let there = serde_json::from_str(&text).map_err(|cause| MockError::Existing {
                path: path.clone(),
                what: format!("it is no JSON: {cause}"),
            })?;
            joined(there, pact).map_err(|what| MockError::Existing {
                path: path.clone(),
                what,
            })?
        }
    };
    write(&mut file, &ordered(merged)).map_err(failed)?;
    Ok(path)
}

fn existing(file: &mut File) -> io::Result<Option<String>> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok((!text.trim().is_empty()).then_some(text))
}

fn write(file: &mut File, json: &Value) -> io::Result<()> {
    let mut text = serde_json::to_string_pretty(json)?;
    text.push('\n');
    file.rewind()?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}

/// What is there with what is new.
fn joined(mut there: Value, new: Value) -> Result<Value, String> {
    for role in ["consumer", "provider"] {
        if there[role]["name"] != new[role]["name"] {
            return Err(format!("its {role} is {}", there[role]["name"]));
        }
    }
    let version = &there["metadata"]["pactSpecification"]["version"];
    if !version.as_str().is_some_and(|version| version.starts_with('4')) {
        return Err(format!(
            "it is of version {version}, gRPC calls need 4.0: write both with V4"
        ));
    }
    let fresh = new["interactions"].as_array().cloned().unwrap_or_default();
    let replaced: BTreeSet<String> = fresh.iter().map(identity).collect();
    let mut interactions = there["interactions"].as_array().cloned().unwrap_or_default();
    interactions.retain(|one| !replaced.contains(&identity(one)));
    interactions.extend(fresh);
    let configuration = descriptors(&there, &new, &interactions);
    let mut plugins = there["metadata"]["plugins"].as_array().cloned().unwrap_or_default();
    plugins.retain(|one| one["name"] != PLUGIN);
    plugins.push(plugin(configuration));
    there["interactions"] = Value::Array(interactions);
    there["metadata"]["plugins"] = Value::Array(plugins);
    Ok(there)
}

/// The descriptors of both that some interaction still names.
fn descriptors(there: &Value, new: &Value, interactions: &[Value]) -> Value {
    let named: BTreeSet<&str> = interactions
        .iter()
        .filter_map(|one| one["pluginConfiguration"][PLUGIN]["descriptorKey"].as_str())
        .collect();
    let mut kept = Map::new();
    for pact in [there, new] {
        for plugin in pact["metadata"]["plugins"].as_array().into_iter().flatten() {
            let entries = plugin["configuration"].as_object().into_iter().flatten();
            for (key, entry) in entries.filter(|(key, _)| plugin["name"] == PLUGIN && named.contains(key.as_str())) {
                kept.insert(key.clone(), entry.clone());
            }
        }
    }
    Value::Object(kept)
}

/// What tells an interaction from the others of its pact.
fn identity(interaction: &Value) -> String {
    let states = interaction.get("providerStates").cloned().unwrap_or_else(|| json!([]));
    let description = interaction["description"].as_str().unwrap_or_default();
    format!("{description}\u{0}{}", ordered(states))
}

/// Interactions by description and states, keys by name: the same promises make the same bytes.
fn ordered(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<(String, Value)> = fields.into_iter().collect();
            sorted.sort_by(|one, other| one.0.cmp(&other.0));
            let sorted = sorted.into_iter().map(|(key, value)| {
                let value = match (key.as_str(), value) {
                    ("interactions", Value::Array(mut items)) => {
                        items.sort_by_cached_key(identity);
                        Value::Array(items)
                    }
                    (_, value) => value,
                };
                (key, ordered(value))
            });
            Value::Object(sorted.collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(ordered).collect()),
        other => other,
    }
}
