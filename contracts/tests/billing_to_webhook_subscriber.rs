//! billing posts signed events to whoever subscribed.

use std::time::{Duration, UNIX_EPOCH};

use billing::events::{self, Money};
use billing::invoices::Invoice;
use billing::webhooks::{self, Endpoint, Event, Subscribers};
use kit::jobs::Failure;
use pact_consumer::builders::InteractionBuilder;
use pact_consumer::prelude::*;
use phoenix_contracts::{CURRENCY, EMAIL as ADDRESS, Pair, TIME, UUID};

use crate::sample::{EMAIL, EVENT, LIMIT, OPEN, USER};

const PAIR: Pair = Pair {
    consumer: "billing",
    provider: "webhook-subscriber",
};
const SIGNATURE: &str = "^t=[0-9]+,v1=[0-9a-f]{64}$";
const SIGNED: &str = "t=1767323045,v1=38877139021993b830af32feea6e18a8da83eb2f6e49ee50bd9e4cf4ca4d3789";

fn invoice(paid: bool) -> Invoice {
    let created_at = UNIX_EPOCH + Duration::from_millis(1_767_323_045_678);
    Invoice {
        id: OPEN.parse().unwrap(),
        user_id: USER.parse().unwrap(),
        customer_email: EMAIL.to_owned(),
        description: "Analytical engine".to_owned(),
        amount: Money {
            currency: "EUR".to_owned(),
            minor_units: 4200,
        },
        created_at,
        paid_at: paid.then_some(created_at),
        payment_id: paid.then(|| "ch_1".to_owned()),
    }
}

/// What billing really says of an invoice, sent as billing really sends it.
async fn post(
    description: &str,
    kind: &str,
    data: JsonPattern,
    answer: impl FnOnce(&mut InteractionBuilder),
) -> Result<(), Failure> {
    let server = PAIR.promise(description, |interaction| {
        interaction
            .request
            .post()
            .path("/hooks/phoenix")
            .header("content-type", "application/json")
            .header("phoenix-event-id", term!(UUID, EVENT))
            .header("phoenix-event-type", kind)
            .header("phoenix-signature", term!(SIGNATURE, SIGNED))
            .json_body(json_pattern!({"id": term!(UUID, EVENT), "type": kind, "data": data}));
        answer(interaction);
    });
    let said = match kind {
        events::PAID => events::paid(&invoice(true)),
        _ => events::created(&invoice(false)),
    };
    let endpoint = Endpoint {
        url: server.path("/hooks/phoenix").to_string(),
        secret: "whsec_test".to_owned(),
    };
    let id = EVENT.parse().unwrap();
    let event = Event {
        id,
        kind: kind.to_owned(),
        body: webhooks::body(id, kind, &said),
    };
    Subscribers::new(LIMIT).post(&endpoint, &event).await
}

fn created() -> JsonPattern {
    json_pattern!({
        "invoice_id": term!(UUID, OPEN),
        "user_id": term!(UUID, USER),
        "customer_email": term!(ADDRESS, EMAIL),
        "description": like!("Analytical engine"),
        "amount": {"currency": term!(CURRENCY, "EUR"), "minor_units": like!(4200)},
        "created_at": term!(TIME, "2026-01-02T03:04:05.678Z"),
    })
}

fn paid() -> JsonPattern {
    json_pattern!({
        "invoice_id": term!(UUID, OPEN),
        "user_id": term!(UUID, USER),
        "customer_email": term!(ADDRESS, EMAIL),
        "description": like!("Analytical engine"),
        "amount": {"currency": term!(CURRENCY, "EUR"), "minor_units": like!(4200)},
        "payment_id": like!("ch_1"),
        "paid_at": term!(TIME, "2026-01-02T03:04:05.678Z"),
    })
}

#[tokio::test]
async fn a_new_invoice_is_told() {
    let told = post("a new invoice", events::CREATED, created(), |interaction| {
        interaction.given("the subscriber takes events");
        interaction.response.no_content();
    });
    assert_eq!(told.await, Ok(()));
}

#[tokio::test]
async fn a_payment_is_told() {
    let told = post("a payment", events::PAID, paid(), |interaction| {
        interaction.given("the subscriber takes events");
        interaction.response.ok();
    });
    assert_eq!(told.await, Ok(()));
}

#[tokio::test]
async fn a_subscriber_that_has_gone_is_left_alone() {
    let refused = post(
        "an event for a subscriber that has gone",
        events::PAID,
        paid(),
        |interaction| {
            interaction.given("the subscription was ended");
            interaction.response.status(410);
        },
    );
    assert_eq!(refused.await, Err(Failure::Permanent("410 Gone".to_owned())));
}

#[tokio::test]
async fn a_subscriber_that_is_busy_is_told_again_later() {
    let refused = post(
        "an event for a subscriber that is busy",
        events::PAID,
        paid(),
        |interaction| {
            interaction.given("the subscriber is busy");
            interaction.response.status(503);
        },
    );
    let refused = refused.await;
    assert!(matches!(refused, Err(Failure::Retry(_))), "{refused:?}");
}
