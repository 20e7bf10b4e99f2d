//! A consumer's test against the gRPC mock: what is promised is answered, everything else is refused and remembered,
//! and the pact has the protobuf plugin's shape and always the same bytes.

use std::error::Error as _;
use std::fs;

use base64::Engine as _;
use devctl_pact::grpc::mock::{MockError, Pact};
use devctl_pact::grpc::{Code, Proto};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::grpc_client::{Client, PROTOS, billing};

const GET: &str = "billing.v1.Billing/GetInvoice";
const EXPORT: &str = "billing.v1.Billing/ExportInvoices";
const FILE: &str = "billing/v1/billing.proto";

fn pact() -> Pact {
    Pact::new("api-gateway", "billing", &billing())
}

fn invoice() -> Value {
    json!({
        "id": "matching(regex, '[0-9a-f]{8}', '0190a000')",
        "amount": {"currency": "EUR", "minor_units": "matching(integer, 4200)"},
        "status": "INVOICE_STATUS_OPEN",
        "created_at": "matching(type, '2026-01-02T03:04:05Z')",
    })
}

#[tokio::test]
async fn unary_calls_streams_metadata_and_errors_are_answered() {
    let mock = pact()
        .interaction("an invoice", |i| {
            i.given_with("there is an invoice", json!({"id": "0190a000"}))
                .call(GET)
                .metadata("authorization", "matching(regex, 'Bearer .+', 'Bearer x')")
                .request(json!({"invoice_id": "matching(type, '0190a000')", "user_id": "u1"}))
                .answer(invoice())
                .answer_metadata("x-cache", "miss")
        })
        .interaction("another's invoice", |i| {
            i.call(GET)
                .request(json!({"invoice_id": "0190a000", "user_id": "u2"}))
                .refuse(Code::NotFound, "no such invoice: 100 % sure")
        })
        .interaction("all invoices", |i| {
            i.call(EXPORT)
                .request(json!({"user_id": "u1"}))
                .answer(json!({"id": "a"}))
                .answer(json!({"id": "b"}))
        })
        .interaction("an export that breaks off", |i| {
            i.call(EXPORT)
                .request(json!({"user_id": "u3"}))
                .answer(json!({"id": "a"}))
                .refuse(Code::Unavailable, "the store is down")
        })
        .start()
        .await
        .unwrap();
    let client = Client::connect(&mock.url(), FILE).await;

    let auth = [("authorization", "Bearer abc")];
    let one = client
        .call(GET, &json!({"invoiceId": "xyz", "userId": "u1"}), &auth)
        .await;
    assert_eq!(
        one.messages[0]["amount"],
        json!({"currency": "EUR", "minorUnits": "4200"})
    );
    assert_eq!(one.messages[0]["createdAt"], "2026-01-02T03:04:05Z");
    assert_eq!(one.metadata.get("x-cache").unwrap(), "miss");

    let refused = client
        .call(GET, &json!({"invoiceId": "0190a000", "userId": "u2"}), &[])
        .await;
    assert_eq!(refused.status.code(), tonic::Code::NotFound);
    assert_eq!(refused.status.message(), "no such invoice: 100 % sure");

    let all = client.call(EXPORT, &json!({"userId": "u1"}), &[]).await;
    assert_eq!(all.messages, [json!({"id": "a"}), json!({"id": "b"})]);
    assert_eq!(all.status.code(), tonic::Code::Ok);

    let broken = client.call(EXPORT, &json!({"userId": "u3"}), &[]).await;
    assert_eq!(broken.messages.len(), 1);
    assert_eq!(broken.status.code(), tonic::Code::Unavailable);

    let folder = TempDir::new().unwrap();
    let path = mock.finish(folder.path()).await.unwrap();
    assert!(path.ends_with("api-gateway-billing.json"));
}

