//! The mobile app, over GraphQL.

use pact_consumer::builders::InteractionBuilder;
use pact_consumer::prelude::*;
use phoenix_contracts::{CURRENCY, EMAIL as ADDRESS, Pair, TIME, UUID};
use serde_json::{Value, json};

use crate::mobile_app::{ACTIVITY, App, AppError, CREATE_INVOICE, HOME, INVOICE, ME, Operation, PAY_INVOICE};
use crate::sample::{EMAIL, EVENT, EXPIRED, MOMENT, OPEN, PAID, TOKEN, UNKNOWN, USER};

const PAIR: Pair = Pair {
    consumer: "mobile-app",
    provider: "mobile-bff",
};

struct Exchange {
    description: &'static str,
    operation: Operation,
    variables: Value,
    token: &'static str,
}

impl Exchange {
    fn of(description: &'static str, operation: Operation, variables: Value) -> Self {
        Self {
            description,
            operation,
            variables,
            token: TOKEN,
        }
    }

    async fn answered(self, given: impl FnOnce(&mut InteractionBuilder), body: JsonPattern) -> Result<Value, AppError> {
        let server = PAIR.promise(self.description, |interaction| {
            given(interaction);
            let token = format!("Bearer {}", self.token);
            interaction
                .request
                .post()
                .path("/v1/graphql")
                .header("content-type", "application/json")
                .header("authorization", token.as_str())
                .json_body(JsonPattern::Json(App::body(self.operation, &self.variables)));
            interaction
                .response
                .ok()
                .header("content-type", "application/json")
                .json_body(body);
        });
        let app = App::new(server.url().as_str(), self.token);
        app.ask(self.operation, self.variables).await
    }
}

/// An error at `field`, which was all that was asked for. Where the field may be null, it is; else there are no data at all.
fn error(field: &str, code: &str, message: &str) -> JsonPattern {
    json_pattern!({
        "data": null,
        "errors": [{
            "message": like!(message),
            "path": [field],
            "extensions": {"code": code},
        }],
    })
}

fn code(answer: Result<Value, AppError>) -> String {
    match answer.unwrap_err() {
        AppError::Refused { code, message } => {
            assert!(!message.is_empty());
            code
        }
        AppError::Failed(error) => unreachable!("{error}"),
    }
}

#[tokio::test]
async fn who_is_signed_in() {
    let me = Exchange::of("who is signed in", ME, json!({})).answered(
        |interaction| {
            interaction.given("the caller is signed in");
        },
        json_pattern!({"data": {"me": {
            "id": term!(UUID, USER),
            "email": term!(ADDRESS, EMAIL),
            "displayName": like!("Ada"),
        }}}),
    );
    assert_eq!(me.await.unwrap()["me"]["displayName"], "Ada");
}

#[tokio::test]
async fn a_session_that_has_ended_is_told_by_its_code() {
    let exchange = Exchange {
        token: EXPIRED,
        ..Exchange::of("who is signed in, with an expired token", ME, json!({}))
    };
    let answer = exchange.answered(
        |interaction| {
            interaction.given_with_params("the token has expired", &json!({"token": EXPIRED}));
        },
        error("me", "UNAUTHENTICATED", "the token is unknown or has expired"),
    );
    assert_eq!(code(answer.await), "UNAUTHENTICATED");
}

#[tokio::test]
async fn the_first_screen() {
    let home = Exchange::of("the first screen", HOME, json!({"count": 3})).answered(
        |interaction| {
            interaction
                .given_with_params("the caller has an open invoice", &json!({"invoice_id": OPEN}))
                .given("the caller has paid an invoice");
        },
        json_pattern!({"data": {
            "me": {"displayName": like!("Ada")},
            "invoices": {
                "items": each_like!({
                    "id": term!(UUID, OPEN),
                    "description": like!("Analytical engine"),
                    "amount": {"currency": term!(CURRENCY, "EUR"), "minorUnits": like!(4200)},
                    "status": term!("^(OPEN|PAID)$", "OPEN"),
                }),
                "nextPageToken": null,
            },
            "summary": {"spent": each_like!({"currency": term!(CURRENCY, "EUR"), "minorUnits": like!(4200)})},
        }}),
    );
    let home = home.await.unwrap();
    assert_eq!(home["invoices"]["items"][0]["status"], "OPEN");
    assert_eq!(home["summary"]["spent"][0]["minorUnits"], 4200);
}

