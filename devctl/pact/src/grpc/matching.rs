//! Holds a message against the promised one. The fields' values are judged by Pact's own matchers, on the messages'
//! JSON; what JSON cannot show (fields that the contract's descriptors do not know) is looked at beside it.

use std::collections::HashMap;

use bytes::Bytes;
use pact_matching::json::compare_json;
use pact_matching::{CommonMismatch, CoreMatchingContext, DiffConfig};
use pact_models::matchingrules::MatchingRuleCategory;
use pact_models::path_exp::DocPath;
use prost_reflect::DynamicMessage;

use super::json::{Unset, to_json};
use super::unknown;
use crate::difference::{Difference, from_mismatches, rule_at};

/// Which way a message goes. A provider may say more than was promised; a consumer may not ask for more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Answer,
}

/// How the message of `bytes` differs from the `expected` one; in the order of paths.
pub(crate) fn compare(
    expected: &DynamicMessage,
    bytes: &Bytes,
    rules: &MatchingRuleCategory,
    side: Side,
) -> Vec<Difference> {
    let of = prost_reflect::ReflectMessage::descriptor(expected);
    let actual = match DynamicMessage::decode(of.clone(), bytes.clone()) {
        Ok(actual) => actual,
        Err(cause) => return vec![unknown::undecodable(&of, bytes, &cause.to_string())],
    };
    let (config, unset) = match side {
        Side::Request => (DiffConfig::NoUnexpectedKeys, Unset::Shown),
        Side::Answer => (DiffConfig::AllowUnexpectedKeys, Unset::Hidden),
    };
    let context = CoreMatchingContext::new(config, rules, &HashMap::new());
    let compared = compare_json(
        &DocPath::root(),
        &to_json(expected, unset),
        &to_json(&actual, Unset::Shown),
        &context,
    );
    let mut differences = unknown::fields(expected, &actual, side);
    let mismatches = compared.err().unwrap_or_default();
    let mismatches: Vec<_> = mismatches.iter().map(CommonMismatch::to_body_mismatch).collect();
    for mut difference in from_mismatches(&mismatches) {
        // Where a field went is said once, and better than that its value is zero.
        if !differences.iter().any(|known| known.path == difference.path) {
            if difference.rule.is_none() {
                difference.rule = rule_at(rules, &difference.path);
            }
            differences.push(difference);
        }
    }
    differences.sort();
    differences.dedup();
    differences
}
