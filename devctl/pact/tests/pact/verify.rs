//! Promises replayed at a real provider: the fast loop says what `pact_verifier` says, and never calls a failure of
//! infrastructure a broken promise.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use devctl_pact::ProviderState;
use devctl_pact::difference::{Difference, Part};
use devctl_pact::index::Contract;
use devctl_pact::verify::http::Provider;
use devctl_pact::verify::{Checked, StateError, Stateless, States, Verdict, reference};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use crate::support::{contract, http, pact};

const LIMIT: Duration = Duration::from_secs(10);

/// Serves `router` on a port of its own until the test's runtime ends.
async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn fast(url: &Url, contract: &Contract, states: &dyn States) -> Vec<Checked> {
    Provider::new(url.clone(), LIMIT)
        .unwrap()
        .verify(contract, states, |_| true)
        .await
}

/// What was found, without the rule's name, which `pact_verifier` does not give.
fn essence(checked: &Checked) -> (String, Vec<Difference>) {
    let plain = |differences: &[Difference]| {
        let mut plain = differences.to_vec();
        plain.iter_mut().for_each(|difference| difference.rule = None);
        plain
    };
    match &checked.verdict {
        Verdict::Passed => ("passed".to_owned(), Vec::new()),
        Verdict::Broken { differences } => ("broken".to_owned(), plain(differences)),
        Verdict::Pending { differences } => ("pending".to_owned(), plain(differences)),
        Verdict::CouldNotRun { .. } => ("could not run".to_owned(), Vec::new()),
    }
}

