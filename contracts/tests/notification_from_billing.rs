//! notification writes a receipt for what billing says was paid.

use notification::mail;
use pact_consumer::builders::MessageInteractionBuilder;
use pact_consumer::prelude::*;
use phoenix_contracts::{EMAIL as ADDRESS, Pair, UUID};
use serde_json::json;

use crate::sample::{EMAIL, OPEN, USER};
use crate::support::{properties, received, user};

const PAIR: Pair = Pair {
    consumer: "notification",
    provider: "billing",
};

/// What the receipt is made of, and nothing else.
fn paid(message: &mut MessageInteractionBuilder, currency: &'static str, minor_units: i64) {
    message
        .given_with_params(
            "there is an open invoice",
            &json!({"invoice_id": OPEN, "currency": currency, "minor_units": minor_units.to_string()}),
        )
        .given("the payments provider accepts charges")
        .json_body(json_pattern!({
            "invoice_id": term!(UUID, OPEN),
            "user_id": term!(UUID, USER),
            "customer_email": term!(ADDRESS, EMAIL),
            "description": like!("Analytical engine"),
            "amount": {"currency": currency, "minor_units": minor_units},
        }));
}

fn receipt(description: &str, currency: &'static str, minor_units: i64, subject: &str) {
    PAIR.message(
        description,
        &properties("billing", "invoice.paid"),
        |message| paid(message, currency, minor_units),
        |message| {
            let event = received(message, &notification::subscription());
            let mail = mail::compose(&event.kind, &event.body).unwrap().unwrap();
            assert_eq!((mail.user_id, mail.recipient.as_str()), (user(), EMAIL));
            assert_eq!(mail.subject, subject);
            assert!(mail.body.contains("Analytical engine") && mail.body.contains(OPEN));
        },
    );
}

#[test]
fn a_payment_gets_a_receipt() {
    receipt("an invoice was paid", "EUR", 4200, "Your payment of 42.00 EUR");
}

#[test]
fn a_payment_in_another_currency_gets_one_too() {
    receipt("an invoice in dollars was paid", "USD", 995, "Your payment of 9.95 USD");
}
