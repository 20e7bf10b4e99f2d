//! Names the matching rule behind a difference, so that a person sees which sentence of the contract was broken.

use pact_models::matchingrules::{MatchingRule, MatchingRules};
use pact_models::path_exp::DocPath;

use crate::difference::{Difference, Part};

/// Adds to each difference the rule that decided it; without one, equality did.
pub(super) fn name(differences: &mut [Difference], rules: &MatchingRules) {
    for difference in differences {
        let (category, path) = match difference.part {
            Part::Body => ("body", DocPath::new(&difference.path)),
            Part::Header => ("header", DocPath::new(format!("$['{}']", difference.path))),
            Part::Status => ("status", Ok(DocPath::empty())),
            _ => continue,
        };
        let Some(category) = rules.rules_for_category(category).filter(|found| found.is_not_empty()) else {
            continue;
        };
        let Ok(path) = path else { continue };
        let tokens = path.to_vec();
        let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
        let names: Vec<String> = category
            .select_best_matcher(&tokens)
            .rules
            .iter()
            .map(describe)
            .collect();
        if !names.is_empty() {
            difference.rule = Some(names.join(", "));
        }
    }
}

fn describe(rule: &MatchingRule) -> String {
    match rule {
        // Their JSON holds whole variants, which no line has room for.
        MatchingRule::ArrayContains(variants) => format!("arrayContains ({} variants)", variants.len()),
        other => other.to_json().to_string(),
    }
}
