//! user-analytics counts what billing says of invoices.

use pact_consumer::builders::MessageInteractionBuilder;
use pact_consumer::prelude::*;
use phoenix_contracts::{CURRENCY, Pair, UUID};
use serde_json::json;
use user_analytics::events::{self, Counted};

use crate::sample::{OPEN, USER};
use crate::support::{properties, received, user};

const PAIR: Pair = Pair {
    consumer: "user-analytics",
    provider: "billing",
};

fn counted(
    description: &str,
    kind: &'static str,
    build: impl FnOnce(&mut MessageInteractionBuilder),
    spent: Option<(String, i64)>,
) {
    PAIR.message(description, &properties("billing", kind), build, |message| {
        let event = received(message, &user_analytics::subscription());
        assert_eq!((event.kind.as_str(), event.source.as_str()), (kind, "billing"));
        let expected = Counted {
            user_id: Some(user()),
            spent: spent.clone(),
        };
        assert_eq!(events::read(&event.kind, &event.body).unwrap(), expected);
    });
}

#[test]
fn a_new_invoice_is_something_that_the_user_did() {
    let build = |message: &mut MessageInteractionBuilder| {
        message
            .given("there are no invoices")
            .json_body(json_pattern!({"user_id": term!(UUID, USER)}));
    };
    counted("an invoice was created", "invoice.created", build, None);
}

#[test]
fn a_payment_adds_to_what_the_user_spent() {
    let build = |message: &mut MessageInteractionBuilder| {
        message
            .given_with_params("there is an open invoice", &json!({"invoice_id": OPEN}))
            .given("the payments provider accepts charges")
            .json_body(json_pattern!({
                "user_id": term!(UUID, USER),
                "amount": {"currency": term!(CURRENCY, "EUR"), "minor_units": like!(4200)},
            }));
    };
    let spent = Some(("EUR".to_owned(), 4200));
    counted("an invoice was paid", "invoice.paid", build, spent);
}
