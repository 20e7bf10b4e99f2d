//! The JSON report. Its fields are stable: a change that breaks a reader gets a new [`VERSION`].

use serde_json::{Value, json};

use super::{Report, text};
use crate::verify::{Outcome, Verdict};

/// The version of the report's shape.
pub const VERSION: u32 = 1;

/// The report as a JSON document.
pub fn render(report: &Report) -> Value {
    let providers: Vec<Value> = report
        .providers
        .iter()
        .map(|provider| {
            let consumers = provider.consumers.iter().map(|consumer| {
                json!({
                    "consumer": consumer.consumer,
                    "interactions": consumer.outcomes.iter().map(outcome).collect::<Vec<_>>(),
                })
            });
            json!({
                "provider": provider.provider,
                "counts": provider.counts,
                "consumers": consumers.collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "version": VERSION,
        "exitStatus": report.conclusion() as u8,
        "counts": report.counts,
        "providers": providers,
    })
}

fn outcome(of: &Outcome) -> Value {
    let exchange = of.exchange.as_ref().map(|exchange| {
        json!({
            "request": exchange.request,
            "requestHeaders": exchange.request_headers,
            "requestBody": exchange.request_body,
            "status": exchange.status,
            "answer": exchange.answer,
            "responseHeaders": exchange.response_headers,
            "responseBody": exchange.response_body,
        })
    });
    json!({
        "id": of.interaction.0,
        "description": of.description,
        "states": of.states,
        "kind": of.kind,
        "pact": of.pact,
        "verdict": of.verdict.name(),
        "because": text::because(&of.verdict),
        "help": help(&of.verdict),
        "differences": of.verdict.mismatches(),
        "milliseconds": u64::try_from(of.took.as_millis()).unwrap_or(u64::MAX),
        "cached": of.cached,
        "slow": of.verdict.is_slow(),
        "trace": of.trace,
        "logs": of.logs,
        "exchange": exchange,
        "replay": of.again,
    })
}

fn help(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::CouldNotRun { why } | Verdict::Pending { why: Some(why), .. } => why.help(),
        _ => None,
    }
}
