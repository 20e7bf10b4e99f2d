//! mobile-bff reads and pays the caller's invoices through api-gateway, with the caller's own token.

use http::StatusCode;
use mobile_bff::gateway::{Gateway, GatewayError, Money, NewInvoice, Session};
use pact_consumer::builders::InteractionBuilder;
use pact_consumer::prelude::*;
use phoenix_contracts::{CURRENCY, EMAIL as ADDRESS, Pair, TIME, UUID, problem};
use serde_json::json;

use crate::sample::{EMAIL, EVENT, EXPIRED, LIMIT, MOMENT, OPEN, PAID, TOKEN, UNKNOWN, USER};

const PAIR: Pair = Pair {
    consumer: "mobile-bff",
    provider: "api-gateway",
};

const SIGNED_IN: &str = "the caller is signed in";

/// A session of Ada's with a gateway that knows one exchange.
fn session(description: &str, build: impl FnOnce(&mut InteractionBuilder)) -> (Session, Box<dyn ValidatingMockServer>) {
    session_of(Some(TOKEN), description, |interaction| {
        let token = format!("Bearer {TOKEN}");
        interaction
            .request
            .header("authorization", term!("^Bearer .+$", &token));
        build(interaction);
    })
}

fn session_of(
    token: Option<&str>,
    description: &str,
    build: impl FnOnce(&mut InteractionBuilder),
) -> (Session, Box<dyn ValidatingMockServer>) {
    let server = PAIR.promise(description, build);
    let gateway = Gateway::new(server.url().as_str(), LIMIT).unwrap();
    (
        Session::new(gateway, token.map(|token| format!("Bearer {token}"))),
        server,
    )
}

fn ok(interaction: &mut InteractionBuilder, body: JsonPattern) {
    interaction
        .response
        .ok()
        .header("content-type", "application/json")
        .json_body(body);
}

fn invoice(id: &str, status: &str) -> JsonPattern {
    let paid_at = match status {
        "paid" => json_pattern!(term!(TIME, MOMENT)),
        _ => JsonPattern::null(),
    };
    json_pattern!({
        "id": term!(UUID, id),
        "description": like!("Analytical engine"),
        "amount": {"currency": term!(CURRENCY, "EUR"), "minor_units": like!(4200)},
        "status": status,
        "created_at": term!(TIME, MOMENT),
        "paid_at": paid_at,
    })
}

fn open_invoice(interaction: &mut InteractionBuilder) {
    interaction.given_with_params("the caller has an open invoice", &json!({"invoice_id": OPEN}));
}

fn refused<T: std::fmt::Debug>(answer: Result<T, GatewayError>) -> (StatusCode, String) {
    match answer.unwrap_err() {
        GatewayError::Refused { status, detail } => (status, detail),
        other => unreachable!("{other}"),
    }
}

#[tokio::test]
async fn the_caller() {
    let (session, _gateway) = session("who the caller is", |interaction| {
        interaction.given(SIGNED_IN);
        interaction.request.get().path("/v1/me");
        ok(
            interaction,
            json_pattern!({"id": term!(UUID, USER), "email": term!(ADDRESS, EMAIL), "display_name": like!("Ada")}),
        );
    });
    let me = session.me().await.unwrap();
    assert_eq!(
        (me.id.as_str(), me.email.as_str(), me.display_name.as_str()),
        (USER, EMAIL, "Ada")
    );
}

fn unauthorized(interaction: &mut InteractionBuilder, detail: &str) {
    interaction.request.get().path("/v1/me");
    interaction.response.header("www-authenticate", "Bearer");
    problem(&mut interaction.response, 401, "Unauthorized", detail);
}

#[tokio::test]
async fn a_token_that_has_expired_is_nobodys() {
    const WHY: &str = "the token is unknown or has expired";
    let (session, _gateway) = session_of(
        Some(EXPIRED),
        "who the caller is, with an expired token",
        |interaction| {
            interaction.given_with_params("the token has expired", &json!({"token": EXPIRED}));
            let token = format!("Bearer {EXPIRED}");
            interaction.request.header("authorization", token.as_str());
            unauthorized(interaction, WHY);
        },
    );
    assert_eq!(refused(session.me().await), (StatusCode::UNAUTHORIZED, WHY.to_owned()));
}

