//! What only the fast loop promises: could-not-run is never broken, slow answers are named, the client is kept alive,
//! states are torn down, and the cost is linear.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use devctl_pact::ProviderState;
use devctl_pact::difference::Part;
use devctl_pact::index::{Contract, Index, Interaction};
use devctl_pact::verify::{
    HttpVerifier, NoStates, ProviderStates, Selection, Shard, StateFailure, Target, Values, Verdict, Why,
};
use regex::Regex;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::provider::{Answer, Provider, status};
use crate::support::{contract, http, pact};

fn work(interactions: &Value) -> Vec<(Arc<Contract>, Arc<Interaction>)> {
    Selection::default().pick(&Index::new(vec![contract(&pact(interactions))]))
}

fn get(path: &str, state: Option<&str>) -> Value {
    let mut one = http(
        &format!("get {path}"),
        &json!({"method": "GET", "path": path}),
        &json!({"status": 200}),
    );
    if let Some(state) = state {
        one["providerStates"] = json!([{"name": state}]);
    }
    one
}

async fn verdicts(target: Target, interactions: &Value, states: &dyn ProviderStates) -> Vec<Verdict> {
    let verifier = HttpVerifier::new(target).unwrap();
    let outcomes = verifier.verify_all(&work(interactions), states, |_| true).await;
    outcomes.into_iter().map(|outcome| outcome.verdict).collect()
}

#[tokio::test]
async fn a_provider_that_is_not_there_could_not_be_run() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let verdicts = verdicts(Target::new(url.parse().unwrap()), &json!([get("/a", None)]), &NoStates).await;
    let [
        Verdict::CouldNotRun {
            why: Why::Unreachable { cause },
        },
    ] = &verdicts[..]
    else {
        panic!("{verdicts:?}");
    };
    assert!(cause.contains("refused"), "{cause}");
}

#[tokio::test]
async fn a_provider_that_dies_in_the_middle_could_not_be_run() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut some = [0; 16];
            socket.read_exact(&mut some).await.unwrap();
        }
    });
    let verdicts = verdicts(Target::new(url.parse().unwrap()), &json!([get("/a", None)]), &NoStates).await;
    server.abort();
    assert!(
        matches!(
            verdicts[..],
            [Verdict::CouldNotRun {
                why: Why::ConnectionLost { .. }
            }]
        ),
        "{verdicts:?}"
    );
}

#[tokio::test]
async fn a_slow_answer_is_broken_and_says_so() {
    // Accepts and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut target = Target::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
    target.answer_within = Duration::from_millis(50);
    let verdicts = verdicts(target, &json!([get("/a", None)]), &NoStates).await;
    let [Verdict::Broken { mismatches }] = &verdicts[..] else {
        panic!("{verdicts:?}");
    };
    assert_eq!(mismatches[0].part, Part::Time);
    assert_eq!(mismatches[0].expected, "an answer within 50 ms");
}

#[derive(Default)]
struct Recorder {
    calls: Mutex<Vec<String>>,
}

#[async_trait]
impl ProviderStates for Recorder {
    async fn set_up(&self, states: &[ProviderState]) -> Result<Values, StateFailure> {
        let name = states.first().map(|state| state.name.clone()).unwrap_or_default();
        self.calls.lock().unwrap().push(format!("up {name}"));
        if name == "unknown" {
            let (what, help) = ("find the state `unknown`".to_owned(), None);
            return Err(StateFailure { what, help });
        }
        Ok(Values::new())
    }

    async fn tear_down(&self, states: &[ProviderState]) -> Result<(), StateFailure> {
        let name = states.first().map(|state| state.name.clone()).unwrap_or_default();
        self.calls.lock().unwrap().push(format!("down {name}"));
        Ok(())
    }
}

#[tokio::test]
async fn states_are_set_and_undone_around_each_interaction() {
    let answers: HashMap<String, Answer> = [("/a".to_owned(), Box::new(|_: &_, _: &_| status(200)) as Answer)].into();
    let provider = Provider::new(answers).await;
    let states = Recorder::default();
    let mut announced = get("/a", Some("unknown"));
    announced["pending"] = json!(true);
    let interactions = json!([
        get("/a", Some("one")),
        get("/a", None),
        get("/a", Some("unknown")),
        announced
    ]);
    let verdicts = verdicts(Target::new(provider.url()), &interactions, &states).await;
    assert_eq!(verdicts[..2], [Verdict::Passed, Verdict::Passed]);
    assert!(
        matches!(&verdicts[2], Verdict::CouldNotRun { why: Why::State { .. } }),
        "{verdicts:?}"
    );
    assert!(
        matches!(
            &verdicts[3],
            Verdict::Pending {
                why: Some(Why::State { .. }),
                ..
            }
        ),
        "{verdicts:?}"
    );
    let calls = states.calls.lock().unwrap().join(", ");
    assert_eq!(calls, "up one, down one, up , down , up unknown, up unknown");
}

