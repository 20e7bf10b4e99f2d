//! A query's normal form. Two queries of one normal form ask for the same:
//!
//! * layout and comments, the order of fields, arguments, directives' arguments and variables, and the operation's own
//!   name do not matter;
//! * fragments stand where they are used; a field that is selected twice is selected once, with both selections;
//! * an alias that is the field's own name is none; a text is a text, however it is quoted.
//!
//! Types are not known here. A fragment's type is therefore kept only where several stand side by side, since then it
//! makes a difference; a lone one is taken to be of the type that it stands in.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use apollo_compiler::ast::{
    Definition, Directive, DirectiveList, Document, FragmentDefinition, OperationDefinition, Selection, Value,
};
use apollo_compiler::{Name, Node};

/// Fragments within fragments beyond this are no longer put in their place.
const DEEPEST: usize = 100;

/// What a query asks for, whatever it looks like.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Normal {
    text: String,
    fields: Vec<String>,
}

#[derive(Debug, Default)]
struct Tree(BTreeMap<String, Branch>);

#[derive(Debug, Default)]
struct Branch {
    /// What names it in the answer; empty for a fragment.
    key: String,
    below: Tree,
}

impl Normal {
    /// The normal form of the operation `name` of a document, or of its only one.
    pub fn of(query: &str, name: Option<&str>) -> Option<Self> {
        let document = Document::parse(query, "query").ok()?;
        let mut fragments = BTreeMap::new();
        let mut operations = Vec::new();
        for definition in &document.definitions {
            match definition {
                Definition::FragmentDefinition(fragment) => {
                    fragments.insert(fragment.name.clone(), fragment);
                }
                Definition::OperationDefinition(operation) => operations.push(operation),
                _ => return None,
            }
        }
        let named = |operation: &&&Node<OperationDefinition>| operation.name.as_ref().map(Name::as_str) == name;
        let operation = match (name, &operations[..]) {
            (Some(_), several) => several.iter().find(named).copied()?,
            (None, [one]) => one,
            (None, _) => return None,
        };
        let walk = Walk { fragments };
        let mut tree = Tree::default();
        walk.select(&operation.selection_set, &mut tree, 0)?;
        let mut variables: Vec<String> = operation
            .variables
            .iter()
            .map(|variable| {
                let default = variable
                    .default_value
                    .as_ref()
                    .map(|value| format!("={}", self::value(value)));
                format!("${}:{}{}", variable.name, variable.ty, default.unwrap_or_default())
            })
            .collect();
        variables.sort();
        let head = format!(
            "{}({}){}",
            operation.operation_type.name(),
            variables.join(","),
            directives(&operation.directives)
        );
        let mut fields = Vec::new();
        tree.paths("", &mut fields);
        Some(Self {
            text: format!("{head}{}", tree.text()),
            fields,
        })
    }

    /// The form as text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What `actual` asks for beyond this, and what it does not ask for, in words; `None` where the fields are the same.
    pub fn compared_to(&self, actual: &Self) -> Option<String> {
        let without = |one: &Self, other: &Self| -> Vec<String> {
            let missing = one.fields.iter().filter(|field| !other.fields.contains(field));
            missing.map(|field| format!("`{field}`")).collect()
        };
        let (more, less) = (without(actual, self), without(self, actual));
        match (more.is_empty(), less.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("it also asks for {}", more.join(", "))),
            (true, false) => Some(format!("it does not ask for {}", less.join(", "))),
            (false, false) => Some(format!(
                "it asks for {} and not for {}",
                more.join(", "),
                less.join(", ")
            )),
        }
    }
}

impl Normal {
    /// In how many fields the two differ.
    pub(crate) fn distance(&self, other: &Self) -> usize {
        let without =
            |one: &Self, other: &Self| one.fields.iter().filter(|field| !other.fields.contains(field)).count();
        without(self, other) + without(other, self)
    }
}

struct Walk<'a> {
    fragments: BTreeMap<Name, &'a Node<FragmentDefinition>>,
}

impl Walk<'_> {
    fn select(&self, set: &[Selection], into: &mut Tree, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        let conditions = self.conditions(set);
        let keep = conditions.len() > 1;
        for selection in set {
            match selection {
                Selection::Field(field) => {
                    let key = field.alias.as_ref().unwrap_or(&field.name).to_string();
                    let mut arguments: Vec<String> = field
                        .arguments
                        .iter()
                        .map(|argument| format!("{}:{}", argument.name, value(&argument.value)))
                        .collect();
                    arguments.sort();
                    let head = format!(
                        "{key}:{}({}){}",
                        field.name,
                        arguments.join(","),
                        directives(&field.directives)
                    );
                    let branch = into.0.entry(head).or_default();
                    branch.key = key;
                    self.select(&field.selection_set, &mut branch.below, depth + 1)?;
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.type_condition.as_ref();
                    let place = into.fragment(condition.filter(|_| keep), &fragment.directives);
                    self.select(&fragment.selection_set, place, depth + 1)?;
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = self.fragments.get(&spread.fragment_name)?;
                    let place = into.fragment(Some(&fragment.type_condition).filter(|_| keep), &spread.directives);
                    self.select(&fragment.selection_set, place, depth + 1)?;
                }
            }
        }
        Some(())
    }

    fn conditions(&self, set: &[Selection]) -> Vec<Name> {
        let mut conditions: Vec<Name> = set
            .iter()
            .filter_map(|selection| match selection {
                Selection::Field(_) => None,
                Selection::InlineFragment(fragment) => fragment.type_condition.clone(),
                Selection::FragmentSpread(spread) => {
                    let fragment = self.fragments.get(&spread.fragment_name)?;
                    Some(fragment.type_condition.clone())
                }
            })
            .collect();
        conditions.sort();
        conditions.dedup();
        conditions
    }
}

