//! Whether a gRPC interaction has the shape that the Pact protobuf plugin writes. There is no other verifier here to hold
//! our own against, so that other tools can read the pact is at least looked at field by field.

use pact_models::content_types::ContentType;
use pact_models::path_exp::{DocPath, PathToken};
use pact_models::v4::message_parts::MessageContents;
use prost_reflect::{Kind, MessageDescriptor};

use super::call::Call;
use crate::index::{Contract, Interaction, Kind as InteractionKind};

/// What another tool would stumble over, in words; empty where the shape is right. An interaction that is no gRPC call
/// has none.
pub fn shape(contract: &Contract, interaction: &Interaction) -> Vec<String> {
    let InteractionKind::SyncMessage(message) = &interaction.kind else {
        return Vec::new();
    };
    if !super::is_call(interaction) {
        return Vec::new();
    }
    let call = match Call::read(contract, interaction) {
        Ok(call) => call,
        Err(cause) => return vec![cause.to_string()],
    };
    let mut problems = Vec::new();
    if message.transport.as_deref() != Some("grpc") {
        problems.push("`transport` is not `grpc`".to_owned());
    }
    if let Some(service) = message.plugin_config.values().find_map(|of| of.get("service"))
        && !service.as_str().is_some_and(|service| service.contains('/'))
    {
        problems.push(format!("`service` is {service}, not Service/Method"));
    }
    part(&call.method.input(), &message.request, "request", &mut problems);
    for (at, contents) in message.response.iter().enumerate() {
        part(
            &call.method.output(),
            contents,
            &format!("response {}", at + 1),
            &mut problems,
        );
    }
    problems
}

fn part(of: &MessageDescriptor, contents: &MessageContents, what: &str, problems: &mut Vec<String>) {
    let is_protobuf = |kind: &ContentType| kind.main_type == "application" && kind.sub_type == "protobuf";
    if contents.contents.is_present() {
        match contents.contents.content_type() {
            Some(kind) if !is_protobuf(&kind) => problems.push(format!("{what}: its content type is `{kind}`")),
            Some(kind) if !kind.attributes.contains_key("message") => {
                problems.push(format!("{what}: its content type does not name the message"));
            }
            Some(_) => {}
            None => problems.push(format!("{what}: it has no content type")),
        }
    }
    let rules = contents.matching_rules.rules_for_category("body").unwrap_or_default();
    let mut paths: Vec<&DocPath> = rules.rules.keys().collect();
    paths.sort();
    for path in paths {
        if let Err(missing) = follow(of, path) {
            problems.push(format!("{what}: a rule is about `{path}`, {missing}"));
        }
    }
}

/// Goes along a rule's path through the message's fields.
fn follow(of: &MessageDescriptor, path: &DocPath) -> Result<(), String> {
    let mut here = Some(of.clone());
    let mut collection = false;
    for token in path.tokens() {
        match token {
            PathToken::Root => {}
            PathToken::Index(_) | PathToken::Star | PathToken::StarIndex => collection = false,
            // A map's key.
            PathToken::Field(_) if collection => collection = false,
            PathToken::Field(name) => {
                // What is below a value is the value's own business.
                let Some(message) = here.take() else { return Ok(()) };
                if super::json::is_json_itself(&message) {
                    return Ok(());
                }
                let Some(field) = message.get_field_by_name(name) else {
                    return Err(format!("and `{}` has no field `{name}`", message.full_name()));
                };
                collection = field.is_map() || field.is_list();
                here = match field.kind() {
                    Kind::Message(entry) if field.is_map() => match entry.map_entry_value_field().kind() {
                        Kind::Message(value) => Some(value),
                        _ => None,
                    },
                    Kind::Message(inner) => Some(inner),
                    _ => None,
                };
            }
        }
    }
    Ok(())
}
