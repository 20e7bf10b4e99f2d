//! What a message has that the contract's descriptors do not know: a renumbered field shows as one that is missing and
//! one that is unknown, or cannot be decoded at all. Either is named by its path, number and type on the wire.

use bytes::{Buf, Bytes};
use pact_models::path_exp::DocPath;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value as Field};

use super::matching::Side;
use crate::difference::{Difference, Part};

/// As deep as messages are decoded.
const DEEPEST: usize = 100;

/// The promised fields that are missing where unknown ones came; in a request, every unknown field.
pub(crate) fn fields(expected: &DynamicMessage, actual: &DynamicMessage, side: Side) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(&DocPath::root(), expected, actual, side, &mut found);
    found
}

fn walk(path: &DocPath, expected: &DynamicMessage, actual: &DynamicMessage, side: Side, found: &mut Vec<Difference>) {
    let mut unknown: Vec<(u32, WireType)> = actual
        .unknown_fields()
        .map(|field| (field.number(), field.wire_type()))
        .collect();
    unknown.dedup();
    for (field, value) in expected.fields() {
        let path = path.join(field.name());
        if actual.has_field(&field) {
            pairs(&path, value, &actual.get_field(&field), side, found);
        } else if let Some(at) = unknown.iter().position(|(_, wire)| fits(&field, *wire)) {
            let (number, wire) = unknown.remove(at);
            found.push(renumbered(&path, &field, number, wire));
        }
    }
    if side == Side::Request {
        for (number, wire) in unknown {
            let message = format!(
                "there is a field {number} ({}) that the contract does not know",
                name(wire)
            );
            let actual = format!("field {number} ({})", name(wire));
            found.push(Difference::new(
                Part::Body,
                &path.to_string(),
                "no such field",
                &actual,
                message,
            ));
        }
    }
}

fn pairs(path: &DocPath, expected: &Field, actual: &Field, side: Side, found: &mut Vec<Difference>) {
    match (expected, actual) {
        (Field::Message(expected), Field::Message(actual)) => walk(path, expected, actual, side, found),
        (Field::List(expected), Field::List(actual)) => {
            for (at, one) in actual.iter().enumerate() {
                if let Some(like) = expected.get(at).or_else(|| expected.first()) {
                    pairs(&path.join(at.to_string()), like, one, side, found);
                }
            }
        }
        (Field::Map(expected), Field::Map(actual)) => {
            for (key, one) in actual {
                if let Some(like) = expected.get(key).or_else(|| expected.values().next()) {
                    let key = key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned);
                    pairs(&path.join(key), like, one, side, found);
                }
            }
        }
        _ => {}
    }
}

fn renumbered(path: &DocPath, field: &FieldDescriptor, number: u32, wire: WireType) -> Difference {
    let expected = format!("field {} ({})", field.number(), name(wire_of(field)));
    let actual = format!(
        "no field {}, but an unknown field {number} ({})",
        field.number(),
        name(wire)
    );
    let message = format!(
        "`{}` is field {} of `{}` and is missing; there is an unknown field {number} instead: was it renumbered?",
        field.name(),
        field.number(),
        field.parent_message().full_name(),
    );
    let mut difference = Difference::new(Part::Body, &path.to_string(), &expected, &actual, message);
    difference.rule = Some("must have the field's number".to_owned());
    difference
}

/// Why a message could not be decoded, at the first field whose type on the wire is not the descriptor's.
pub(crate) fn undecodable(of: &MessageDescriptor, bytes: &Bytes, cause: &str) -> Difference {
    let conflict = conflict(&DocPath::root(), of, bytes.clone(), 0);
    let mut difference = match conflict {
        Some((path, field, wire)) => {
            let (wanted, came) = (name(wire_of(&field)), name(wire));
            let message = format!(
                "field {} of `{}` came as {came}; `{}` is {wanted}: was it renumbered, or its type changed?",
                field.number(),
                field.parent_message().full_name(),
                field.name(),
            );
            let number = |what: &str| format!("field {} ({what})", field.number());
            Difference::new(Part::Body, &path.to_string(), &number(wanted), &number(came), message)
        }
        None => {
            let message = format!("it cannot be decoded as `{}`: {cause}", of.full_name());
            let actual = format!("{} bytes", bytes.len());
            Difference::new(Part::Body, "$", of.full_name(), &actual, message)
        }
    };
    difference.rule = Some("must have the field's number and type".to_owned());
    difference
}

fn conflict(
    path: &DocPath,
    of: &MessageDescriptor,
    mut bytes: Bytes,
    depth: usize,
) -> Option<(DocPath, FieldDescriptor, WireType)> {
    if depth > DEEPEST {
        return None;
    }
    while bytes.has_remaining() {
        let (number, wire) = decode_key(&mut bytes).ok()?;
        let field = of.get_field(number);
        if let Some(field) = &field {
            let path = path.join(field.name());
            if !fits(field, wire) {
                return Some((path, field.clone(), wire));
            }
            if let (Kind::Message(inner), WireType::LengthDelimited) = (field.kind(), wire) {
                let mut ahead = bytes.clone();
                let length = usize::try_from(decode_varint(&mut ahead).ok()?).ok()?;
                if length <= ahead.len()
                    && let Some(found) = conflict(&path, &inner, ahead.split_to(length), depth + 1)
                {
                    return Some(found);
                }
            }
        }
        skip_field(wire, number, &mut bytes, DecodeContext::default()).ok()?;
    }
    None
}

/// Whether a field may come this way; numbers in a list come packed or each by itself.
fn fits(field: &FieldDescriptor, wire: WireType) -> bool {
    wire == wire_of(field) || wire == field.kind().wire_type() || (field.is_list() && wire == WireType::LengthDelimited)
}

fn wire_of(field: &FieldDescriptor) -> WireType {
    if field.is_packed() {
        WireType::LengthDelimited
    } else {
        field.kind().wire_type()
    }
}

fn name(wire: WireType) -> &'static str {
    match wire {
        WireType::Varint => "a varint",
        WireType::SixtyFourBit => "64 bits",
        WireType::LengthDelimited => "bytes",
        WireType::StartGroup | WireType::EndGroup => "a group",
        WireType::ThirtyTwoBit => "32 bits",
    }
}
