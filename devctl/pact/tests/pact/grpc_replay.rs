//! Promised calls are replayed at a real provider: kept where it keeps them, and where it does not, the first difference
//! has a clear path. What is no fault of the provider's is never called broken.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use devctl_pact::ProviderState;
use devctl_pact::difference::{Difference, Part};
use devctl_pact::grpc::client::Client;
use devctl_pact::grpc::mock::{Interaction, Pact};
use devctl_pact::grpc::{Code, Proto};
use devctl_pact::index::Contract;
use devctl_pact::verify::{
    GrpcTarget, GrpcVerifier, NoStates, Outcome, ProviderStates, StateFailure, Values, Verdict, Why,
};
use http::HeaderMap;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::grpc_client::{PROTOS, billing};
use crate::grpc_provider::{Given, Messages, Provider};
use crate::support::contract;

const GET: &str = "billing.v1.Billing/GetInvoice";
const EXPORT: &str = "billing.v1.Billing/ExportInvoices";

fn promised(build: impl FnOnce(Interaction) -> Interaction) -> Arc<Contract> {
    let pact = Pact::new("api-gateway", "billing", &billing()).interaction("a call", build);
    contract(&pact.json().unwrap())
}

/// An invoice whose every kind of field is promised.
fn invoice() -> Arc<Contract> {
    promised(|i| {
        i.call(GET)
            .request(json!({"invoice_id": "i", "user_id": "u"}))
            .answer(json!({
                "id": "matching(regex, '[0-9a-f]+', 'abc')",
                "amount": {"currency": "EUR", "minor_units": "matching(integer, 4200)"},
                "status": "INVOICE_STATUS_PAID",
                "created_at": "matching(type, '2026-01-02T03:04:05Z')",
            }))
    })
}

fn kept() -> Value {
    json!({
        "id": "0190", "userId": "u", "amount": {"currency": "EUR", "minorUnits": "1"}, "status": "INVOICE_STATUS_PAID",
        "createdAt": "2027-02-03T04:05:06.789Z",
    })
}

async fn replay(contract: &Arc<Contract>, target: GrpcTarget, states: &dyn ProviderStates) -> Outcome {
    let verifier = GrpcVerifier::new(target);
    verifier.verify(contract, &contract.interactions[0], states).await
}

/// The outcome at a provider that always answers the same.
async fn against(contract: &Arc<Contract>, given: impl Fn() -> Given + Send + Sync + 'static) -> Outcome {
    let provider = Provider::new(move |_, _, _| given()).await;
    replay(contract, GrpcTarget::new(&provider.address), &NoStates).await
}

fn one(message: Vec<u8>) -> Given {
    Given {
        messages: vec![message],
        ..Given::default()
    }
}

fn first(outcome: &Outcome) -> &Difference {
    assert!(matches!(outcome.verdict, Verdict::Broken { .. }), "{outcome:#?}");
    &outcome.verdict.mismatches()[0]
}

#[tokio::test]
async fn a_provider_that_says_more_and_other_values_keeps_its_promise() {
    let messages = Messages::of_billing(str::to_owned);
    let outcome = against(&invoice(), move || one(messages.encode("Invoice", &kept()))).await;
    assert_eq!(outcome.verdict, Verdict::Passed, "{outcome:#?}");
    assert_eq!(outcome.kind, "grpc");
}

#[tokio::test]
async fn a_default_is_not_sent_and_still_a_value() {
    let messages = Messages::of_billing(str::to_owned);
    let mut zero = kept();
    zero["amount"]["minorUnits"] = json!("0");
    let outcome = against(&invoice(), move || one(messages.encode("Invoice", &zero))).await;
    assert_eq!(outcome.verdict, Verdict::Passed, "{outcome:#?}");
}

