//! A message as a test writes it: JSON by the fields' names, with matching expressions in place of values.
//!
//! ```json
//! {
//!   "id": "matching(regex, '[0-9a-f-]{36}', '0190a000-0000-7000-8000-000000000001')",
//!   "amount": {"currency": "EUR", "minor_units": "matching(integer, 4200)"},
//!   "created_at": "matching(type, '2026-01-02T03:04:05Z')",
//!   "tags": "eachValue(matching(type, 'new'))",
//!   "lines": {"pact:match": "eachValue(matching($'line')), atLeast(1)", "line": {"text": "matching(type, 'ink')"}}
//! }
//! ```
//!
//! The words and where their rules go are those of the Pact protobuf plugin. Beyond it, a message of `google.protobuf`
//! such as a timestamp may be written in its JSON form, and a number as a number.

use std::collections::HashMap;

use pact_models::generators::Generator;
use pact_models::matchingrules::{MatchingRule, MatchingRuleCategory};
use pact_models::path_exp::DocPath;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value as Field};
use serde_json::{Map, Value};

use super::expression::{Expression, Gathered, ShapeError, parse};
use super::json;

const MATCH: &str = "pact:match";

/// An example message, and what of it is not meant literally.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) message: DynamicMessage,
    pub(crate) rules: MatchingRuleCategory,
    pub(crate) generators: HashMap<DocPath, Generator>,
}

impl Shape {
    /// Reads a message of the type `of` from what a test wrote.
    pub(crate) fn new(of: &MessageDescriptor, written: &Value) -> Result<Self, ShapeError> {
        let mut reader = Reader {
            gathered: Gathered::new("body"),
            literal: false,
        };
        let message = reader.message(of, &DocPath::root(), written)?;
        Ok(Self {
            message,
            rules: reader.gathered.rules,
            generators: reader.gathered.generators,
        })
    }
}

/// Reads a message from JSON in which nothing is an expression.
pub(crate) fn literal(of: &MessageDescriptor, json: &Value) -> Result<DynamicMessage, ShapeError> {
    let mut reader = Reader {
        gathered: Gathered::new("body"),
        literal: true,
    };
    reader.message(of, &DocPath::root(), json)
}

struct Reader {
    gathered: Gathered,
    literal: bool,
}

impl Reader {
    fn message(
        &mut self,
        of: &MessageDescriptor,
        path: &DocPath,
        written: &Value,
    ) -> Result<DynamicMessage, ShapeError> {
        if json::is_json_itself(of) {
            let plain = self.natural(path, written)?;
            return canonical(of, path, &plain);
        }
        let Value::Object(fields) = written else {
            return self.known(of, path, written);
        };
        let mut message = DynamicMessage::new(of.clone());
        for (name, written) in fields {
            let found = of.get_field_by_name(name).or_else(|| of.get_field_by_json_name(name));
            let field = found.ok_or_else(|| unknown_field(of, path, name))?;
            let path = path.join(field.name());
            if let Some(value) = self.field(&field, &path, written)? {
                message.set_field(&field, value);
            }
        }
        Ok(message)
    }

    /// A message of `google.protobuf` in its JSON form, such as `"2026-01-02T03:04:05Z"`.
    fn known(&mut self, of: &MessageDescriptor, path: &DocPath, written: &Value) -> Result<DynamicMessage, ShapeError> {
        if of.parent_file().package_name() != "google.protobuf" {
            let what = format!("`{}` is a message: write an object of its fields", of.full_name());
            return Err(ShapeError::new(path, what));
        }
        let expression = self.expression(path, written)?;
        let plain = expression.as_ref().map_or(written, |found| &found.value);
        let message = canonical(of, path, plain)?;
        if let Some(found) = expression {
            let wrapper = of.full_name().ends_with("Value");
            let allowed = |rule: &MatchingRule| matches!(rule, MatchingRule::Type | MatchingRule::NotEmpty);
            if !wrapper && !found.rules.iter().all(allowed) {
                let what = format!("a `{}` is matched by type or literally", of.full_name());
                return Err(ShapeError::new(path, what));
            }
            let path = if wrapper { path.join("value") } else { path.clone() };
            self.gathered.add(&path, found.rules, found.generator);
        }
        Ok(message)
    }

