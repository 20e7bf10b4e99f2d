//! A gRPC call as a pact promises it, read from the shape that the Pact protobuf plugin writes.

use std::collections::HashMap;

use http::HeaderMap;
use pact_matching::{CoreMatchingContext, DiffConfig, MatchingContext, match_message_metadata};
use pact_models::generators::{Generator, GeneratorCategory};
use pact_models::matchingrules::{MatchingRuleCategory, MatchingRules};
use pact_models::path_exp::DocPath;
use pact_models::v4::message_parts::MessageContents;
use pact_models::v4::sync_message::SynchronousMessage;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor};
use serde_json::Value;

use super::proto::{PLUGIN, Proto, ProtoError, path};
use super::status::Code;
use crate::difference::{Difference, from_mismatches};
use crate::index::{Contract, Interaction, Kind};

/// Why an interaction is no gRPC call that could be made.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It has no or the wrong descriptors.
    #[error(transparent)]
    Proto(#[from] ProtoError),
    /// It has another shape than the plugin writes.
    #[error("understand the interaction: {0}")]
    Shape(String),
}

impl CallError {
    /// What to do about it, where there is something.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Proto(cause) => cause.help(),
            Self::Shape(_) => None,
        }
    }
}

/// One call: what is sent, and what comes back.
#[derive(Debug)]
pub struct Call {
    /// Which method.
    pub method: MethodDescriptor,
    pub(crate) request: Part,
    /// One for a unary call, in their order for a stream; none where the status alone is promised.
    pub(crate) answers: Vec<Part>,
    pub(crate) status: Status,
}

/// A message with what is said about it.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) message: DynamicMessage,
    pub(crate) rules: MatchingRuleCategory,
    pub(crate) generators: HashMap<DocPath, Generator>,
    pub(crate) metadata: Metadata,
}

/// Metadata: names in lower case, without what gRPC itself uses.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metadata {
    pub(crate) contents: MessageContents,
    pub(crate) rules: MatchingRuleCategory,
}

/// How the call ends.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) code: Code,
    pub(crate) message: Metadata,
}

/// The pact's names for what HTTP/2 carries elsewhere.
const OWN: [&str; 4] = ["contenttype", "content-type", "grpc-status", "grpc-message"];

/// Whether an interaction is a gRPC call.
pub fn is_call(interaction: &Interaction) -> bool {
    match &interaction.kind {
        Kind::SyncMessage(message) => {
            message.transport.as_deref() == Some("grpc") || message.plugin_config.contains_key(PLUGIN)
        }
        Kind::Http(_) | Kind::Message(_) => false,
    }
}

impl Call {
    /// Reads an interaction of `contract`.
    ///
    /// # Errors
    ///
    /// Where it is no gRPC call, or its descriptors, method or messages do not fit together.
    pub fn read(contract: &Contract, interaction: &Interaction) -> Result<Self, CallError> {
        let Kind::SyncMessage(message) = &interaction.kind else {
            return Err(CallError::Shape("it is no synchronous message".to_owned()));
        };
        let key = setting(message, "descriptorKey")?;
        let proto = Proto::from_pact(&contract.plugins, &key)?;
        Self::with(&proto, message)
    }

    fn with(proto: &Proto, message: &SynchronousMessage) -> Result<Self, CallError> {
        let method = proto.method(&setting(message, "service")?)?;
        if method.is_client_streaming() {
            let what = format!(
                "`{}` streams towards the provider, which a pact cannot say",
                path(&method)
            );
            return Err(CallError::Shape(what));
        }
        let request = Part::read(&method.input(), &message.request, "request")?;
        let status = Status::read(message.response.last())?;
        let mut answers = Vec::new();
        for (at, contents) in message.response.iter().enumerate() {
            // An error has no message, and a stream may end with one after some.
            let fails = status.code != Code::Ok && at + 1 == message.response.len();
            if !fails || contents.contents.is_present() {
                answers.push(Part::read(&method.output(), contents, &format!("response {}", at + 1))?);
            }
        }
        if !method.is_server_streaming() {
            let wanted = usize::from(status.code == Code::Ok);
            if answers.len() > 1 || answers.len() < wanted {
                let what = format!(
                    "`{}` answers with one message, the pact has {}",
                    path(&method),
                    answers.len()
                );
                return Err(CallError::Shape(what));
            }
        }
        Ok(Self {
            method,
            request,
            answers,
            status,
        })
    }

