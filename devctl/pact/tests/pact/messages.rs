//! A message that was really published is matched with everything that the pact says of it; any may match, the nearest
//! is shown; and a consumer is given a concrete message.

use std::sync::Arc;
use std::time::Duration;

use devctl_pact::difference::Part;
use devctl_pact::index::Contract;
use devctl_pact::message::{Delivery, judge, nearest, outcome, publishable};
use devctl_pact::verify::Verdict;
use serde_json::{Value, json};

use crate::support::contract;

fn paid(version: &str) -> Arc<Contract> {
    let contents = json!({"invoice_id": "i1", "amount": {"currency": "EUR", "minor_units": 4200}});
    let metadata = json!({
        "contentType": "application/json", "exchange": "domain-events", "routingKey": "invoice.paid",
        "appId": "billing", "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    });
    let rules = json!({
        "body": {
            "$.invoice_id": {"matchers": [{"match": "type"}]},
            "$.amount.minor_units": {"matchers": [{"match": "integer"}]},
        },
        "metadata": {"$.traceparent": {"matchers": [{"match": "regex", "regex": "00-[0-9a-f]{32}-[0-9a-f]{16}-01"}]}},
    });
    let generators = json!({"body": {"$.invoice_id": {"type": "Uuid"}}});
    let head = |list: &str, one: Value| {
        contract(&json!({
            "consumer": {"name": "notification"}, "provider": {"name": "billing"}, list: [one],
            "metadata": {"pactSpecification": {"version": version}},
        }))
    };
    let description = "an invoice was paid";
    if version == "4.0" {
        head(
            "interactions",
            json!({
                "type": "Asynchronous/Messages", "description": description,
                "contents": {"content": contents, "contentType": "application/json", "encoded": false},
                "metadata": metadata, "matchingRules": rules, "generators": generators,
            }),
        )
    } else {
        head(
            "messages",
            json!({
                "description": description, "contents": contents, "metaData": metadata,
                "matchingRules": rules, "generators": generators,
            }),
        )
    }
}

fn delivery() -> Delivery {
    Delivery {
        exchange: "domain-events".to_owned(),
        routing_key: "invoice.paid".to_owned(),
        content_type: Some("application/json".to_owned()),
        properties: [("app_id".to_owned(), json!("billing"))].into(),
        headers: [(
            "traceparent".to_owned(),
            json!("00-1af7651916cd43dd8448eb211c80319c-c7ad6b7169203331-01"),
        )]
        .into(),
        body: json!({"invoice_id": "other", "amount": {"currency": "EUR", "minor_units": 1}, "more": true})
            .to_string()
            .into(),
    }
}

#[tokio::test]
async fn what_was_published_is_matched_by_contents_type_headers_and_address() {
    type Change = fn(&mut Delivery);
    let cases: [(Change, Part, &str, &str); 7] = [
        (
            |d| d.routing_key = "invoice.payed".to_owned(),
            Part::Address,
            "routingKey",
            "must be equal",
        ),
        (
            |d| d.exchange = String::new(),
            Part::Address,
            "exchange",
            "must be equal",
        ),
        (
            |d| d.headers.clear(),
            Part::Metadata,
            "traceparent",
            "regular expression",
        ),
        (
            |d| d.properties = [("app_id".to_owned(), json!("auth"))].into(),
            Part::Metadata,
            "appId",
            "must be equal",
        ),
        (
            |d| d.body = r#"{"invoice_id": 5, "amount": {"currency": "EUR", "minor_units": 1}}"#.into(),
            Part::Body,
            "$.invoice_id",
            "by type",
        ),
        (
            |d| d.body = r#"{"invoice_id": "i", "amount": {"currency": "EUR"}}"#.into(),
            Part::Body,
            "$.amount",
            "",
        ),
        (
            |d| d.content_type = Some("text/plain".to_owned()),
            Part::ContentType,
            "",
            "content type",
        ),
    ];
    for version in ["3.0.0", "4.0"] {
        let contract = paid(version);
        let interaction = &contract.interactions[0];
        assert_eq!(
            judge(&contract, interaction, &delivery()).await.unwrap(),
            [],
            "{version}"
        );
        for (change, part, path, rule) in &cases {
            let mut changed = delivery();
            change(&mut changed);
            let differences = judge(&contract, interaction, &changed).await.unwrap();
            let found = differences
                .iter()
                .find(|one| one.part == *part && one.path.starts_with(path));
            let found = found.unwrap_or_else(|| panic!("{version} {path}: {differences:#?}"));
            assert!(found.rule.as_ref().unwrap().contains(rule), "{path}: {:?}", found.rule);
        }
    }
}

#[tokio::test]
async fn any_delivery_may_match_and_otherwise_the_nearest_is_shown() {
    let contract = paid("4.0");
    let interaction = &contract.interactions[0];
    let mut elsewhere = delivery();
    elsewhere.routing_key = "invoice.created".to_owned();
    let mut wrong = delivery();
    wrong.body = r#"{"amount": {"currency": "EUR", "minor_units": 1}}"#.into();

    let all = [elsewhere.clone(), wrong.clone(), delivery()];
    let judged = nearest(&contract, interaction, &all).await.unwrap();
    assert_eq!((judged.at, judged.differences.len()), (Some(2), 0));

    // One with the right contents at another address is farther than one at the right address with wrong contents.
    let judged = nearest(&contract, interaction, &all[..2]).await.unwrap();
    assert_eq!(judged.at, Some(1));
    assert!(judged.differences[0].message.contains("invoice_id"), "{judged:?}");

    let shown = outcome(&contract, interaction, &all[..1], Duration::ZERO).await;
    let exchange = shown.exchange.unwrap();
    assert_eq!(
        exchange.answer,
        "published to domain-events with the routing key invoice.created"
    );
    assert!(exchange.response_body.contains("other"));
    assert_eq!(shown.trace.unwrap(), "1af7651916cd43dd8448eb211c80319c");

    let none = outcome(&contract, interaction, &[], Duration::ZERO).await;
    let Verdict::Broken { mismatches } = &none.verdict else {
        panic!("{none:?}")
    };
    assert_eq!(
        mismatches[0].message,
        "expected a message to domain-events with the routing key invoice.paid, none was published"
    );
}

#[tokio::test]
async fn a_consumer_is_given_a_concrete_message() {
    for version in ["3.0.0", "4.0"] {
        let contract = paid(version);
        let made = publishable(&contract, &contract.interactions[0]).await.unwrap();
        assert_eq!(made.exchange.as_deref(), Some("domain-events"));
        assert_eq!(made.routing_key.as_deref(), Some("invoice.paid"));
        assert_eq!(made.content_type.as_deref(), Some("application/json"));
        assert_eq!(made.properties["app_id"], "billing");
        assert!(made.headers.contains_key("traceparent"));
        let body: Value = serde_json::from_slice(&made.body).unwrap();
        assert_eq!(body["invoice_id"].as_str().unwrap().len(), 36, "generated: {version}");
        // What a consumer is given is what a producer must publish.
        let published = Delivery {
            exchange: made.exchange.unwrap(),
            routing_key: made.routing_key.unwrap(),
            content_type: made.content_type,
            properties: made.properties,
            headers: made.headers,
            body: made.body,
        };
        assert_eq!(
            judge(&contract, &contract.interactions[0], &published).await.unwrap(),
            []
        );
    }
}
