//! States are read, filled in, set on a real database and undone in milliseconds; what is wrong is named with the nearest.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use devctl_pact::ProviderState;
use devctl_pact::states::file::{Check, Trigger};
use devctl_pact::states::http::HttpCaller;
use devctl_pact::states::postgres::Postgres;
use devctl_pact::states::steps::{Doers, SqlSteps as _, StepError, StubSteps};
use devctl_pact::states::{Executor, parse};
use devctl_pact::verify::ProviderStates as _;
use serde_json::{Value, json};

use crate::postgres::Server;
use crate::provider::{Answer, Provider, status};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

fn state(name: &str, params: &Value) -> ProviderState {
    let mut state = ProviderState::default(name);
    state.params.extend(params.as_object().unwrap().clone());
    state
}

#[derive(Default)]
struct Neighbours(Mutex<Vec<String>>);

#[async_trait]
impl StubSteps for Neighbours {
    async fn set(&self, states: BTreeMap<String, Vec<ProviderState>>) -> Result<(), StepError> {
        let told: Vec<String> = states
            .iter()
            .flat_map(|(provider, states)| states.iter().map(move |state| format!("{provider}: {}", state.name)))
            .collect();
        self.0.lock().unwrap().push(told.join(", "));
        Ok(())
    }
}

#[test]
fn every_sample_service_declares_its_states() {
    let mut services = 0;
    for folder in fs::read_dir(fixtures().join("data")).unwrap() {
        let file = folder.unwrap().path().join("states.yaml");
        let text = fs::read_to_string(&file).unwrap();
        let declared = parse(&file.display().to_string(), &text).unwrap();
        assert!(!declared.states.is_empty(), "{}", file.display());
        services += 1;
    }
    assert_eq!(services, 6);
    let billing = parse(
        "billing",
        &fs::read_to_string(fixtures().join("data/billing/states.yaml")).unwrap(),
    )
    .unwrap();
    let paid = &billing.states["there is a paid invoice"];
    assert_eq!(paid.params["payment_id"], "ch_1");
    assert_eq!(paid.params["currency"], "EUR", "merged from the state above");
    assert!(matches!(
        &billing.messages["an invoice was paid"].trigger,
        Some(Trigger::Grpc(_))
    ));
    let mails = parse(
        "n",
        &fs::read_to_string(fixtures().join("data/notification/states.yaml")).unwrap(),
    )
    .unwrap();
    assert!(matches!(
        &mails.messages["an invoice was paid"].expect,
        Some(Check::Sql(_))
    ));
}

#[test]
fn what_makes_no_sense_is_told_all_at_once() {
    let text = "
states:
  one:
    params: {a: 1}
    steps:
      - sql: SELECT $1
        bind: [b]
      - {}
    returns: [c]
messages:
  two:
    trigger: {}
";
    let error = parse("states.yaml", text).unwrap_err().to_string();
    assert_eq!(
        error,
        "understand `states.yaml`: state `one`, step 1: binds `b`, which is none of the state's parameters; \
         state `one`, step 2: a step is one of `sql`, `http`, `amqp` and `stub`; \
         state `one` returns `c`, which is none of its parameters; \
         message `two`: a trigger is one of `http`, `grpc` and `sql`"
    );
    let error = parse("states.yaml", "states:\n  one:\n    step: []\n").unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("step") && cause.contains('3'), "{cause}");
}

#[tokio::test]
async fn an_unknown_state_or_parameter_names_the_known_and_the_nearest() {
    let declared = parse(
        "states.yaml",
        "states: {there are no items: {}, there is an item: {params: {id: 1}}}",
    )
    .unwrap();
    let executor = Executor::new(declared, Doers::default());
    let failure = executor
        .set_up(&[state("there is an itme", &json!({}))])
        .await
        .unwrap_err();
    assert_eq!(failure.what, "find the state `there is an itme` in states.yaml");
    assert_eq!(
        failure.help.unwrap(),
        "did you mean `there is an item`? known states: there are no items, there is an item"
    );
    let failure = executor
        .set_up(&[state("there is an item", &json!({"ids": 2}))])
        .await
        .unwrap_err();
    assert_eq!(failure.help.unwrap(), "did you mean `id`? known parameters: id");
}

