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
/// What is shown in place of something that is not there.
const NONE: &str = "(none)";
const MUST_BE_THERE: &str = "must have every field that is promised";

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

    /// Names files below `directory` (with its last slash) from there.
    pub(crate) fn name_from(&mut self, directory: &str) {
        for text in [&mut self.message, &mut self.expected, &mut self.actual] {
            *text = text.replace(directory, "");
        }
    }

    /// What differs, in one line with its path.
    pub fn sentence(&self) -> String {
        if self.part == Part::Status && !self.message.contains("status") {
            format!("status: {}", self.message)
        } else if self.path.is_empty() || self.message.contains(&self.path) {
            self.message.clone()
        } else {
            format!("{}: {}", self.path, self.message)
        }
    }
}

/// The differences that the pact crates found, sorted. Values of headers that carry secrets are left out.
pub fn from_mismatches<'a>(mismatches: impl IntoIterator<Item = &'a Mismatch>) -> Vec<Difference> {
    let mut differences: Vec<Difference> = mismatches
        .into_iter()
        .flat_map(|mismatch| missing_fields(mismatch).unwrap_or_else(|| vec![from_mismatch(mismatch)]))
        .collect();
    differences.sort();
    differences.dedup();
    differences
}

/// One difference for each field that an object does not have: the matcher names them all in one sentence about the object.
fn missing_fields(mismatch: &Mismatch) -> Option<Vec<Difference>> {
    let Mismatch::BodyMismatch {
        path,
        expected: Some(expected),
        actual: Some(actual),
        mismatch,
    } = mismatch
    else {
        return None;
    };
    if !mismatch.contains("is missing the following keys") {
        return None;
    }
    let keys = |bytes: &Bytes| serde_json::from_slice::<Vec<String>>(bytes).ok();
    let (expected, actual) = (keys(expected)?, keys(actual)?);
    let there = match actual.is_empty() {
        true => "an object without fields".to_owned(),
        false => format!("an object with {}", actual.join(", ")),
    };
    let missing = expected.iter().filter(|key| !actual.contains(key));
    let difference = |key: &String| {
        let path = DocPath::new(path).map_or_else(|_| format!("{path}.{key}"), |path| path.join(key).to_string());
        let message = format!("the field `{key}` is missing");
        let mut difference = Difference::new(Part::Body, &path, &format!("the field `{key}`"), &there, message);
        difference.rule = Some(MUST_BE_THERE.to_owned());
        difference
    };
    Some(missing.map(difference).collect::<Vec<_>>()).filter(|found| !found.is_empty())
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
        } => Difference::new(Part::Query, parameter, expected, or_none(actual), sentence),
        Mismatch::HeaderMismatch { key, .. } if is_secret(key) => {
            let message = format!("the value of `{key}` differs or is missing (not shown)");
            Difference::new(Part::Header, key, "(not shown)", "(not shown)", message)
        }
        Mismatch::HeaderMismatch {
            key, expected, actual, ..
        } => Difference::new(Part::Header, key, expected, or_none(actual), sentence),
        Mismatch::BodyTypeMismatch { expected, actual, .. } => {
            Difference::new(Part::ContentType, "", expected, actual, sentence)
        }
        Mismatch::BodyMismatch {
            path, expected, actual, ..
        } => Difference::new(
            Part::Body,
            path,
            &text(expected.as_ref()),
            or_none(&text(actual.as_ref())),
            sentence,
        ),
        Mismatch::MetadataMismatch {
            key, expected, actual, ..
        } => Difference::new(Part::Metadata, key, expected, actual, sentence),
    }
}

/// Says of each difference which of the promise's `rules` it breaks.
pub(crate) fn explain(differences: &mut [Difference], rules: &MatchingRules) {
    for difference in differences.iter_mut().filter(|difference| difference.rule.is_none()) {
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
        difference.rule = rule_at(&rules, &path);
    }
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

fn or_none(value: &str) -> &str {
    if value.is_empty() { NONE } else { value }
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
