//! The sample's Authentication service, running, answers as its OpenAPI document says: each operation with each status that a
//! caller can bring about, with its headers and its body.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Project, free_port};

/// What no caller brings about: a service that fails, or has lost its database.
const OUT_OF_REACH: [&str; 2] = ["500", "503"];

const ACCOUNT: &str = r#"{"email": "ada@example.com", "password": "analytical engine", "display_name": "Ada"}"#;

#[test]
fn auth_answers_as_its_document_says() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/services/auth");
    let sources = sources.canonicalize().expect("the service's sources");
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contracts/openapi/auth.yaml");
    let document = std::fs::read_to_string(document).expect("the document");
    let document: Value = serde_saphyr::from_str(&document).expect("a document in YAML");
    let port = free_port();
    let project = Project::new("");
    let text = compose(port)
        .replace("$SOURCES", &sources.display().to_string())
        .replace("$BINARY", &project.dir().join("auth").display().to_string());
    project.write("compose.yaml", &text);
    project.ok(&["up", "-d", "--wait"]);

    // The client wants one even where nothing is encrypted; another test may have chosen it already.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let walked = runtime.block_on(walk(&document, &format!("http://127.0.0.1:{port}")));
    assert_eq!(walked, documented(&document));
}

fn compose(port: u16) -> String {
    format!(
        r#"
name: auth
services:
  db:
    image: postgres:15
    environment: {{POSTGRES_USER: auth, POSTGRES_PASSWORD: auth, POSTGRES_DB: auth}}
    healthcheck: {{test: [CMD-SHELL, pg_isready -q -U auth], interval: 2s, retries: 30}}
  rabbitmq:
    image: rabbitmq:3.10
    healthcheck: {{test: [CMD, gosu, rabbitmq, rabbitmq-diagnostics, -q, check_port_connectivity], interval: 5s, retries: 24}}
  auth:
    image: auth
    depends_on:
      db: {{condition: service_healthy}}
      rabbitmq: {{condition: service_healthy}}
    environment:
      DATABASE_URL: postgres://auth:auth@db:5432/auth?sslmode=disable
      AMQP_URL: amqp://guest:guest@rabbitmq:5672
    ports: ["127.0.0.1:{port}:8080"]
    x-devctl:
      native:
        dir: $SOURCES
        build: go build -o $BINARY .
        command: $BINARY
        ports: {{"8080": PORT, "9090": GRPC_PORT}}
        ready: /readyz
"#
    )
}

/// `GET /v1/users/{id} 404` and the like: everything that a caller can bring about.
fn documented(document: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            for status in operation["responses"].as_object().expect("responses").keys() {
                if !OUT_OF_REACH.contains(&status.as_str()) {
                    all.insert(format!("{} {path} {status}", method.to_uppercase()));
                }
            }
        }
    }
    all
}

