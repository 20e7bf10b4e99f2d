//! Every route of a service is in its OpenAPI document, and the document has no other. Routes are read from the source: what is
//! documented must be found by looking, not by trying.

use std::collections::BTreeSet;

use regex::Regex;

/// Health endpoints are auth's own; the Rust services have theirs from `kit`, for whoever runs them and not for callers.
const SOURCES: [(&str, &str); 4] = [
    ("api-gateway", "fixtures/services/api-gateway/src/api.rs"),
    ("auth", "fixtures/services/auth/internal/api/http.go"),
    ("notification", "fixtures/services/notification/src/api.rs"),
    ("user-analytics", "fixtures/services/user-analytics/src/api.rs"),
];

#[test]
fn documents_and_routers_know_the_same_operations() {
    for (service, source) in SOURCES {
        let document = super::yaml(&format!("contracts/openapi/{service}.yaml"));
        let mut documented = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
                documented.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
        assert_eq!(routes(&super::read(source)), documented, "{service}");
    }
}

fn routes(source: &str) -> BTreeSet<String> {
    let go = Regex::new(r#"mux\.HandleFunc\("([A-Z]+) ([^"]+)""#).unwrap();
    let rust = Regex::new(r#"\.route\(\s*"([^"]+)",\s*([^\n]+)\)"#).unwrap();
    let method = Regex::new(r"\b(get|post|put|patch|delete)\(").unwrap();
    let mut found: BTreeSet<String> = go
        .captures_iter(source)
        .map(|route| format!("{} {}", &route[1], &route[2]))
        .collect();
    for route in rust.captures_iter(source) {
        for method in method.captures_iter(&route[2]) {
            found.insert(format!("{} {}", method[1].to_uppercase(), &route[1]));
        }
    }
    found
}