#[tokio::test]
async fn each_difference_has_its_path_and_rule() {
    let cases: [(&str, Value, &str, &str); 5] = [
        ("/id", json!("XYZ"), "$.id", "regular expression /[0-9a-f]+/"),
        ("/amount/currency", json!("USD"), "$.amount.currency", "equal"),
        ("/amount", json!(null), "$.amount", "must have every field"),
        ("/status", json!("INVOICE_STATUS_OPEN"), "$.status", "equal"),
        ("/createdAt", json!(null), "$.created_at", "must have every field"),
    ];
    for (at, value, path, rule) in cases {
        let mut wrong = kept();
        *wrong.pointer_mut(at).unwrap() = value;
        let messages = Messages::of_billing(str::to_owned);
        let outcome = against(&invoice(), move || one(messages.encode("Invoice", &wrong))).await;
        let found = first(&outcome);
        assert_eq!((found.part, found.path.as_str()), (Part::Body, path), "{found:?}");
        assert!(found.rule.as_ref().unwrap().contains(rule), "{found:?}");
        let exchange = outcome.exchange.unwrap();
        assert_eq!(exchange.request, GET);
        assert_eq!(exchange.request_body, r#"{"invoice_id":"i","user_id":"u"}"#);
        assert_eq!(exchange.answer, "OK");
        assert!(exchange.response_body.contains("0190") || at == "/id");
    }
}

#[tokio::test]
async fn a_renumbered_field_is_named() {
    let renumbered = Messages::of_billing(|text| text.replace("int64 minor_units = 2", "int64 minor_units = 7"));
    let outcome = against(&invoice(), move || one(renumbered.encode("Invoice", &kept()))).await;
    let found = first(&outcome);
    assert_eq!(found.path, "$.amount.minor_units");
    assert_eq!(
        found.message,
        "`minor_units` is field 2 of `billing.v1.Money` and is missing; there is an unknown field 7 instead: was it renumbered?"
    );

    // Where the new number is another field's, of another type.
    let taken = Messages::of_billing(|text| {
        text.replace("string currency = 1", "string currency = 2")
            .replace("int64 minor_units = 2", "int64 minor_units = 1")
    });
    let outcome = against(&invoice(), move || one(taken.encode("Invoice", &kept()))).await;
    let found = first(&outcome);
    assert!(found.path.starts_with("$.amount."), "{found:?}");
    assert!(
        found.message.contains("was it renumbered, or its type changed?"),
        "{found:?}"
    );

    let retyped = Messages::of_billing(|text| text.replace("int64 minor_units = 2", "string minor_units = 2"));
    let outcome = against(&invoice(), move || one(retyped.encode("Invoice", &kept()))).await;
    assert_eq!(first(&outcome).path, "$.amount.minor_units");
}

#[tokio::test]
async fn a_renumbered_field_of_a_request_is_named_from_the_providers_proto() {
    let contract = promised(|i| {
        i.call("billing.v1.Billing/CreateInvoice")
            .request(json!({"user_id": "u", "amount": {"currency": "EUR", "minor_units": 5}}))
            .answer(json!({"id": "matching(type, 'i')"}))
    });
    let folder = tempfile::TempDir::new().unwrap();
    let text = std::fs::read_to_string(format!("{PROTOS}/billing/v1/billing.proto")).unwrap();
    let changed = text
        .replace("int64 minor_units = 2", "int64 minor_units = 7")
        .replace("string customer_email = 2", "string buyer_email = 2");
    assert_ne!(text, changed);
    std::fs::write(folder.path().join("billing.proto"), changed).unwrap();
    let proto = Proto::compile(&[folder.path()], &["billing.proto"]).unwrap();
    let provider = Provider::new(|_, _, _| Given {
        code: 3,
        message: "the amount is not positive",
        ..Given::default()
    })
    .await;
    let verifier = GrpcVerifier::new(GrpcTarget::new(&provider.address)).with_proto(proto);
    let outcome = verifier.verify(&contract, &contract.interactions[0], &NoStates).await;
    let told: Vec<&str> = outcome
        .verdict
        .mismatches()
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    assert_eq!(
        told,
        [
            "expected the status OK but was INVALID_ARGUMENT: the amount is not positive",
            "in the request, the contract has `minor_units` as field 2 (int64); the provider's `.proto` has `minor_units` as field 7 (int64)",
        ]
    );
    assert_eq!(outcome.verdict.mismatches()[1].path, "$.amount.minor_units");
}

#[tokio::test]
async fn a_new_field_of_the_provider_is_no_breach() {
    let newer =
        Messages::of_billing(|text| text.replace("int64 minor_units = 2;", "int64 minor_units = 2; int64 scale = 3;"));
    let mut more = kept();
    more["amount"]["scale"] = json!("2");
    let outcome = against(&invoice(), move || one(newer.encode("Invoice", &more))).await;
    assert_eq!(outcome.verdict, Verdict::Passed, "{outcome:#?}");
}

#[tokio::test]
async fn status_and_its_message_are_promises() {
    let contract = promised(|i| {
        i.call(GET)
            .request(json!({"invoice_id": "i"}))
            .refuse(Code::NotFound, "matching(regex, 'no such .+', 'no such invoice')")
    });
    let refused = |code: u16, message: &'static str| {
        move || Given {
            code,
            message,
            ..Given::default()
        }
    };
    let outcome = against(&contract, refused(5, "no such thing")).await;
    assert_eq!(outcome.verdict, Verdict::Passed, "{outcome:#?}");
    let outcome = against(&contract, refused(5, "gone")).await;
    assert_eq!(
        (first(&outcome).part, first(&outcome).path.as_str()),
        (Part::Metadata, "grpc-message")
    );
    let outcome = against(&contract, refused(3, "no%20such thing")).await;
    assert_eq!(first(&outcome).part, Part::Status);
    assert_eq!(
        first(&outcome).message,
        "expected the status NOT_FOUND but was INVALID_ARGUMENT: no such thing"
    );
    let messages = Messages::of_billing(str::to_owned);
    let outcome = against(&contract, move || one(messages.encode("Invoice", &kept()))).await;
    assert_eq!(first(&outcome).actual, "OK");
    let outcome = against(&invoice(), refused(14, "")).await;
    assert_eq!(first(&outcome).message, "expected the status OK but was UNAVAILABLE");
    assert_eq!(outcome.exchange.unwrap().answer, "UNAVAILABLE");
}

