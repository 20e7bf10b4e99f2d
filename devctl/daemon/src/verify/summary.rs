//! What the verification of one provider came to, in the engine's words; and the last verdicts of all pairs, kept beside the others so
//! that `contracts ls` can tell them.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use devctl_core::engine::{Breach, Failure, Verification};
use devctl_pact::difference::{Difference, Part};
use devctl_pact::report::{Report, text};
use devctl_pact::verify::{Outcome, Verdict, Why};
use devctl_wire::v1;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::messages::RECEIVED;

/// Where the last verdicts are, in the directory of a project's state.
const FILE: &str = "verdicts/last.json";
/// A longer value tells no more in one line.
const LONGEST: usize = 80;

/// The verification of `service`.
pub(super) fn of(source: &v1::Source, report: &Report) -> Verification {
    let counts = report.counts;
    let broken = |outcome: &&Outcome| matches!(outcome.verdict, Verdict::Broken { .. });
    Verification {
        kept: counts.passed,
        broken: counts.broken,
        pending: counts.pending,
        could_not_run: counts.could_not_run + counts.not_here,
        known: counts.cached,
        breach: report.outcomes().find(broken).map(|outcome| breach(source, outcome)),
        trouble: report.outcomes().find_map(|outcome| trouble(source, outcome)),
    }
}

fn trouble(source: &v1::Source, outcome: &Outcome) -> Option<Failure> {
    let Verdict::CouldNotRun { why } = &outcome.verdict else {
        return None;
    };
    let shown = match why {
        // It is what every promise has come to, and has nothing to do with this one.
        Why::NotReady { what, .. } | Why::NotHere { what, .. } => what.clone(),
        _ => format!("{}: {}", outcome.title(), text::because(&outcome.verdict)),
    };
    let help = why.help().map_or_else(
        || format!("`{}` tries it alone", command(source, outcome)),
        str::to_owned,
    );
    Some(Failure {
        what: one_line(&shown),
        help: Some(help),
        output: outcome.logs.clone(),
    })
}

fn breach(source: &v1::Source, outcome: &Outcome) -> Breach {
    let first = outcome.verdict.mismatches().first();
    let received = outcome.interaction.to_string().ends_with(RECEIVED);
    let said = match first {
        // A message that it is promised, and does not take.
        Some(first) if received => format!(
            "{}, published by {}: {}",
            outcome.description.trim_start_matches("received: "),
            outcome.provider,
            first.sentence()
        ),
        Some(first) => format!("{} expects {}", outcome.consumer, expectation(first)),
        None => outcome.title(),
    };
    Breach {
        consumer: outcome.consumer.clone(),
        interaction: outcome.title(),
        path: first.map(|first| first.path.clone()).unwrap_or_default(),
        expected: first.map(|first| first.expected.clone()).unwrap_or_default(),
        actual: first.map(|first| first.actual.clone()).unwrap_or_default(),
        said: one_line(&said),
        command: format!("`{}` shows it whole", command(source, outcome)),
    }
}

/// What shows one promise alone, typed where `up` was.
fn command(source: &v1::Source, outcome: &Outcome) -> String {
    let mut words = vec!["devctl".to_owned()];
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), value.to_owned()]);
    source.files.iter().for_each(|file| option("-f", file));
    if !source.project_directory.is_empty() {
        option("--project-directory", &source.project_directory);
    }
    source.profiles.iter().for_each(|profile| option("--profile", profile));
    source.env_files.iter().for_each(|file| option("--env-file", file));
    words.push("verify".to_owned());
    let id = outcome.interaction.to_string();
    words.extend(["--provider", &outcome.provider, "--interaction", &id].map(str::to_owned));
    shell_words::join(words)
}

/// `$.amount to be an integer, got "12"`.
fn expectation(difference: &Difference) -> String {
    let (expected, actual) = (short(&difference.expected), short(&difference.actual));
    let rule = difference.rule.as_deref().unwrap_or_default();
    let is_missing = actual.is_empty() || difference.message.contains("is missing");
    match difference.part {
        Part::Status => format!("the status {expected}, got {actual}"),
        Part::Header | Part::Metadata if is_missing => {
            format!("the {} `{}`, got none", noun(difference.part), difference.path)
        }
        Part::Header | Part::Metadata => format!(
            "the {} `{}` to be {expected}, got {actual}",
            noun(difference.part),
            difference.path
        ),
        Part::Body if !difference.path.is_empty() && !actual.is_empty() => {
            let to_be = match rule {
                "" | "must be equal to the expected value" => format!("to be {expected}"),
                "must match by type" => format!("to be of the type of {expected}"),
                rule => match rule.strip_prefix("must ") {
                    Some(rule) if !difference.message.contains("is missing") => format!("to {rule}"),
                    _ => return difference.sentence(),
                },
            };
            format!("{} {to_be}, got {actual}", difference.path)
        }
        _ => difference.sentence(),
    }
}

