//! A gRPC call as a pact promises it, read from the shape that the Pact protobuf plugin writes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use http::{HeaderMap, HeaderName, HeaderValue};
use pact_matching::generators::DefaultVariantMatcher;
use pact_matching::{CoreMatchingContext, DiffConfig, MatchingContext, match_message_metadata};
use pact_models::generators::{
    GenerateValue as _, Generator, GeneratorCategory, GeneratorTestMode, VariantMatcher as _,
};
use pact_models::matchingrules::{MatchingRuleCategory, MatchingRules};
use pact_models::path_exp::DocPath;
use pact_models::v4::message_parts::MessageContents;
use pact_models::v4::sync_message::SynchronousMessage;
use prost_reflect::{DynamicMessage, MessageDescriptor, MethodDescriptor, ReflectMessage as _};
use serde_json::Value;

use super::generate::generated;
use super::json::{Unset, to_json};
use super::proto::{PLUGIN, Proto, ProtoError, path};
use super::shape;
use super::status::Code;
use crate::difference::{Difference, from_mismatches, rule_at};
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

/// Descriptors by pact and key: one decoding for all calls of a pact.
#[derive(Debug, Default)]
pub(crate) struct Protos(HashMap<(String, String), Proto>);

impl Protos {
    fn of(&mut self, contract: &Contract, key: String) -> Result<&Proto, ProtoError> {
        match self.0.entry((contract.digest.clone(), key)) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let proto = Proto::from_pact(&contract.plugins, &place.key().1)?;
                Ok(place.insert(proto))
            }
        }
    }
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
        Self::read_with(&mut Protos::default(), contract, interaction)
    }

    /// As [`Call::read`], with descriptors that were decoded before.
    pub(crate) fn read_with(
        protos: &mut Protos,
        contract: &Contract,
        interaction: &Interaction,
    ) -> Result<Self, CallError> {
        let Kind::SyncMessage(message) = &interaction.kind else {
            return Err(CallError::Shape("it is no synchronous message".to_owned()));
        };
        let key = setting(message, "descriptorKey")?;
        Self::with(protos.of(contract, key)?, message)
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

impl Part {
    /// The example with the values of those generators that apply in this mode.
    pub(crate) async fn generated(
        &self,
        mode: &GeneratorTestMode,
        context: &HashMap<&str, Value>,
    ) -> Result<DynamicMessage, String> {
        if self.generators.is_empty() {
            return Ok(self.message.clone());
        }
        let of = self.message.descriptor();
        let json = to_json(&self.message, Unset::Hidden);
        let json = generated(&json, &self.generators, *mode, context).await?;
        shape::literal(&of, &json).map_err(|cause| format!("a generator made no `{}`: {cause}", of.full_name()))
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
    pub(crate) fn differences(&self, actual: &HashMap<String, Value>) -> Vec<Difference> {
        let context = CoreMatchingContext::new(DiffConfig::AllowUnexpectedKeys, &self.rules, &HashMap::new());
        let actual = MessageContents {
            metadata: actual.clone(),
            ..MessageContents::default()
        };
        let found = match_message_metadata(&self.contents, &actual, &context as &dyn MatchingContext);
        let mut differences = from_mismatches(found.values().flatten());
        for difference in &mut differences {
            let path = DocPath::root().join(difference.path.as_str()).to_string();
            difference.rule = rule_at(&self.rules, &path);
        }
        differences
    }

    /// Writes the examples into `to`, with the values of those generators that apply in this mode.
    pub(crate) fn examples(&self, to: &mut HeaderMap, mode: &GeneratorTestMode, context: &HashMap<&str, Value>) {
        let generators = self.contents.generators.categories.get(&GeneratorCategory::METADATA);
        for (name, example) in &self.contents.metadata {
            let mut value = example.clone();
            for (path, generator) in generators.into_iter().flatten() {
                let same = path.first_field().is_some_and(|field| field.eq_ignore_ascii_case(name));
                if same
                    && generator.corresponds_to_mode(mode)
                    && let Ok(made) = generator.generate_value(&value, context, &DefaultVariantMatcher.boxed())
                {
                    value = made;
                }
            }
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(text)) {
                to.insert(name, value);
            }
        }
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

/// Headers or trailers as metadata; several values of a name as one, separated by commas.
pub(crate) fn headers_as_metadata(headers: &HeaderMap) -> HashMap<String, Value> {
    let mut metadata = HashMap::new();
    for name in headers.keys() {
        let values = headers.get_all(name).iter();
        let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        metadata.insert(name.as_str().to_owned(), Value::from(values.join(", ")));
    }
    metadata
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