#[tokio::test]
async fn without_a_token_nobody_is_anybody() {
    const WHY: &str = "a bearer token is missing";
    let (session, _gateway) = session_of(None, "who the caller is, without a token", |interaction| {
        interaction.given("nobody is signed in");
        unauthorized(interaction, WHY);
    });
    assert_eq!(refused(session.me().await), (StatusCode::UNAUTHORIZED, WHY.to_owned()));
}

#[tokio::test]
async fn the_first_page_of_invoices() {
    let (session, _gateway) = session("the caller's invoices", |interaction| {
        open_invoice(interaction);
        interaction.request.get().path("/v1/invoices");
        interaction.request.query_param("page_size", term!("^[0-9]+$", "20"));
        let items = EachLike::new(invoice(OPEN, "open"));
        ok(interaction, json_pattern!({"items": items, "next_page_token": null}));
    });
    let page = session.invoices(20, None).await.unwrap();
    assert_eq!(
        (page.items[0].id.as_str(), page.items[0].status.as_str()),
        (OPEN, "open")
    );
    assert_eq!((page.items[0].paid_at.as_deref(), page.next_page_token), (None, None));
}

#[tokio::test]
async fn no_invoices() {
    let (session, _gateway) = session("the invoices of a caller who has none", |interaction| {
        interaction.given("the caller has no invoices");
        interaction
            .request
            .get()
            .path("/v1/invoices")
            .query_param("page_size", "20");
        ok(interaction, json_pattern!({"items": [], "next_page_token": null}));
    });
    assert!(session.invoices(20, None).await.unwrap().items.is_empty());
}

/// The two newest of 25, as `fixtures/data` numbers them.
const PAGE_START: &str = "0190a000-0000-7000-8000-000000000019";
const PAGE_END: &str = "0190a000-0000-7000-8000-000000000018";
/// The two after these.
const NEXT_START: &str = "0190a000-0000-7000-8000-000000000017";
const NEXT_END: &str = "0190a000-0000-7000-8000-000000000016";

#[tokio::test]
async fn a_page_that_is_not_the_last_says_how_to_go_on() {
    let (session, _gateway) = session("the first two of many invoices", |interaction| {
        interaction.given_with_params("the caller has many invoices", &json!({"count": "25"}));
        interaction
            .request
            .get()
            .path("/v1/invoices")
            .query_param("page_size", "2");
        let items = JsonPattern::Array(vec![invoice(PAGE_START, "open"), invoice(PAGE_END, "open")]);
        ok(
            interaction,
            json_pattern!({"items": items, "next_page_token": term!(UUID, PAGE_END)}),
        );
    });
    let page = session.invoices(2, None).await.unwrap();
    assert_eq!((page.items.len(), page.next_page_token.as_deref()), (2, Some(PAGE_END)));
}

#[tokio::test]
async fn the_page_after_that() {
    let (session, _gateway) = session("the next two of many invoices", |interaction| {
        interaction.given_with_params("the caller has many invoices", &json!({"count": "25"}));
        interaction
            .request
            .get()
            .path("/v1/invoices")
            .query_param("page_size", "2")
            .query_param("page_token", term!(UUID, PAGE_END));
        let items = JsonPattern::Array(vec![invoice(NEXT_START, "open"), invoice(NEXT_END, "open")]);
        ok(
            interaction,
            json_pattern!({"items": items, "next_page_token": term!(UUID, NEXT_END)}),
        );
    });
    let page = session.invoices(2, Some(PAGE_END)).await.unwrap();
    assert_eq!((page.items.len(), page.items[0].id.as_str()), (2, NEXT_START));
}

#[tokio::test]
async fn a_page_of_nothing_is_refused() {
    const WHY: &str = "page_size must be 1 to 100";
    let (session, _gateway) = session("a page of no invoices", |interaction| {
        interaction.given(SIGNED_IN);
        interaction
            .request
            .get()
            .path("/v1/invoices")
            .query_param("page_size", "0");
        problem(&mut interaction.response, 400, "Bad Request", WHY);
    });
    let answer = session.invoices(0, None).await;
    assert_eq!(refused(answer), (StatusCode::BAD_REQUEST, WHY.to_owned()));
}

