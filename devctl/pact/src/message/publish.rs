//! The concrete message that a consumer is given: a contract's example with its generators' values.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use pact_matching::generators::apply_generators_to_async_message;
use pact_models::generators::GeneratorTestMode;
use serde_json::Value;

use super::delivery::Meant;
use crate::index::{Contract, Interaction, Kind};
use crate::states::file::Message as StepMessage;
use crate::verify::Why;

/// A message to publish.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Publishable {
    /// None where the contract does not say: the consumer's own binding tells.
    pub exchange: Option<String>,
    /// None where the contract does not say.
    pub routing_key: Option<String>,
    /// `application/json` and the like.
    pub content_type: Option<String>,
    /// By AMQP's names in small letters: `message_id`, `type`, ...
    pub properties: BTreeMap<String, Value>,
    /// Headers as they are.
    pub headers: BTreeMap<String, Value>,
    /// The contents.
    pub body: Bytes,
}

/// The message that `interaction` promises its consumer, made anew.
///
/// # Errors
///
/// Where the interaction is no message.
pub async fn publishable(contract: &Contract, interaction: &Interaction) -> Result<Publishable, Why> {
    let Kind::Message(message) = &interaction.kind else {
        return Err(Why::Kind {
            kind: interaction.protocol().into(),
        });
    };
    let contents = apply_generators_to_async_message(
        message,
        &GeneratorTestMode::Consumer,
        &HashMap::new(),
        &contract.plugins,
        &message.plugin_config,
    )
    .await;
    let mut made = Publishable {
        content_type: contents.message_content_type().map(|kind| kind.to_string()),
        body: contents.contents.value().unwrap_or_default(),
        ..Publishable::default()
    };
    for (key, value) in contents.metadata {
        let text = value.as_str().map(str::to_owned);
        match Meant::of(&key) {
            Meant::ContentType => made.content_type = text.or(made.content_type),
            Meant::Exchange => made.exchange = text,
            Meant::RoutingKey => made.routing_key = text,
            Meant::Property(name) => {
                made.properties.insert(name.to_owned(), value);
            }
            Meant::Header => {
                made.headers.insert(key, value);
            }
        }
    }
    Ok(made)
}

impl From<&StepMessage> for Publishable {
    /// What an `amqp` step of a provider state publishes.
    fn from(step: &StepMessage) -> Self {
        let headers = step.headers.iter();
        Self {
            exchange: Some(step.exchange.clone()),
            routing_key: Some(step.routing_key.clone()),
            content_type: Some(step.content_type.clone()),
            headers: headers
                .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
                .collect(),
            body: step.body.to_string().into(),
            ..Self::default()
        }
    }
}