#[tokio::test]
async fn the_exchange_of_a_broken_promise_is_kept_without_secrets() {
    let provider = Provider::new(HashMap::new()).await;
    let mut one = get("/a?", None);
    one["request"] =
        json!({"method": "GET", "path": "/a", "query": {"x": ["1"]}, "headers": {"authorization": ["Bearer hunter2"]}});
    let verifier = HttpVerifier::new(Target::new(provider.url())).unwrap();
    let outcomes = verifier.verify_all(&work(&json!([one])), &NoStates, |_| true).await;
    let exchange = outcomes[0].exchange.as_ref().unwrap();
    assert_eq!((exchange.request.as_str(), exchange.status), ("GET /a?x=1", 404));
    assert_eq!(
        exchange.request_headers,
        [("authorization".to_owned(), "(not shown)".to_owned())]
    );
    assert_eq!(outcomes[0].trace.as_ref().unwrap().len(), 32);
    assert_eq!(outcomes[0].pact, "a.json:1");
}

#[tokio::test]
async fn a_thousand_interactions_use_one_connection_and_linear_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: url::Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let app = axum::Router::new().fallback(async || status(200));
    let server = tokio::spawn(async move {
        axum::serve(
            axum::serve::ListenerExt::tap_io(listener, move |_| {
                counted.fetch_add(1, Ordering::Relaxed);
            }),
            app,
        )
        .await
        .unwrap();
    });
    let time = async |count: usize| {
        let interactions: Vec<Value> = (0..count).map(|at| get(&format!("/{at}"), None)).collect();
        let work = work(&interactions.into());
        let verifier = HttpVerifier::new(Target::new(url.clone())).unwrap();
        let began = Instant::now();
        let outcomes = verifier.verify_all(&work, &NoStates, |_| true).await;
        assert!(outcomes.iter().all(|outcome| outcome.verdict == Verdict::Passed));
        began.elapsed()
    };
    let few = time(100).await;
    let many = time(1_000).await;
    server.abort();
    assert_eq!(
        connections.load(Ordering::Relaxed),
        2,
        "one for each of the two verifiers"
    );
    assert!(many < few * 40, "100: {few:?}, 1000: {many:?}");
}

#[test]
fn a_selection_picks_by_names_expression_id_and_shard() {
    let interactions: Vec<Value> = (0..50).map(|at| get(&format!("/{at}"), None)).collect();
    let index = Index::new(vec![contract(&pact(&interactions.into()))]);
    let pick = |selection: Selection| selection.pick(&index).len();
    assert_eq!(pick(Selection::default()), 50);
    assert_eq!(
        pick(Selection {
            providers: vec!["shop".to_owned()],
            ..Selection::default()
        }),
        50
    );
    assert_eq!(
        pick(Selection {
            consumers: vec!["other".to_owned()],
            ..Selection::default()
        }),
        0
    );
    let matching = |text: &str| Selection {
        interaction: Regex::new(text).ok(),
        ..Selection::default()
    };
    assert_eq!(pick(matching("/1.$")), 10);
    let id = index.contracts()[0].interactions[7].id.to_string();
    assert_eq!(pick(matching(&id)), 1);
    let shards: Vec<usize> = ["1/3", "2/3", "3/3"]
        .map(|text| {
            pick(Selection {
                shard: text.parse().ok(),
                ..Selection::default()
            })
        })
        .to_vec();
    assert_eq!(shards.iter().sum::<usize>(), 50);
    assert!(shards.iter().all(|part| *part > 5), "{shards:?}");
    for wrong in ["0/3", "4/3", "1", "a/b", "1/0"] {
        assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn each_difference_names_the_rule_that_was_broken() {
    let actual = json!({"status": 404, "contentType": "application/json", "headers": {"x-id": "z"}, "json": {"n": "1", "list": []}});
    let answers: HashMap<String, Answer> = [(
        "/a".to_owned(),
        Box::new(move |_: &_, _: &_| crate::provider::respond(&actual)) as Answer,
    )]
    .into();
    let provider = Provider::new(answers).await;
    let mut one = get("/a", None);
    one["response"] = json!({
        "status": 200, "headers": {"x-id": ["1"]},
        "body": {"content": {"n": 1, "list": [1], "word": "w"}, "contentType": "application/json"},
        "matchingRules": {
            "status": {"matchers": [{"match": "statusCode", "status": "success"}]},
            "header": {"x-id": {"matchers": [{"match": "regex", "regex": "\\d+"}]}},
            "body": {"$.n": {"matchers": [{"match": "integer"}]}, "$.list": {"matchers": [{"match": "type", "min": 1}]}},
        },
    });
    let verdicts = verdicts(Target::new(provider.url()), &json!([one]), &NoStates).await;
    let rule = |part: Part, path: &str| {
        let found = verdicts[0]
            .mismatches()
            .iter()
            .find(|one| one.part == part && one.path == path);
        found
            .unwrap_or_else(|| panic!("{part:?} {path}: {verdicts:#?}"))
            .rule
            .clone()
            .unwrap()
    };
    assert_eq!(rule(Part::Status, ""), "must be a Success (20x) status");
    assert_eq!(rule(Part::Header, "x-id"), "must match the regular expression /\\d+/");
    assert_eq!(rule(Part::Body, "$.word"), "must have every field that is promised");
    assert_eq!(rule(Part::Body, "$.n"), "must be an integer");
    assert_eq!(
        rule(Part::Body, "$.list"),
        "must match by type and have at least 1 item"
    );
}
