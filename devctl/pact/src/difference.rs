//! One difference between what was promised and what was seen, in the same words for stub, verification and reports,
//! and in an order that does not change from run to run.

use bytes::Bytes;
use pact_matching::Mismatch;
use pact_models::matchingrules::{Category, MatchingRuleCategory, MatchingRules};
use pact_models::path_exp::DocPath;
use serde::{Deserialize, Serialize};

/// The part of an exchange that differs. The order is the one in which differences are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The request's method.
    Method,
    /// The request's path.
    Path,
    /// The response's status.
    Status,
    /// How long the answer took.
    Time,
    /// Where a message was published: exchange and routing key.
    Address,
    /// What a consumer did with a message: acknowledged, refused, published again.
    Settlement,
    /// A query parameter.
    Query,
    /// A header.
    Header,
    /// A message's metadata.
    Metadata,
    /// The kind of body.
    ContentType,
    /// Something in the body.
    Body,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Difference {
    /// What differs.
    pub part: Part,
    /// Where in it: a header's name, a parameter, a path like `$.items[0].price`.
    pub path: String,
    /// What was promised.
    pub expected: String,
    /// What was seen.
    pub actual: String,
    /// The matcher's own sentence.
    pub message: String,
    /// The rule that decided, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

const SECRET_HEADERS: [&str; 5] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-api-key",
];
const LONGEST_VALUE: usize = 2_000;

impl Difference {
    /// A difference of `part` as a whole.
    pub fn new(part: Part, path: &str, expected: &str, actual: &str, message: String) -> Self {
        Self {
            part,
            path: path.to_owned(),
            expected: short(expected),
            actual: short(actual),
            message,
            rule: None,
        }
    }

    /// What differs, in one line with its path.
    pub fn sentence(&self) -> String {
        if self.path.is_empty() || self.message.contains(&self.path) {
            self.message.clone()
        } else {
            format!("{}: {}", self.path, self.message)
        }
    }
}

/// The differences that the pact crates found, sorted. Values of headers that carry secrets are left out.
pub fn from_mismatches<'a>(mismatches: impl IntoIterator<Item = &'a Mismatch>) -> Vec<Difference> {
    let mut differences: Vec<Difference> = mismatches.into_iter().map(from_mismatch).collect();
    differences.sort();
    differences.dedup();
    differences
}

fn from_mismatch(mismatch: &Mismatch) -> Difference {
    let sentence = if sentence(mismatch).is_empty() {
        mismatch.description()
    } else {
        sentence(mismatch)
    };
    match mismatch {
        Mismatch::MethodMismatch { expected, actual, .. } => Difference::new(
            Part::Method,
            "",
            expected,
            actual,
            format!("expected {expected} but was {actual}"),
        ),
        Mismatch::PathMismatch { expected, actual, .. } => Difference::new(Part::Path, "", expected, actual, sentence),
        Mismatch::StatusMismatch { expected, actual, .. } => {
            Difference::new(Part::Status, "", &expected.to_string(), &actual.to_string(), sentence)
        }
        Mismatch::QueryMismatch {
            parameter,
            expected,
            actual,
            ..
        } => Difference::new(Part::Query, parameter, expected, actual, sentence),
        Mismatch::HeaderMismatch { key, .. } if is_secret(key) => {
            let message = format!("the value of `{key}` differs or is missing (not shown)");
            Difference::new(Part::Header, key, "(not shown)", "(not shown)", message)
        }
        Mismatch::HeaderMismatch {
            key, expected, actual, ..
        } => Difference::new(Part::Header, key, expected, actual, sentence),
        Mismatch::BodyTypeMismatch { expected, actual, .. } => {
            Difference::new(Part::ContentType, "", expected, actual, sentence)
        }
        Mismatch::BodyMismatch {
            path, expected, actual, ..
        } => Difference::new(
            Part::Body,
            path,
            &text(expected.as_ref()),
            &text(actual.as_ref()),
            sentence,
        ),
        Mismatch::MetadataMismatch {
            key, expected, actual, ..
        } => Difference::new(Part::Metadata, key, expected, actual, sentence),
    }
}

/// Says of each difference which of the promise's `rules` it breaks.
pub(crate) fn explain(differences: &mut [Difference], rules: &MatchingRules) {
    for difference in differences {
        let category = match difference.part {
            Part::Path => Category::PATH,
            Part::Status => Category::STATUS,
            Part::Query => Category::QUERY,
            Part::Header => Category::HEADER,
            Part::Metadata => Category::METADATA,
            Part::Body => Category::BODY,
            Part::ContentType => {
                difference.rule = Some("must have this content type".to_owned());
                continue;
            }
            Part::Method | Part::Time | Part::Settlement | Part::Address => continue,
        };
        let path = match difference.part {
            Part::Query | Part::Header | Part::Metadata => DocPath::root().join(difference.path.as_str()).to_string(),
            _ => difference.path.clone(),
        };
        let rules = rules.rules_for_category(category).unwrap_or_default();
        difference.rule = rule_of(&rules, &path, &difference.message);
    }
}

/// As [`rule_at`], but for what is not there at all, which no rule about a value decides.
pub(crate) fn rule_of(rules: &MatchingRuleCategory, path: &str, message: &str) -> Option<String> {
    if message.contains("is missing the following keys") {
        return Some("must have every field that is promised".to_owned());
    }
    rule_at(rules, path)
}

/// The rule that decides at `path` of a part with these rules, as a sentence; without one the value itself is promised.
pub(crate) fn rule_at(rules: &MatchingRuleCategory, path: &str) -> Option<String> {
    let list = match rules.name {
        Category::PATH | Category::STATUS | Category::METHOD => rules.as_rule_list(),
        _ => {
            let path = DocPath::new(path).ok()?.to_vec();
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            rules.select_best_matcher(&path)
        }
    };
    Some(if list.is_empty() {
        "must be equal to the expected value".to_owned()
    } else {
        list.generate_description(!list.cascaded)
    })
}

/// Whether a header's value must never be shown.
pub fn is_secret(header: &str) -> bool {
    SECRET_HEADERS.contains(&header.to_lowercase().as_str())
}

fn sentence(mismatch: &Mismatch) -> String {
    match mismatch {
        Mismatch::MethodMismatch { mismatch, .. }
        | Mismatch::PathMismatch { mismatch, .. }
        | Mismatch::StatusMismatch { mismatch, .. }
        | Mismatch::QueryMismatch { mismatch, .. }
        | Mismatch::HeaderMismatch { mismatch, .. }
        | Mismatch::BodyTypeMismatch { mismatch, .. }
        | Mismatch::BodyMismatch { mismatch, .. }
        | Mismatch::MetadataMismatch { mismatch, .. } => short(mismatch),
    }
}

fn text(bytes: Option<&Bytes>) -> String {
    match bytes.map(|bytes| std::str::from_utf8(bytes).map_err(|_| bytes.len())) {
        None => String::new(),
        Some(Ok(text)) => text.to_owned(),
        Some(Err(length)) => format!("{length} bytes, not text"),
    }
}

/// `text`, cut where it would fill a screen.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST_VALUE) {
        Some((at, _)) => format!("{}… ({} bytes)", &text[..at], text.len()),
        None => text.to_owned(),
    }
}