#[tokio::test]
async fn one_invoice() {
    let (session, _gateway) = session("an open invoice", |interaction| {
        open_invoice(interaction);
        let path = format!("/v1/invoices/{OPEN}");
        interaction
            .request
            .get()
            .path_from_provider_state("/v1/invoices/${invoice_id}", path.as_str());
        ok(interaction, invoice(OPEN, "open"));
    });
    assert_eq!(session.invoice(OPEN).await.unwrap().unwrap().amount.minor_units, 4200);
}

#[tokio::test]
async fn an_invoice_that_is_paid_says_when() {
    let (session, _gateway) = session("a paid invoice", |interaction| {
        interaction.given_with_params("the caller has paid an invoice", &json!({"invoice_id": PAID}));
        interaction.request.get().path(format!("/v1/invoices/{PAID}"));
        ok(interaction, invoice(PAID, "paid"));
    });
    let invoice = session.invoice(PAID).await.unwrap().unwrap();
    assert_eq!(
        (invoice.status.as_str(), invoice.paid_at.as_deref()),
        ("paid", Some(MOMENT))
    );
}

#[tokio::test]
async fn an_invoice_that_is_not_there_is_none() {
    let (session, _gateway) = session("an unknown invoice", |interaction| {
        interaction.given("the caller has no invoices");
        interaction.request.get().path(format!("/v1/invoices/{UNKNOWN}"));
        problem(&mut interaction.response, 404, "Not Found", "there is no such invoice");
    });
    assert_eq!(session.invoice(UNKNOWN).await.unwrap(), None);
}

fn new_invoice(currency: &str) -> NewInvoice {
    NewInvoice {
        description: "Analytical engine".to_owned(),
        amount: Money {
            currency: currency.to_owned(),
            minor_units: 4200,
        },
    }
}

fn creation(interaction: &mut InteractionBuilder) {
    interaction
        .request
        .post()
        .path("/v1/invoices")
        .header("content-type", "application/json")
        .json_body(json_pattern!({
            "description": like!("Analytical engine"),
            "amount": {"currency": term!(CURRENCY, "EUR"), "minor_units": like!(4200)},
        }));
}

fn made(interaction: &mut InteractionBuilder) {
    interaction
        .response
        .created()
        .header("content-type", "application/json")
        .json_body(invoice(OPEN, "open"));
}

#[tokio::test]
async fn an_invoice_is_made() {
    let (session, _gateway) = session("a new invoice", |interaction| {
        interaction.given("the caller has no invoices");
        creation(interaction);
        made(interaction);
    });
    let invoice = session.create_invoice(&new_invoice("EUR"), None).await.unwrap();
    assert_eq!(invoice.status, "open");
}

#[tokio::test]
async fn with_a_key_it_is_made_once() {
    let (session, _gateway) = session("a new invoice with an idempotency key", |interaction| {
        interaction.given("the caller has no invoices");
        creation(interaction);
        interaction.request.header("idempotency-key", term!("^.+$", "order-1"));
        made(interaction);
    });
    let invoice = session.create_invoice(&new_invoice("EUR"), Some("order-1")).await;
    assert_eq!(invoice.unwrap().id, OPEN);
}

#[tokio::test]
async fn an_invoice_in_no_currency_is_refused() {
    const WHY: &str = "amount.currency must be three capital letters";
    let (session, _gateway) = session("a new invoice in no currency", |interaction| {
        interaction.given(SIGNED_IN);
        interaction
            .request
            .post()
            .path("/v1/invoices")
            .header("content-type", "application/json")
            .json_body(json_pattern!({
                "description": like!("Analytical engine"),
                "amount": {"currency": "euro", "minor_units": like!(4200)},
            }));
        problem(&mut interaction.response, 422, "Unprocessable Entity", WHY);
    });
    let answer = session.create_invoice(&new_invoice("euro"), None).await;
    assert_eq!(refused(answer), (StatusCode::UNPROCESSABLE_ENTITY, WHY.to_owned()));
}