#[tokio::test]
async fn an_invoice() {
    let invoice = Exchange::of("a paid invoice", INVOICE, json!({"id": PAID})).answered(
        |interaction| {
            interaction.given_with_params("the caller has paid an invoice", &json!({"invoice_id": PAID}));
        },
        json_pattern!({"data": {"invoice": {
            "id": PAID,
            "description": like!("Analytical engine"),
            "amount": {"currency": term!(CURRENCY, "EUR"), "minorUnits": like!(4200)},
            "status": "PAID",
            "createdAt": term!(TIME, MOMENT),
            "paidAt": term!(TIME, MOMENT),
        }}}),
    );
    assert_eq!(invoice.await.unwrap()["invoice"]["status"], "PAID");
}

#[tokio::test]
async fn an_invoice_that_is_not_there_is_null_and_no_error() {
    let invoice = Exchange::of("an unknown invoice", INVOICE, json!({"id": UNKNOWN})).answered(
        |interaction| {
            interaction.given("the caller has no invoices");
        },
        json_pattern!({"data": {"invoice": null}}),
    );
    assert_eq!(invoice.await.unwrap()["invoice"], Value::Null);
}

#[tokio::test]
async fn what_the_caller_did() {
    let activity = Exchange::of("the caller's activity", ACTIVITY, json!({})).answered(
        |interaction| {
            interaction.given("the caller has paid an invoice");
        },
        json_pattern!({"data": {"activity": each_like!({
            "id": term!(UUID, EVENT),
            "type": like!("invoice.paid"),
            "occurredAt": term!(TIME, MOMENT),
        })}}),
    );
    assert_eq!(activity.await.unwrap()["activity"][0]["type"], "invoice.paid");
}

fn order(currency: &str) -> Value {
    json!({"input": {
        "description": "Analytical engine",
        "amount": {"currency": currency, "minorUnits": 4200},
        "idempotencyKey": "order-1",
    }})
}

#[tokio::test]
async fn an_invoice_is_made() {
    let made = Exchange::of("a new invoice", CREATE_INVOICE, order("EUR")).answered(
        |interaction| {
            interaction.given("the caller has no invoices");
        },
        json_pattern!({"data": {"createInvoice": {"id": term!(UUID, OPEN), "status": "OPEN"}}}),
    );
    assert_eq!(made.await.unwrap()["createInvoice"]["status"], "OPEN");
}

#[tokio::test]
async fn an_invoice_in_no_currency_is_bad_input() {
    let refused = Exchange::of("a new invoice in no currency", CREATE_INVOICE, order("euro")).answered(
        |interaction| {
            interaction.given("the caller is signed in");
        },
        error(
            "createInvoice",
            "BAD_INPUT",
            "amount.currency must be three capital letters",
        ),
    );
    assert_eq!(code(refused.await), "BAD_INPUT");
}

#[tokio::test]
async fn an_invoice_is_paid() {
    let paid = Exchange::of("a payment", PAY_INVOICE, json!({"id": OPEN})).answered(
        |interaction| {
            interaction
                .given_with_params("the caller has an open invoice", &json!({"invoice_id": OPEN}))
                .given("the caller's charges are accepted");
        },
        json_pattern!({"data": {"payInvoice": {"id": OPEN, "status": "PAID", "paidAt": term!(TIME, MOMENT)}}}),
    );
    assert_eq!(paid.await.unwrap()["payInvoice"]["status"], "PAID");
}

#[tokio::test]
async fn a_payment_that_is_declined_is_a_conflict() {
    let declined = Exchange::of("a payment that the bank declines", PAY_INVOICE, json!({"id": OPEN})).answered(
        |interaction| {
            interaction
                .given_with_params("the caller has an open invoice", &json!({"invoice_id": OPEN}))
                .given("the caller's charges are declined");
        },
        error("payInvoice", "CONFLICT", "the charge was declined: insufficient funds"),
    );
    assert_eq!(code(declined.await), "CONFLICT");
}

#[tokio::test]
async fn a_payment_may_have_to_wait() {
    let unavailable = Exchange::of(
        "a payment while the payments provider is down",
        PAY_INVOICE,
        json!({"id": OPEN}),
    )
    .answered(
        |interaction| {
            interaction
                .given_with_params("the caller has an open invoice", &json!({"invoice_id": OPEN}))
                .given("the payments provider is down");
        },
        error("payInvoice", "UNAVAILABLE", "billing (payments) is unavailable"),
    );
    assert_eq!(code(unavailable.await), "UNAVAILABLE");
}