#[tokio::test]
async fn streams_and_metadata_are_promises() {
    let contract = promised(|i| {
        i.call(EXPORT)
            .request(json!({"user_id": "u"}))
            .answer_metadata("x-total", "matching(regex, '\\d+', '2')")
            .answer(json!({"id": "matching(type, 'a')"}))
            .answer(json!({"id": "matching(type, 'b')", "status": "INVOICE_STATUS_OPEN"}))
    });
    let messages = Messages::of_billing(str::to_owned);
    let given = move |ids: &'static [(&str, &str)], total: &'static str| {
        let messages = messages.clone();
        move || Given {
            metadata: vec![("x-total", total)],
            messages: ids
                .iter()
                .map(|(id, status)| messages.encode("Invoice", &json!({"id": id, "status": status})))
                .collect(),
            ..Given::default()
        }
    };
    let (open, paid) = ("INVOICE_STATUS_OPEN", "INVOICE_STATUS_PAID");
    let outcome = against(
        &contract,
        given(&[("x", "INVOICE_STATUS_OPEN"), ("y", "INVOICE_STATUS_OPEN")], "17"),
    )
    .await;
    assert_eq!(outcome.verdict, Verdict::Passed, "{outcome:#?}");
    let outcome = against(
        &contract,
        given(&[("x", "INVOICE_STATUS_OPEN"), ("y", "INVOICE_STATUS_PAID")], "17"),
    )
    .await;
    assert_eq!(first(&outcome).path, "$[1].status", "{open} {paid}");
    let outcome = against(&contract, given(&[("x", "INVOICE_STATUS_OPEN")], "17")).await;
    assert_eq!(first(&outcome).message, "expected 2 messages, 1 came");
    let outcome = against(
        &contract,
        given(&[("x", "INVOICE_STATUS_OPEN"), ("y", "INVOICE_STATUS_OPEN")], "many"),
    )
    .await;
    assert_eq!(
        (first(&outcome).part, first(&outcome).path.as_str()),
        (Part::Metadata, "x-total")
    );
}

