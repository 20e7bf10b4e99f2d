//! api-gateway has billing make, list, export and pay invoices, and keep webhooks.

use api_gateway::billing::{Billing, Invoice};
use api_gateway::upstream::UpstreamError;
use devctl_pact::grpc::Code;
use devctl_pact::grpc::mock::Interaction;
use phoenix_contracts::Pair;
use proto::billing_v1::{CreateInvoiceRequest, Money};
use serde_json::{Value, json};

use crate::grpc::{LIMITS, Promised, like, promise, uuid};
use crate::sample::{EMAIL, EVENT, OPEN, PAID, UNKNOWN, USER};

const PAIR: Pair = Pair {
    consumer: "api-gateway",
    provider: "billing",
};
const CREATE: &str = "billing.v1.Billing/CreateInvoice";
const GET: &str = "billing.v1.Billing/GetInvoice";
const LIST: &str = "billing.v1.Billing/ListInvoices";
const EXPORT: &str = "billing.v1.Billing/ExportInvoices";
const PAY: &str = "billing.v1.Billing/PayInvoice";
const CREATE_ENDPOINT: &str = "billing.v1.Webhooks/CreateEndpoint";
const LIST_DELIVERIES: &str = "billing.v1.Webhooks/ListDeliveries";

/// A client of a billing that knows one call.
async fn billing(description: &str, build: impl FnOnce(Interaction) -> Interaction) -> (Billing, Promised) {
    let promised = promise(PAIR, "billing/v1/billing.proto", description, build).await;
    (Billing::new(&promised.url(), LIMITS, LIMITS).unwrap(), promised)
}

fn open(id: &str) -> Value {
    json!({
        "id": uuid(id),
        "description": like("Analytical engine"),
        "amount": {"currency": "matching(regex, '[A-Z]{3}', 'EUR')", "minor_units": "matching(integer, 4200)"},
        "status": "INVOICE_STATUS_OPEN",
        "created_at": "matching(type, '2026-01-02T03:04:05.678Z')",
    })
}

fn paid(id: &str) -> Value {
    let mut invoice = open(id);
    invoice["status"] = json!("INVOICE_STATUS_PAID");
    invoice["paid_at"] = json!("matching(type, '2026-01-02T03:05:00Z')");
    invoice["payment_id"] = json!(like("ch_1"));
    invoice
}

fn one(id: &str) -> Value {
    json!({"invoice_id": id, "user_id": uuid(USER)})
}

fn open_state(call: Interaction) -> Interaction {
    call.given_with("there is an open invoice", json!({"invoice_id": OPEN, "user_id": USER}))
}

fn refusal(error: &UpstreamError) -> (tonic::Code, &str) {
    match error {
        UpstreamError::Grpc { status, .. } => (status.code(), status.message()),
        other => unreachable!("{other}"),
    }
}

fn check_open(invoice: &Invoice) {
    assert_eq!((invoice.status, invoice.amount.minor_units), ("open", 4200));
    assert_eq!(invoice.created_at, "2026-01-02T03:04:05.678Z");
    assert_eq!((&invoice.paid_at, &invoice.payment_id), (&None, &None));
}

fn check_paid(invoice: &Invoice) {
    assert_eq!((invoice.status, invoice.payment_id.as_deref()), ("paid", Some("ch_1")));
    assert_eq!(invoice.paid_at.as_deref(), Some("2026-01-02T03:05:00.000Z"));
}

fn creation(currency: &str, key: &str) -> CreateInvoiceRequest {
    CreateInvoiceRequest {
        user_id: USER.to_owned(),
        customer_email: EMAIL.to_owned(),
        description: "Analytical engine".to_owned(),
        amount: Some(Money {
            currency: currency.to_owned(),
            minor_units: 4200,
        }),
        idempotency_key: key.to_owned(),
    }
}

