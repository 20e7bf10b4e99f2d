//! Pact's matching expressions, such as `matching(type, 'Ada')`, as a test writes them in place of a value.

use std::collections::HashMap;

use pact_models::generators::Generator;
use pact_models::matchingrules::expressions::{MatchingRuleDefinition, ValueType, is_matcher_def, parse_matcher_def};
use pact_models::matchingrules::{MatchingRule, MatchingRuleCategory, RuleLogic};
use pact_models::path_exp::DocPath;
use serde_json::Value;

/// What a test wrote that makes no sense, with the place in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {what}")]
pub struct ShapeError {
    /// Such as `$.amount.minor_units`.
    pub path: String,
    /// What is wrong there, and what would be right.
    pub what: String,
}

impl ShapeError {
    pub(super) fn new(path: &DocPath, what: impl Into<String>) -> Self {
        Self {
            path: path.to_string(),
            what: what.into(),
        }
    }
}

/// Rules and generators that were gathered on the way, by path.
#[derive(Debug, Clone)]
pub(super) struct Gathered {
    pub(super) rules: MatchingRuleCategory,
    pub(super) generators: HashMap<DocPath, Generator>,
}

impl Gathered {
    pub(super) fn new(category: &str) -> Self {
        Self {
            rules: MatchingRuleCategory::empty(category),
            generators: HashMap::new(),
        }
    }

    pub(super) fn add(&mut self, path: &DocPath, rules: Vec<MatchingRule>, generator: Option<Generator>) {
        for rule in rules {
            self.rules.add_rule(path.clone(), rule, RuleLogic::And);
        }
        if let Some(generator) = generator {
            self.generators.insert(path.clone(), generator);
        }
    }
}

/// An expression, understood.
#[derive(Debug)]
pub(super) struct Expression {
    /// The example.
    pub(super) value: Value,
    pub(super) rules: Vec<MatchingRule>,
    pub(super) generator: Option<Generator>,
    /// `matching($'name')`: the shape stands under that name.
    pub(super) reference: Option<String>,
}

impl Expression {
    /// Whether its rules are about a list or map as a whole and not about one value.
    pub(super) fn is_of_collection(&self) -> bool {
        self.rules.iter().any(|rule| {
            matches!(
                rule,
                MatchingRule::EachValue(_)
                    | MatchingRule::EachKey(_)
                    | MatchingRule::ArrayContains(_)
                    | MatchingRule::Values
                    | MatchingRule::MinType(_)
                    | MatchingRule::MaxType(_)
                    | MatchingRule::MinMaxType(..)
            )
        })
    }
}

/// The expression that `text` is; `None` where it is a plain text.
pub(super) fn parse(path: &DocPath, text: &str) -> Result<Option<Expression>, ShapeError> {
    if !is_matcher_def(text) {
        return Ok(None);
    }
    let parsed = parse_matcher_def(text)
        .map_err(|cause| ShapeError::new(path, format!("`{text}` is no matching expression: {cause:#}")))?;
    let mut expression = Expression {
        value: value(&parsed),
        rules: Vec::new(),
        generator: parsed.generator.clone(),
        reference: None,
    };
    for rule in &parsed.rules {
        match (rule.as_ref().left(), rule.as_ref().right()) {
            (Some(MatchingRule::EachValue(inner)), _) => {
                let reference = inner.rules.iter().find_map(|rule| rule.as_ref().right());
                if let Some(reference) = reference {
                    expression.reference = Some(reference.name.clone());
                } else {
                    expression.value = value(inner);
                    expression.rules.push(MatchingRule::EachValue(inner.clone()));
                }
            }
            (Some(rule), _) => expression.rules.push(rule.clone()),
            (None, Some(reference)) => {
                let what = format!("`$'{}'` stands only within eachValue(...)", reference.name);
                return Err(ShapeError::new(path, what));
            }
            (None, None) => {}
        }
    }
    Ok(Some(expression))
}

fn value(of: &MatchingRuleDefinition) -> Value {
    let number = || of.value.parse().map(Value::Number).ok();
    match of.value_type {
        ValueType::Number | ValueType::Integer | ValueType::Decimal => number(),
        ValueType::Boolean => of.value.parse().map(Value::Bool).ok(),
        ValueType::Unknown | ValueType::String => None,
    }
    .unwrap_or_else(|| Value::from(of.value.as_str()))
}