fn noun(part: Part) -> &'static str {
    match part {
        Part::Header => "header",
        _ => "metadata",
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn short(value: &str) -> String {
    let value = one_line(value);
    match value.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}…", &value[..at]),
        None => value,
    }
}

/// The last verdict on one pair of consumer and provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastVerdict {
    /// Who expects.
    pub consumer: String,
    /// Of whom.
    pub provider: String,
    /// Promises that are kept.
    pub kept: usize,
    /// Promises that are broken.
    pub broken: usize,
    /// Promises of which nothing is known.
    pub could_not_run: usize,
    /// When that was found out, Unix time in ms.
    pub time_unix_ms: i64,
}

/// The last verdicts, as far as they are known; a file that cannot be read is one that is not there.
pub fn last(state: &Path) -> Vec<LastVerdict> {
    let text = std::fs::read(state.join(FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Keeps what a report says of its pairs in place of what was known of them.
pub(super) fn keep(state: &Path, report: &Report) -> io::Result<()> {
    let mut all: BTreeMap<(String, String), LastVerdict> = last(state)
        .into_iter()
        .map(|known| ((known.provider.clone(), known.consumer.clone()), known))
        .collect();
    let now = Timestamp::now().as_millisecond();
    for provider in &report.providers {
        for consumer in &provider.consumers {
            if consumer.outcomes.iter().all(|one| one.verdict.is_not_here()) {
                continue;
            }
            let count = |is: fn(&Verdict) -> bool| consumer.outcomes.iter().filter(|one| is(&one.verdict)).count();
            let verdict = LastVerdict {
                consumer: consumer.consumer.clone(),
                provider: provider.provider.clone(),
                kept: count(|verdict| matches!(verdict, Verdict::Passed | Verdict::Pending { .. })),
                broken: count(|verdict| matches!(verdict, Verdict::Broken { .. })),
                could_not_run: count(|verdict| matches!(verdict, Verdict::CouldNotRun { .. })),
                time_unix_ms: now,
            };
            all.insert((verdict.provider.clone(), verdict.consumer.clone()), verdict);
        }
    }
    let path = state.join(FILE);
    let dir = path.parent().unwrap_or(state);
    std::fs::create_dir_all(dir)?;
    // Whole or not at all: another verification may write at the same time.
    let new = dir.join(format!("last.{}.{now}", std::process::id()));
    let all: Vec<&LastVerdict> = all.values().collect();
    std::fs::write(&new, serde_json::to_vec_pretty(&all)?)?;
    std::fs::rename(&new, &path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(part: Part, path: &str, (expected, actual): (&str, &str), message: &str, rule: &str) -> String {
        let mut difference = Difference::new(part, path, expected, actual, message.to_owned());
        difference.rule = (!rule.is_empty()).then(|| rule.to_owned());
        expectation(&difference)
    }

    #[test]
    fn what_is_expected_is_said_in_one_line() {
        let body = |values, rule| difference(Part::Body, "$.amount", values, "Expected ...", rule);
        assert_eq!(
            body(("12", "\"12\""), "must be an integer"),
            "$.amount to be an integer, got \"12\""
        );
        assert_eq!(
            body(("12", "13"), "must be equal to the expected value"),
            "$.amount to be 12, got 13"
        );
        assert_eq!(
            body(("12", "\"12\""), "must match by type"),
            "$.amount to be of the type of 12, got \"12\""
        );
        assert_eq!(
            difference(
                Part::Body,
                "$",
                ("{\"name\":1}", "{}"),
                "Actual map is missing the following keys: name",
                "must have every field that is promised"
            ),
            "$: Actual map is missing the following keys: name"
        );
        assert_eq!(
            difference(Part::Status, "", ("200", "500"), "expected 200 but was 500", ""),
            "the status 200, got 500"
        );
        assert_eq!(
            difference(Part::Header, "X-Version", ("7", ""), "Expected header ...", ""),
            "the header `X-Version`, got none"
        );
    }

    #[test]
    fn the_last_verdicts_are_kept_by_pair_and_a_damaged_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(last(dir.path()).is_empty());
        keep(dir.path(), &Report::default()).unwrap();
        std::fs::write(dir.path().join(FILE), "[{").unwrap();
        assert!(last(dir.path()).is_empty());
    }
}