fn creation_shape(currency: &str) -> Value {
    json!({
        "user_id": uuid(USER),
        "customer_email": like(EMAIL),
        "description": like("Analytical engine"),
        "amount": {"currency": currency, "minor_units": "matching(integer, 4200)"},
    })
}

#[tokio::test]
async fn an_invoice_is_made() {
    let (billing, promised) = billing("a new invoice", |call| {
        call.given("there are no invoices")
            .call(CREATE)
            .request(creation_shape("matching(regex, '[A-Z]{3}', 'EUR')"))
            .answer(open(OPEN))
    })
    .await;
    check_open(&billing.create(creation("EUR", "")).await.unwrap());
    promised.kept().await;
}

#[tokio::test]
async fn an_invoice_is_made_with_a_key() {
    let (billing, promised) = billing("a new invoice with an idempotency key", |call| {
        let mut shape = creation_shape("matching(regex, '[A-Z]{3}', 'EUR')");
        shape["idempotency_key"] = json!(like("order-1"));
        call.given("there are no invoices")
            .call(CREATE)
            .request(shape)
            .answer(open(OPEN))
    })
    .await;
    check_open(&billing.create(creation("EUR", "order-1")).await.unwrap());
    promised.kept().await;
}

#[tokio::test]
async fn the_same_key_gives_the_first_invoice() {
    let (billing, promised) = billing("the same invoice again", |call| {
        let mut shape = creation_shape("matching(regex, '[A-Z]{3}', 'EUR')");
        shape["idempotency_key"] = json!(like("order-1"));
        let mut first = open(OPEN);
        first["id"] = json!(OPEN);
        call.given_with(
            "there is an invoice with an idempotency key",
            json!({"invoice_id": OPEN, "user_id": USER, "key": "order-1"}),
        )
        .call(CREATE)
        .request(shape)
        .answer(first)
    })
    .await;
    assert_eq!(billing.create(creation("EUR", "order-1")).await.unwrap().id, OPEN);
    promised.kept().await;
}

#[tokio::test]
async fn an_invoice_in_no_currency_is_refused() {
    const WHY: &str = "amount.currency must be three capital letters";
    let (billing, promised) = billing("a new invoice in no currency", |call| {
        call.given("there are no invoices")
            .call(CREATE)
            .request(creation_shape("euro"))
            .refuse(Code::InvalidArgument, WHY)
    })
    .await;
    let error = billing.create(creation("euro", "")).await.unwrap_err();
    assert_eq!(refusal(&error), (tonic::Code::InvalidArgument, WHY));
    promised.kept().await;
}

#[tokio::test]
async fn an_open_invoice() {
    let (billing, promised) = billing("an open invoice", |call| {
        open_state(call).call(GET).request(one(OPEN)).answer(open(OPEN))
    })
    .await;
    check_open(&billing.get(USER, OPEN).await.unwrap());
    promised.kept().await;
}

#[tokio::test]
async fn a_paid_invoice() {
    let (billing, promised) = billing("a paid invoice", |call| {
        call.given_with("there is a paid invoice", json!({"invoice_id": PAID, "user_id": USER}))
            .call(GET)
            .request(one(PAID))
            .answer(paid(PAID))
    })
    .await;
    check_paid(&billing.get(USER, PAID).await.unwrap());
    promised.kept().await;
}

#[tokio::test]
async fn an_invoice_that_is_not_there() {
    let (billing, promised) = billing("an unknown invoice", |call| {
        call.given("there are no invoices")
            .call(GET)
            .request(one(UNKNOWN))
            .refuse(Code::NotFound, &like("there is no such invoice"))
    })
    .await;
    let error = billing.get(USER, UNKNOWN).await.unwrap_err();
    assert_eq!(refusal(&error).0, tonic::Code::NotFound);
    promised.kept().await;
}

