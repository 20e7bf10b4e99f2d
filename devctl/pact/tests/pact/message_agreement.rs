//! Our verdict on a message that was really published, and that of Pact's own verifier, to which it is served: the same,
//! for every matcher, in V3 and V4, and for every message of the sample.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use devctl_pact::index::{Contract, Interaction, Kind, Source, load};
use devctl_pact::message::{Delivery, outcome, publishable};
use devctl_pact::verify::{Verdict, reference};
use serde_json::{Value, json};

use crate::support::contract;

/// Both verdicts, which agree; ours is returned.
async fn both(contract: &Arc<Contract>, interaction: &Arc<Interaction>, deliveries: &[Delivery]) -> Verdict {
    let ours = outcome(contract, interaction, deliveries, Duration::ZERO).await.verdict;
    let theirs = reference::verify_message(contract, interaction, deliveries, Duration::ZERO)
        .await
        .verdict;
    assert_eq!(ours, theirs, "{}: {}", contract.origin, interaction.title());
    ours
}

fn message(version: &str, name: &str, contents: &Value, kind: &str, rules: &Value) -> Arc<Contract> {
    let metadata = json!({"contentType": kind, "exchange": "events", "routingKey": "a.b", "x-tenant": "blue"});
    let (list, one) = if version == "4.0" {
        let one = json!({
            "type": "Asynchronous/Messages", "description": name, "metadata": metadata, "matchingRules": rules,
            "contents": {"content": contents, "contentType": kind, "encoded": false},
        });
        ("interactions", one)
    } else {
        let one = json!({"description": name, "contents": contents, "metaData": metadata, "matchingRules": rules});
        ("messages", one)
    };
    contract(&json!({
        "consumer": {"name": "c"}, "provider": {"name": "p"}, list: [one],
        "metadata": {"pactSpecification": {"version": version}},
    }))
}

fn delivery(body: impl Into<bytes::Bytes>, kind: &str) -> Delivery {
    Delivery {
        exchange: "events".to_owned(),
        routing_key: "a.b".to_owned(),
        content_type: Some(kind.to_owned()),
        headers: [("x-tenant".to_owned(), json!("blue"))].into(),
        body: body.into(),
        ..Delivery::default()
    }
}

/// The JSON cases of the answers' corpus, as messages.
#[tokio::test]
async fn every_matcher_judges_messages_alike() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../corpus/answers.json")).unwrap();
    let mut judged = 0;
    for case in &cases {
        let response = &case["response"];
        let (Some(contents), Some(actual)) = (response["body"].get("content"), case["actual"].get("json")) else {
            continue;
        };
        let kind = "application/json";
        if case["version"] != "4.0" || case.get("pending").is_some() || response["body"]["contentType"] != kind {
            continue;
        }
        let body = response["matchingRules"]
            .get("body")
            .cloned()
            .unwrap_or_else(|| json!({}));
        for version in ["3.0.0", "4.0"] {
            let name = case["name"].as_str().unwrap();
            let contract = message(version, name, contents, kind, &json!({ "body": body }));
            let verdict = both(
                &contract,
                &contract.interactions[0],
                &[delivery(actual.to_string(), kind)],
            )
            .await;
            // Whether a promise is kept must not hang on how it is carried; a status or header is none of a message's.
            let of_body = case["actual"]["status"] == response["status"] && response.get("headers").is_none();
            if of_body && case["actual"]["contentType"] == kind {
                assert_eq!(
                    verdict == Verdict::Passed,
                    case["kept"] == true,
                    "{version} {name}: {verdict:?}"
                );
            }
            judged += 1;
        }
    }
    assert!(judged > 120, "{judged}");
}

#[tokio::test]
async fn contents_of_every_kind_and_metadata_are_judged_alike() {
    let none = json!({});
    let by_regex = json!({"metadata": {"$.x-tenant": {"matchers": [{"match": "regex", "regex": "[a-z]+"}]}}});
    let cases = [
        ("text/plain", json!("hello"), "hello", none.clone(), true),
        ("text/plain", json!("hello"), "bye", none.clone(), false),
        (
            "application/xml",
            json!("<a b='1'/>"),
            "<a b=\"1\"></a>",
            none.clone(),
            true,
        ),
        ("application/xml", json!("<a b='1'/>"), "<a b='2'/>", none, false),
        ("application/json", json!({"a": 1}), "{\"a\": 1}", by_regex, true),
    ];
    for (kind, contents, actual, rules, kept) in cases {
        for version in ["3.0.0", "4.0"] {
            let contract = message(version, "a message", &contents, kind, &rules);
            let one = Arc::clone(&contract.interactions[0]);
            let whole = both(&contract, &one, &[delivery(actual, kind)]).await;
            assert_eq!(whole == Verdict::Passed, kept, "{version} {kind} {actual}: {whole:?}");
            let mut elsewhere = delivery(actual, kind);
            elsewhere.routing_key = "b.a".to_owned();
            elsewhere.headers.clear();
            assert_ne!(both(&contract, &one, &[elsewhere]).await, Verdict::Passed);
            assert_ne!(both(&contract, &one, &[]).await, Verdict::Passed);
        }
    }
}

#[tokio::test]
async fn the_samples_messages_are_judged_alike() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts"));
    let loaded = load(&[Source::from_text("pacts")], folder).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let mut judged = 0;
    for contract in &loaded.contracts {
        for interaction in &contract.interactions {
            if !matches!(interaction.kind, Kind::Message(_)) {
                continue;
            }
            let made = publishable(contract, interaction).await.unwrap();
            let published = Delivery {
                exchange: made.exchange.unwrap_or_default(),
                routing_key: made.routing_key.unwrap_or_default(),
                content_type: made.content_type,
                properties: made.properties,
                headers: made.headers,
                body: made.body,
            };
            assert_eq!(
                both(contract, interaction, std::slice::from_ref(&published)).await,
                Verdict::Passed
            );
            let mut moved = published.clone();
            moved.routing_key.push('x');
            assert_ne!(both(contract, interaction, &[moved]).await, Verdict::Passed);
            let mut emptied = published;
            emptied.body = "{}".into();
            assert_ne!(both(contract, interaction, &[emptied]).await, Verdict::Passed);
            judged += 1;
        }
    }
    assert!(judged >= 6, "{judged}");
}
