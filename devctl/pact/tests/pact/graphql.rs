//! GraphQL operations in HTTP pacts: the same however they are written, and held against the provider's schema.

use std::collections::HashMap;
use std::sync::Arc;

use devctl_pact::graphql::{Operation, Schema};
use devctl_pact::index::{Contract, Kind};
use devctl_pact::verify::{HttpVerifier, NoStates, Target, Verdict};
use serde_json::{Value, json};

use crate::provider::{Answer, Provider, respond};
use crate::support::{ask, body, contract, http as interaction, pact, stub};

const SDL: &str = include_str!("../../../../contracts/graphql/mobile-bff.graphql");
const QUERY: &str = "query Page($size: Int!) { invoices(pageSize: $size) { items { id amount { currency minorUnits } } nextPageToken } }";

fn operation(description: &str, query: &str, variables: &Value, answer: &Value) -> Value {
    interaction(
        description,
        &json!({
            "method": "POST", "path": "/graphql", "headers": {"content-type": ["application/json"]},
            "body": {"content": {"query": query, "variables": variables}, "contentType": "application/json"},
            "matchingRules": {"body": {"$.variables.size": {"matchers": [{"match": "integer"}]}}},
        }),
        &json!({"status": 200, "headers": {"content-type": ["application/json"]},
                "body": {"content": answer, "contentType": "application/json"}}),
    )
}

fn page() -> Value {
    operation(
        "a page",
        QUERY,
        &json!({"size": 2}),
        &json!({"data": {"invoices": {"items": []}}}),
    )
}

#[tokio::test]
async fn a_query_that_asks_for_the_same_is_answered() {
    let me = operation(
        "me",
        "{ me { id email } }",
        &json!({}),
        &json!({"data": {"me": {"id": "1"}}}),
    );
    let stub = stub(&json!([page(), me]));
    let asked = |query: &str, variables: Value| json!({"query": query, "variables": variables, "operationName": null});
    for query in [
        QUERY,
        "query P($size: Int!) {\n  invoices(pageSize: $size) {\n    nextPageToken\n    items { ...I }\n  }\n}\nfragment I on Invoice { amount { minorUnits currency } id }",
    ] {
        let answered = ask(&stub, "POST", "/graphql", Some(&asked(query, json!({"size": 5})))).await;
        assert_eq!(answered.status(), 200, "{query}: {:#}", body(&answered));
        assert_eq!(body(&answered)["data"]["invoices"]["items"], json!([]));
    }
    let answered = ask(
        &stub,
        "POST",
        "/graphql",
        Some(&json!({"query": "query { me { email id } }"})),
    )
    .await;
    assert_eq!(body(&answered)["data"]["me"]["id"], "1");

    let wrong = ask(&stub, "POST", "/graphql", Some(&asked(QUERY, json!({"size": "5"})))).await;
    assert_eq!(wrong.status(), 501, "variables are matched by their rules");
    assert_eq!(body(&wrong)["nearest"]["differences"][0]["path"], "$.variables.size");
}

#[tokio::test]
async fn a_query_for_something_else_is_refused_by_its_fields() {
    let stub = stub(&json!([
        operation(
            "a summary",
            "{ summary { spent { currency } } }",
            &json!({}),
            &json!({})
        ),
        operation("me", "{ me { id email } }", &json!({}), &json!({})),
    ]));
    let refused = ask(
        &stub,
        "POST",
        "/graphql",
        Some(&json!({"query": "{ me { id email phone } }", "variables": {}})),
    )
    .await;
    assert_eq!(refused.status(), 501);
    let told = body(&refused);
    assert_eq!(told["nearest"]["description"], "me");
    assert_eq!(
        told["nearest"]["differences"][0]["message"],
        "the query asks for something else: it also asks for `me.phone`"
    );
}

fn of(contract: &Contract) -> Operation {
    let Kind::Http(http) = &contract.interactions[0].kind else {
        unreachable!("an HTTP interaction")
    };
    Operation::of(&http.request).unwrap()
}

