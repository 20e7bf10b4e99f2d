//! One promised call, as a test builds it and as the pact holds it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pact_models::generators::{GeneratorCategory, Generators, generators_to_json};
use pact_models::matchingrules::{MatchingRules, matchers_to_json};
use pact_models::path_exp::DocPath;
use pact_models::{PactSpecification, provider_states::ProviderState};
use prost::Message as _;
use prost_reflect::MessageDescriptor;
use serde_json::{Map, Value, json};

use super::MockError;
use crate::grpc::expression::{self, Gathered};
use crate::grpc::proto::PLUGIN;
use crate::grpc::shape::Shape;
use crate::grpc::{Code, Proto, ShapeError};

/// A promised call.
#[derive(Debug, Clone)]
pub struct Interaction {
    description: String,
    states: Vec<ProviderState>,
    method: String,
    metadata: Vec<(String, String)>,
    request: Value,
    answers: Vec<Value>,
    answer_metadata: Vec<(String, String)>,
    status: Option<(Code, String)>,
    pending: bool,
    comments: Vec<String>,
}

impl Interaction {
    pub(super) fn new(description: &str) -> Self {
        Self {
            description: description.to_owned(),
            states: Vec::new(),
            method: String::new(),
            metadata: Vec::new(),
            request: json!({}),
            answers: Vec::new(),
            answer_metadata: Vec::new(),
            status: None,
            pending: false,
            comments: Vec::new(),
        }
    }

    /// What must be so at the provider.
    #[must_use]
    pub fn given(mut self, state: &str) -> Self {
        self.states.push(ProviderState::default(state));
        self
    }

    /// What must be so at the provider, with parameters: an object.
    #[must_use]
    pub fn given_with(mut self, state: &str, params: Value) -> Self {
        let mut wanted = ProviderState::default(state);
        if let Value::Object(params) = params {
            wanted.params.extend(params);
        }
        self.states.push(wanted);
        self
    }