    /// `package.Service/Method`.
    pub fn path(&self) -> String {
        path(&self.method)
    }
}

impl Part {
    fn read(of: &MessageDescriptor, contents: &MessageContents, what: &str) -> Result<Self, CallError> {
        let bytes = contents.contents.value().unwrap_or_default();
        let message = DynamicMessage::decode(of.clone(), bytes)
            .map_err(|cause| CallError::Shape(format!("its {what} is no `{}`: {cause}", of.full_name())))?;
        let named = contents.contents.content_type();
        if let Some(named) = named.as_ref().and_then(|kind| kind.attributes.get("message")) {
            let simple = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
            if simple(named) != of.name() {
                let what = format!(
                    "its {what} says it is a `{named}`, the method takes `{}`",
                    of.full_name()
                );
                return Err(CallError::Shape(what));
            }
        }
        let generators = contents.generators.categories.get(&GeneratorCategory::BODY).cloned();
        Ok(Self {
            message,
            rules: contents.matching_rules.rules_for_category("body").unwrap_or_default(),
            generators: generators.unwrap_or_default(),
            metadata: Metadata::read(contents, |name| !OWN.contains(&name)),
        })
    }
}

impl Metadata {
    fn read(contents: &MessageContents, wanted: impl Fn(&str) -> bool) -> Self {
        let metadata = contents.metadata.iter();
        let metadata = metadata
            .map(|(name, value)| (name.to_lowercase(), value.clone()))
            .filter(|(name, _)| wanted(name))
            .collect();
        Self {
            rules: lower(&contents.matching_rules),
            contents: MessageContents {
                metadata,
                generators: contents.generators.clone(),
                ..MessageContents::default()
            },
        }
    }

    /// What of it `actual` does not keep.
    pub(crate) fn differences(&self, actual: &HeaderMap) -> Vec<Difference> {
        let context = CoreMatchingContext::new(DiffConfig::AllowUnexpectedKeys, &self.rules, &HashMap::new());
        let mut metadata = HashMap::new();
        for name in actual.keys() {
            let values: Vec<&str> = actual
                .get_all(name)
                .iter()
                .filter_map(|value| value.to_str().ok())
                .collect();
            metadata.insert(name.as_str().to_owned(), Value::from(values.join(", ")));
        }
        let actual = MessageContents {
            metadata,
            ..MessageContents::default()
        };
        let found = match_message_metadata(&self.contents, &actual, &context as &dyn MatchingContext);
        from_mismatches(found.values().flatten())
    }
}

impl Status {
    fn read(last: Option<&MessageContents>) -> Result<Self, CallError> {
        let Some(contents) = last else {
            return Ok(Self {
                code: Code::Ok,
                message: Metadata::default(),
            });
        };
        let written = contents.metadata.get("grpc-status").map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let code = match &written {
            None => Code::Ok,
            Some(text) => {
                Code::parse(text).ok_or_else(|| CallError::Shape(format!("`{text}` is no status code of gRPC")))?
            }
        };
        Ok(Self {
            code,
            message: Metadata::read(contents, |name| name == "grpc-message"),
        })
    }

    /// The example of `grpc-message`.
    pub(crate) fn text(&self) -> &str {
        let text = self.message.contents.metadata.get("grpc-message");
        text.and_then(Value::as_str).unwrap_or_default()
    }
}

/// Rules about metadata, by names in lower case whatever form the path has.
fn lower(rules: &MatchingRules) -> MatchingRuleCategory {
    let mut lowered = MatchingRuleCategory::empty("metadata");
    for (path, list) in rules.rules_for_category("metadata").unwrap_or_default().rules {
        let name = path.first_field().map_or_else(|| path.to_string(), str::to_owned);
        lowered.rules.insert(DocPath::root().join(name.to_lowercase()), list);
    }
    lowered
}

fn setting(message: &SynchronousMessage, name: &str) -> Result<String, CallError> {
    let of = message.plugin_config.get(PLUGIN).and_then(|of| of.get(name));
    of.and_then(Value::as_str).map(str::to_owned).ok_or_else(|| {
        CallError::Shape(format!(
            "`pluginConfiguration.{PLUGIN}.{name}` is missing: the Pact protobuf plugin writes it"
        ))
    })
}