fn answer(of: &Value) -> Response {
    let status = of["status"].as_u64().unwrap_or(200);
    let mut response = Response::builder().status(u16::try_from(status).unwrap());
    for (name, value) in of["headers"].as_object().into_iter().flatten() {
        response = response.header(name, value.as_str().unwrap());
    }
    let body = match &of["body"] {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    response.body(Body::from(body)).unwrap()
}

/// Every matcher's cases: an interaction per answer, and the provider that gives those answers.
fn corpus() -> (Vec<Value>, Vec<bool>, Router) {
    let cases: Vec<Value> = serde_json::from_str(include_str!("../corpus/matchers.json")).unwrap();
    let (mut interactions, mut kept, mut answers) = (Vec::new(), Vec::new(), HashMap::new());
    for (at, case) in cases.iter().enumerate() {
        for (nth, one) in case["answers"].as_array().unwrap().iter().enumerate() {
            let path = format!("/{at}/{nth}");
            let name = format!("{} {nth}", case["name"].as_str().unwrap());
            interactions.push(http(&name, &json!({"method": "GET", "path": path}), &case["response"]));
            kept.push(one["kept"].as_bool().unwrap());
            answers.insert(path, one.clone());
        }
    }
    let answers = Arc::new(answers);
    let router = Router::new().fallback(move |request: Request| {
        let answers = Arc::clone(&answers);
        async move { answer(&answers[request.uri().path()]) }
    });
    (interactions, kept, router)
}

#[tokio::test]
async fn the_fast_loop_and_the_reference_agree_on_every_matcher() {
    let (interactions, kept, router) = corpus();
    let contract = contract(&pact(&Value::from(interactions)));
    let url = serve(router).await;
    let ours = fast(&url, &contract, &Stateless).await;
    let theirs = reference::verify(&url, LIMIT, &contract, Arc::new(Stateless))
        .await
        .unwrap();
    assert_eq!(ours.len(), kept.len());
    let mut wrong = Vec::new();
    for ((ours, theirs), kept) in ours.iter().zip(&theirs).zip(kept) {
        let wanted = if kept { "passed" } else { "broken" };
        if essence(ours) != essence(theirs) || essence(ours).0 != wanted {
            wrong.push(format!(
                "{}: wanted {wanted}\n  ours   {:?}\n  theirs {:?}",
                ours.title,
                essence(ours),
                essence(theirs)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Remembers what it was asked, and gives back an id that only it knows.
#[derive(Default)]
struct Recording(Mutex<Vec<String>>);

#[async_trait]
impl States for Recording {
    async fn reset(&self) -> Result<(), StateError> {
        self.0.lock().unwrap().push("reset".to_owned());
        Ok(())
    }

    async fn set_up(&self, state: &ProviderState) -> Result<HashMap<String, Value>, StateError> {
        if state.name == "impossible" {
            return Err(StateError {
                state: state.name.clone(),
                why: "no such table".to_owned(),
            });
        }
        self.0
            .lock()
            .unwrap()
            .push(format!("set up {} {}", state.name, state.params["table"]));
        Ok(HashMap::from([("id".to_owned(), json!("42"))]))
    }

    async fn tear_down(&self, state: &ProviderState) -> Result<(), StateError> {
        self.0.lock().unwrap().push(format!("tear down {}", state.name));
        Ok(())
    }
}

#[tokio::test]
async fn states_are_set_and_what_they_return_is_asked_for() {
    let mut interaction = http(
        "an order",
        &json!({
            "method": "POST", "path": "/orders/1",
            "headers": {"Authorization": ["Bearer secret"], "Content-Type": ["application/json"]},
            "body": {"content": {"id": "1"}, "contentType": "application/json", "encoded": false},
            "generators": {
                "path": {"type": "ProviderState", "expression": "/orders/${id}", "dataType": "STRING"},
                "body": {"$.id": {"type": "ProviderState", "expression": "${id}", "dataType": "STRING"}},
            },
        }),
        &json!({"status": 200}),
    );
    interaction["providerStates"] = json!([{"name": "there is an order", "params": {"table": 7}}]);
    let contract = contract(&pact(&json!([interaction])));
    let router = Router::new().fallback(|request: Request| async move {
        let path = request.uri().path().to_owned();
        let body: Bytes = axum::body::to_bytes(request.into_body(), 1_000).await.unwrap();
        answer(&json!({"status": if path == "/orders/42" && body.as_ref() == br#"{"id":"42"}"# { 200 } else { 404 }}))
    });
    let url = serve(router).await;
    let states = Arc::new(Recording::default());
    let ours = fast(&url, &contract, states.as_ref()).await;
    assert_eq!(ours[0].verdict, Verdict::Passed);
    let sent = ours[0].sent.clone().unwrap();
    assert!(sent.url.ends_with("/orders/42"), "{}", sent.url);
    assert!(!format!("{sent:?}").contains("secret"));
    let calls = ["reset", "set up there is an order 7", "tear down there is an order"];
    assert_eq!(*states.0.lock().unwrap(), calls);
    let theirs = reference::verify(&url, LIMIT, &contract, states.clone()).await.unwrap();
    assert_eq!(theirs[0].verdict, Verdict::Passed);
    assert_eq!(states.0.lock().unwrap()[3..], calls);
}

#[tokio::test]
async fn what_could_not_run_is_never_broken() {
    let mut stated = http(
        "stated",
        &json!({"method": "GET", "path": "/"}),
        &json!({"status": 200}),
    );
    stated["providerStates"] = json!([{"name": "impossible"}]);
    let contract = contract(&pact(&json!([stated])));
    let url = serve(Router::new()).await;
    let states = Arc::new(Recording::default());
    let checked = fast(&url, &contract, states.as_ref()).await;
    let Verdict::CouldNotRun { why } = &checked[0].verdict else {
        panic!("{checked:?}")
    };
    assert_eq!(why, "set the state `impossible`: no such table");

    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let checked = fast(&Url::parse(&format!("http://{gone}")).unwrap(), &contract, &Stateless).await;
    assert!(matches!(checked[0].verdict, Verdict::CouldNotRun { .. }), "{checked:?}");
}

#[tokio::test]
async fn a_slow_answer_is_broken_and_a_pending_one_is_not() {
    let slow = http("slow", &json!({"method": "GET", "path": "/"}), &json!({"status": 200}));
    let mut pending = slow.clone();
    pending["pending"] = json!(true);
    let contract = contract(&pact(&json!([slow, pending])));
    let router = Router::new().fallback(|| async {
        std::future::pending::<()>().await;
    });
    let provider = Provider::new(serve(router).await, Duration::from_millis(50)).unwrap();
    let checked = provider.verify(&contract, &Stateless, |_| true).await;
    let Verdict::Broken { differences } = &checked[0].verdict else {
        panic!("{checked:?}")
    };
    assert_eq!(differences[0].part, Part::Time);
    assert!(matches!(checked[1].verdict, Verdict::Pending { .. }));
}

#[tokio::test]
async fn a_difference_names_its_rule() {
    let response = json!({
        "status": 200, "headers": {"Content-Type": ["application/json"]},
        "body": {"content": {"n": 1}, "contentType": "application/json", "encoded": false},
        "matchingRules": {"body": {"$.n": {"matchers": [{"match": "integer"}]}}},
    });
    let contract = contract(&pact(&json!([http(
        "n",
        &json!({"method": "GET", "path": "/"}),
        &response
    )])));
    let router = Router::new()
        .fallback(|| async { answer(&json!({"headers": {"content-type": "application/json"}, "body": {"n": "one"}})) });
    let checked = fast(&serve(router).await, &contract, &Stateless).await;
    let Verdict::Broken { differences } = &checked[0].verdict else {
        panic!("{checked:?}")
    };
    assert_eq!((differences[0].part, differences[0].path.as_str()), (Part::Body, "$.n"));
    assert_eq!(differences[0].rule.as_deref(), Some(r#"{"match":"integer"}"#));
}
