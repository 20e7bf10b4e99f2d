//! What came of bringing something up, in words.

use devctl_pact::verify::{Verdict, Why};
use devctl_wire::v1;

/// The failure to tell, where an outcome is one.
pub(super) fn failed(outcome: &v1::Outcome) -> Option<v1::Failure> {
    match outcome.result() {
        v1::Result::Ready | v1::Result::Unchanged | v1::Result::Planned | v1::Result::Done => None,
        v1::Result::Stopped => Some(v1::Failure {
            what: "it was stopped".to_owned(),
            ..v1::Failure::default()
        }),
        _ => {
            let told = outcome.diagnostics.iter().map(|diagnostic| diagnostic.text.as_str());
            let told = v1::Failure {
                what: told.collect::<Vec<_>>().join("\n"),
                ..v1::Failure::default()
            };
            Some(outcome.failures.first().cloned().unwrap_or(told))
        }
    }
}

/// The verdict on every promise of a provider that is not there, and its last words.
pub(super) fn not_ready(provider: &str, failure: &v1::Failure) -> (Verdict, Vec<String>) {
    let mut what = match failure.node.is_empty() || failure.node == provider {
        true => failure.what.clone(),
        false => format!("`{}`, which it needs: {}", failure.node, failure.what),
    };
    let probe = failure.probe_output.trim();
    if !probe.is_empty() {
        what.push_str(&format!(
            "; its readiness test said: {}",
            probe.lines().last().unwrap_or_default()
        ));
    }
    let help = (!failure.help.is_empty()).then(|| failure.help.clone());
    let why = Why::NotReady { what, help };
    (Verdict::CouldNotRun { why }, failure.log_tail.clone())
}