#[tokio::test]
async fn neighbours_are_told_all_their_states_at_once_and_forget_them() {
    let text = fs::read_to_string(fixtures().join("data/api-gateway/states.yaml")).unwrap();
    let neighbours = Arc::new(Neighbours::default());
    let stubs: Arc<dyn StubSteps> = Arc::clone(&neighbours) as Arc<dyn StubSteps>;
    let executor = Executor::new(
        parse("g", &text).unwrap(),
        Doers {
            stubs: Some(stubs),
            ..Doers::default()
        },
    );
    executor
        .set_up(&[state("the caller has an open invoice", &json!({}))])
        .await
        .unwrap();
    executor.set_up(&[]).await.unwrap();
    let told = neighbours.0.lock().unwrap().clone();
    assert_eq!(
        told,
        ["", "auth: a user is signed in, billing: there is an open invoice", ""]
    );
    let alone = Executor::new(parse("g", &text).unwrap(), Doers::default());
    let failure = alone
        .set_up(&[state("the token has expired", &json!({}))])
        .await
        .unwrap_err();
    assert!(failure.what.contains("do an `stub` step"), "{}", failure.what);
}

#[tokio::test]
async fn http_steps_are_filled_in_and_checked() {
    let seen: Answer = Box::new(|parts, body| {
        let body: Value = serde_json::from_slice(body).unwrap();
        status(
            if parts.uri.query() == Some("id=7") && body == json!({"id": 7, "text": "item 7"}) {
                201
            } else {
                400
            },
        )
    });
    let provider = Provider::new(HashMap::from([("/items".to_owned(), seen)])).await;
    let text = "
states:
  there is an item:
    params: {id: 1}
    steps:
      - http: {method: POST, path: '/items?id=${id}', body: {id: '${id}', text: 'item ${id}'}, expect: 201}
    returns: [id]
";
    let http = Arc::new(HttpCaller::new(provider.url()).unwrap());
    let executor = Executor::new(
        parse("s", text).unwrap(),
        Doers {
            http: Some(http),
            ..Doers::default()
        },
    );
    let values = executor
        .set_up(&[state("there is an item", &json!({"id": 7}))])
        .await
        .unwrap();
    assert_eq!(values["id"], 7);
    let failure = executor
        .set_up(&[state("there is an item", &json!({"id": 8}))])
        .await
        .unwrap_err();
    assert!(failure.what.contains("expected 201, was 400"), "{}", failure.what);
}