struct Returning(Values);

#[async_trait]
impl ProviderStates for Returning {
    async fn set_up(&self, _states: &[ProviderState]) -> Result<Values, StateFailure> {
        Ok(self.0.clone())
    }

    async fn tear_down(&self, _states: &[ProviderState]) -> Result<(), StateFailure> {
        Ok(())
    }
}

#[tokio::test]
async fn values_that_setting_a_state_returned_are_sent() {
    let contract = promised(|i| {
        i.given("an invoice")
            .call(GET)
            .metadata(
                "authorization",
                "matching(type, fromProviderState('Bearer ${token}', 'Bearer x'))",
            )
            .request(json!({"invoice_id": "matching(type, fromProviderState('${id}', 'i'))", "user_id": "u"}))
            .answer(json!({"id": "matching(type, 'i')"}))
    });
    let messages = Messages::of_billing(str::to_owned);
    let provider = Provider::new(move |path: &str, metadata: &HeaderMap, message: Bytes| {
        let asked = messages.decode("GetInvoiceRequest", message);
        let right = asked["invoiceId"] == "from the state"
            && metadata["authorization"] == "Bearer secret"
            && metadata.contains_key("traceparent")
            && metadata["x-added"] == "1"
            && path == GET;
        if right {
            one(messages.encode("Invoice", &json!({"id": "x"})))
        } else {
            Given {
                code: 3,
                ..Given::default()
            }
        }
    })
    .await;
    let mut target = GrpcTarget::new(&provider.address);
    target.metadata = vec![("x-added".to_owned(), "1".to_owned())];
    let values: Values = [
        ("id".to_owned(), json!("from the state")),
        ("token".to_owned(), json!("secret")),
    ]
    .into();
    let outcome = replay(&contract, target.clone(), &Returning(values)).await;
    assert_eq!(outcome.verdict, Verdict::Passed, "{outcome:#?}");
    // Without the state's value the example would be sent: that is a breach, and no secret is shown with it.
    let outcome = replay(&contract, target, &NoStates).await;
    let shown = outcome.exchange.unwrap().request_headers;
    assert!(
        shown.contains(&("authorization".to_owned(), "(not shown)".to_owned())),
        "{shown:?}"
    );
}

#[tokio::test]
async fn a_slow_answer_is_broken_and_a_provider_that_is_not_there_could_not_be_run() {
    let provider = Provider::new(|_, _, _| Given {
        never: true,
        ..Given::default()
    })
    .await;
    let mut target = GrpcTarget::new(&provider.address);
    target.answer_within = Duration::from_millis(50);
    let outcome = replay(&invoice(), target, &NoStates).await;
    assert_eq!(first(&outcome).part, Part::Time);
    assert!(outcome.verdict.is_slow());

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let dying = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut some = [0; 64];
        socket.read_exact(&mut some).await.unwrap();
    });
    let outcome = replay(&invoice(), GrpcTarget::new(&address), &NoStates).await;
    let lost = Verdict::CouldNotRun {
        why: Why::ConnectionLost { cause: String::new() },
    };
    assert_eq!(
        std::mem::discriminant(&outcome.verdict),
        std::mem::discriminant(&lost),
        "{outcome:#?}"
    );
    dying.await.unwrap();
    let outcome = replay(&invoice(), GrpcTarget::new(&address), &NoStates).await;
    let Verdict::CouldNotRun {
        why: Why::Unreachable { cause },
    } = &outcome.verdict
    else {
        panic!("{outcome:#?}")
    };
    assert!(cause.contains("refused"), "{cause}");
}

