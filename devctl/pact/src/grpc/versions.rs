//! The contract's descriptors beside the provider's own: where a promise is broken, a field of it that has another number
//! or type at the provider is the reason, also in a request, of which the provider's answer only says that it is wrong.

use pact_models::path_exp::DocPath;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value as Field};

use super::call::Call;
use super::proto::Proto;
use crate::difference::{Difference, Part};

/// What of the fields that the call uses is otherwise at the provider.
pub(crate) fn otherwise(call: &Call, provider: &Proto) -> Vec<Difference> {
    let Ok(method) = provider.method(&call.path()) else {
        let (wanted, message) = (
            call.path(),
            format!("the provider's `.proto` has no method `{}`", call.path()),
        );
        return vec![Difference::new(Part::Path, "", &wanted, "no such method", message)];
    };
    let mut found = Vec::new();
    message(
        &DocPath::root(),
        &call.request.message,
        &method.input(),
        "request",
        &mut found,
    );
    for part in &call.answers {
        message(&DocPath::root(), &part.message, &method.output(), "answer", &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn message(path: &DocPath, used: &DynamicMessage, theirs: &MessageDescriptor, of: &str, found: &mut Vec<Difference>) {
    for (field, value) in used.fields() {
        let path = path.join(field.name());
        match their(&field, theirs) {
            Ok(own) => below(&path, value, &own, of, found),
            Err(actual) => {
                let expected = told(&field);
                let message = format!("in the {of}, the contract has {expected}; the provider's `.proto` has {actual}");
                let mut difference = Difference::new(Part::Body, &path.to_string(), &expected, &actual, message);
                difference.rule = Some("must have the field's number and type".to_owned());
                found.push(difference);
            }
        }
    }
}

/// The provider's field that is the same on the wire, or in words what it has instead. Another name changes nothing.
fn their(field: &FieldDescriptor, theirs: &MessageDescriptor) -> Result<FieldDescriptor, String> {
    let same = |own: &FieldDescriptor| {
        own.is_list() == field.is_list() && own.is_map() == field.is_map() && kind(own) == kind(field)
    };
    match (theirs.get_field(field.number()), theirs.get_field_by_name(field.name())) {
        (Some(own), _) if same(&own) => Ok(own),
        (_, Some(own)) => Err(told(&own)),
        (Some(own), None) => Err(told(&own)),
        (None, None) => Err(format!("no field {} in `{}`", field.number(), theirs.full_name())),
    }
}

fn below(path: &DocPath, value: &Field, own: &FieldDescriptor, of: &str, found: &mut Vec<Difference>) {
    let Kind::Message(inner) = own.kind() else { return };
    match value {
        Field::Message(used) => message(path, used, &inner, of, found),
        Field::List(items) => {
            for item in items {
                if let Field::Message(used) = item {
                    message(path, used, &inner, of, found);
                }
            }
        }
        Field::Map(entries) => {
            let Kind::Message(inner) = inner.map_entry_value_field().kind() else {
                return;
            };
            for entry in entries.values() {
                if let Field::Message(used) = entry {
                    message(path, used, &inner, of, found);
                }
            }
        }
        _ => {}
    }
}

fn told(field: &FieldDescriptor) -> String {
    format!("`{}` as field {} ({})", field.name(), field.number(), kind(field))
}

fn kind(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(_) => "message".to_owned(),
        Kind::Enum(_) => "enum".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}
