//! The fast loop and `pact_verifier` come to the same verdict on every interaction of a corpus that uses every matcher,
//! kept and broken, in V2, V3 and V4.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use devctl_pact::ProviderState;
use devctl_pact::difference::Part;
use devctl_pact::index::{Contract, Interaction};
use devctl_pact::verify::{
    HttpVerifier, NoStates, Outcome, ProviderStates, StateFailure, Target, Values, Verdict, reference,
};
use serde_json::{Value, json};

use crate::provider::{Answer, Provider, body_of, respond, status};
use crate::support::contract;

type Work = Vec<(Arc<Contract>, Arc<Interaction>)>;

fn corpus(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

/// One contract per version; interaction `n` is asked for at `/n`.
fn contracts(cases: &[Value]) -> Work {
    let versions: BTreeSet<&str> = cases.iter().map(|case| case["version"].as_str().unwrap()).collect();
    let mut work = Work::new();
    for version in versions {
        let interactions: Vec<Value> = cases
            .iter()
            .enumerate()
            .filter(|(_, case)| case["version"] == version)
            .map(|(at, case)| {
                let mut request = case.get("request").cloned().unwrap_or_else(|| json!({"method": "GET"}));
                request["path"] = json!(format!("/{at}"));
                let response = case.get("response").cloned().unwrap_or_else(|| json!({"status": 200}));
                let mut one = json!({"description": case["name"], "request": request, "response": response});
                if version == "4.0" {
                    one["type"] = json!("Synchronous/HTTP");
                    one["pending"] = case.get("pending").cloned().unwrap_or(json!(false));
                }
                if let Some(states) = case.get("states") {
                    one["providerStates"] = states.clone();
                }
                one
            })
            .collect();
        let contract = contract(&json!({
            "consumer": {"name": format!("consumer-{version}")}, "provider": {"name": "provider"},
            "interactions": interactions, "metadata": {"pactSpecification": {"version": version}},
        }));
        work.extend(
            contract
                .interactions
                .iter()
                .map(|one| (Arc::clone(&contract), Arc::clone(one))),
        );
    }
    work
}

/// Both ways, and that they agree: the verdict, and the parts and paths that differ.
async fn both(provider: &Provider, work: &Work, states: Arc<dyn ProviderStates>) -> Vec<Outcome> {
    let target = Target::new(provider.url());
    let verifier = HttpVerifier::new(target.clone()).unwrap();
    let fast = verifier.verify_all(work, states.as_ref(), |_| true).await;
    let slow = reference::verify_all(&target, work, states).await;
    assert_eq!(fast.len(), work.len());
    for (one, other) in fast.iter().zip(&slow) {
        assert_eq!(one.verdict, other.verdict, "{}", one.description);
    }
    fast
}

#[tokio::test]
async fn answers_are_judged_alike_and_rightly() {
    let cases = corpus(include_str!("../corpus/answers.json"));
    let answers = cases
        .iter()
        .enumerate()
        .map(|(at, case)| {
            let actual = case["actual"].clone();
            let answer: Answer = Box::new(move |_, _| respond(&actual));
            (format!("/{at}"), answer)
        })
        .collect();
    let provider = Provider::new(answers).await;
    let outcomes = both(&provider, &contracts(&cases), Arc::new(NoStates)).await;
    let by_name: HashMap<&str, &Outcome> = outcomes.iter().map(|one| (one.description.as_str(), one)).collect();
    let mut wrong = Vec::new();
    for case in &cases {
        let outcome = by_name[case["name"].as_str().unwrap()];
        let kept = case["kept"] == true;
        let pending = case.get("pending").is_some();
        let right = match &outcome.verdict {
            Verdict::Passed => kept,
            Verdict::Broken { mismatches } => !kept && !pending && !mismatches.is_empty(),
            Verdict::Pending { .. } => !kept && pending,
            Verdict::CouldNotRun { .. } => false,
        };
        if !right {
            wrong.push(format!("{}: {:?}", outcome.description, outcome.verdict));
        }
        if let (Some(at), [first, ..]) = (case.get("at"), outcome.verdict.mismatches()) {
            assert_eq!(
                (first.part, json!(first.path)),
                (Part::Body, at.clone()),
                "{}",
                outcome.description
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A case of V4 in the words of V3 or V2; `None` where these cannot say it.
fn older(case: &Value, version: &str) -> Option<Value> {
    let body = case["response"]["body"].get("content")?;
    let plain = case["version"] == "4.0"
        && case.get("pending").is_none()
        && case["response"].get("headers").is_none()
        && case["response"]["body"].get("encoded").is_none()
        && case["response"]["body"]["contentType"] == "application/json"
        && case["response"]["body"].get("contentTypeHint").is_none();
    let none = serde_json::Map::new();
    let rules = case["response"]
        .get("matchingRules")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    if !plain || rules.keys().any(|category| category != "body") || body.is_null() {
        return None;
    }
    let mut older = case.clone();
    older["version"] = json!(version);
    older["name"] = json!(format!("{}, as V{}", case["name"].as_str()?, &version[..1]));
    older["response"]["body"] = body.clone();
    older["response"]["headers"] = json!({"Content-Type": "application/json"});
    if version == "2.0.0" {
        let mut flat = serde_json::Map::new();
        for (path, list) in rules.get("body").and_then(Value::as_object).into_iter().flatten() {
            let [rule] = &list["matchers"].as_array()?[..] else {
                return None;
            };
            flat.insert(path.replacen('$', "$.body", 1), rule.clone());
        }
        older["response"]["matchingRules"] = Value::Object(flat);
    }
    Some(older)
}

#[tokio::test]
async fn older_versions_judge_alike_what_they_can_say() {
    let cases = corpus(include_str!("../corpus/answers.json"));
    for (version, least) in [("3.0.0", 60), ("2.0.0", 60)] {
        let cases: Vec<Value> = cases.iter().filter_map(|case| older(case, version)).collect();
        assert!(cases.len() >= least, "{version}: {}", cases.len());
        let answers = cases.iter().enumerate().map(|(at, case)| {
            let actual = case["actual"].clone();
            let answer: Answer = Box::new(move |_, _| respond(&actual));
            (format!("/{at}"), answer)
        });
        let provider = Provider::new(answers.collect()).await;
        let outcomes = both(&provider, &contracts(&cases), Arc::new(NoStates)).await;
        let mut wrong = Vec::new();
        for (case, outcome) in cases.iter().zip(&outcomes) {
            let kept = outcome.verdict == Verdict::Passed;
            if kept != (case["kept"] == true) {
                wrong.push(format!("{}: {:?}", outcome.description, outcome.verdict));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn the_corpus_uses_every_matcher() {
    let mut used = BTreeSet::new();
    fn walk(json: &Value, used: &mut BTreeSet<String>) {
        match json {
            Value::Object(fields) => {
                if let Some(name) = fields.get("match").and_then(Value::as_str) {
                    used.insert(name.to_owned());
                    let bounds = ["min", "max"].iter().filter(|bound| fields.contains_key(**bound));
                    used.extend(bounds.map(|bound| format!("{name} {bound}")));
                }
                fields.values().for_each(|value| walk(value, used));
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, used)),
            _ => {}
        }
    }
    for case in corpus(include_str!("../corpus/answers.json")) {
        walk(&case["response"]["matchingRules"], &mut used);
    }
    // Equality is also what holds without a rule; these are all that the specification has.
    for name in [
        "equality",
        "regex",
        "type",
        "type min",
        "type max",
        "date",
        "time",
        "include",
        "number",
        "integer",
        "decimal",
        "null",
        "contentType",
        "arrayContains",
        "values",
        "boolean",
        "statusCode",
        "notEmpty",
        "semver",
        "eachKey",
        "eachValue",
    ] {
        assert!(used.contains(name), "{name}: {used:?}");
    }
    assert!(used.contains("datetime") || used.contains("timestamp"));
}

#[tokio::test]
async fn requests_are_sent_alike_and_rightly() {
    let cases = corpus(include_str!("../corpus/requests.json"));
    let answers = cases
        .iter()
        .enumerate()
        .map(|(at, case)| {
            let seen = case["seen"].clone();
            let answer: Answer = Box::new(move |parts, body| {
                let header = |name: &str| {
                    let values = parts.headers.get_all(name).iter().map(|value| value.to_str().unwrap());
                    values.collect::<Vec<_>>().join(", ")
                };
                let headers = seen["headers"].as_object();
                let right = parts.method.as_str() == seen["method"]
                    && parts.uri.query() == seen["query"].as_str()
                    && headers.is_none_or(|headers| headers.iter().all(|(name, value)| header(name) == *value))
                    && body[..] == body_of(&seen).unwrap_or_default();
                status(if right { 200 } else { 400 })
            });
            (format!("/{at}"), answer)
        })
        .collect();
    let provider = Provider::new(answers).await;
    for (at, case) in cases.iter().enumerate() {
        let mut work = contracts(&cases);
        work.retain(|(_, interaction)| interaction.description == case["name"]);
        let returned = case.get("returned").cloned().unwrap_or_else(|| json!({}));
        let states = Returning(returned.as_object().unwrap().clone().into_iter().collect());
        let outcomes = both(&provider, &work, Arc::new(states)).await;
        assert_eq!(outcomes[0].verdict, Verdict::Passed, "{at}: {:#?}", outcomes[0]);
    }
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