#[tokio::test]
async fn another_users_invoice_is_not_there_either() {
    const OTHER: &str = "0190a000-0000-7000-8000-000000000002";
    let (billing, promised) = billing("another user's invoice", |call| {
        open_state(call)
            .call(GET)
            .request(json!({"invoice_id": OPEN, "user_id": OTHER}))
            .refuse(Code::NotFound, &like("there is no such invoice"))
    })
    .await;
    let error = billing.get(OTHER, OPEN).await.unwrap_err();
    assert_eq!(refusal(&error).0, tonic::Code::NotFound);
    promised.kept().await;
}

#[tokio::test]
async fn nonsense_for_an_id_is_refused() {
    const WHY: &str = "invoice_id is not a UUID";
    let (billing, promised) = billing("an invoice by no id", |call| {
        call.given("there are no invoices")
            .call(GET)
            .request(one("seventeen"))
            .refuse(Code::InvalidArgument, WHY)
    })
    .await;
    let error = billing.get(USER, "seventeen").await.unwrap_err();
    assert_eq!(refusal(&error), (tonic::Code::InvalidArgument, WHY));
    promised.kept().await;
}

#[tokio::test]
async fn a_page_of_invoices() {
    let (billing, promised) = billing("a page of invoices", |call| {
        open_state(call)
            .call(LIST)
            .request(json!({"user_id": uuid(USER), "page_size": "matching(integer, 20)"}))
            .answer(json!({"invoices": [open(OPEN)], "next_page_token": ""}))
    })
    .await;
    let page = billing.list(USER, 20, "").await.unwrap();
    check_open(&page.items[0]);
    assert_eq!((page.items.len(), page.next_page_token), (1, None));
    promised.kept().await;
}

#[tokio::test]
async fn a_page_with_a_paid_invoice() {
    let (billing, promised) = billing("a page with a paid invoice", |call| {
        call.given_with("there is a paid invoice", json!({"invoice_id": PAID, "user_id": USER}))
            .call(LIST)
            .request(json!({"user_id": uuid(USER), "page_size": "matching(integer, 20)"}))
            .answer(json!({"invoices": [paid(PAID)], "next_page_token": ""}))
    })
    .await;
    check_paid(&billing.list(USER, 20, "").await.unwrap().items[0]);
    promised.kept().await;
}

#[tokio::test]
async fn no_invoices() {
    let (billing, promised) = billing("a page of no invoices", |call| {
        call.given("there are no invoices")
            .call(LIST)
            .request(json!({"user_id": uuid(USER), "page_size": "matching(integer, 20)"}))
            .answer(json!({"invoices": [], "next_page_token": ""}))
    })
    .await;
    assert!(billing.list(USER, 20, "").await.unwrap().items.is_empty());
    promised.kept().await;
}

/// Invoices of 25, newest first, as `fixtures/data` numbers them.
const NUMBERED: [&str; 4] = [
    "0190a000-0000-7000-8000-000000000019",
    "0190a000-0000-7000-8000-000000000018",
    "0190a000-0000-7000-8000-000000000017",
    "0190a000-0000-7000-8000-000000000016",
];

fn many(call: Interaction) -> Interaction {
    call.given_with("there are many invoices", json!({"user_id": USER, "count": "25"}))
}

#[tokio::test]
async fn a_page_that_is_not_the_last_says_how_to_go_on() {
    let [first, second, ..] = NUMBERED;
    let (billing, promised) = billing("the first two of many invoices", |call| {
        many(call)
            .call(LIST)
            .request(json!({"user_id": uuid(USER), "page_size": 2}))
            .answer(json!({"invoices": [open(first), open(second)], "next_page_token": uuid(second)}))
    })
    .await;
    let page = billing.list(USER, 2, "").await.unwrap();
    assert_eq!((page.items.len(), page.next_page_token.as_deref()), (2, Some(second)));
    promised.kept().await;
}

