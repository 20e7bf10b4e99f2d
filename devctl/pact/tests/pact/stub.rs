//! A stub answers what a contract allows, chooses between alternatives, and says what it cannot allow and why.

use devctl_pact::ProviderState;
use devctl_pact::stub::STUB_HEADER;
use http::Request;
use serde_json::json;

use crate::support::{ask, body, http, stub};

#[tokio::test]
async fn requests_match_by_type_regex_and_integer() {
    let stub = stub(&json!([http(
        "an order",
        &json!({
            "method": "POST", "path": "/orders/1",
            "headers": {"content-type": ["application/json"]},
            "body": {"content": {"name": "a", "count": 1, "code": "AB"}, "contentType": "application/json"},
            "matchingRules": {
                "path": {"matchers": [{"match": "regex", "regex": "^/orders/\\d+$"}]},
                "body": {
                    "$.name": {"matchers": [{"match": "type"}]},
                    "$.count": {"matchers": [{"match": "integer"}]},
                    "$.code": {"matchers": [{"match": "regex", "regex": "^[A-Z]{2}$"}]},
                },
            },
        }),
        &json!({"status": 201, "body": {"content": {"id": 7}, "contentType": "application/json"}}),
    )]));
    let good = ask(
        &stub,
        "POST",
        "/orders/99",
        Some(&json!({"name": "b", "count": 5, "code": "ZZ"})),
    )
    .await;
    assert_eq!(good.status(), 201);
    assert_eq!(body(&good), json!({"id": 7}));
    assert_eq!(good.headers()["content-type"], "application/json");
    assert_ne!(good.headers()[STUB_HEADER], "none");

    for (wrong, path) in [
        (json!({"name": 1, "count": 5, "code": "ZZ"}), "$.name"),
        (json!({"name": "b", "count": 5.5, "code": "ZZ"}), "$.count"),
        (json!({"name": "b", "count": 5, "code": "zz"}), "$.code"),
        (json!({"name": "b", "count": 5, "code": "ZZ", "more": 1}), "$"),
    ] {
        let refused = ask(&stub, "POST", "/orders/99", Some(&wrong)).await;
        assert_eq!(refused.status(), 501, "{wrong}");
        let told = body(&refused);
        assert_eq!(told["nearest"]["description"], "an order");
        assert_eq!(told["nearest"]["differences"][0]["path"], path, "{told:#}");
    }
    assert_eq!(ask(&stub, "POST", "/orders/x", None).await.status(), 501);
}

