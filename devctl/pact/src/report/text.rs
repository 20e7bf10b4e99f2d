//! What a terminal shows, as lines without colour: the one line of a provider, and a broken promise in full.

use super::ProviderReport;
use crate::difference::Difference;
use crate::verify::{Outcome, Verdict};

/// `billing: 12 kept, 1 broken: a charge (given ...) $.id: expected ...`.
pub fn line(provider: &ProviderReport) -> String {
    let mut line = format!("{}: {}", provider.provider, provider.counts.sentence());
    let first = provider
        .consumers
        .iter()
        .flat_map(|consumer| &consumer.outcomes)
        .find(|outcome| matches!(outcome.verdict, Verdict::Broken { .. } | Verdict::CouldNotRun { .. }));
    if let Some(outcome) = first {
        line.push_str(&format!(": {}: {}", outcome.title(), because(&outcome.verdict)));
    }
    line
}

/// The verdict's reason in one line; empty where the promise is kept.
pub fn because(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Passed => String::new(),
        Verdict::CouldNotRun { why } | Verdict::Pending { why: Some(why), .. } => format!("could not {why}"),
        Verdict::Broken { mismatches } | Verdict::Pending { mismatches, .. } => {
            mismatches.first().map(Difference::sentence).unwrap_or_default()
        }
    }
}

/// Everything that helps with one outcome, line by line.
pub fn details(outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    for difference in outcome.verdict.mismatches() {
        lines.push(difference.sentence());
        lines.push(format!("  expected: {}", difference.expected));
        lines.push(format!("  actual:   {}", difference.actual));
        if let Some(rule) = &difference.rule {
            lines.push(format!("  rule:     {rule}"));
        }
    }
    lines.extend(beside(outcome));
    lines
}

/// What there is to say of an outcome beside what differs.
pub(super) fn beside(outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    if let Verdict::CouldNotRun { why } | Verdict::Pending { why: Some(why), .. } = &outcome.verdict {
        lines.push(format!("could not {why}"));
        if let Some(help) = why.help() {
            lines.push(format!("  help: {help}"));
        }
    }
    if let Some(exchange) = &outcome.exchange {
        if !exchange.request.is_empty() {
            lines.push(format!("sent: {}", exchange.request));
        }
        for (name, value) in &exchange.request_headers {
            lines.push(format!("  {name}: {value}"));
        }
        if !exchange.request_body.is_empty() {
            lines.push(format!("  {}", exchange.request_body));
        }
        if !exchange.answer.is_empty() {
            lines.push(format!("answered: {}", exchange.answer));
        }
        for (name, value) in &exchange.response_headers {
            lines.push(format!("  {name}: {value}"));
        }
        if !exchange.response_body.is_empty() {
            lines.push(format!("  {}", exchange.response_body));
        }
    }
    if !outcome.logs.is_empty() {
        lines.push(format!("{} logged meanwhile:", outcome.provider));
        lines.extend(outcome.logs.iter().map(|line| format!("  {line}")));
    }
    if let Some(trace) = &outcome.trace {
        lines.push(format!("trace: {trace}"));
    }
    lines.push(format!("pact: {}", outcome.pact));
    if !outcome.again.is_empty() {
        lines.push(format!("again: {}", outcome.again));
    }
    lines
}