#[test]
fn an_operation_is_held_against_the_schema_with_the_schemas_line() {
    let schema = Schema::parse("contracts/graphql/mobile-bff.graphql", SDL).unwrap();
    let checked = |query: &str, variables: Value| {
        let contract = contract(&pact(&json!([operation(
            "an operation",
            query,
            &variables,
            &json!({})
        )])));
        schema.check(&of(&contract))
    };
    assert_eq!(checked(QUERY, json!({"size": 2})), []);
    let line = |text: &str| 1 + SDL.lines().position(|line| line.starts_with(text)).unwrap();

    let found = checked("{ me { id phone } }", json!({}));
    let place = format!("contracts/graphql/mobile-bff.graphql:{}", line("type User"));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].path, "$.query");
    assert_eq!(
        found[0].message,
        format!("type `User` does not have a field `phone` ({place}), which line 1 of the query asks for")
    );
    let found = checked(
        "query ($id: ID!) { invoice(id: $id, year: 5) { id } }",
        json!({"id": "1"}),
    );
    assert!(
        found[0].message.contains("year") && found[0].message.contains("mobile-bff.graphql:"),
        "{found:?}"
    );
    let found = checked(QUERY, json!({"size": "two"}));
    assert_eq!(found[0].path, "$.variables");
    let found = checked("{ me { ", json!({}));
    assert!(
        found.iter().any(|one| one.message.starts_with("syntax error")),
        "{found:?}"
    );
}

#[test]
fn a_schema_that_is_none_says_where() {
    let error = Schema::parse("a.graphql", "type Query {\n  a: Missing\n}").unwrap_err();
    assert!(error.to_string().contains("a.graphql:2:"), "{error}");
}

#[tokio::test]
async fn a_removed_field_breaks_the_promise_and_is_named() {
    let answer = json!({"data": {"me": {"id": "1", "email": "a@b.c"}}});
    let one = operation("me", "{ me { id email } }", &json!({}), &answer);
    let contract: Arc<Contract> = contract(&pact(&json!([one])));
    let verdict = async |sdl: &str, answer: Value| {
        let actual = json!({"status": 200, "contentType": "application/json", "json": answer});
        let answers: HashMap<String, Answer> = [(
            "/graphql".to_owned(),
            Box::new(move |_: &_, _: &_| respond(&actual)) as Answer,
        )]
        .into();
        let provider = Provider::new(answers).await;
        let verifier = HttpVerifier::new(Target::new(provider.url())).unwrap();
        let verifier = verifier.with_schema(Schema::parse("bff.graphql", sdl).unwrap());
        verifier
            .verify(&contract, &contract.interactions[0], &NoStates)
            .await
            .verdict
    };
    assert_eq!(verdict(SDL, answer.clone()).await, Verdict::Passed);
    let removed = SDL.replace("\temail: String!\n", "");
    assert_ne!(removed, SDL);
    let broken = verdict(&removed, json!({"errors": [{"message": "no such field"}]})).await;
    let first = &broken.mismatches()[0];
    assert!(
        first
            .message
            .starts_with("type `User` does not have a field `email` (bff.graphql:"),
        "{first:?}"
    );
}

#[tokio::test]
async fn the_samples_operations_are_valid_and_their_stub_answers_them_however_they_are_written() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts"));
    let pacts = [devctl_pact::index::Source::from_text("pacts/*-mobile-bff.json")];
    let loaded = devctl_pact::index::load(&pacts, folder).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let schema = Schema::parse("contracts/graphql/mobile-bff.graphql", SDL).unwrap();
    let mut operations = 0;
    for contract in &loaded.contracts {
        let stub = devctl_pact::stub::Stub::new(&[Arc::clone(contract)]);
        for interaction in &contract.interactions {
            let Kind::Http(http) = &interaction.kind else { continue };
            let Some(operation) = Operation::of(&http.request) else {
                continue;
            };
            assert_eq!(schema.check(&operation), [], "{}", interaction.title());
            operations += 1;
            let mut asked: Value = serde_json::from_slice(&http.request.body.value().unwrap()).unwrap();
            asked["query"] = json!(operation.query.replace('{', "\n{ # written otherwise\n"));
            stub.set_states(interaction.states.clone());
            let mut request =
                http::Request::post(http.request.path.as_str()).header("content-type", "application/json");
            for (name, values) in http.request.headers.iter().flatten() {
                if !name.eq_ignore_ascii_case("content-type") {
                    request = request.header(name, values.join(", "));
                }
            }
            let answered = stub.answer(request.body(asked.to_string().into()).unwrap()).await;
            assert_eq!(
                answered.status(),
                http.response.status,
                "{}: {:#}",
                interaction.title(),
                body(&answered)
            );
        }
    }
    assert!(operations >= 5, "{operations}");
}
