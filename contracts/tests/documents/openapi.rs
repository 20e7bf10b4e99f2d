//! What pacts promise over HTTP, the provider's OpenAPI document allows: the operation, the status, and both bodies.

use std::collections::BTreeMap;

use devctl_pact::index::Kind;
use pact_models::v4::http_parts::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::faults;

const DOCUMENTED: [&str; 4] = ["api-gateway", "email-provider", "payments-provider", "user-analytics"];

#[test]
fn pacts_keep_to_the_documents() {
    let documents: BTreeMap<&str, Value> = DOCUMENTED
        .into_iter()
        .map(|name| (name, super::yaml(&format!("contracts/openapi/{name}.yaml"))))
        .collect();
    let mut checked = 0;
    for pact in super::pacts() {
        let Some(document) = documents.get(pact.provider.as_str()) else {
            continue;
        };
        for interaction in &pact.interactions {
            let Kind::Http(http) = &interaction.kind else { continue };
            let problems = problems(document, &http.request, &http.response);
            let place = format!("{}: `{}`", pact.pair(), interaction.description);
            assert!(problems.is_empty(), "{place}: {problems:#?}");
            checked += 1;
        }
    }
    assert!(checked > 30, "{checked}");
}

#[test]
fn examples_keep_to_their_schemas() {
    for name in ["auth", "notification"].into_iter().chain(DOCUMENTED) {
        let document = super::yaml(&format!("contracts/openapi/{name}.yaml"));
        let mut examples = Vec::new();
        gather(&document, "", &mut examples);
        assert!(!examples.is_empty(), "{name}");
        for (place, schema, example) in examples {
            let faults = faults(&document, schema, example);
            assert!(faults.is_empty(), "{name}{place}: {faults:#?}");
        }
    }
}

/// Each example with its schema: beside it where it is a medium's or a parameter's, around it where it is a schema's own.
fn gather<'a>(node: &'a Value, place: &str, found: &mut Vec<(String, &'a Value, &'a Value)>) {
    if let (Some(schema), Some(example)) = (node.get("schema"), node.get("example")) {
        found.push((place.to_owned(), schema, example));
    } else if let (Some("object"), Some(example)) = (node["type"].as_str(), node.get("example")) {
        found.push((place.to_owned(), node, example));
    }
    match node {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| *key != "example")
            .for_each(|(key, value)| gather(value, &format!("{place}/{key}"), found)),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, value)| gather(value, &format!("{place}/{at}"), found)),
        _ => {}
    }
}

fn problems(document: &Value, request: &HttpRequest, response: &HttpResponse) -> Vec<String> {
    let method = request.method.to_lowercase();
    let Some(operation) = operation(document, &method, &request.path) else {
        return vec![format!("{} {} is not documented", request.method, request.path)];
    };
    let Some(answer) = operation["responses"].get(response.status.to_string()) else {
        return vec![format!("the status {} is not documented", response.status)];
    };
    let answer = resolved(document, answer);
    let mut problems = Vec::new();
    // A wrong request is what some are about: only one that succeeds has to be right.
    if response.status < 400
        && let Some(body) = json(request.body.value())
    {
        let schema = &resolved(document, &operation["requestBody"])["content"]["application/json"]["schema"];
        problems.extend(faults(document, schema, &body));
    }
    if let Some(body) = json(response.body.value()) {
        let headers = response.headers.iter().flatten();
        let kind = headers
            .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            .find_map(|(_, values)| values.first().cloned())
            .unwrap_or_default();
        match answer["content"][&kind].get("schema") {
            // A consumer names what it reads: what else is required, the provider's own tests see to.
            Some(schema) => problems.extend(
                faults(document, schema, &body)
                    .into_iter()
                    .filter(|fault| !fault.ends_with("is a required property")),
            ),
            None => problems.push(format!("{kind} is not documented for {}", response.status)),
        }
    }
    problems
}

/// The operation of a method and a path, whose parameters may be anything.
fn operation<'a>(document: &'a Value, method: &str, path: &str) -> Option<&'a Value> {
    let paths = document["paths"].as_object()?;
    let fits = |template: &str| {
        let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
        template.len() == path.len()
            && template
                .iter()
                .zip(&path)
                .all(|(wanted, is)| wanted.starts_with('{') || wanted == is)
    };
    // `/v1/invoices/export` before `/v1/invoices/{id}`.
    let found = paths.get(path).or_else(|| {
        let mut templates = paths.iter();
        templates.find(|(template, _)| fits(template)).map(|(_, item)| item)
    });
    found?.get(method)
}

fn resolved<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    match node["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap_or(node),
        None => node,
    }
}

fn json(body: Option<bytes::Bytes>) -> Option<Value> {
    serde_json::from_slice(&body?).ok()
}
