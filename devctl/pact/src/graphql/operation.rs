//! Which HTTP requests are GraphQL operations: a POST of JSON with a `query`, a POST of `application/graphql`, or a GET
//! with the parameter `query`.

use bytes::Bytes;
use pact_models::bodies::OptionalBody;
use pact_models::v4::http_parts::HttpRequest;
use serde_json::{Map, Value};

use super::Normal;

/// An operation that a request asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// The document.
    pub query: String,
    /// Which of its operations, where it has several.
    pub name: Option<String>,
    /// The variables' values.
    pub variables: Map<String, Value>,
    carrier: Carrier,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Json,
    Text,
    Parameter,
}

impl Operation {
    /// The operation that `request` asks for; `None` where it is no GraphQL. A document that does not parse is one too:
    /// what is wrong with it is said by whoever reads it.
    pub fn of(request: &HttpRequest) -> Option<Self> {
        if request.method.eq_ignore_ascii_case("GET") {
            return Self::of_query(request);
        }
        if !request.method.eq_ignore_ascii_case("POST") {
            return None;
        }
        let body = request.body.value()?;
        let kind = request.content_type();
        if kind.as_ref().is_some_and(|kind| kind.sub_type.as_str() == "graphql") {
            return Some(Self {
                query: String::from_utf8(body.to_vec()).ok()?,
                name: None,
                variables: Map::new(),
                carrier: Carrier::Text,
            });
        }
        if kind.is_some_and(|kind| !kind.is_json()) {
            return None;
        }
        let fields: Map<String, Value> = serde_json::from_slice(&body).ok()?;
        let query = fields.get("query")?.as_str()?;
        // Other JSON has a field of this name as well: a search, say.
        if !query.contains('{') {
            return None;
        }
        Some(Self {
            query: query.to_owned(),
            name: fields.get("operationName").and_then(Value::as_str).map(str::to_owned),
            variables: fields
                .get("variables")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            carrier: Carrier::Json,
        })
    }

    fn of_query(request: &HttpRequest) -> Option<Self> {
        let parameter = |name: &str| {
            let values = request.query.as_ref()?.get(name)?;
            values.first()?.clone()
        };
        let query = parameter("query").filter(|query| query.contains('{'))?;
        let variables = parameter("variables").and_then(|text| serde_json::from_str(&text).ok());
        Some(Self {
            query,
            name: parameter("operationName"),
            variables: variables.unwrap_or_default(),
            carrier: Carrier::Parameter,
        })
    }

    /// Its normal form; `None` where the document does not parse.
    pub fn normal(&self) -> Option<Normal> {
        Normal::of(&self.query, self.name.as_deref())
    }
}

/// The `actual` request with the query as the `expected` one writes it. For requests that ask for the same: what is
/// left to compare is then everything but the way of writing.
pub(crate) fn aligned(expected: &HttpRequest, actual: &HttpRequest) -> HttpRequest {
    let mut aligned = actual.clone();
    let (Some(wanted), Some(asked)) = (Operation::of(expected), Operation::of(actual)) else {
        return aligned;
    };
    match (wanted.carrier, asked.carrier) {
        (Carrier::Json, Carrier::Json) => {
            if let Some(body) = aligned_json(expected, actual, &wanted.query) {
                aligned.body = with_bytes(&actual.body, body);
            }
        }
        (Carrier::Text, Carrier::Text) => aligned.body = with_bytes(&actual.body, wanted.query.into()),
        (Carrier::Parameter, Carrier::Parameter) => {
            if let Some(query) = &mut aligned.query {
                query.insert("query".to_owned(), vec![Some(wanted.query)]);
            }
        }
        // Asked in another way: left to the matcher, which says so.
        _ => {}
    }
    aligned
}

fn aligned_json(expected: &HttpRequest, actual: &HttpRequest, query: &str) -> Option<Bytes> {
    let read =
        |request: &HttpRequest| -> Option<Map<String, Value>> { serde_json::from_slice(&request.body.value()?).ok() };
    let (expected, mut actual) = (read(expected)?, read(actual)?);
    actual.insert("query".to_owned(), Value::from(query));
    for optional in ["operationName", "variables", "extensions"] {
        let nothing = |value: Option<&Value>| match value {
            None | Some(Value::Null) => true,
            Some(Value::Object(fields)) => fields.is_empty(),
            Some(_) => false,
        };
        // Null, empty and absent mean the same.
        if nothing(expected.get(optional)) && nothing(actual.get(optional)) {
            actual.remove(optional);
            if let Some(written) = expected.get(optional) {
                actual.insert(optional.to_owned(), written.clone());
            }
        }
    }
    serde_json::to_vec(&actual).ok().map(Bytes::from)
}

fn with_bytes(body: &OptionalBody, bytes: Bytes) -> OptionalBody {
    match body {
        OptionalBody::Present(_, kind, hint) => OptionalBody::Present(bytes, kind.clone(), *hint),
        other => other.clone(),
    }
}