#[tokio::test]
async fn the_page_after_that() {
    let [_, before, first, second] = NUMBERED;
    let (billing, promised) = billing("the next two of many invoices", |call| {
        many(call)
            .call(LIST)
            .request(json!({"user_id": uuid(USER), "page_size": 2, "page_token": uuid(before)}))
            .answer(json!({"invoices": [open(first), open(second)], "next_page_token": uuid(second)}))
    })
    .await;
    let page = billing.list(USER, 2, before).await.unwrap();
    assert_eq!(page.items[0].id, first);
    promised.kept().await;
}

#[tokio::test]
async fn nonsense_for_a_page_is_refused() {
    const WHY: &str = "page_token is not a UUID";
    let (billing, promised) = billing("a page by no token", |call| {
        call.given("there are no invoices")
            .call(LIST)
            .request(json!({"user_id": uuid(USER), "page_size": 2, "page_token": "next"}))
            .refuse(Code::InvalidArgument, WHY)
    })
    .await;
    let error = billing.list(USER, 2, "next").await.unwrap_err();
    assert_eq!(refusal(&error), (tonic::Code::InvalidArgument, WHY));
    promised.kept().await;
}

#[tokio::test]
async fn every_invoice_comes_one_by_one() {
    let [_, _, second, first] = NUMBERED;
    let (billing, promised) = billing("an export of two invoices", |call| {
        call.given_with("there are many invoices", json!({"user_id": USER, "count": "2"}))
            .call(EXPORT)
            .request(json!({"user_id": uuid(USER)}))
            .answer(open(first))
            .answer(open(second))
    })
    .await;
    let mut export = billing.export(USER).await.unwrap();
    let mut ids = Vec::new();
    while let Some(message) = export.message().await.unwrap() {
        ids.push(api_gateway::billing::invoice(message).id);
    }
    assert_eq!(ids, [first, second]);
    promised.kept().await;
}

#[tokio::test]
async fn an_export_of_nothing_ends_well() {
    let (billing, promised) = billing("an export of no invoices", |call| {
        call.given("there are no invoices")
            .call(EXPORT)
            .request(json!({"user_id": uuid(USER)}))
    })
    .await;
    assert_eq!(billing.export(USER).await.unwrap().message().await.unwrap(), None);
    promised.kept().await;
}

#[tokio::test]
async fn an_invoice_is_paid() {
    let (billing, promised) = billing("a payment", |call| {
        open_state(call)
            .given("the payments provider accepts charges")
            .call(PAY)
            .request(one(OPEN))
            .answer(paid(OPEN))
    })
    .await;
    check_paid(&billing.pay(USER, OPEN).await.unwrap());
    promised.kept().await;
}

#[tokio::test]
async fn paying_again_changes_nothing() {
    let (billing, promised) = billing("a payment of a paid invoice", |call| {
        let mut invoice = paid(PAID);
        invoice["payment_id"] = json!("ch_1");
        call.given_with(
            "there is a paid invoice",
            json!({"invoice_id": PAID, "user_id": USER, "payment_id": "ch_1"}),
        )
        .call(PAY)
        .request(one(PAID))
        .answer(invoice)
    })
    .await;
    check_paid(&billing.pay(USER, PAID).await.unwrap());
    promised.kept().await;
}

#[tokio::test]
async fn a_payment_that_is_declined_says_why() {
    const WHY: &str = "the charge was declined: insufficient funds";
    let (billing, promised) = billing("a payment that the bank declines", |call| {
        open_state(call)
            .given("the payments provider declines charges")
            .call(PAY)
            .request(one(OPEN))
            .refuse(Code::FailedPrecondition, &like(WHY))
    })
    .await;
    let error = billing.pay(USER, OPEN).await.unwrap_err();
    assert_eq!(refusal(&error), (tonic::Code::FailedPrecondition, WHY));
    promised.kept().await;
}

