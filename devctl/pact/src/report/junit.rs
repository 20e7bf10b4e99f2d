//! The JUnit report: a suite for each pair of provider and consumer, a case for each interaction. Broken is a failure,
//! could-not-run an error, pending is skipped.

use quick_junit::{NonSuccessKind, Report as JUnit, TestCase, TestCaseStatus, TestSuite};

use super::{Report, text};
use crate::verify::{Outcome, Verdict};

/// The report as XML.
///
/// # Errors
///
/// Where the XML cannot be written.
pub fn render(report: &Report) -> Result<String, quick_junit::SerializeError> {
    let mut document = JUnit::new("devctl verify");
    for provider in &report.providers {
        for consumer in &provider.consumers {
            let mut suite = TestSuite::new(format!("{} -> {}", consumer.consumer, provider.provider));
            suite.add_test_cases(consumer.outcomes.iter().map(case));
            document.add_test_suite(suite);
        }
    }
    document.to_string().map(|xml| as_schemas_have_it(&xml))
}

/// The usual schema (Surefire's, which Jenkins holds reports against) knows `skipped` of a suite, not of all of them.
fn as_schemas_have_it(xml: &str) -> String {
    let Some((head, tag, rest)) = xml.split_once("<testsuites ").and_then(|(head, rest)| {
        let (tag, rest) = rest.split_once('>')?;
        Some((head, tag, rest))
    }) else {
        return xml.to_owned();
    };
    let kept = tag.split(' ').filter(|attribute| !attribute.starts_with("skipped="));
    format!("{head}<testsuites {}>{rest}", kept.collect::<Vec<_>>().join(" "))
}

fn case(outcome: &Outcome) -> TestCase {
    let mut status = match outcome.verdict {
        Verdict::Passed => TestCaseStatus::success(),
        Verdict::Broken { .. } => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::CouldNotRun { .. } if outcome.verdict.is_not_here() => TestCaseStatus::skipped(),
        Verdict::CouldNotRun { .. } => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::Pending { .. } => TestCaseStatus::skipped(),
    };
    if outcome.verdict != Verdict::Passed {
        status.set_message(text::because(&outcome.verdict));
        status.set_description(text::details(outcome).join("\n"));
        status.set_type(outcome.verdict.name());
    }
    let mut case = TestCase::new(format!("{} [{}]", outcome.title(), outcome.interaction), status);
    case.set_classname(outcome.provider.as_str());
    case.set_time(outcome.took);
    case
}