    fn field(&mut self, field: &FieldDescriptor, path: &DocPath, written: &Value) -> Result<Option<Field>, ShapeError> {
        Ok(Some(match written {
            Value::Null if !is_null_itself(&field.kind()) => return Ok(None),
            _ if field.is_map() => self.map(field, path, written)?,
            _ if field.is_list() => self.list(field, path, written)?,
            _ => self.single(&field.kind(), path, written)?,
        }))
    }

    fn single(&mut self, kind: &Kind, path: &DocPath, written: &Value) -> Result<Field, ShapeError> {
        if let Kind::Message(of) = kind {
            return self.message(of, path, written).map(Field::Message);
        }
        match self.expression(path, written)? {
            Some(found) => self.expressed(kind, path, found),
            None => scalar(kind, path, written),
        }
    }

    fn expressed(&mut self, kind: &Kind, path: &DocPath, found: Expression) -> Result<Field, ShapeError> {
        let value = scalar(kind, path, &found.value)?;
        self.gathered.add(path, found.rules, found.generator);
        Ok(value)
    }

    fn list(&mut self, field: &FieldDescriptor, path: &DocPath, written: &Value) -> Result<Field, ShapeError> {
        let kind = field.kind();
        let each = path.join("*");
        let one = match written {
            Value::Array(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (at, item) in items.iter().enumerate() {
                    list.push(self.single(&kind, &path.join(at.to_string()), item)?);
                }
                return Ok(Field::List(list));
            }
            Value::Object(fields) if fields.contains_key(MATCH) => {
                let (expression, rest) = self.matched(path, fields)?;
                self.gathered
                    .add(path, expression.rules.clone(), expression.generator.clone());
                match &expression.reference {
                    Some(name) => {
                        let shape = referred(path, rest, name)?;
                        self.gathered.add(path, vec![MatchingRule::Values], None);
                        self.gathered.add(&each, vec![MatchingRule::Type], None);
                        self.single(&kind, &each, shape)?
                    }
                    None => scalar(&kind, path, &expression.value)?,
                }
            }
            other => match self.expression(path, other)? {
                Some(found) if found.is_of_collection() => self.expressed(&kind, path, found)?,
                Some(found) => self.expressed(&kind, &each, found)?,
                None => self.single(&kind, &each, other)?,
            },
        };
        Ok(Field::List(vec![one]))
    }

