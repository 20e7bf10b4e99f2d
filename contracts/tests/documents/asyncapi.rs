//! Domain events are what the AsyncAPI document says: billing's own, the examples, and what consumers expect of them.

use std::time::{Duration, UNIX_EPOCH};

use billing::events::{self, Money};
use billing::invoices::Invoice;
use devctl_pact::index::Kind;
use serde_json::Value;

use super::faults;
use crate::sample::{EMAIL, OPEN, USER};

fn document() -> Value {
    super::yaml("contracts/asyncapi/domain-events.yaml")
}

fn payload<'a>(document: &'a Value, routing_key: &str) -> &'a Value {
    let messages = document["components"]["messages"].as_object().unwrap();
    let named = messages.values().find(|message| message["name"] == routing_key);
    &named.unwrap_or_else(|| unreachable!("no message is named {routing_key}"))["payload"]
}

#[test]
fn billing_says_what_is_documented() {
    let document = document();
    let now = UNIX_EPOCH + Duration::from_millis(1_767_323_045_678);
    let invoice = Invoice {
        id: OPEN.parse().unwrap(),
        user_id: USER.parse().unwrap(),
        customer_email: EMAIL.to_owned(),
        description: "Analytical engine".to_owned(),
        amount: Money {
            currency: "EUR".to_owned(),
            minor_units: 4200,
        },
        created_at: now,
        paid_at: Some(now),
        payment_id: Some("ch_1".to_owned()),
    };
    for (routing_key, event) in [
        (events::CREATED, events::created(&invoice)),
        (events::PAID, events::paid(&invoice)),
    ] {
        let schema = payload(&document, routing_key);
        assert_eq!(faults(&document, schema, &event), Vec::<String>::new(), "{routing_key}");
        // And nothing that is not: an undocumented field is one that nobody may rely on.
        for field in event.as_object().unwrap().keys() {
            assert!(schema["properties"].get(field).is_some(), "{routing_key}: {field}");
        }
    }
}

#[test]
fn examples_keep_to_their_schemas() {
    let document = document();
    for (name, message) in document["components"]["messages"].as_object().unwrap() {
        let example = &message["examples"][0]["payload"];
        assert!(example.is_object(), "{name}");
        assert_eq!(
            faults(&document, &message["payload"], example),
            Vec::<String>::new(),
            "{name}"
        );
    }
}

#[test]
fn every_channel_is_bound_to_the_exchange_and_named_as_its_message() {
    let document = document();
    assert_eq!(
        document["components"]["channelBindings"]["domainEvents"]["amqp"]["exchange"]["name"],
        kit::amqp::EXCHANGE
    );
    for (name, channel) in document["channels"].as_object().unwrap() {
        let bindings = channel["bindings"]["$ref"].as_str();
        assert_eq!(bindings, Some("#/components/channelBindings/domainEvents"), "{name}");
        payload(&document, channel["address"].as_str().unwrap());
    }
}

#[test]
fn consumers_expect_only_what_is_documented() {
    let document = document();
    let mut checked = 0;
    for pact in super::pacts() {
        for interaction in &pact.interactions {
            let Kind::Message(message) = &interaction.kind else {
                continue;
            };
            let place = format!("{}: `{}`", pact.pair(), interaction.description);
            let metadata = &message.contents.metadata;
            assert_eq!(metadata["exchange"], kit::amqp::EXCHANGE, "{place}");
            let schema = payload(&document, metadata["routingKey"].as_str().unwrap());
            let body: Value = serde_json::from_slice(&message.contents.contents.value().unwrap()).unwrap();
            for (field, value) in body.as_object().unwrap() {
                let property = &schema["properties"][field];
                assert!(property.is_object(), "{place} expects `{field}`");
                assert_eq!(
                    faults(&document, property, value),
                    Vec::<String>::new(),
                    "{place}: `{field}`"
                );
            }
            checked += 1;
        }
    }
    assert!(checked >= 6, "{checked}");
}