    /// The method: `package.Service/Method`.
    #[must_use]
    pub fn call(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Metadata that the call carries; the value may be a matching expression.
    #[must_use]
    pub fn metadata(mut self, name: &str, value: &str) -> Self {
        self.metadata.push((name.to_lowercase(), value.to_owned()));
        self
    }

    /// The request's fields by name; values may be matching expressions, see the Pact protobuf plugin's.
    #[must_use]
    pub fn request(mut self, fields: Value) -> Self {
        self.request = fields;
        self
    }

    /// The answer's fields by name; values may be matching expressions. Called several times, the answers of a stream.
    #[must_use]
    pub fn answer(mut self, fields: Value) -> Self {
        self.answers.push(fields);
        self
    }

    /// Metadata that the answer carries; the value may be a matching expression.
    #[must_use]
    pub fn answer_metadata(mut self, name: &str, value: &str) -> Self {
        self.answer_metadata.push((name.to_lowercase(), value.to_owned()));
        self
    }

    /// The call ends with this status; after the answers that were given, in a stream. The message may be a matching
    /// expression; an empty one is not promised.
    #[must_use]
    pub fn refuse(mut self, code: Code, message: &str) -> Self {
        self.status = Some((code, message.to_owned()));
        self
    }

    /// The provider may break it without failing.
    #[must_use]
    pub fn pending(mut self) -> Self {
        self.pending = true;
        self
    }

    /// A note for whoever reads the pact.
    #[must_use]
    pub fn comment(mut self, text: &str) -> Self {
        self.comments.push(text.to_owned());
        self
    }

    /// The interaction in the plugin's shape.
    pub(super) fn json(&self, proto: &Proto) -> Result<Value, MockError> {
        let method = proto.method(&self.method).map_err(|cause| MockError::Proto {
            interaction: self.description.clone(),
            cause: Box::new(cause),
        })?;
        let promise = |what: String| MockError::Promise {
            interaction: self.description.clone(),
            what,
        };
        let name = super::super::proto::path(&method);
        if method.is_client_streaming() {
            return Err(promise(format!(
                "`{name}` streams towards the provider, which a pact cannot say"
            )));
        }
        let fails = self.status.as_ref().is_some_and(|(code, _)| *code != Code::Ok);
        if !method.is_server_streaming() && self.answers.len() != usize::from(!fails) {
            let what = format!(
                "`{name}` ends with one answer or with a status, here are {}",
                self.answers.len()
            );
            return Err(promise(what));
        }
        let request = self.part(&method.input(), Some(&self.request), &self.metadata, "request")?;
        let mut responses = Vec::new();
        for (at, answer) in self.answers.iter().enumerate() {
            let mut metadata = if at == 0 {
                self.answer_metadata.clone()
            } else {
                Vec::new()
            };
            // A status stands with the last answer; one that fails has no message and stands by itself.
            if !fails && at + 1 == self.answers.len() {
                metadata.extend(self.status_metadata());
            }
            responses.push(self.part(&method.output(), Some(answer), &metadata, &format!("answer {}", at + 1))?);
        }
        if fails {
            let mut metadata = if self.answers.is_empty() {
                self.answer_metadata.clone()
            } else {
                Vec::new()
            };
            metadata.extend(self.status_metadata());
            responses.push(self.part(&method.output(), None, &metadata, "status")?);
        }
        let mut json = json!({
            "type": "Synchronous/Messages",
            "transport": "grpc",
            "description": self.description,
            "pending": self.pending,
            "pluginConfiguration": { PLUGIN: { "service": format!(".{name}"), "descriptorKey": proto.key() } },
            "request": request,
            "response": responses,
        });
        if !self.states.is_empty() {
            json["providerStates"] = self.states.iter().map(ProviderState::to_json).collect();
        }
        if !self.comments.is_empty() {
            json["comments"] = json!({ "text": self.comments });
        }
        Ok(json)
    }

    fn status_metadata(&self) -> Vec<(String, String)> {
        let Some((code, message)) = &self.status else {
            return Vec::new();
        };
        let mut metadata = vec![("grpc-status".to_owned(), code.name().to_owned())];
        if !message.is_empty() {
            metadata.push(("grpc-message".to_owned(), message.clone()));
        }
        metadata
    }

    /// A message with its metadata and rules, in the plugin's shape.
    fn part(
        &self,
        of: &MessageDescriptor,
        written: Option<&Value>,
        metadata: &[(String, String)],
        what: &str,
    ) -> Result<Value, MockError> {
        let failed = |what: &str, cause| MockError::Shape {
            interaction: self.description.clone(),
            what: what.to_owned(),
            cause,
        };
        let kind = format!("application/protobuf;message=.{}", of.full_name());
        let mut part = Map::new();
        let (mut rules, mut generators) = (MatchingRules::default(), Generators::default());
        if let Some(written) = written {
            let shape = Shape::new(of, written).map_err(|cause| failed(what, cause))?;
            rules.add_rules("body", shape.rules);
            for (path, generator) in shape.generators {
                generators.add_generator_with_subcategory(&GeneratorCategory::BODY, path, generator);
            }
            let contents = json!({
                "content": STANDARD.encode(shape.message.encode_to_vec()),
                "contentType": kind,
                "contentTypeHint": "BINARY",
                "encoded": "base64",
            });
            part.insert("contents".to_owned(), contents);
        }
        let mut named = Map::new();
        let mut gathered = Gathered::new("metadata");
        for (name, written) in metadata {
            let value = metadatum(name, written, &mut gathered).map_err(|cause| failed("metadata", cause))?;
            named.insert(name.clone(), value);
        }
        named.insert("contentType".to_owned(), Value::from(kind));
        part.insert("metadata".to_owned(), Value::Object(named));
        rules.add_rules("metadata", gathered.rules);
        for (path, generator) in gathered.generators {
            generators.add_generator_with_subcategory(&GeneratorCategory::METADATA, path, generator);
        }
        if rules.is_not_empty() {
            part.insert(
                "matchingRules".to_owned(),
                matchers_to_json(&rules, &PactSpecification::V4),
            );
        }
        if generators.is_not_empty() {
            part.insert(
                "generators".to_owned(),
                generators_to_json(&generators, &PactSpecification::V4),
            );
        }
        Ok(Value::Object(part))
    }
}

fn metadatum(name: &str, written: &str, gathered: &mut Gathered) -> Result<Value, ShapeError> {
    let path = DocPath::root().join(name);
    let Some(found) = expression::parse(&path, written)? else {
        return Ok(Value::from(written));
    };
    gathered.add(&path, found.rules, found.generator);
    // On the wire everything is text.
    Ok(match found.value {
        Value::String(text) => Value::from(text),
        other => Value::from(other.to_string()),
    })
}