#[tokio::test]
async fn what_was_not_promised_is_refused_with_the_nearest_and_nothing_is_written() {
    let mock = pact()
        .interaction("an invoice", |i| {
            i.call(GET)
                .request(json!({"invoice_id": "matching(regex, '\\d+', '17')", "user_id": "u1"}))
                .answer(json!({}))
        })
        .start()
        .await
        .unwrap();
    let client = Client::connect(&mock.url(), FILE).await;
    let wrong = client.call(GET, &json!({"invoiceId": "x", "userId": "u1"}), &[]).await;
    assert_eq!(wrong.status.code(), tonic::Code::Unimplemented);
    let told = wrong.status.message();
    assert!(
        told.contains("nearest is `an invoice`") && told.contains("$.invoice_id"),
        "{told}"
    );
    // A field of which the contract says nothing is asked for more than it allows.
    let more = client
        .call("billing.v1.Billing/ListInvoices", &json!({"userId": "u1"}), &[])
        .await;
    assert!(
        more.status.message().contains("no interaction calls"),
        "{}",
        more.status.message()
    );

    let folder = TempDir::new().unwrap();
    let error = mock.finish(folder.path()).await.unwrap_err();
    let MockError::NotKept(problems) = error else {
        panic!("{error}")
    };
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert_eq!(problems[0], "`an invoice` was promised and never asked");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_request_that_says_more_than_promised_is_refused() {
    let mock = pact()
        .interaction("a list", |i| {
            i.call("billing.v1.Billing/ListInvoices")
                .request(json!({"user_id": "u1"}))
                .answer(json!({"next_page_token": ""}))
        })
        .start()
        .await
        .unwrap();
    let client = Client::connect(&mock.url(), FILE).await;
    let list = "billing.v1.Billing/ListInvoices";
    let more = client.call(list, &json!({"userId": "u1", "pageSize": 5}), &[]).await;
    assert!(
        more.status.message().contains("$.page_size"),
        "{}",
        more.status.message()
    );
    // A default is not sent, so it is no more than nothing.
    let same = client.call(list, &json!({"userId": "u1", "pageSize": 0}), &[]).await;
    assert_eq!(same.status.code(), tonic::Code::Ok);
}

async fn written(folder: &TempDir, pact: Pact, calls: &[(&str, Value)]) -> String {
    let mock = pact.start().await.unwrap();
    let client = Client::connect(&mock.url(), FILE).await;
    for (method, message) in calls {
        client.call(method, message, &[]).await;
    }
    let path = mock.finish(folder.path()).await.unwrap();
    fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn the_pact_has_the_plugins_shape() {
    let folder = TempDir::new().unwrap();
    let pact = pact().interaction("an invoice", |i| {
        i.given("there is one")
            .call(GET)
            .request(json!({"invoice_id": "matching(type, 'i')"}))
            .answer(invoice())
    });
    let text = written(&folder, pact, &[(GET, json!({"invoiceId": "i"}))]).await;
    let json: Value = serde_json::from_str(&text).unwrap();
    let one = &json["interactions"][0];
    assert_eq!(one["type"], "Synchronous/Messages");
    assert_eq!(one["transport"], "grpc");
    assert_eq!(one["providerStates"], json!([{"name": "there is one"}]));
    assert_eq!(
        one["pluginConfiguration"]["protobuf"]["service"],
        ".billing.v1.Billing/GetInvoice"
    );
    assert_eq!(
        one["request"],
        json!({
            "contents": {
                "content": "CgFp",
                "contentType": "application/protobuf;message=.billing.v1.GetInvoiceRequest",
                "contentTypeHint": "BINARY",
                "encoded": "base64",
            },
            "matchingRules": {"body": {"$.invoice_id": {"combine": "AND", "matchers": [{"match": "type"}]}}},
            "metadata": {"contentType": "application/protobuf;message=.billing.v1.GetInvoiceRequest"},
        })
    );
    let rules = one["response"][0]["matchingRules"]["body"].as_object().unwrap();
    assert_eq!(
        rules.keys().collect::<Vec<_>>(),
        ["$.amount.minor_units", "$.created_at", "$.id"]
    );
    let plugin = &json["metadata"]["plugins"][0];
    assert_eq!(plugin["name"], "protobuf");
    let key = one["pluginConfiguration"]["protobuf"]["descriptorKey"]
        .as_str()
        .unwrap();
    let encoded = plugin["configuration"][key]["protoDescriptors"].as_str().unwrap();
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).unwrap();
    let pool = prost_reflect::DescriptorPool::decode(decoded.as_slice()).unwrap();
    assert!(
        pool.get_message_by_name("google.protobuf.Timestamp").is_some(),
        "imports are included"
    );
    assert!(
        plugin["configuration"][key]["protoFile"]
            .as_str()
            .unwrap()
            .contains("service Billing")
    );
}

#[tokio::test]
async fn tests_of_one_pair_share_a_file_whose_bytes_do_not_depend_on_their_order() {
    let promise = |name: &'static str| {
        pact().interaction(name, |i| {
            i.call(GET)
                .request(json!({"invoice_id": "i"}))
                .answer(json!({"id": "i"}))
        })
    };
    let calls = [(GET, json!({"invoiceId": "i"}))];
    let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    written(&one, promise("first"), &calls).await;
    let text = written(&one, promise("second"), &calls).await;
    written(&other, promise("second"), &calls).await;
    assert_eq!(written(&other, promise("first"), &calls).await, text);
    assert_eq!(
        written(&other, promise("second"), &calls).await,
        text,
        "again changes nothing"
    );

    let path = one.path().join("api-gateway-billing.json");
    fs::write(&path, text.replace("\"4.0\"", "\"3.0.0\"")).unwrap();
    let mock = promise("third").start().await.unwrap();
    Client::connect(&mock.url(), FILE)
        .await
        .call(GET, &calls[0].1, &[])
        .await;
    let error = mock.finish(one.path()).await.unwrap_err();
    assert!(matches!(error, MockError::Existing { .. }), "{error}");
}

