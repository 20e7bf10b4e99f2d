//! Variables in a text: `$A`, `${A}`, `${A:-default}`, `${A-default}`, `${A:?message}`, `${A?message}`,
//! `${A:+other}`, `${A+other}`, nested, and `$$` for a dollar sign.
//!
//! Defaults, messages and alternatives are only looked at where they are needed.

use std::fmt;

/// Where variables are looked up, and what is told when one is not set.
pub(crate) trait Lookup {
    /// The variable's value.
    fn get(&self, name: &str) -> Option<String>;

    /// A variable without a value became an empty text.
    fn unset(&self, _name: &str) {}
}

/// Why a text could not be interpolated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// A dollar sign is followed by something that is no variable.
    Invalid { template: String },
    /// `${NAME:?reason}` or `${NAME?reason}`.
    Required { name: String, reason: String },
    /// Variables are nested too deep.
    Deep,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TemplateError::Invalid { template } => write!(out, "`{template}` has a `$` that begins no variable"),
            TemplateError::Required { name, reason } if reason.is_empty() => {
                write!(out, "the variable `{name}` is required, but not set")
            }
            TemplateError::Required { name, reason } => write!(out, "the variable `{name}` is required: {reason}"),
            TemplateError::Deep => write!(out, "variables are nested more than {MAX_DEPTH} deep"),
        }
    }
}

const MAX_DEPTH: usize = 64;

/// The operators; which one applies is the one that stands first.
const OPERATORS: [&str; 6] = [":?", "?", ":-", "-", ":+", "+"];

/// What was found at a dollar sign.
enum Found<'t> {
    /// `$$`.
    Escaped,
    /// `$NAME`.
    Named(&'t str),
    /// `${...}`: as far as the last brace of the line.
    Braced,
    /// `${` that begins no variable.
    Invalid,
}

/// Replaces every variable of a text.
///
/// # Errors
/// The first one, as Compose has it.
pub(crate) fn substitute(template: &str, lookup: &dyn Lookup) -> Result<String, TemplateError> {
    replace(template, lookup, 0)
}

fn replace(template: &str, lookup: &dyn Lookup, depth: usize) -> Result<String, TemplateError> {
    if depth > MAX_DEPTH {
        return Err(TemplateError::Deep);
    }
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    let mut failed = None;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some((found, length)) = find(rest) else {
            out.push('$');
            rest = &rest[1..];
            continue;
        };
        let (matched, tail) = rest.split_at(length);
        rest = tail;
        let value = match found {
            Found::Escaped => Ok("$".to_owned()),
            Found::Named(name) => Ok(plain(name, lookup)),
            Found::Braced => braced(matched, lookup, depth),
            Found::Invalid => Err(TemplateError::Invalid {
                template: template.to_owned(),
            }),
        };
        match value {
            Ok(value) => out.push_str(&value),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => {
            out.push_str(rest);
            Ok(out)
        }
    }
}

/// What stands at the dollar sign at the beginning of `text`, and how long it is.
fn find(text: &str) -> Option<(Found<'_>, usize)> {
    let after = &text[1..];
    match after.as_bytes().first()? {
        b'$' => Some((Found::Escaped, 2)),
        b'{' => {
            let body = &after[1..];
            let name = name_length(body);
            if name == 0 {
                return Some((Found::Invalid, 2));
            }
            let tail = &body[name..];
            let operator = tail.strip_prefix(':').unwrap_or(tail);
            if operator.starts_with(['-', '+', '?']) {
                let line = tail.split('\n').next().unwrap_or_default();
                let skip = tail.len() - operator.len() + 1;
                if let Some(end) = line.get(skip..).and_then(|argument| argument.rfind('}')) {
                    return Some((Found::Braced, 2 + name + skip + end + 1));
                }
            }
            match tail.starts_with('}') {
                true => Some((Found::Braced, 2 + name + 1)),
                false => Some((Found::Invalid, 2)),
            }
        }
        _ => match name_length(after) {
            0 => None,
            length => Some((Found::Named(&after[..length]), 1 + length)),
        },
    }
}

/// How long the variable's name at the beginning of a text is; 0 where there is none.
fn name_length(text: &str) -> usize {
    // The long s and the sign for kelvin are an s and a k to whoever looks at names without regard to case, as Compose does.
    let name = |c: char| c == '_' || c.is_ascii_alphanumeric() || matches!(c, '\u{17f}' | '\u{212a}');
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !name(c)).unwrap_or(text.len())
}

fn plain(name: &str, lookup: &dyn Lookup) -> String {
    lookup.get(name).unwrap_or_else(|| {
        lookup.unset(name);
        String::new()
    })
}

/// The value of `${...}`, and of what follows its own closing brace up to the last one of the line.
fn braced(matched: &str, lookup: &dyn Lookup, depth: usize) -> Result<String, TemplateError> {
    let (own, rest) = match closing_brace(matched) {
        Some(end) => matched.split_at(end + 1),
        None => (matched, ""),
    };
    let body = own
        .strip_prefix("${")
        .and_then(|body| body.strip_suffix('}'))
        .unwrap_or_default();
    let first = OPERATORS
        .iter()
        .filter_map(|operator| matched.find(operator).map(|at| (at, *operator)));
    // Of two that begin at the same place, which only `:-` and the like could, there is none: the colon makes the difference.
    let operator = first.min_by_key(|(at, _)| *at).map_or(":?", |(_, operator)| operator);
    let Some((name, argument)) = body.split_once(operator) else {
        return Ok(plain(body, lookup));
    };
    let value = lookup.get(name);
    let filled = value.as_deref().is_some_and(|value| !value.is_empty());
    let present = if operator.starts_with(':') {
        filled
    } else {
        value.is_some()
    };
    let value = match operator {
        ":-" | "-" if present => value.unwrap_or_default(),
        ":-" | "-" => replace(argument, lookup, depth + 1)?,
        ":+" | "+" if present => replace(argument, lookup, depth + 1)?,
        ":+" | "+" => value.unwrap_or_default(),
        _ if present => value.unwrap_or_default(),
        _ => {
            return Err(TemplateError::Required {
                name: name.to_owned(),
                reason: replace(argument, lookup, depth + 1)?,
            });
        }
    };
    Ok(value + &replace(rest, lookup, depth + 1)?)
}