impl Tree {
    /// Where a fragment's fields go: here, unless something is said about it.
    fn fragment(&mut self, condition: Option<&Name>, of: &DirectiveList) -> &mut Self {
        let said = directives(of);
        if condition.is_none() && said.is_empty() {
            return self;
        }
        let on = condition.map(|name| format!(" on {name}")).unwrap_or_default();
        &mut self.0.entry(format!("...{on}{said}")).or_default().below
    }

    fn text(&self) -> String {
        if self.0.is_empty() {
            return String::new();
        }
        let mut text = String::from("{");
        for (head, branch) in &self.0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{head}{};", branch.below.text());
        }
        text.push('}');
        text
    }

    fn paths(&self, above: &str, into: &mut Vec<String>) {
        for branch in self.0.values() {
            let path = match (above.is_empty(), branch.key.is_empty()) {
                (_, true) => above.to_owned(),
                (true, false) => branch.key.clone(),
                (false, false) => format!("{above}.{}", branch.key),
            };
            if !branch.key.is_empty() {
                into.push(path.clone());
            }
            branch.below.paths(&path, into);
        }
    }
}

fn directives(list: &DirectiveList) -> String {
    let one = |directive: &Node<Directive>| {
        let mut arguments: Vec<String> = directive
            .arguments
            .iter()
            .map(|argument| format!("{}:{}", argument.name, value(&argument.value)))
            .collect();
        arguments.sort();
        format!("@{}({})", directive.name, arguments.join(","))
    };
    list.iter().map(one).collect()
}

fn value(of: &Value) -> String {
    match of {
        Value::Null => "null".to_owned(),
        Value::Enum(name) => name.to_string(),
        Value::Variable(name) => format!("${name}"),
        Value::String(text) => serde_json::Value::from(text.as_str()).to_string(),
        Value::Float(number) => number.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Boolean(is) => is.to_string(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(|item| value(item)).collect();
            format!("[{}]", items.join(","))
        }
        Value::Object(fields) => {
            let mut fields: Vec<String> = fields
                .iter()
                .map(|(name, field)| format!("{name}:{}", value(field)))
                .collect();
            fields.sort();
            format!("{{{}}}", fields.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Normal;

    fn same(one: &str, other: &str) -> bool {
        let normal = |query| Normal::of(query, None).unwrap();
        normal(one) == normal(other)
    }

    #[test]
    fn queries_that_ask_for_the_same_are_the_same() {
        let query = "query Q($id: ID!, $n: Int = 3) { invoice(id: $id, n: $n) { id amount { currency minorUnits } } }";
        for other in [
            "query Other($n: Int = 3, $id: ID!) {\n  # a comment\n  invoice(n: $n, id: $id) { amount { minorUnits, currency } id }\n}",
            "query ($id: ID!, $n: Int = 3) { invoice(id: $id, n: $n) { ...F } } fragment F on Invoice { id ...G } \
             fragment G on Invoice { amount { currency minorUnits } }",
            "query ($id: ID!, $n: Int = 3) { invoice: invoice(id: $id, n: $n) { ... { id } ... on Invoice { amount { currency } amount { minorUnits } } } }",
        ] {
            assert!(same(query, other), "{other}");
        }
        assert!(same("{ a(x: \"b\") }", "{ a(x: \"\"\"b\"\"\") }"));
        assert!(same("{ a(x: {p: 1, q: [2]}) }", "{ a(x: {q: [2], p: 1}) }"));
    }

    #[test]
    fn queries_that_ask_for_something_else_are_not() {
        for (one, other) in [
            ("{ a }", "{ b }"),
            ("{ a }", "mutation { a }"),
            ("{ a }", "{ x: a }"),
            ("{ a(x: 1) }", "{ a(x: 2) }"),
            ("{ a(x: 1) }", "{ a(x: \"1\") }"),
            ("{ a(x: [1, 2]) }", "{ a(x: [2, 1]) }"),
            ("{ a }", "{ a @skip(if: true) }"),
            ("query ($x: Int) { a(x: $x) }", "query ($x: Int!) { a(x: $x) }"),
            (
                "{ n { ... on A { x } ... on B { y } } }",
                "{ n { ... on A { y } ... on B { x } } }",
            ),
        ] {
            assert!(!same(one, other), "{one} | {other}");
        }
    }

    #[test]
    fn a_difference_is_told_by_its_path() {
        let normal = |query| Normal::of(query, None).unwrap();
        let (one, other) = (normal("{ me { id email } }"), normal("{ me { id phone { area } } }"));
        assert_eq!(
            one.compared_to(&other).unwrap(),
            "it asks for `me.phone`, `me.phone.area` and not for `me.email`"
        );
        assert_eq!(one.compared_to(&one), None);
    }

    #[test]
    fn what_does_not_parse_or_never_ends_has_no_normal_form() {
        assert_eq!(Normal::of("{ a", None), None);
        assert_eq!(Normal::of("{ ...F } fragment F on Q { ...F }", None), None);
        assert_eq!(Normal::of("query A { a } query B { b }", None), None, "which of them?");
        assert!(
            Normal::of("query A { a } query B { b }", Some("B"))
                .unwrap()
                .text()
                .contains("b:b")
        );
    }
}