#[tokio::test]
async fn promises_that_do_not_fit_the_descriptors_say_where() {
    let told = async |build: fn(Pact) -> Pact| {
        let error = build(pact()).start().await.unwrap_err();
        let cause = error.source().map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    };
    let error = told(|pact| {
        pact.interaction("x", |i| {
            i.call(GET)
                .request(json!({"invoice_id": "i"}))
                .answer(json!({"amount": {"minor_unit": 5}}))
        })
    })
    .await;
    assert!(
        error.starts_with("promise `x`: its answer 1: $.amount: `billing.v1.Money` has no field `minor_unit`. Did you mean `minor_units`?"),
        "{error}"
    );
    let error = told(|pact| pact.interaction("x", |i| i.call(GET).answer(json!({"status": "PAID"})))).await;
    assert!(
        error.contains("$.status") && error.contains("INVOICE_STATUS_PAID"),
        "{error}"
    );
    let error = told(|pact| pact.interaction("x", |i| i.call(GET).answer(json!({"id": "matching(typ"})))).await;
    assert!(
        error.contains("$.id") && error.contains("no matching expression"),
        "{error}"
    );
    let error = told(|pact| pact.interaction("x", |i| i.call(GET))).await;
    assert!(error.contains("one answer or with a status"), "{error}");
    let error = pact()
        .interaction("x", |i| i.call("billing.v1.Billing/GetInvoise"))
        .start()
        .await;
    let MockError::Proto { cause, .. } = error.unwrap_err() else {
        panic!()
    };
    assert!(
        cause
            .help()
            .unwrap()
            .contains("did you mean `billing.v1.Billing/GetInvoice`?")
    );
}

#[test]
fn a_proto_file_that_does_not_compile_is_named_with_its_place() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("a.proto"),
        "syntax = \"proto3\";\nmessage A {\n  strin a = 1;\n}\n",
    )
    .unwrap();
    let error = Proto::compile(&[folder.path()], &["a.proto"]).unwrap_err();
    let cause = format!("{:?}", error.source().unwrap());
    assert!(
        error.to_string().contains("a.proto") && cause.contains("strin"),
        "{error}: {cause}"
    );
    assert!(Proto::compile(&[PROTOS], &["missing.proto"]).is_err());
}
