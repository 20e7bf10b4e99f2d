//! `states.yaml`: from as-written to as-meant, with every problem told at once.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// What a service declares.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declared {
    /// Where it was read; for errors.
    pub origin: String,
    /// Tables that a reset leaves alone, such as the record of migrations; `schema.table` or `table`.
    pub keep: Vec<String>,
    /// By name.
    pub states: BTreeMap<String, State>,
    /// By the description of the message in the pact.
    pub messages: BTreeMap<String, MessageRules>,
}

/// One state.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// With their defaults.
    pub params: BTreeMap<String, Value>,
    /// In their order.
    pub steps: Vec<Step>,
    /// Undoes what a reset does not.
    pub teardown: Vec<Step>,
    /// Parameters handed to the interaction's generators.
    pub returns: Vec<String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A statement; `$1` is the first parameter of `bind`.
    Sql {
        /// The statement.
        sql: String,
        /// Names of parameters.
        bind: Vec<String>,
    },
    /// A call to the provider.
    Http(Call),
    /// A message to publish.
    Amqp(Message),
    /// What a neighbour answers from.
    Stub {
        /// The neighbour.
        provider: String,
        /// One of the states of its contract with this service.
        state: String,
        /// The state's parameters.
        params: BTreeMap<String, Value>,
    },
}

/// An HTTP call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// In capitals.
    pub method: String,
    /// With its query.
    pub path: String,
    /// Sent as they are.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Sent as JSON.
    pub body: Option<Value>,
    /// The status that shows success; any 2xx where it is left out.
    pub expect: Option<u16>,
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Where to.
    pub exchange: String,
    /// With which key.
    pub routing_key: String,
    /// AMQP headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// `application/json` where it is left out.
    #[serde(default = "json")]
    pub content_type: String,
    /// Sent as JSON.
    pub body: Value,
}

/// How a message is made to be published, and what shows that a received one was acted upon.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MessageRules {
    /// Pulled once the state is set.
    pub trigger: Option<Trigger>,
    /// Holds once the message was acted upon.
    pub expect: Option<Check>,
}

/// What makes a provider publish.
#[derive(Debug, Clone, PartialEq)]
pub enum Trigger {
    /// A call to its HTTP port.
    Http(Call),
    /// A unary gRPC call.
    Grpc(GrpcCall),
    /// A statement in its database.
    Sql(String),
}

/// A unary gRPC call.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcCall {
    /// `package.Service/Method`.
    pub method: String,
    /// In protobuf's JSON form.
    pub message: Value,
    /// Sent beside it.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

/// What shows that a message was acted upon.
#[derive(Debug, Clone, PartialEq)]
pub enum Check {
    /// A query whose first value becomes true.
    Sql(String),
    /// A call that becomes successful.
    Http(Call),
}

/// Why a states file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StatesError {
    /// No YAML, or keys that do not belong there.
    #[error("understand `{origin}`")]
    Syntax {
        /// Where it was read.
        origin: String,
        /// Where and what.
        #[source]
        cause: Box<serde_saphyr::Error>,
    },
    /// It reads, but does not make sense.
    #[error("understand `{origin}`: {}", problems.join("; "))]
    Meaning {
        /// Where it was read.
        origin: String,
        /// All of them.
        problems: Vec<String>,
    },
}

/// Reads a states file's text.
///
/// # Errors
///
/// All problems of one stage at once.
pub fn parse(origin: &str, text: &str) -> Result<Declared, StatesError> {
    let written: FileWritten = serde_saphyr::from_str(text).map_err(|cause| StatesError::Syntax {
        origin: origin.to_owned(),
        cause: Box::new(cause),
    })?;
    let mut problems = Vec::new();
    let states = written
        .states
        .into_iter()
        .map(|(name, state)| {
            let state = state.meant(&name, &mut problems);
            (name, state)
        })
        .collect();
    let messages = written
        .messages
        .into_iter()
        .map(|(name, rules)| {
            let rules = rules.meant(&name, &mut problems);
            (name, rules)
        })
        .collect();
    if problems.is_empty() {
        Ok(Declared {
            origin: origin.to_owned(),
            keep: written.keep,
            states,
            messages,
        })
    } else {
        Err(StatesError::Meaning {
            origin: origin.to_owned(),
            problems,
        })
    }
}

