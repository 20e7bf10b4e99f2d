//! Reads one pact, and says exactly what is wrong with one that cannot be read: the pact crates would guess a
//! consumer called `consumer`, or skip an interaction that they do not understand.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use pact_models::PactSpecification;
use pact_models::generators::generators_from_json;
use pact_models::pact::{determine_spec_version, load_pact_from_json, parse_meta_data};
use serde_json::Value;
use url::Url;

use super::contract::{Contract, DynInteraction, Interaction, Kind, digest, interaction_id, shell};
use super::lines;

/// Where a pact was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// A URL, without its user and password.
    Url(Url),
    /// Handed over by the caller, under this name.
    Memory(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Url(url) => write!(f, "{url}"),
            Self::Memory(name) => f.write_str(name),
        }
    }
}

/// Why a pact could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is not there or not readable.
    #[error("read `{path}`")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The URL gave no pact.
    #[error("fetch `{url}`")]
    Fetch {
        /// Which, without its user and password.
        url: Url,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// A pattern that cannot be read.
    #[error("understand the pattern `{pattern}`")]
    Pattern {
        /// As it was written.
        pattern: String,
        /// Why.
        #[source]
        cause: globset::Error,
    },
    /// A file, folder or pattern in which there is no pact.
    #[error("find a pact at `{place}`")]
    Nothing {
        /// As it was written.
        place: String,
    },
    /// Not JSON.
    #[error("parse {origin}:{line}:{column}")]
    Syntax {
        /// Where it was read.
        origin: Origin,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What the parser said.
        #[source]
        cause: serde_json::Error,
    },
    /// JSON, but no pact.
    #[error("understand {origin}:{line}: {what}")]
    Shape {
        /// Where it was read.
        origin: Origin,
        /// From 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
}

impl LoadError {
    /// What to do about it, where there is something.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Read { .. } | Self::Pattern { .. } | Self::Syntax { .. } => None,
            Self::Fetch { .. } => {
                Some("open the address in a browser; a broker may want a user and password in the URL")
            }
            Self::Nothing { .. } => Some("run the consumers' tests first: they write the pacts"),
            Self::Shape { .. } => Some("a pact is written by its consumer's tests; run them again rather than edit it"),
        }
    }
}

/// Reads a pact from its text.
///
/// # Errors
///
/// [`LoadError::Syntax`] where the JSON breaks, [`LoadError::Shape`] where it is no pact of V2 to V4.
pub fn parse(origin: &Origin, text: &str) -> Result<Contract, LoadError> {
    let json: Value = serde_json::from_str(text).map_err(|cause| LoadError::Syntax {
        origin: origin.clone(),
        line: cause.line(),
        column: cause.column(),
        cause,
    })?;
    let shape = |line: usize, what: String| LoadError::Shape {
        origin: origin.clone(),
        line,
        what,
    };

    let consumer = pacticipant(&json, "consumer").map_err(|what| shape(1, what))?;
    let provider = pacticipant(&json, "provider").map_err(|what| shape(1, what))?;
    let list = if json.get("messages").is_some() {
        "messages"
    } else {
        "interactions"
    };
    let raw = json.get(list).and_then(Value::as_array).ok_or_else(|| {
        shape(
            1,
            "a pact has a list of `interactions` (or, for messages of V3, of `messages`); this has neither".to_owned(),
        )
    })?;
    let starts = lines::of_elements(text, list);
    let line_of = |at: usize| starts.get(at).copied().unwrap_or(1);

    let specification = determine_spec_version(&origin.to_string(), &parse_meta_data(&json));
    for (at, one) in raw.iter().enumerate() {
        check(one, specification).map_err(|what| shape(line_of(at), what))?;
    }
    let pact = load_pact_from_json(&origin.to_string(), &json).map_err(|cause| shape(1, format!("{cause:#}")))?;
    let boxed = pact.interactions();
    if boxed.len() != raw.len() {
        return Err(shape(
            1,
            format!(
                "{} of its {} interactions cannot be read",
                raw.len() - boxed.len(),
                raw.len()
            ),
        ));
    }

    let mut seen = HashMap::new();
    let mut interactions = Vec::with_capacity(boxed.len());
    for (at, one) in boxed.into_iter().enumerate() {
        let mut kind =
            kind(one.as_ref()).ok_or_else(|| shape(line_of(at), format!("`{}` is of no known kind", one.type_of())))?;
        if let (Kind::Message(message), "messages") = (&mut kind, list) {
            // The pact crates read those of every other kind of interaction.
            message.contents.generators = generators_from_json(&raw[at])
                .map_err(|cause| shape(line_of(at), format!("its generators cannot be read: {cause:#}")))?;
        }
        let states = one.provider_states();
        let first = interaction_id(&consumer, &provider, &one.description(), &states, 0);
        let nth = seen.entry(first).and_modify(|count| *count += 1).or_insert(0_usize);
        let id = interaction_id(&consumer, &provider, &one.description(), &states, *nth);
        let comments = one
            .as_v4()
            .map(|v4| v4.comments().into_iter().collect())
            .unwrap_or_default();
        interactions.push(Arc::new(Interaction {
            id,
            description: one.description(),
            states,
            pending: one.pending(),
            comments,
            line: line_of(at),
            kind,
            boxed: one,
        }));
    }
    Ok(Contract {
        consumer,
        provider,
        origin: origin.clone(),
        specification,
        digest: digest(&json),
        interactions,
        plugins: pact.plugin_data(),
        shell: shell(pact.as_ref()),
        json,
    })
}

fn pacticipant(json: &Value, role: &str) -> Result<String, String> {
    match json.get(role).and_then(|of| of.get("name")).and_then(Value::as_str) {
        Some(name) if !name.trim().is_empty() => Ok(name.to_owned()),
        _ => Err(format!("`{role}.name` is missing: this is no pact")),
    }
}

/// What the pact crates would skip or guess in silence.
fn check(one: &Value, specification: PactSpecification) -> Result<(), String> {
    let Some(fields) = one.as_object() else {
        return Err(format!("an interaction is an object, this is `{one}`"));
    };
    let Some(description) = fields.get("description").and_then(Value::as_str) else {
        return Err("the interaction has no `description`".to_owned());
    };
    let http = match (specification, fields.get("type").and_then(Value::as_str)) {
        (PactSpecification::V4, Some("Synchronous/HTTP")) => true,
        (PactSpecification::V4, Some("Asynchronous/Messages" | "Synchronous/Messages")) => false,
        (PactSpecification::V4, other) => {
            return Err(format!(
                "`{description}` has the type `{}`; V4 knows Synchronous/HTTP, Asynchronous/Messages and Synchronous/Messages",
                other.unwrap_or("")
            ));
        }
        _ => fields.contains_key("request") || fields.contains_key("response"),
    };
    if http {
        for part in ["request", "response"] {
            if !fields.get(part).is_some_and(Value::is_object) {
                return Err(format!("`{description}` has no `{part}`"));
            }
        }
    }
    Ok(())
}

fn kind(one: &DynInteraction) -> Option<Kind> {
    if let Some(http) = one.as_v4_http() {
        return Some(Kind::Http(Box::new(http)));
    }
    if one.is_v4_sync_message() {
        return one
            .as_v4_sync_message()
            .map(|message| Kind::SyncMessage(Box::new(message)));
    }
    one.as_v4_async_message()
        .map(|message| Kind::Message(Box::new(message)))
}
