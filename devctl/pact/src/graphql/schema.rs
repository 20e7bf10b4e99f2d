//! The provider's schema: what of an operation it does not know is said with the place in the schema where it should be.

use std::fmt;
use std::path::Path;

use apollo_compiler::executable::ExecutableDocument;
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::request::coerce_variable_values;
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Schema as Parsed, validation::DiagnosticList};
use pact_models::v4::http_parts::HttpRequest;

use super::Operation;
use crate::difference::{Difference, Part};

/// A provider's schema, in the schema definition language.
#[derive(Clone)]
pub struct Schema {
    parsed: std::sync::Arc<Valid<Parsed>>,
    origin: String,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// Why a schema cannot be used: everything that is wrong with it, each with `file:line:column`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("understand the schema: {}", .0.join("; "))]
pub struct SchemaError(pub Vec<String>);

impl Schema {
    /// Reads a schema; `origin` is shown in what is said of it.
    ///
    /// # Errors
    ///
    /// Where it does not parse or contradicts itself.
    pub fn parse(origin: &str, text: &str) -> Result<Self, SchemaError> {
        let parsed = Parsed::parse_and_validate(text, Path::new(origin))
            .map_err(|found| SchemaError(places(origin, &found.errors)))?;
        Ok(Self {
            parsed: std::sync::Arc::new(parsed),
            origin: origin.to_owned(),
        })
    }

    /// What of `operation` the schema does not allow: fields, arguments and types that are not there, and variables'
    /// values of the wrong type. Empty where all is well.
    pub fn check(&self, operation: &Operation) -> Vec<Difference> {
        let document = match ExecutableDocument::parse_and_validate(&self.parsed, operation.query.as_str(), "query") {
            Ok(document) => document,
            Err(found) => {
                let told = found.errors.iter().map(|one| {
                    let place = one.line_column_range().map(|range| range.start);
                    let line = place.map(|place| format!("line {} of the query", place.line));
                    self.told(
                        "$.query",
                        &one.error.to_string(),
                        line.as_deref().unwrap_or("the query"),
                    )
                });
                return told.collect();
            }
        };
        let operation_of = document.operations.get(operation.name.as_deref());
        let chosen = match operation_of {
            Ok(chosen) => chosen,
            Err(cause) => return vec![self.told("$.operationName", &cause.message().to_string(), "the query")],
        };
        let values: Option<JsonMap> = serde_json::to_value(&operation.variables)
            .ok()
            .and_then(|values| serde_json::from_value(values).ok());
        match coerce_variable_values(&self.parsed, chosen, &values.unwrap_or_default()) {
            Ok(_) => Vec::new(),
            Err(cause) => vec![self.told("$.variables", &cause.message().to_string(), "the variables")],
        }
    }

    /// What of the operation that `request` asks for the schema does not allow; empty also where it asks for none.
    pub fn check_request(&self, request: &HttpRequest) -> Vec<Difference> {
        Operation::of(request)
            .map(|operation| self.check(&operation))
            .unwrap_or_default()
    }

    fn told(&self, path: &str, message: &str, asked: &str) -> Difference {
        let (actual, message) = match self.place(message) {
            Some(place) => (
                format!("{message} ({place})"),
                format!("{message} ({place}), which {asked} asks for"),
            ),
            None => (format!("{message} ({})", self.origin), format!("{message}: {asked}")),
        };
        let wanted = format!("a schema that knows what {asked} asks for");
        let mut difference = Difference::new(Part::Body, path, &wanted, &actual, message);
        difference.rule = Some("must be valid against the provider's schema".to_owned());
        difference
    }

    /// Where the first type, or field of a type, that a message names stands in the schema: `file:line`.
    fn place(&self, message: &str) -> Option<String> {
        let quoted = message.split('`').skip(1).step_by(2);
        for word in quoted {
            let (name, field) = word
                .split_once('.')
                .map_or((word, None), |(name, field)| (name, Some(field)));
            let name = name.trim_matches(['!', '[', ']']);
            let Some(found) = self.parsed.types.get(name).filter(|found| !found.is_built_in()) else {
                continue;
            };
            let of_field = field.and_then(|field| {
                let field = field.split('(').next().unwrap_or(field);
                let field = self.parsed.type_field(name, field).ok()?;
                field.location()
            });
            let place = of_field.or_else(|| found.name().location());
            if let Some(line) = self.line(place) {
                return Some(format!("{}:{line}", self.origin));
            }
        }
        None
    }

    fn line(&self, place: Option<SourceSpan>) -> Option<usize> {
        Some(place?.line_column(&self.parsed.sources)?.line)
    }
}

fn places(origin: &str, found: &DiagnosticList) -> Vec<String> {
    found
        .iter()
        .map(|one| match one.line_column_range() {
            Some(range) => format!("{origin}:{}:{}: {}", range.start.line, range.start.column, one.error),
            None => format!("{origin}: {}", one.error),
        })
        .collect()
}
