//! A message as the broker delivered it, and where in it a pact's metadata is found.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

/// What was really published.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Delivery {
    /// Empty for the default exchange.
    pub exchange: String,
    /// As it was published, not as it was bound.
    pub routing_key: String,
    /// None where the publisher said nothing.
    pub content_type: Option<String>,
    /// Properties by AMQP's names in small letters: `message_id`, `type`, `app_id`, ...; only those that are set.
    pub properties: BTreeMap<String, Value>,
    /// Headers as they are.
    pub headers: BTreeMap<String, Value>,
    /// The contents.
    pub body: Bytes,
}

/// What one key of a pact's message metadata is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meant {
    ContentType,
    Exchange,
    RoutingKey,
    /// By AMQP's name.
    Property(&'static str),
    Header,
}

const PROPERTIES: [&str; 11] = [
    "message_id",
    "type",
    "app_id",
    "correlation_id",
    "reply_to",
    "content_encoding",
    "delivery_mode",
    "priority",
    "timestamp",
    "expiration",
    "user_id",
];

impl Meant {
    pub(super) fn of(key: &str) -> Self {
        let plain = |text: &str| text.replace(['-', '_'], "").to_lowercase();
        match plain(key).as_str() {
            "contenttype" => Self::ContentType,
            "exchange" => Self::Exchange,
            "routingkey" => Self::RoutingKey,
            other => PROPERTIES
                .iter()
                .find(|name| plain(name) == other)
                .map_or(Self::Header, |name| Self::Property(name)),
        }
    }
}

impl Delivery {
    /// What the delivery has for a key of a pact's metadata.
    pub fn metadatum(&self, key: &str) -> Option<Value> {
        match Meant::of(key) {
            Meant::ContentType => self.content_type.clone().map(Value::from),
            Meant::Exchange => Some(Value::from(self.exchange.as_str())),
            Meant::RoutingKey => Some(Value::from(self.routing_key.as_str())),
            // A publisher that sets no property may well say it in a header.
            Meant::Property(name) => self.properties.get(name).cloned().or_else(|| self.header(key)),
            Meant::Header => self.header(key),
        }
    }

    fn header(&self, key: &str) -> Option<Value> {
        let same = |(name, _): &(&String, &Value)| name.eq_ignore_ascii_case(key);
        let found = self.headers.get(key);
        found
            .or_else(|| self.headers.iter().find(same).map(|(_, value)| value))
            .cloned()
    }

    /// `domain-events with the routing key invoice.paid`.
    pub fn address(&self) -> String {
        address(&self.exchange, &self.routing_key)
    }
}

/// An exchange and a routing key in words.
pub(super) fn address(exchange: &str, key: &str) -> String {
    let exchange = if exchange.is_empty() {
        "the default exchange"
    } else {
        exchange
    };
    format!("{exchange} with the routing key {key}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Delivery, Meant};

    #[test]
    fn metadata_is_found_whatever_its_spelling() {
        assert_eq!(Meant::of("content-type"), Meant::ContentType);
        assert_eq!(Meant::of("routing_key"), Meant::RoutingKey);
        assert_eq!(Meant::of("MessageId"), Meant::Property("message_id"));
        assert_eq!(Meant::of("traceparent"), Meant::Header);
        let delivery = Delivery {
            routing_key: "a.b".to_owned(),
            properties: [("app_id".to_owned(), json!("billing"))].into(),
            headers: [("X-Tenant".to_owned(), json!("blue")), ("type".to_owned(), json!("t"))].into(),
            ..Delivery::default()
        };
        assert_eq!(delivery.metadatum("routingKey"), Some(json!("a.b")));
        assert_eq!(delivery.metadatum("appId"), Some(json!("billing")));
        assert_eq!(delivery.metadatum("x-tenant"), Some(json!("blue")));
        assert_eq!(
            delivery.metadatum("type"),
            Some(json!("t")),
            "no property, but a header"
        );
        assert_eq!(delivery.metadatum("contentType"), None);
    }
}
