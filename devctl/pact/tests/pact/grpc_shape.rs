//! The gRPC pacts of the sample have the plugin's shape and can be answered from; what has not is named.

use std::path::Path;

use devctl_pact::grpc::check::shape;
use devctl_pact::grpc::mock::Pact;
use devctl_pact::index::{Source, load};
use devctl_pact::stub::Stub;
use serde_json::{Value, json};

use crate::grpc_client::billing;
use crate::support::contract;

#[tokio::test]
async fn the_samples_pacts_have_the_shape() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts"));
    let loaded = load(&[Source::from_text("pacts")], folder).await;
    assert!(loaded.problems.is_empty(), "{:?}", loaded.problems);
    let mut calls = 0;
    for contract in &loaded.contracts {
        for interaction in contract.interactions.iter().filter(|one| one.protocol() == "grpc") {
            let problems = shape(contract, interaction);
            assert!(
                problems.is_empty(),
                "{}: {}: {problems:?}",
                contract.origin,
                interaction.title()
            );
            calls += 1;
        }
        let stub = Stub::new(&[std::sync::Arc::clone(contract)]);
        assert_eq!(stub.problems(), [""; 0], "{}", contract.origin);
    }
    assert!(calls >= 20, "{calls}");
}

fn pact() -> Value {
    let pact = Pact::new("a", "b", &billing()).interaction("a call", |i| {
        i.call("billing.v1.Billing/GetInvoice")
            .request(json!({"invoice_id": "matching(type, 'i')"}))
            .answer(json!({"amount": {"minor_units": "matching(integer, 5)"}}))
    });
    pact.json().unwrap()
}

#[test]
fn what_has_another_shape_is_named() {
    let problems = |change: fn(&mut Value)| {
        let mut json = pact();
        change(&mut json);
        let contract = contract(&json);
        shape(&contract, &contract.interactions[0]).join("; ")
    };
    assert_eq!(problems(|_| {}), "");
    let told = problems(|json| json["interactions"][0]["transport"] = json!("http"));
    assert_eq!(told, "`transport` is not `grpc`");
    let told = problems(|json| {
        json["interactions"][0]["response"][0]["matchingRules"]["body"]["$.amount.minor_unit"] =
            json!({"matchers": [{"match": "type"}]});
    });
    assert_eq!(
        told,
        "response 1: a rule is about `$.amount.minor_unit`, and `billing.v1.Money` has no field `minor_unit`"
    );
    let told = problems(|json| {
        json["interactions"][0]["request"]["contents"]["contentType"] = json!("application/json");
    });
    assert!(told.contains("its content type is `application/json`"), "{told}");
    let told = problems(|json| {
        json["interactions"][0]["request"]["contents"]["contentType"] = json!("application/protobuf;message=.x.Other");
    });
    assert!(told.contains("says it is a `.x.Other`"), "{told}");
    let told = problems(|json| json["metadata"]["plugins"][0]["configuration"] = json!({}));
    assert!(told.contains("find the descriptors"), "{told}");
    let told = problems(|json| {
        json["interactions"][0]["pluginConfiguration"]["protobuf"]["service"] = json!(".billing.v1.Billing/Get");
    });
    assert!(told.contains("find the method"), "{told}");
    let told = problems(|json| json["interactions"][0]["request"]["contents"]["content"] = json!("////"));
    assert!(
        told.contains("its request is no `billing.v1.GetInvoiceRequest`"),
        "{told}"
    );
}