#[tokio::test]
async fn query_headers_and_content_type_decide() {
    let stub = stub(&json!([
        http(
            "page two",
            &json!({"method": "GET", "path": "/items", "query": {"page": ["2"], "tag": ["a b"]},
                    "headers": {"x-tenant": ["blue"]},
                    "matchingRules": {"query": {"page": {"matchers": [{"match": "regex", "regex": "^\\d+$"}]}},
                                      "header": {"x-tenant": {"matchers": [{"match": "type"}]}}}}),
            &json!({"status": 200}),
        ),
        http(
            "a form",
            &json!({"method": "POST", "path": "/items", "headers": {"content-type": ["text/plain"]},
                    "body": {"content": "hello", "contentType": "text/plain"}}),
            &json!({"status": 204}),
        ),
    ]));
    let get = |target: &str, tenant: Option<&str>| {
        let mut request = Request::builder().uri(target);
        if let Some(tenant) = tenant {
            request = request.header("X-Tenant", tenant);
        }
        stub.answer(request.body(bytes::Bytes::new()).unwrap())
    };
    let good = get("/items?tag=a%20b&page=17", Some("red")).await;
    assert_eq!(good.status(), 200, "{:#}", body(&good));
    for (target, tenant, part) in [
        ("/items?tag=a%20b&page=x", Some("red"), "query"),
        ("/items?tag=a%20b", Some("red"), "query"),
        ("/items?tag=a%20b&page=17&more=1", Some("red"), "query"),
        ("/items?tag=a%20b&page=17", None, "header"),
    ] {
        let refused = get(target, tenant).await;
        assert_eq!(refused.status(), 501, "{target}");
        assert_eq!(body(&refused)["nearest"]["differences"][0]["part"], part);
    }
    let wrong = ask(&stub, "POST", "/items", Some(&json!("hello"))).await;
    assert_eq!(wrong.status(), 501);
    let parts: Vec<_> = body(&wrong)["nearest"]["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["part"].clone())
        .collect();
    assert!(parts.contains(&json!("content-type")), "{parts:?}");
}

#[tokio::test]
async fn generators_make_fresh_values() {
    let stub = stub(&json!([http(
        "a token",
        &json!({"method": "GET", "path": "/token"}),
        &json!({
            "status": 200,
            "headers": {"location": ["http://example.com/token/1"]},
            "body": {"content": {"token": "x", "at": "2020-01-01", "self": "http://example.com/token/1"}, "contentType": "application/json"},
            "generators": {
                "body": {"$.token": {"type": "RandomString", "size": 16}, "$.at": {"type": "Date", "format": "yyyy-MM-dd"},
                         "$.self": {"type": "MockServerURL", "regex": ".*(/token/\\d+)$", "example": "http://example.com/token/1"}},
                "header": {"x-request-id": {"type": "Uuid"}},
            },
        }),
    )]));
    let (one, two) = (
        ask(&stub, "GET", "/token", None).await,
        ask(&stub, "GET", "/token", None).await,
    );
    let (first, second) = (body(&one), body(&two));
    assert_eq!(first["token"].as_str().unwrap().len(), 16);
    assert_ne!(first["token"], second["token"]);
    assert_ne!(first["at"], "2020-01-01");
    assert_eq!(
        first["self"], "http://shop:8080/token/1",
        "a link leads back to the stub"
    );
    assert_ne!(one.headers()["x-request-id"], two.headers()["x-request-id"]);
}

#[tokio::test]
async fn provider_states_are_alternatives() {
    let request = json!({"method": "GET", "path": "/items"});
    let given = |state: &str, count: u32, status: u16| {
        let mut one = http(&format!("items, {state}"), &request, &json!({"status": status}));
        one["providerStates"] = json!([{"name": state, "params": {"count": count}}]);
        one
    };
    let stub = stub(&json!([
        given("it fails", 0, 500),
        given("there are items", 1, 200),
        given("there are items", 2, 203)
    ]));
    assert_eq!(stub.known_states(), ["it fails", "there are items"]);
    assert_eq!(
        ask(&stub, "GET", "/items", None).await.status(),
        200,
        "success is likelier than failure"
    );
    stub.set_states(vec![ProviderState::default("it fails")]);
    assert_eq!(ask(&stub, "GET", "/items", None).await.status(), 500);
    let mut two = ProviderState::default("there are items");
    two.params.insert("count".to_owned(), json!(2));
    stub.set_states(vec![two]);
    assert_eq!(ask(&stub, "GET", "/items", None).await.status(), 203);
    let served: Vec<u64> = stub.served().map(|(_, times)| times).collect();
    assert_eq!(served, [1, 1, 1]);
}

#[tokio::test]
async fn a_literal_match_wins_over_a_rule() {
    let order = |description: &str, name: &str, rules: &serde_json::Value, status: u16| {
        http(
            description,
            &json!({"method": "POST", "path": "/o", "headers": {"content-type": ["application/json"]},
                    "body": {"content": {"name": name}, "contentType": "application/json"}, "matchingRules": rules}),
            &json!({"status": status}),
        )
    };
    let any = json!({"body": {"$.name": {"matchers": [{"match": "type"}]}}});
    let stub = stub(&json!([
        order("any", "x", &any, 200),
        order("this", "ada", &json!({}), 201)
    ]));
    assert_eq!(
        ask(&stub, "POST", "/o", Some(&json!({"name": "ada"}))).await.status(),
        201
    );
    assert_eq!(
        ask(&stub, "POST", "/o", Some(&json!({"name": "bob"}))).await.status(),
        200
    );
}

#[tokio::test]
async fn what_no_interaction_has_names_the_nearest() {
    let stub = stub(&json!([
        http(
            "a list",
            &json!({"method": "GET", "path": "/items"}),
            &json!({"status": 200})
        ),
        http(
            "a user",
            &json!({"method": "DELETE", "path": "/users/ada%20l"}),
            &json!({"status": 204})
        ),
    ]));
    let told = body(&ask(&stub, "GET", "/itmes", None).await);
    assert_eq!(told["error"], "no contract between `web` and `shop` allows GET /itmes");
    assert_eq!(told["nearest"]["description"], "a list");
    assert_eq!(told["nearest"]["differences"][0]["part"], "path");
    assert_eq!(told["nearest"]["pact"], "a.json:1");
    assert_eq!(told["known"], json!(["DELETE /users/ada%20l", "GET /items"]));

    let told = body(&ask(&stub, "POST", "/items?secret=1", None).await);
    assert_eq!(told["nearest"]["differences"][0]["part"], "method");
    assert_eq!(told["request"]["query"], json!(["secret"]), "names, no values");
    assert_eq!(ask(&stub, "DELETE", "/users/ada%20l", None).await.status(), 204);
}

#[tokio::test]
async fn secrets_of_a_refused_request_are_not_repeated() {
    let stub = stub(&json!([http(
        "me",
        &json!({"method": "GET", "path": "/me", "headers": {"Authorization": ["Bearer good"]}}),
        &json!({"status": 200}),
    )]));
    let request = Request::builder().uri("/me").header("authorization", "Bearer hunter2");
    let refused = stub.answer(request.body(bytes::Bytes::new()).unwrap()).await;
    assert_eq!(refused.status(), 501);
    let told = String::from_utf8(refused.body().to_vec()).unwrap();
    assert!(
        told.contains("uthorization") && !told.contains("hunter2") && !told.contains("good"),
        "{told}"
    );
}

#[tokio::test]
async fn an_empty_stub_refuses_in_words() {
    let stub = stub(&json!([]));
    assert!(stub.is_empty());
    let refused = ask(&stub, "GET", "/", None).await;
    assert_eq!(refused.status(), 501);
    assert_eq!(body(&refused)["nearest"], json!(null));
}

#[tokio::test]
async fn grpc_calls_are_answered_with_their_states_and_refused_in_words() {
    use devctl_pact::grpc::Code;
    use devctl_pact::grpc::mock::Pact;

    let get = "billing.v1.Billing/GetInvoice";
    let pact = Pact::new("web", "shop", &crate::grpc_client::billing())
        .interaction("an invoice", |i| {
            i.given("there is one")
                .call(get)
                .request(json!({"invoice_id": "i"}))
                .answer(json!({"id": "i"}))
        })
        .interaction("no invoice", |i| {
            i.given("there is none")
                .call(get)
                .request(json!({"invoice_id": "i"}))
                .refuse(Code::NotFound, "none")
        });
    let stub = devctl_pact::stub::Stub::new(&[crate::support::contract(&pact.json().unwrap())]);
    assert_eq!((stub.len(), stub.problems().len()), (2, 0));
    assert_eq!(stub.known_states(), ["there is none", "there is one"]);
    let reply = async |path: &str, body: &'static [u8]| {
        let request = Request::post(format!("http://shop/{path}")).header("content-type", "application/grpc+proto");
        stub.reply(request.body(bytes::Bytes::from_static(body)).unwrap()).await
    };
    let frame = b"\0\0\0\0\x03\x0a\x01i";
    let found = reply(get, frame).await;
    assert_eq!(&found.response.body()[..], frame, "the same field, by chance");
    assert_eq!(found.trailers.unwrap()["grpc-status"], "0");
    assert_ne!(found.response.headers()[STUB_HEADER], "none");

    stub.set_states(vec![ProviderState::default("there is none")]);
    let none = reply(get, frame).await;
    assert!(none.trailers.is_none() && none.response.body().is_empty());
    assert_eq!(none.response.headers()["grpc-status"], "5");
    let served: Vec<u64> = stub.served().map(|(_, times)| times).collect();
    assert_eq!(served, [1, 1]);

    let refused = reply(get, b"\0\0\0\0\x03\x0a\x01x").await;
    assert_eq!(refused.response.headers()["grpc-status"], "12");
    assert_eq!(refused.response.headers()[STUB_HEADER], "none");
    let broken = reply(get, b"\0\0\0").await;
    assert_eq!(broken.response.headers()["grpc-status"], "13");
}
