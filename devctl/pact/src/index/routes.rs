//! Finds interactions by method and path without trying each: exact paths in a map, patterns compiled once however
//! many interactions share them.
//!
//! A filter, not the judge: whatever it lets through is matched in full by the pact crates afterwards.

use std::collections::HashMap;

use pact_matching::{CoreMatchingContext, DiffConfig, match_path};
use pact_models::matchingrules::{MatchingRule, MatchingRuleCategory, RuleLogic};
use pact_models::v4::http_parts::HttpRequest;
use regex::Regex;

/// Interactions (by a number of the caller's) under their methods and paths.
#[derive(Debug, Default)]
pub struct Routes {
    methods: HashMap<String, Method>,
}

#[derive(Debug, Default)]
struct Method {
    exact: HashMap<String, Vec<usize>>,
    patterns: Vec<(Pattern, Vec<usize>)>,
    by_source: HashMap<String, usize>,
    ruled: Vec<(Box<CoreMatchingContext>, String, usize)>,
}

#[derive(Debug)]
struct Pattern {
    all: bool,
    regexes: Vec<Regex>,
}

impl Routes {
    /// Adds interaction `at`, which expects `request`.
    pub fn add(&mut self, at: usize, request: &HttpRequest) {
        let method = self.methods.entry(request.method.to_uppercase()).or_default();
        let rules = request
            .matching_rules
            .rules_for_category("path")
            .filter(|rules| rules.is_not_empty());
        let Some(rules) = rules else {
            return method.exact.entry(request.path.clone()).or_default().push(at);
        };
        let Some((source, pattern)) = Pattern::new(&rules) else {
            let context = CoreMatchingContext::new(DiffConfig::NoUnexpectedKeys, &rules, &HashMap::new());
            return method.ruled.push((Box::new(context), request.path.clone(), at));
        };
        let known = *method.by_source.entry(source).or_insert(method.patterns.len());
        if known == method.patterns.len() {
            method.patterns.push((pattern, Vec::new()));
        }
        method.patterns[known].1.push(at);
    }

    /// The interactions that `method` and `path` may belong to, in the order in which they were numbered.
    pub fn find(&self, method: &str, path: &str) -> Vec<usize> {
        let Some(of) = self.methods.get(&method.to_uppercase()) else {
            return Vec::new();
        };
        let mut found = of.exact.get(path).cloned().unwrap_or_default();
        for (pattern, interactions) in &of.patterns {
            if pattern.allows(path) {
                found.extend(interactions);
            }
        }
        for (context, expected, at) in &of.ruled {
            if match_path(expected, path, context.as_ref()).is_ok() {
                found.push(*at);
            }
        }
        found.sort_unstable();
        found
    }
}

impl Pattern {
    /// A pattern and the text it was made of, where the rules are regular expressions and nothing else.
    fn new(rules: &MatchingRuleCategory) -> Option<(String, Self)> {
        let [list] = rules.rules.values().collect::<Vec<_>>()[..] else {
            return None;
        };
        let mut source = format!("{:?}", list.rule_logic);
        let mut regexes = Vec::new();
        for rule in &list.rules {
            let MatchingRule::Regex(text) = rule else {
                return None;
            };
            // The pact crates take other engines' dialects as well; what this one cannot read is left to them.
            regexes.push(Regex::new(text).ok()?);
            source.push('\n');
            source.push_str(text);
        }
        Some((
            source,
            Self {
                all: list.rule_logic == RuleLogic::And,
                regexes,
            },
        ))
    }

    fn allows(&self, path: &str) -> bool {
        let mut each = self.regexes.iter().map(|regex| regex.is_match(path));
        if self.all { each.all(|is| is) } else { each.any(|is| is) }
    }
}
