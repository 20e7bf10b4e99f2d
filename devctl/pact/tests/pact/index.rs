//! Pacts are found, read whatever their version is, and a broken one is named to the line.

use std::error::Error as _;
use std::fs;
use std::path::Path;

use devctl_pact::index::{Index, Kind, LoadError, Source, load};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{contract, http, pact, read};

fn write(folder: &Path, name: &str, json: &Value) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, json.to_string()).unwrap();
}

fn named(consumer: &str, provider: &str) -> Value {
    let mut json = pact(&json!([http(
        "a list",
        &json!({"method": "GET", "path": "/a"}),
        &json!({"status": 200})
    )]));
    json["consumer"]["name"] = json!(consumer);
    json["provider"]["name"] = json!(provider);
    json
}

#[test]
fn every_version_becomes_the_same_model() {
    let interaction = json!({
        "description": "one item",
        "request": {"method": "get", "path": "/items/1", "query": "full=yes"},
        "response": {"status": 200, "body": {"id": 1}, "matchingRules": {"$.body.id": {"match": "type"}}},
    });
    let mut v2 = pact(&json!([interaction]));
    v2["interactions"][0]["providerState"] = json!("there is an item");
    v2["metadata"]["pactSpecification"]["version"] = json!("2.0.0");
    let mut v3 = pact(&json!([interaction]));
    v3["interactions"][0]["providerStates"] = json!([{"name": "there is an item"}]);
    v3["interactions"][0]["request"]["query"] = json!({"full": ["yes"]});
    v3["interactions"][0]["response"]["matchingRules"] = json!({"body": {"$.id": {"matchers": [{"match": "type"}]}}});
    v3["metadata"]["pactSpecification"]["version"] = json!("3.0.0");
    let mut v4 = v3.clone();
    v4["interactions"][0]["type"] = json!("Synchronous/HTTP");
    v4["interactions"][0]["response"]["body"] = json!({"content": {"id": 1}, "contentType": "application/json"});
    v4["metadata"]["pactSpecification"]["version"] = json!("4.0");

    let ids: Vec<String> = [v2, v3, v4]
        .iter()
        .map(|json| {
            let contract = contract(json);
            let [interaction] = &contract.interactions[..] else {
                panic!("one interaction, not {}", contract.interactions.len());
            };
            assert_eq!(interaction.title(), "one item (given there is an item)");
            let Kind::Http(http) = &interaction.kind else {
                panic!("{}", interaction.kind.name());
            };
            assert_eq!(http.request.query.as_ref().unwrap()["full"], [Some("yes".to_owned())]);
            assert!(
                http.response
                    .matching_rules
                    .rules_for_category("body")
                    .unwrap()
                    .is_not_empty()
            );
            interaction.id.to_string()
        })
        .collect();
    assert_eq!(ids[0], ids[1], "a new version of the format is no new promise");
    assert_eq!(ids[1], ids[2]);
}

#[test]
fn messages_of_v3_and_v4_are_read() {
    let v3 = json!({
        "consumer": {"name": "mailer"}, "provider": {"name": "shop"},
        "messages": [{"description": "an order was placed", "contents": {"id": 1}, "metaData": {"contentType": "application/json"}}],
        "metadata": {"pactSpecification": {"version": "3.0.0"}},
    });
    let v4 = pact(&json!([
        {"type": "Asynchronous/Messages", "description": "an order was placed", "pending": true,
         "comments": {"text": ["as agreed"]}, "contents": {"content": {"id": 1}, "contentType": "application/json"}},
        {"type": "Synchronous/Messages", "description": "a price", "request": {"contents": {"content": "a"}},
         "response": [{"contents": {"content": "b"}}]},
    ]));
    assert_eq!(contract(&v3).interactions[0].kind.name(), "message");
    let v4 = contract(&v4);
    assert_eq!(v4.interactions[0].kind.name(), "message");
    assert!(v4.interactions[0].pending);
    assert_eq!(v4.interactions[0].comments["text"], json!(["as agreed"]));
    assert_eq!(v4.interactions[1].kind.name(), "sync-message");
}

#[test]
fn interactions_of_one_description_have_ids_of_their_own() {
    let one = http("a", &json!({"method": "GET", "path": "/a"}), &json!({"status": 200}));
    let contract = contract(&pact(&json!([one, one])));
    assert_ne!(contract.interactions[0].id, contract.interactions[1].id);
}