fn json() -> String {
    "application/json".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWritten {
    #[serde(default)]
    keep: Vec<String>,
    #[serde(default)]
    states: BTreeMap<String, StateWritten>,
    #[serde(default)]
    messages: BTreeMap<String, MessageWritten>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateWritten {
    #[serde(default)]
    params: BTreeMap<String, Value>,
    #[serde(default)]
    steps: Vec<StepWritten>,
    #[serde(default)]
    teardown: Vec<StepWritten>,
    #[serde(default)]
    returns: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepWritten {
    sql: Option<String>,
    #[serde(default)]
    bind: Vec<String>,
    http: Option<Call>,
    amqp: Option<Message>,
    stub: Option<StubWritten>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StubWritten {
    provider: String,
    state: String,
    #[serde(default)]
    params: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageWritten {
    trigger: Option<TriggerWritten>,
    expect: Option<CheckWritten>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TriggerWritten {
    http: Option<Call>,
    grpc: Option<GrpcCall>,
    sql: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckWritten {
    sql: Option<String>,
    http: Option<Call>,
}

impl StateWritten {
    fn meant(self, name: &str, problems: &mut Vec<String>) -> State {
        let params = self.params;
        let mut steps = |list: Vec<StepWritten>, place: &str| {
            let mut meant = Vec::new();
            for (at, step) in list.into_iter().enumerate() {
                match step.meant(&params) {
                    Ok(step) => meant.push(step),
                    Err(what) => problems.push(format!("state `{name}`, {place} {}: {what}", at + 1)),
                }
            }
            meant
        };
        let (steps, teardown) = (steps(self.steps, "step"), steps(self.teardown, "teardown step"));
        for returned in self.returns.iter().filter(|returned| !params.contains_key(*returned)) {
            problems.push(format!(
                "state `{name}` returns `{returned}`, which is none of its parameters"
            ));
        }
        State {
            params,
            steps,
            teardown,
            returns: self.returns,
        }
    }
}

impl StepWritten {
    fn meant(self, params: &BTreeMap<String, Value>) -> Result<Step, String> {
        if self.sql.is_none() && !self.bind.is_empty() {
            return Err("`bind` belongs to `sql`".to_owned());
        }
        match (self.sql, self.http, self.amqp, self.stub) {
            (Some(sql), None, None, None) => match self.bind.iter().find(|name| !params.contains_key(*name)) {
                Some(name) => Err(format!("binds `{name}`, which is none of the state's parameters")),
                None => Ok(Step::Sql { sql, bind: self.bind }),
            },
            (None, Some(call), None, None) => Ok(Step::Http(call)),
            (None, None, Some(message), None) => Ok(Step::Amqp(message)),
            (None, None, None, Some(stub)) => Ok(Step::Stub {
                provider: stub.provider,
                state: stub.state,
                params: stub.params,
            }),
            _ => Err("a step is one of `sql`, `http`, `amqp` and `stub`".to_owned()),
        }
    }
}

impl MessageWritten {
    fn meant(self, name: &str, problems: &mut Vec<String>) -> MessageRules {
        let trigger = self
            .trigger
            .and_then(|written| match (written.http, written.grpc, written.sql) {
                (Some(call), None, None) => Some(Trigger::Http(call)),
                (None, Some(call), None) => Some(Trigger::Grpc(call)),
                (None, None, Some(sql)) => Some(Trigger::Sql(sql)),
                _ => {
                    problems.push(format!(
                        "message `{name}`: a trigger is one of `http`, `grpc` and `sql`"
                    ));
                    None
                }
            });
        let expect = self.expect.and_then(|written| match (written.sql, written.http) {
            (Some(sql), None) => Some(Check::Sql(sql)),
            (None, Some(call)) => Some(Check::Http(call)),
            _ => {
                problems.push(format!("message `{name}`: `expect` is one of `sql` and `http`"));
                None
            }
        });
        MessageRules { trigger, expect }
    }
}