#[tokio::test]
async fn every_state_of_the_sample_is_set_on_its_own_schema_and_reset_in_milliseconds() {
    let Some(server) = Server::start().await else { return };
    let services = [
        ("auth", "auth/internal/store/migrations"),
        ("billing", "billing/migrations"),
        ("notification", "notification/migrations"),
        ("user-analytics", "user-analytics/migrations"),
    ];
    for (service, migrations) in services {
        let mut files: Vec<PathBuf> = fs::read_dir(fixtures().join("services").join(migrations))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        let mut statements: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        if service != "auth" {
            // The Rust services share a table of things to do.
            statements.insert(
                0,
                fs::read_to_string(fixtures().join("services/kit/src/jobs.sql")).unwrap(),
            );
        }
        statements.push("CREATE TABLE IF NOT EXISTS schema_migrations (version text)".to_owned());
        statements.push("INSERT INTO schema_migrations (version) VALUES ('kept')".to_owned());
        let name = service.replace('-', "_");
        let client = server.database(&name, &statements).await;

        let text = fs::read_to_string(fixtures().join("data").join(service).join("states.yaml")).unwrap();
        let declared = parse(service, &text).unwrap();
        let states: Vec<String> = declared.states.keys().cloned().collect();
        let sql = Arc::new(Postgres::connect(&server.config(&name)).await.unwrap());
        let stubs = Arc::new(Neighbours::default());
        let executor = Executor::new(
            declared,
            Doers {
                sql: Some(sql),
                stubs: Some(stubs),
                ..Doers::default()
            },
        );
        for name in &states {
            let set = executor.set_up(&[state(name, &json!({}))]).await;
            assert!(set.is_ok(), "{service}, {name}: {set:?}");
        }
        let began = Instant::now();
        executor.set_up(&[]).await.unwrap();
        let took = began.elapsed();
        assert!(took < Duration::from_millis(500), "{service}: {took:?}");
        let kept: i64 = client
            .query_one("SELECT count(*) FROM schema_migrations", &[])
            .await
            .unwrap()
            .get(0);
        assert_eq!(kept, 1, "{service}");
        if service == "billing" {
            let given = json!({"count": 3, "email": "bob@example.com"});
            executor
                .set_up(&[state("there are many invoices", &given)])
                .await
                .unwrap();
            let sql = "SELECT count(*) FROM invoices WHERE customer_email = 'bob@example.com'";
            let there: i64 = client.query_one(sql, &[]).await.unwrap().get(0);
            assert_eq!(there, 3);
            executor.set_up(&[]).await.unwrap();
            let left: i64 = client
                .query_one("SELECT count(*) FROM invoices", &[])
                .await
                .unwrap()
                .get(0);
            assert_eq!(left, 0);
        }
    }
}

#[tokio::test]
async fn a_reset_brings_back_what_the_migrations_have_put_in() {
    let Some(server) = Server::start().await else { return };
    let schema = [
        "CREATE TABLE kinds (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, loud text GENERATED ALWAYS AS (upper(name)) STORED)",
        "CREATE TABLE things (id serial PRIMARY KEY, kind int REFERENCES kinds)",
        "CREATE TABLE audit (at timestamptz DEFAULT now())",
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO audit DEFAULT VALUES; RETURN NEW; END'",
        "CREATE TRIGGER noted AFTER INSERT ON kinds FOR EACH ROW EXECUTE FUNCTION noted()",
        "INSERT INTO kinds (name) VALUES ('one'), ('two')",
        "TRUNCATE audit",
    ];
    let schema: Vec<String> = schema.map(str::to_owned).into();
    let client = server.database("frozen", &schema).await;
    let database = Postgres::connect(&server.config("frozen")).await.unwrap();
    database.reset(&[]).await.unwrap();
    let seen = async || {
        let sql = "SELECT (SELECT string_agg(id || loud, ' ' ORDER BY id) FROM kinds), \
            (SELECT count(*) FROM things), (SELECT count(*) FROM audit)";
        let row = client.query_one(sql, &[]).await.unwrap();
        (
            row.get::<_, Option<String>>(0),
            row.get::<_, i64>(1),
            row.get::<_, i64>(2),
        )
    };
    let fresh = (Some("1ONE 2TWO".to_owned()), 0, 0);
    assert_eq!(seen().await, fresh);

    let change = "DELETE FROM kinds WHERE id = 1; INSERT INTO kinds (name) VALUES ('three'); INSERT INTO things (kind) VALUES (3)";
    let began = Instant::now();
    for _ in 0..10 {
        client.batch_execute(change).await.unwrap();
        assert_ne!(seen().await, fresh);
        database.reset(&[]).await.unwrap();
        assert_eq!(seen().await, fresh);
    }
    let took = began.elapsed() / 10;
    assert!(took < Duration::from_millis(250), "{took:?}");
    // New rows go on from where the migrations stood.
    client.batch_execute(change).await.unwrap();
    let newest: i32 = client.query_one("SELECT max(id) FROM kinds", &[]).await.unwrap().get(0);
    assert_eq!(newest, 3);
    // What is to be left is left.
    database
        .reset(&["kinds".to_owned(), "things".to_owned()])
        .await
        .unwrap();
    assert_eq!(seen().await, (Some("2TWO 3THREE".to_owned()), 1, 0));
}