#[tokio::test]
async fn folders_and_globs_are_searched_to_any_depth_and_copies_count_once() {
    let folder = TempDir::new().unwrap();
    let shop = named("web", "shop");
    write(folder.path(), "web-shop.json", &shop);
    write(folder.path(), "deep/er/app-shop.json", &named("app", "shop"));
    write(folder.path(), "deep/web-bank.json", &named("web", "bank"));
    write(folder.path(), "copy/web-shop.json", &shop);
    write(folder.path(), ".hidden/other.json", &named("other", "shop"));
    fs::write(folder.path().join("README.md"), "no pact").unwrap();

    let loaded = load(&[Source::from_text(".")], folder.path()).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let index = Index::new(loaded.contracts);
    assert_eq!(index.consumers(), ["app", "web"]);
    assert_eq!(index.providers(), ["bank", "shop"]);
    assert_eq!(index.between("web", "shop").len(), 1);
    assert_eq!(index.of_provider("shop").count(), 2);
    assert_eq!(index.of_consumer("web").count(), 2);
    assert_eq!(index.operations("shop", "get", "/a").len(), 2);
    assert!(index.operations("shop", "GET", "/b").is_empty());

    let loaded = load(&[Source::from_text("**/*-shop.json")], folder.path()).await;
    let mut pairs: Vec<String> = loaded.contracts.iter().map(|contract| contract.pair()).collect();
    pairs.sort();
    assert_eq!(pairs, ["app -> shop", "web -> shop"]);
}

#[tokio::test]
async fn every_problem_is_told_with_its_place() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("broken.json"), "{\n  \"consumer\": {,}\n}").unwrap();
    write(folder.path(), "good.json", &named("web", "shop"));
    let loaded = load(
        &["broken.json", "good.json", "missing.json", "none/*.json"].map(Source::from_text),
        folder.path(),
    )
    .await;
    assert_eq!(loaded.contracts.len(), 1, "one broken file hides no other");
    let [
        LoadError::Syntax { line, column, .. },
        LoadError::Read { .. },
        LoadError::Read { .. },
        LoadError::Nothing { .. },
    ] = &loaded.problems[..]
    else {
        panic!("{:#?}", loaded.problems);
    };
    assert_eq!((*line, *column), (2, 16));
    let told = loaded.problems[0].to_string();
    assert!(
        told.starts_with("parse ") && told.ends_with("broken.json:2:16"),
        "{told}"
    );
    assert!(loaded.problems[0].source().is_some());
}

#[test]
fn what_is_no_pact_is_named_to_the_line() {
    let cases = [
        ("{}", "understand a.json:1: `consumer.name` is missing: this is no pact"),
        (
            r#"{"consumer":{"name":"a"},"provider":{"name":"b"}}"#,
            "understand a.json:1: a pact has a list of `interactions` (or, for messages of V3, of `messages`); this has neither",
        ),
        (
            "{\"consumer\":{\"name\":\"a\"},\"provider\":{\"name\":\"b\"},\"interactions\":[\n{\"description\":\"x\",\"request\":{}}]}",
            "understand a.json:2: `x` has no `response`",
        ),
        (
            "{\"consumer\":{\"name\":\"a\"},\"provider\":{\"name\":\"b\"},\"interactions\":[\n\n{\"type\":\"Carrier/Pigeon\",\"description\":\"x\"}],\
             \"metadata\":{\"pactSpecification\":{\"version\":\"4.0\"}}}",
            "understand a.json:3: `x` has the type `Carrier/Pigeon`; V4 knows Synchronous/HTTP, Asynchronous/Messages and Synchronous/Messages",
        ),
    ];
    for (text, expected) in cases {
        let error = read(text).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(error.help().is_some());
    }
}

#[tokio::test]
async fn pacts_are_fetched_from_a_url_and_its_password_is_not_shown() {
    let served = named("web", "shop").to_string();
    let app = axum::Router::new().route(
        "/pact",
        axum::routing::get(|headers: http::HeaderMap| async move {
            match headers.get("authorization").and_then(|value| value.to_str().ok()) {
                Some("Basic dXNlcjpzZWNyZXQ=") => Ok(served),
                _ => Err(http::StatusCode::UNAUTHORIZED),
            }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let right = Source::from_text(&format!("http://user:secret@{address}/pact"));
    let wrong = Source::from_text(&format!("http://user:wrong@{address}/pact"));
    let loaded = load(&[right, wrong], Path::new("/")).await;
    server.abort();
    assert_eq!(loaded.contracts.len(), 1);
    assert_eq!(loaded.contracts[0].origin.to_string(), format!("http://{address}/pact"));
    let [problem] = &loaded.problems[..] else {
        panic!("{:?}", loaded.problems);
    };
    let told = format!("{problem}: {}", problem.source().unwrap());
    assert!(told.contains("401") && !told.contains("wrong"), "{told}");
}
