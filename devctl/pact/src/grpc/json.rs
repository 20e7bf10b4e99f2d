//! Messages as JSON, in the form that matchers and pacts' paths see: fields by their names in the `.proto` file,
//! numbers as numbers whatever their width, enums by name, bytes in base64, and messages of `google.protobuf` like any
//! other but for `Struct` and its like, which are JSON by nature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, ReflectMessage as _, Value as Field,
};
use serde_json::{Map, Number, Value};

/// Whether fields that are not on the wire are shown with their default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unset {
    /// What proto3 cannot tell from its default is shown: zeros, empty texts, empty lists.
    Shown,
    /// Only what is on the wire.
    Hidden,
}

/// The message as JSON.
pub(crate) fn to_json(message: &DynamicMessage, unset: Unset) -> Value {
    if is_json_itself(&message.descriptor()) {
        return serde_json::to_value(message).unwrap_or_default();
    }
    let mut fields = Map::new();
    for field in message.descriptor().fields() {
        let shown = message.has_field(&field) || (unset == Unset::Shown && !field.supports_presence());
        if shown {
            let value = value(&message.get_field(&field), &field.kind(), unset);
            fields.insert(field.name().to_owned(), value);
        }
    }
    Value::Object(fields)
}

/// Whether JSON is this message's natural form.
pub(crate) fn is_json_itself(of: &MessageDescriptor) -> bool {
    [
        "google.protobuf.Struct",
        "google.protobuf.Value",
        "google.protobuf.ListValue",
    ]
    .contains(&of.full_name())
}

fn value(of: &Field, kind: &Kind, unset: Unset) -> Value {
    match of {
        Field::Bool(is) => Value::Bool(*is),
        Field::I32(number) => Value::from(*number),
        Field::I64(number) => Value::from(*number),
        Field::U32(number) => Value::from(*number),
        Field::U64(number) => Value::from(*number),
        // Through text: a float of 0.1 is 0.1 and not its nearest double.
        Field::F32(number) => float(number.to_string().parse().unwrap_or(f64::from(*number))),
        Field::F64(number) => float(*number),
        Field::String(text) => Value::from(text.as_str()),
        Field::Bytes(bytes) => Value::from(STANDARD.encode(bytes)),
        Field::EnumNumber(number) => {
            let name = kind.as_enum().and_then(|kind| kind.get_value(*number));
            name.map_or_else(|| Value::from(*number), |found| Value::from(found.name()))
        }
        Field::Message(message) => to_json(message, unset),
        Field::List(items) => items.iter().map(|item| value(item, kind, unset)).collect(),
        Field::Map(entries) => {
            let kind = kind.as_message().map(|entry| entry.map_entry_value_field().kind());
            let mut sorted: Vec<(String, Value)> = entries
                .iter()
                .map(|(key, entry)| {
                    (
                        text(key),
                        kind.as_ref().map(|kind| value(entry, kind, unset)).unwrap_or_default(),
                    )
                })
                .collect();
            sorted.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(sorted.into_iter().collect())
        }
    }
}

fn float(number: f64) -> Value {
    Number::from_f64(number).map_or_else(|| Value::from(number.to_string()), Value::Number)
}

fn text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(is) => is.to_string(),
        MapKey::I32(number) => number.to_string(),
        MapKey::I64(number) => number.to_string(),
        MapKey::U32(number) => number.to_string(),
        MapKey::U64(number) => number.to_string(),
        MapKey::String(text) => text.clone(),
    }
}

/// A map's key from its text.
pub(crate) fn key(text: &str, of: &FieldDescriptor) -> Option<MapKey> {
    Some(match of.kind() {
        Kind::Bool => MapKey::Bool(text.parse().ok()?),
        Kind::String => MapKey::String(text.to_owned()),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => MapKey::I32(text.parse().ok()?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => MapKey::I64(text.parse().ok()?),
        Kind::Uint32 | Kind::Fixed32 => MapKey::U32(text.parse().ok()?),
        Kind::Uint64 | Kind::Fixed64 => MapKey::U64(text.parse().ok()?),
        Kind::Double | Kind::Float | Kind::Bytes | Kind::Message(_) | Kind::Enum(_) => return None,
    })
}

/// A field's value that is no message from JSON; a text is read as the number, truth or name that the field wants.
pub(crate) fn scalar(json: &Value, kind: &Kind) -> Option<Field> {
    let text = match json {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => json.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    };
    Some(match kind {
        Kind::Double => Field::F64(text.parse().ok()?),
        Kind::Float => Field::F32(text.parse().ok()?),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Field::I32(text.parse().ok()?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Field::I64(text.parse().ok()?),
        Kind::Uint32 | Kind::Fixed32 => Field::U32(text.parse().ok()?),
        Kind::Uint64 | Kind::Fixed64 => Field::U64(text.parse().ok()?),
        Kind::Bool => Field::Bool(text.parse().ok()?),
        Kind::String if json.is_string() => Field::String(text),
        Kind::Bytes => Field::Bytes(STANDARD.decode(&text).ok()?.into()),
        Kind::Enum(kind) => {
            let named = kind.get_value_by_name(&text).map(|found| found.number());
            Field::EnumNumber(named.or_else(|| text.parse().ok())?)
        }
        Kind::String | Kind::Message(_) => return None,
    })
}
