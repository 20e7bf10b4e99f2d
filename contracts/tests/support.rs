//! An event of a pact, as the broker would hand it to a consumer.

use kit::amqp::{Message, Subscription};
use lapin::BasicProperties;
use lapin::message::Delivery;
use pact_models::v4::async_message::AsynchronousMessage;
use phoenix_contracts::{Metadata, UUID};

use crate::sample::{EVENT, USER};

/// Ten seconds to nothing: 2026-01-02T03:04:05Z.
const SECONDS: i64 = 1_767_323_045;

/// What every consumer reads of a domain event, apart from its body.
pub(crate) fn properties(producer: &'static str, kind: &'static str) -> Vec<(&'static str, Metadata)> {
    vec![
        ("contentType", Metadata::Exactly("application/json")),
        ("exchange", Metadata::Exactly(kit::amqp::EXCHANGE)),
        ("routingKey", Metadata::Exactly(kind)),
        ("messageId", Metadata::Like(UUID, EVENT)),
        ("appId", Metadata::Exactly(producer)),
        ("timestamp", Metadata::Number(SECONDS)),
    ]
}

/// The message as the service's own code reads it, once it has come to a queue that the service binds.
pub(crate) fn received(message: &AsynchronousMessage, subscription: &Subscription) -> Message {
    let metadata = |key: &str| {
        let value = message.contents.metadata.get(key);
        value.and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    assert_eq!(metadata("exchange"), kit::amqp::EXCHANGE);
    let routing_key = metadata("routingKey");
    assert!(
        subscription.keys.iter().any(|key| *key == "#" || *key == routing_key),
        "{} is not bound to {routing_key}",
        subscription.queue
    );
    let seconds = message.contents.metadata["timestamp"].as_u64().unwrap();
    let mut delivery = Delivery::mock(
        1,
        metadata("exchange").into(),
        routing_key.into(),
        false,
        message.contents.contents.value().unwrap().to_vec(),
    );
    delivery.properties = BasicProperties::default()
        .with_content_type(metadata("contentType").into())
        .with_message_id(metadata("messageId").into())
        .with_app_id(metadata("appId").into())
        .with_timestamp(seconds);
    kit::amqp::read(&delivery).unwrap()
}

/// Ada's id, as services keep it.
pub(crate) fn user() -> uuid::Uuid {
    USER.parse().unwrap()
}