#[tokio::test]
async fn a_payment_may_have_to_wait() {
    let (billing, promised) = billing("a payment while the payments provider is down", |call| {
        open_state(call)
            .given("the payments provider is down")
            .call(PAY)
            .request(one(OPEN))
            .refuse(Code::Unavailable, &like("the payments provider is unavailable"))
    })
    .await;
    let error = billing.pay(USER, OPEN).await.unwrap_err();
    assert_eq!(refusal(&error).0, tonic::Code::Unavailable);
    promised.kept().await;
}

#[tokio::test]
async fn an_invoice_that_is_not_there_is_not_paid() {
    let (billing, promised) = billing("a payment of an unknown invoice", |call| {
        call.given("there are no invoices")
            .call(PAY)
            .request(one(UNKNOWN))
            .refuse(Code::NotFound, &like("there is no such invoice"))
    })
    .await;
    let error = billing.pay(USER, UNKNOWN).await.unwrap_err();
    assert_eq!(refusal(&error).0, tonic::Code::NotFound);
    promised.kept().await;
}

const HOOK: &str = "http://subscriber:8080/hooks/phoenix";

#[tokio::test]
async fn a_webhook_is_kept_and_its_secret_told_once() {
    let (billing, promised) = billing("a new webhook", |call| {
        call.given("there are no invoices")
            .call(CREATE_ENDPOINT)
            .request(json!({"user_id": uuid(USER), "url": like(HOOK)}))
            .answer(json!({
                "id": uuid(EVENT),
                "url": like(HOOK),
                "secret": "matching(regex, 'whsec_[0-9a-f]{64}', 'whsec_00000000000000000000000000000000000000000000000000000000000000ff')",
            }))
    })
    .await;
    let endpoint = billing.create_endpoint(USER, HOOK).await.unwrap();
    assert!(endpoint.url == HOOK && endpoint.secret.starts_with("whsec_"));
    promised.kept().await;
}

#[tokio::test]
async fn a_webhook_to_nowhere_is_refused() {
    const WHY: &str = "url must be an http URL with a host";
    let (billing, promised) = billing("a webhook to nowhere", |call| {
        call.given("there are no invoices")
            .call(CREATE_ENDPOINT)
            .request(json!({"user_id": uuid(USER), "url": "/hooks/phoenix"}))
            .refuse(Code::InvalidArgument, WHY)
    })
    .await;
    let error = billing.create_endpoint(USER, "/hooks/phoenix").await.unwrap_err();
    assert_eq!(refusal(&error), (tonic::Code::InvalidArgument, WHY));
    promised.kept().await;
}

#[tokio::test]
async fn what_became_of_webhooks() {
    let (billing, promised) = billing("the deliveries of a user", |call| {
        call.given_with(
            "a webhook was given up",
            json!({"user_id": USER, "url": HOOK, "event_id": EVENT}),
        )
        .call(LIST_DELIVERIES)
        .request(json!({"user_id": uuid(USER)}))
        .answer(json!({"deliveries": [{
            "event_id": uuid(EVENT),
            "event_type": like("invoice.paid"),
            "url": like(HOOK),
            "status": "DELIVERY_STATUS_DEAD",
            "attempts": "matching(integer, 8)",
            "last_error": like("503 Service Unavailable"),
        }]}))
    })
    .await;
    let deliveries = billing.deliveries(USER).await.unwrap();
    assert_eq!((deliveries[0].status, deliveries[0].attempts), ("dead", 8));
    assert_eq!(deliveries[0].last_error.as_deref(), Some("503 Service Unavailable"));
    promised.kept().await;
}

#[tokio::test]
async fn no_webhooks() {
    let (billing, promised) = billing("the deliveries of a user without webhooks", |call| {
        call.given("there are no invoices")
            .call(LIST_DELIVERIES)
            .request(json!({"user_id": uuid(USER)}))
            .answer(json!({"deliveries": []}))
    })
    .await;
    assert!(billing.deliveries(USER).await.unwrap().is_empty());
    promised.kept().await;
}