/// The brace that closes the first one. What follows an opening brace directly is not looked at, as in Compose.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0_i32;
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            b'{' => {
                open += 1;
                bytes.next();
            }
            _ => {}
        }
    }
    None
}

/// A variable that a text uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The value that is taken where it is not set.
    pub default: String,
    /// The value that is taken where it is set.
    pub presence: String,
    /// Whether it must be set.
    pub required: bool,
}

/// The variables that a text uses, those within defaults and alternatives included.
pub(crate) fn variables(text: &str, found: &mut Vec<Variable>) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        rest = &rest[at..];
        let Some((kind, length)) = find(rest) else {
            rest = &rest[1..];
            continue;
        };
        let (matched, tail) = rest.split_at(length);
        rest = tail;
        let body = match kind {
            Found::Escaped => continue,
            Found::Named(name) => name,
            Found::Invalid => "",
            Found::Braced => match closing_brace(matched) {
                Some(end) => {
                    variables(&matched[end + 1..], found);
                    &matched[2..end]
                }
                None => &matched[2..matched.len() - 1],
            },
        };
        let split = body
            .find(|c: char| !(c == '_' || c.is_ascii_alphanumeric()))
            .filter(|at| *at > 0);
        let (name, operation) = body.split_at(split.unwrap_or(body.len()));
        let mut variable = Variable {
            name: name.to_owned(),
            ..Variable::default()
        };
        match operation.strip_prefix(':').unwrap_or(operation).split_at_checked(1) {
            Some(("?", _)) => variable.required = true,
            Some(("-", default)) => default.clone_into(&mut variable.default),
            Some(("+", presence)) => presence.clone_into(&mut variable.presence),
            _ => {}
        }
        let inner = variable.default.clone() + &variable.presence;
        found.push(variable);
        variables(&inner, found);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[derive(Default)]
    struct Table(RefCell<Vec<String>>);

    impl Lookup for Table {
        fn get(&self, name: &str) -> Option<String> {
            match name {
                "A" => Some("a".to_owned()),
                "EMPTY" => Some(String::new()),
                "REF" => Some("$A".to_owned()),
                _ => None,
            }
        }

        fn unset(&self, name: &str) {
            self.0.borrow_mut().push(name.to_owned());
        }
    }

    fn of(template: &str) -> String {
        substitute(template, &Table::default()).unwrap_or_else(|error| format!("error: {error}"))
    }

    #[test]
    fn every_form_is_replaced() {
        let table = [
            ("$A ${A} $$A $ 1$ $1", "a a $A $ 1$ $1"),
            ("${A}b$A-", "aba-"),
            ("${EMPTY:-x} ${EMPTY-x} ${NO:-x} ${NO-x}", "x  x x"),
            ("${A:+x} ${EMPTY:+x} ${EMPTY+x} ${NO+x}|", "x  x |"),
            ("${NO:-${A}-${NO2:-$A}}!", "a-a!"),
            ("${NO:-{}}", "{}"),
            ("${REF}", "$A"),
            ("${NO:-$$A}", "$A"),
            ("${A:?x} ${A?y}", "a a"),
            ("${NO:-}", ""),
        ];
        for (template, want) in table {
            assert_eq!(of(template), want, "{template}");
        }
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        for template in ["${", "${}", "${ A}", "${A", "${A!}", "${-x}", "a ${1}"] {
            assert!(of(template).starts_with("error: "), "{template}: {}", of(template));
        }
    }

    #[test]
    fn what_is_required_says_why() {
        assert_eq!(of("${NO:?set $A}"), "error: the variable `NO` is required: set a");
        assert_eq!(of("${EMPTY:?}"), "error: the variable `EMPTY` is required, but not set");
        assert_eq!(of("${EMPTY?}"), "");
        assert_eq!(
            of("${A:-${NO:?x}}"),
            "a",
            "a default that is not needed is not looked at"
        );
    }

    #[test]
    fn an_unset_variable_is_told_once_each_time() {
        let table = Table::default();
        assert_eq!(substitute("$NO ${NO2} ${NO3:-}", &table).unwrap(), "  ");
        assert_eq!(*table.0.borrow(), ["NO", "NO2"]);
    }

    #[test]
    fn variables_are_listed_with_their_defaults() {
        let mut found = Vec::new();
        variables("$A ${B:-${C:?x}} ${D+d} $$E", &mut found);
        let names: Vec<_> = found.iter().map(|variable| variable.name.as_str()).collect();
        assert_eq!(names, ["A", "D", "B", "C"]);
        assert_eq!(found[2].default, "${C:?x}");
        assert!(found[3].required);
        assert_eq!(found[1].presence, "d");
    }
}
