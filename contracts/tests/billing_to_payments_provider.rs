//! billing charges customers through the payments provider.

use billing::events::Money;
use billing::payments::{Charge, PaymentError, Payments};
use pact_consumer::builders::InteractionBuilder;
use pact_consumer::prelude::*;
use phoenix_contracts::{CURRENCY, Pair, UUID, problem};
use serde_json::json;

use crate::sample::{LIMIT, OPEN};

const PAIR: Pair = Pair {
    consumer: "billing",
    provider: "payments-provider",
};

fn request(interaction: &mut InteractionBuilder) {
    interaction
        .request
        .post()
        .path("/v1/charges")
        .header("content-type", "application/json")
        .header("idempotency-key", term!(UUID, OPEN))
        .json_body(json_pattern!({
            "amount": like!(4200),
            "currency": term!(CURRENCY, "EUR"),
            "reference": term!(UUID, OPEN),
        }));
}

fn charged(interaction: &mut InteractionBuilder) {
    interaction
        .response
        .created()
        .header("content-type", "application/json")
        .json_body(json_pattern!({"id": like!("ch_1"), "status": "succeeded"}));
}

async fn charge(description: &str, build: impl FnOnce(&mut InteractionBuilder)) -> Result<Charge, PaymentError> {
    let server = PAIR.promise(description, |interaction| {
        request(interaction);
        build(interaction);
    });
    let amount = Money {
        currency: "EUR".to_owned(),
        minor_units: 4200,
    };
    let payments = Payments::new(server.url().as_str(), LIMIT).unwrap();
    payments.charge(OPEN.parse().unwrap(), &amount).await
}

#[tokio::test]
async fn a_charge_succeeds() {
    let made = charge("a charge", |interaction| {
        interaction.given("charges succeed");
        charged(interaction);
    });
    let made = made.await.unwrap();
    assert_eq!((made.id.as_str(), made.status.as_str()), ("ch_1", "succeeded"));
}

#[tokio::test]
async fn the_same_key_is_answered_with_the_first_charge() {
    let made = charge("the same charge again", |interaction| {
        interaction.given_with_params(
            "the invoice was charged before",
            &json!({"reference": OPEN, "charge_id": "ch_1"}),
        );
        interaction
            .response
            .created()
            .header("content-type", "application/json")
            .json_body(json_pattern!({"id": "ch_1", "status": "succeeded"}));
    });
    assert_eq!(made.await.unwrap().id, "ch_1");
}

#[tokio::test]
async fn a_declined_charge_is_final_and_says_why() {
    let refused = charge("a charge that the bank declines", |interaction| {
        interaction.given("the card has no funds");
        problem(&mut interaction.response, 402, "Payment Required", "insufficient funds");
    });
    let refused = refused.await.unwrap_err();
    assert!(
        matches!(&refused, PaymentError::Declined(why) if why == "insufficient funds"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_provider_that_is_down_may_be_asked_again() {
    let refused = charge("a charge while the provider is down", |interaction| {
        interaction.given("the provider is down");
        interaction.response.status(503);
    });
    let refused = refused.await.unwrap_err();
    assert!(matches!(&refused, PaymentError::Unavailable(_)), "{refused}");
}