#[tokio::test]
async fn many_calls_use_one_connection() {
    let messages = Messages::of_billing(str::to_owned);
    let answer = {
        let messages = messages.clone();
        move |_: &str, _: &HeaderMap, _: Bytes| one(messages.encode("Invoice", &kept()))
    };
    let provider = Provider::new(answer).await;
    let contract = invoice();
    let verifier = GrpcVerifier::new(GrpcTarget::new(&provider.address));
    let work: Vec<_> = (0..200)
        .map(|_| (Arc::clone(&contract), Arc::clone(&contract.interactions[0])))
        .collect();
    let outcomes = verifier.verify_all(&work, &NoStates, |_| true).await;
    assert!(outcomes.iter().all(|outcome| outcome.verdict == Verdict::Passed));
    assert_eq!(provider.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_connection_that_was_lost_between_two_calls_is_made_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            let (socket, _) = listener.accept().await.unwrap();
            let mut connection = h2::server::handshake(socket).await.unwrap();
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            let response = http::Response::builder().header("grpc-status", "5").body(()).unwrap();
            respond.send_response(response, true).unwrap();
            // Says that it goes, answers what it has, and is gone.
            connection.graceful_shutdown();
            while connection.accept().await.is_some() {}
        }
    });
    let contract = promised(|i| {
        i.call(GET)
            .request(json!({"invoice_id": "i"}))
            .refuse(Code::NotFound, "")
    });
    let verifier = GrpcVerifier::new(GrpcTarget::new(&address));
    for _ in 0..2 {
        let outcome = verifier.verify(&contract, &contract.interactions[0], &NoStates).await;
        assert_eq!(outcome.verdict, Verdict::Passed, "{outcome:#?}");
    }
    server.await.unwrap();
}

#[tokio::test]
async fn a_trigger_is_a_call_by_field_names() {
    let messages = Messages::of_billing(str::to_owned);
    let provider = Provider::new(move |_, metadata, message| {
        let asked = messages.decode("PayInvoiceRequest", message);
        if asked == json!({"invoiceId": "i", "userId": "u"}) && metadata["x-user"] == "u" {
            one(messages.encode("Invoice", &json!({"id": "i"})))
        } else {
            Given {
                code: 9,
                message: "declined",
                ..Given::default()
            }
        }
    })
    .await;
    let client = Client::new(&format!("http://{}", provider.address));
    let limit = Duration::from_secs(5);
    let metadata = [("x-user".to_owned(), "u".to_owned())];
    let pay = "billing.v1.Billing/PayInvoice";
    let message = json!({"invoice_id": "i", "user_id": "u"});
    let answered = client.call_json(&billing(), pay, &metadata, &message, limit).await;
    assert_eq!(answered.unwrap(), [json!({"id": "i"})]);
    let error = client
        .call_json(&billing(), pay, &metadata, &json!({"invoice_id": "j"}), limit)
        .await
        .unwrap_err();
    assert_eq!(
        error,
        "billing.v1.Billing/PayInvoice answered FAILED_PRECONDITION: declined"
    );
    let error = client
        .call_json(&billing(), pay, &[], &json!({"invoice": "j"}), limit)
        .await
        .unwrap_err();
    assert!(error.contains("has no field `invoice`"), "{error}");
}

#[tokio::test]
async fn older_pacts_of_the_plugin_are_read() {
    let mut json = Pact::new("api-gateway", "billing", &billing())
        .interaction("a call", |i| {
            i.call(GET)
                .request(json!({"invoice_id": "i"}))
                .answer(json!({"id": "i"}))
        })
        .json()
        .unwrap();
    let one = &mut json["interactions"][0];
    one["pluginConfiguration"]["protobuf"]["service"] = json!("Billing/GetInvoice");
    one["request"]["contents"]["contentType"] = json!("application/protobuf; message=GetInvoiceRequest");
    one["request"]["metadata"].take();
    one["response"][0]["contents"]["contentType"] = json!("application/protobuf; message=Invoice");
    let messages = Messages::of_billing(str::to_owned);
    let outcome = against(&contract(&json), move || Given {
        messages: vec![messages.encode("Invoice", &json!({"id": "i"}))],
        ..Given::default()
    })
    .await;
    assert_eq!(outcome.verdict, Verdict::Passed, "{outcome:#?}");
}
