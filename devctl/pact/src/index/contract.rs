//! One pact file, read and checked: its two pacticipants and its interactions, each in the V4 model whatever the
//! file's version is.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::RefUnwindSafe;

use pact_models::PactSpecification;
use pact_models::interaction::Interaction as PactInteraction;
use pact_models::pact::Pact;
use pact_models::plugins::PluginData;
use pact_models::provider_states::ProviderState;
use pact_models::v4::async_message::AsynchronousMessage;
use pact_models::v4::pact::V4Pact;
use pact_models::v4::sync_message::SynchronousMessage;
use pact_models::v4::synch_http::SynchronousHttp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::load::Origin;

/// A pact as the pact crates pass it about.
pub type DynPact = dyn Pact + Send + Sync + RefUnwindSafe;

/// An interaction as the pact crates pass it about.
pub type DynInteraction = dyn PactInteraction + Send + Sync + RefUnwindSafe;

/// What one consumer expects of one provider: the content of one pact file.
#[derive(Debug)]
pub struct Contract {
    /// Who expects it.
    pub consumer: String,
    /// Of whom.
    pub provider: String,
    /// Where it was read.
    pub origin: Origin,
    /// The version of the Pact specification that the file follows.
    pub specification: PactSpecification,
    /// SHA-256 of the file's JSON without its layout and the order of its keys, in hexadecimal.
    pub digest: String,
    /// In the file's order.
    pub interactions: Vec<std::sync::Arc<Interaction>>,
    /// What plugins left in the file's metadata; for the protobuf plugin that includes the descriptors.
    pub plugins: Vec<PluginData>,
    /// The file's own JSON.
    pub json: Value,
    /// The pact without its interactions: the matchers ask it for plugin data, and would clone it with all of them.
    pub(crate) shell: Box<DynPact>,
}

/// Names an interaction across runs: independent of its place in the file and of what it expects.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InteractionId(pub String);

impl fmt::Display for InteractionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One promise.
#[derive(Debug)]
pub struct Interaction {
    /// Unique within its contract.
    pub id: InteractionId,
    /// The file's own sentence.
    pub description: String,
    /// What must be so at the provider first.
    pub states: Vec<ProviderState>,
    /// A promise that is not made yet: its breach fails nothing.
    pub pending: bool,
    /// What the consumer noted beside it.
    pub comments: BTreeMap<String, Value>,
    /// Where it begins in the file, from 1.
    pub line: usize,
    /// What is exchanged.
    pub kind: Kind,
    pub(crate) boxed: Box<DynInteraction>,
}

/// What an interaction exchanges.
#[derive(Debug)]
pub enum Kind {
    /// A request and its response.
    Http(Box<SynchronousHttp>),
    /// A message that the provider publishes.
    Message(Box<AsynchronousMessage>),
    /// A request message and its response messages; gRPC calls are of this kind.
    SyncMessage(Box<SynchronousMessage>),
}

impl Kind {
    /// The word that reports use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Message(_) => "message",
            Self::SyncMessage(_) => "sync-message",
        }
    }
}

impl Interaction {
    /// The word that reports use for how it is exchanged: `http`, `message`, `grpc` or `sync-message`.
    pub fn protocol(&self) -> &'static str {
        if crate::grpc::is_call(self) {
            "grpc"
        } else {
            self.kind.name()
        }
    }

    /// `description`, with the states that it needs: what tells two interactions of one description apart.
    pub fn title(&self) -> String {
        if self.states.is_empty() {
            return self.description.clone();
        }
        let states: Vec<&str> = self.states.iter().map(|state| state.name.as_str()).collect();
        format!("{} (given {})", self.description, states.join(", "))
    }
}

impl Contract {
    /// The interaction of this id.
    pub fn interaction(&self, id: &InteractionId) -> Option<&std::sync::Arc<Interaction>> {
        self.interactions.iter().find(|interaction| &interaction.id == id)
    }

    /// `consumer -> provider`.
    pub fn pair(&self) -> String {
        format!("{} -> {}", self.consumer, self.provider)
    }
}

/// An id from what names an interaction; `nth` counts those that share the name.
pub(super) fn interaction_id(
    consumer: &str,
    provider: &str,
    description: &str,
    states: &[ProviderState],
    nth: usize,
) -> InteractionId {
    let mut hash = Sha256::new();
    let mut field = |text: &str| {
        hash.update(text.as_bytes());
        hash.update([0]);
    };
    field(consumer);
    field(provider);
    field(description);
    for state in states {
        field(&state.name);
        let params: BTreeMap<&String, &Value> = state.params.iter().collect();
        field(&serde_json::to_string(&params).unwrap_or_default());
    }
    if nth > 0 {
        field(&nth.to_string());
    }
    InteractionId(hex(&hash.finalize()[..6]))
}

/// A digest that layout and the order of keys do not change.
pub(super) fn digest(json: &Value) -> String {
    hex(&Sha256::digest(canonical(json).as_bytes()))
}

/// JSON with sorted keys and no blanks.
pub(crate) fn canonical(json: &Value) -> String {
    match json {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, &Value> = map.iter().collect();
            let fields: Vec<String> = sorted
                .into_iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            format!("{{{}}}", fields.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// The pact's head alone, see [`Contract::shell`].
pub(super) fn shell(pact: &DynPact) -> Box<DynPact> {
    Box::new(V4Pact {
        consumer: pact.consumer(),
        provider: pact.provider(),
        plugin_data: pact.plugin_data(),
        ..V4Pact::default()
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
