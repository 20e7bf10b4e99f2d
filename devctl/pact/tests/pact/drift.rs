//! What differs between the committed pacts and the written ones, also within the messages of gRPC calls.

use std::collections::BTreeSet;
use std::sync::Arc;

use devctl_pact::drift::{Verdict, drift, text};
use devctl_pact::grpc::mock::Pact;
use devctl_pact::index::{Contract, Origin, parse};
use serde_json::{Value, json};

use crate::grpc_client::billing;

fn contract(json: &Value) -> Arc<Contract> {
    let origin = Origin::Memory("pact.json".to_owned());
    Arc::new(parse(&origin, &json.to_string()).unwrap())
}

fn call(id: &str, minor_units: i64) -> Value {
    let pact = Pact::new("api-gateway", "billing", &billing()).interaction("an invoice", |i| {
        i.call("billing.v1.Billing/GetInvoice")
            .request(json!({"invoice_id": id}))
            .answer(json!({"id": id, "amount": {"currency": "EUR", "minor_units": minor_units}}))
    });
    pact.json().unwrap()
}

fn api_gateway() -> BTreeSet<String> {
    BTreeSet::from(["api-gateway".to_owned()])
}

#[test]
fn a_grpc_message_differs_in_its_fields_and_not_in_its_bytes() {
    let pairs = drift(
        &[contract(&call("a", 4200))],
        &[contract(&call("b", 4300))],
        &api_gateway(),
    );
    let differences: Vec<(String, Option<Value>, Option<Value>)> = pairs[0].changes[0]
        .differences
        .iter()
        .map(|one| (one.path.clone(), one.committed.clone(), one.written.clone()))
        .collect();
    let expected = [
        ("$.request.contents.content.invoice_id", json!("a"), json!("b")),
        (
            "$.response[0].contents.content.amount.minor_units",
            json!(4200),
            json!(4300),
        ),
        ("$.response[0].contents.content.id", json!("a"), json!("b")),
    ];
    assert_eq!(
        differences,
        expected.map(|(path, old, new)| (path.to_owned(), Some(old), Some(new)))
    );
}

#[test]
fn other_descriptors_are_a_difference_of_the_file_as_a_whole() {
    let mut other = call("a", 4200);
    other["metadata"]["plugins"][0]["version"] = json!("0.7.0");
    let pairs = drift(&[contract(&call("a", 4200))], &[contract(&other)], &api_gateway());
    assert_eq!(pairs[0].verdict, Verdict::Stale);
    let change = &pairs[0].changes[0];
    assert_eq!(
        (&change.interaction, change.differences[0].path.as_str()),
        (&None, "$.metadata.plugins[0].version")
    );
}

#[test]
fn what_a_consumer_sends_never_goes_without_saying() {
    let http = |body: Value| {
        contract(&json!({
            "consumer": {"name": "api-gateway"},
            "provider": {"name": "billing"},
            "interactions": [{
                "type": "Synchronous/HTTP",
                "description": "something",
                "request": {"method": "POST", "path": "/", "body": {"content": body, "contentType": "application/json"}},
                "response": {"status": 204},
            }],
            "metadata": {"pactSpecification": {"version": "4.0"}},
        }))
    };
    // In an interaction itself these words would be what is so anyway.
    let pairs = drift(
        &[http(json!({"pending": false, "headers": {}}))],
        &[http(json!({}))],
        &api_gateway(),
    );
    assert_eq!(pairs[0].changes[0].differences.len(), 2);
}

#[test]
fn pacts_of_other_consumers_are_none_of_the_tests_business() {
    let committed = [contract(&call("a", 4200))];
    assert_eq!(drift(&committed, &[], &BTreeSet::new()), []);
    assert_eq!(drift(&committed, &[], &api_gateway())[0].verdict, Verdict::LeftOver);
}

#[test]
fn the_same_promises_make_the_same_bytes() {
    let one = call("a", 4200);
    let mut other: Value = serde_json::from_str(&text(&[&one])).unwrap();
    other["metadata"]["pactRust"] = json!({"models": "1.2.3"});
    let reversed: serde_json::Map<String, Value> = other.as_object().unwrap().clone().into_iter().rev().collect();
    assert_eq!(text(&[&one]), text(&[&Value::Object(reversed)]));
    assert!(text(&[&one]).ends_with("}\n"));
}