/// Asks for everything, holds each answer against the document, and says what was walked.
async fn walk(document: &Value, at: &str) -> BTreeSet<String> {
    let mut walker = Walker {
        document,
        at,
        client: reqwest::Client::new(),
        walked: BTreeSet::new(),
    };
    let wrong = |field: &str, value: &str| {
        let mut account: Value = serde_json::from_str(ACCOUNT).expect("an account");
        account[field] = json!(value);
        account.to_string()
    };
    let credentials = r#"{"email": "ADA@example.com ", "password": "analytical engine"}"#;

    walker.ask("GET", "/healthz", "/healthz", None, None, 200).await;
    walker.ask("GET", "/readyz", "/readyz", None, None, 200).await;
    let users = "/v1/users";
    let ada = walker.ask("POST", users, users, None, Some(ACCOUNT), 201).await;
    walker.ask("POST", users, users, None, Some(ACCOUNT), 409).await;
    walker.ask("POST", users, users, None, Some("{"), 400).await;
    walker
        .ask("POST", users, users, None, Some(r#"{"name": "Ada"}"#), 400)
        .await;
    for (field, value) in [("email", "ada"), ("password", "short"), ("display_name", " ")] {
        let refused = walker
            .ask("POST", users, users, None, Some(&wrong(field, value)), 422)
            .await;
        let detail = refused["detail"].as_str().unwrap_or_default();
        assert!(detail.starts_with(field), "`{detail}` does not begin with `{field}`");
    }
    let sessions = "/v1/sessions";
    let session = walker
        .ask("POST", sessions, sessions, None, Some(credentials), 201)
        .await;
    walker.ask("POST", sessions, sessions, None, Some("[]"), 400).await;
    let wrong = r#"{"email": "ada@example.com", "password": "difference engine"}"#;
    walker.ask("POST", sessions, sessions, None, Some(wrong), 401).await;
    let token = session["token"].as_str();
    let (id, user) = (ada["id"].as_str().expect("an id"), "/v1/users/{id}");
    let mine = format!("/v1/users/{id}");
    assert_eq!(walker.ask("GET", user, &mine, token, None, 200).await, ada);
    walker.ask("GET", user, &mine, None, None, 401).await;
    walker
        .ask(
            "GET",
            user,
            "/v1/users/0190a000-0000-7000-8000-000000000009",
            token,
            None,
            404,
        )
        .await;
    let current = "/v1/sessions/current";
    walker.ask("DELETE", current, current, token, None, 204).await;
    walker.ask("DELETE", current, current, token, None, 401).await;
    walker.ask("GET", user, &mine, token, None, 401).await;
    walker.walked
}

struct Walker<'a> {
    document: &'a Value,
    at: &'a str,
    client: reqwest::Client,
    walked: BTreeSet<String>,
}

impl Walker<'_> {
    async fn ask(
        &mut self,
        method: &str,
        template: &str,
        path: &str,
        token: Option<&str>,
        body: Option<&str>,
        status: u16,
    ) -> Value {
        let mut request = self
            .client
            .request(method.parse().expect("a method"), format!("{}{path}", self.at));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        let response = request.send().await.expect("an answer");
        let place = format!("{method} {template} {}", response.status().as_u16());
        let headers = response.headers().clone();
        let text = response.text().await.expect("a body");
        assert_eq!(
            place,
            format!("{method} {template} {status}"),
            "{path} {body:?}: {text}"
        );
        let document = self.document;
        let promised = resolved(
            document,
            &document["paths"][template][method.to_lowercase()]["responses"][status.to_string()],
        );
        assert!(promised.is_object(), "{place} is not documented");
        for (name, header) in promised["headers"].as_object().into_iter().flatten() {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            let value = value.unwrap_or_else(|| unreachable!("{place} has no {name}"));
            self.check(&header["schema"], &json!(value), &format!("{place}, {name}"));
        }
        self.walked.insert(place.clone());
        let Some(content) = promised["content"].as_object() else {
            assert_eq!(text, "", "{place} has a body that is not documented");
            return Value::Null;
        };
        let kind = headers
            .get("content-type")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let medium = content
            .get(kind)
            .unwrap_or_else(|| unreachable!("{place} answers with `{kind}`"));
        let answer: Value = serde_json::from_str(&text).expect("JSON");
        self.check(&medium["schema"], &answer, &place);
        // What is not documented, nobody could know of.
        let schema = resolved(document, &medium["schema"]);
        for field in answer.as_object().into_iter().flatten().map(|(field, _)| field) {
            assert!(
                schema["properties"].get(field).is_some(),
                "{place}: `{field}` is not documented"
            );
        }
        answer
    }

    fn check(&self, schema: &Value, value: &Value, place: &str) {
        let whole = json!({"components": self.document["components"], "allOf": [schema]});
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(true)
            .build(&whole)
            .expect("a schema");
        let faults: Vec<String> = validator.iter_errors(value).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{place}: {faults:?} in {value}");
    }
}

fn resolved<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(node),
        None => node,
    }
}