    fn map(&mut self, field: &FieldDescriptor, path: &DocPath, written: &Value) -> Result<Field, ShapeError> {
        let Value::Object(fields) = written else {
            return Err(ShapeError::new(path, "a map: write an object of its entries"));
        };
        let Kind::Message(entry) = field.kind() else {
            return Err(ShapeError::new(path, "a map whose entries are no messages"));
        };
        let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field().kind());
        let mut named = None;
        if fields.contains_key(MATCH) {
            let (expression, rest) = self.matched(path, fields)?;
            self.gathered
                .add(path, expression.rules.clone(), expression.generator.clone());
            if let Some(name) = &expression.reference {
                referred(path, rest, name)?;
                self.gathered.add(path, vec![MatchingRule::Values], None);
                self.gathered.add(&path.join("*"), vec![MatchingRule::Type], None);
                named = Some(name.clone());
            }
        }
        let mut entries = HashMap::new();
        for (name, written) in fields.iter().filter(|(name, _)| *name != MATCH) {
            let at = match &named {
                Some(reference) if reference == name => path.join("*"),
                _ => path.join(name.as_str()),
            };
            let key = json::key(name, &key).ok_or_else(|| {
                ShapeError::new(
                    path,
                    format!("`{name}` is no {:?} and so no key of this map", key.kind()),
                )
            })?;
            entries.insert(key, self.single(&value, &at, written)?);
        }
        Ok(Field::Map(entries))
    }

    /// The expression of an object's `pact:match`.
    fn matched<'a>(
        &self,
        path: &DocPath,
        fields: &'a Map<String, Value>,
    ) -> Result<(Expression, &'a Map<String, Value>), ShapeError> {
        let written = fields.get(MATCH).unwrap_or(&Value::Null);
        let found = self.expression(path, written)?;
        let found = found.ok_or_else(|| {
            let what = format!("`{MATCH}` wants an expression such as eachValue(matching($'item')), not {written}");
            ShapeError::new(path, what)
        })?;
        Ok((found, fields))
    }

    /// JSON within a `google.protobuf.Struct`.
    fn natural(&mut self, path: &DocPath, written: &Value) -> Result<Value, ShapeError> {
        Ok(match written {
            Value::String(_) => match self.expression(path, written)? {
                Some(found) => {
                    self.gathered.add(path, found.rules, found.generator);
                    found.value
                }
                None => written.clone(),
            },
            Value::Array(items) => {
                let items = items.iter().enumerate();
                let read = items.map(|(at, item)| self.natural(&path.join(at.to_string()), item));
                Value::Array(read.collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let mut read = Map::new();
                for (name, item) in fields {
                    read.insert(name.clone(), self.natural(&path.join(name.as_str()), item)?);
                }
                Value::Object(read)
            }
            other => other.clone(),
        })
    }

    fn expression(&self, path: &DocPath, written: &Value) -> Result<Option<Expression>, ShapeError> {
        match written {
            Value::String(text) if !self.literal => parse(path, text),
            _ => Ok(None),
        }
    }
}

fn is_null_itself(kind: &Kind) -> bool {
    matches!(kind, Kind::Message(of) if of.full_name() == "google.protobuf.Value")
}

fn canonical(of: &MessageDescriptor, path: &DocPath, plain: &Value) -> Result<DynamicMessage, ShapeError> {
    DynamicMessage::deserialize(of.clone(), plain)
        .map_err(|cause| ShapeError::new(path, format!("{plain} is no `{}`: {cause}", of.full_name())))
}

fn scalar(kind: &Kind, path: &DocPath, written: &Value) -> Result<Field, ShapeError> {
    json::scalar(written, kind).ok_or_else(|| {
        let what = match kind {
            Kind::Enum(of) => {
                let names: Vec<String> = of.values().map(|value| value.name().to_owned()).collect();
                format!("{written} is none of {}: {}", of.full_name(), names.join(", "))
            }
            Kind::Bytes => format!("{written} is no text in base64"),
            Kind::Message(of) => format!("{written} is no `{}`", of.full_name()),
            other => format!("{written} is no {}", format!("{other:?}").to_lowercase()),
        };
        ShapeError::new(path, what)
    })
}

fn referred<'a>(path: &DocPath, fields: &'a Map<String, Value>, name: &str) -> Result<&'a Value, ShapeError> {
    fields.get(name).ok_or_else(|| {
        ShapeError::new(
            path,
            format!("`{MATCH}` refers to `{name}`, which does not stand beside it"),
        )
    })
}

fn unknown_field(of: &MessageDescriptor, path: &DocPath, name: &str) -> ShapeError {
    let known: Vec<String> = of.fields().map(|field| field.name().to_owned()).collect();
    let nearest = known.iter().max_by(|one, other| {
        let like = |known: &str| strsim::normalized_damerau_levenshtein(known, name);
        like(one).total_cmp(&like(other))
    });
    let hint = nearest
        .map(|name| format!(" Did you mean `{name}`?"))
        .unwrap_or_default();
    let what = format!(
        "`{}` has no field `{name}`.{hint} It has: {}",
        of.full_name(),
        known.join(", ")
    );
    ShapeError::new(path, what)
}