fn payment(interaction: &mut InteractionBuilder, id: &str) {
    interaction.request.post().path(format!("/v1/invoices/{id}/payment"));
}

#[tokio::test]
async fn an_invoice_is_paid() {
    let (session, _gateway) = session("a payment", |interaction| {
        open_invoice(interaction);
        interaction.given("the caller's charges are accepted");
        payment(interaction, OPEN);
        ok(interaction, invoice(OPEN, "paid"));
    });
    let invoice = session.pay_invoice(OPEN).await.unwrap();
    assert_eq!((invoice.status.as_str(), invoice.paid_at.is_some()), ("paid", true));
}

#[tokio::test]
async fn a_payment_that_is_declined_is_a_conflict() {
    const WHY: &str = "the charge was declined: insufficient funds";
    let (session, _gateway) = session("a payment that the bank declines", |interaction| {
        open_invoice(interaction);
        interaction.given("the caller's charges are declined");
        payment(interaction, OPEN);
        problem(&mut interaction.response, 409, "Conflict", WHY);
    });
    let answer = session.pay_invoice(OPEN).await;
    assert_eq!(refused(answer), (StatusCode::CONFLICT, WHY.to_owned()));
}

#[tokio::test]
async fn a_payment_may_have_to_wait() {
    const WHY: &str = "billing (payments) is unavailable";
    let (session, _gateway) = session("a payment while the payments provider is down", |interaction| {
        open_invoice(interaction);
        interaction.given("the payments provider is down");
        payment(interaction, OPEN);
        problem(&mut interaction.response, 503, "Service Unavailable", WHY);
    });
    let answer = session.pay_invoice(OPEN).await;
    assert_eq!(refused(answer), (StatusCode::SERVICE_UNAVAILABLE, WHY.to_owned()));
}

#[tokio::test]
async fn an_invoice_that_is_not_there_is_not_paid() {
    const WHY: &str = "there is no such invoice";
    let (session, _gateway) = session("a payment of an unknown invoice", |interaction| {
        interaction.given("the caller has no invoices");
        payment(interaction, UNKNOWN);
        problem(&mut interaction.response, 404, "Not Found", WHY);
    });
    let answer = session.pay_invoice(UNKNOWN).await;
    assert_eq!(refused(answer), (StatusCode::NOT_FOUND, WHY.to_owned()));
}

#[tokio::test]
async fn what_the_caller_did() {
    let (session, _gateway) = session("the caller's activity", |interaction| {
        interaction.given("the caller has paid an invoice");
        interaction
            .request
            .get()
            .path("/v1/me/activity")
            .query_param("limit", term!("^[0-9]+$", "20"));
        let event = json_pattern!({
            "id": term!(UUID, EVENT),
            "type": like!("invoice.paid"),
            "occurred_at": term!(TIME, MOMENT),
        });
        ok(interaction, json_pattern!({"items": EachLike::new(event)}));
    });
    assert_eq!(session.activity(20).await.unwrap()[0].kind, "invoice.paid");
}

#[tokio::test]
async fn no_more_than_the_gateway_gives() {
    const WHY: &str = "limit must be 1 to 200";
    let (session, _gateway) = session("more activity than there can be asked for", |interaction| {
        interaction.given(SIGNED_IN);
        interaction
            .request
            .get()
            .path("/v1/me/activity")
            .query_param("limit", "201");
        problem(&mut interaction.response, 400, "Bad Request", WHY);
    });
    let answer = session.activity(201).await;
    assert_eq!(refused(answer), (StatusCode::BAD_REQUEST, WHY.to_owned()));
}

#[tokio::test]
async fn what_the_caller_spent() {
    let (session, _gateway) = session("the caller's summary", |interaction| {
        interaction.given("the caller has paid an invoice");
        interaction.request.get().path("/v1/me/summary");
        ok(
            interaction,
            json_pattern!({
                "events": {"invoice.paid": like!(1), "user.registered": like!(1)},
                "spent": each_like!({"currency": term!(CURRENCY, "EUR"), "minor_units": like!(4200)}),
            }),
        );
    });
    let summary = session.summary().await.unwrap();
    assert_eq!(
        (summary.events["invoice.paid"], summary.spent[0].minor_units),
        (1, 4200)
    );
}
