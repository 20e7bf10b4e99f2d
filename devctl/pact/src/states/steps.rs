//! What a step needs of the outside, as small traits: whoever starts the provider plugs its database, its broker and
//! its neighbours' stubs in.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use pact_models::provider_states::ProviderState;
use serde_json::Value;

use super::file::{Call, Message};

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The provider has nothing that could do such a step.
    #[error("do an `{0}` step: this provider was started without anything to do it on")]
    NoDoer(&'static str),
    /// A statement failed.
    #[error("run `{sql}`")]
    Sql {
        /// The statement, without its values.
        sql: String,
        /// What the database said.
        #[source]
        cause: tokio_postgres::Error,
    },
    /// An HTTP call got no answer.
    #[error("call {operation}")]
    Http {
        /// `POST /v1/users`.
        operation: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// An HTTP call was answered otherwise than expected.
    #[error("call {operation}: expected {expected}, was {status}: {body}")]
    Status {
        /// `POST /v1/users`.
        operation: String,
        /// What the step expects, such as `201` or `2xx`.
        expected: String,
        /// What came.
        status: u16,
        /// The beginning of the answer's body.
        body: String,
    },
    /// Anything that a doer of the caller's reports.
    #[error("{0}")]
    Other(String),
}

impl StepError {
    /// What to do about it, where there is something.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoDoer("sql") => Some("say which database is the service's own, or use a `stub` step".to_owned()),
            _ => None,
        }
    }
}

/// A provider's database.
#[async_trait]
pub trait SqlSteps: Send + Sync {
    /// Empties every table but `keep`, in milliseconds.
    async fn reset(&self, keep: &[String]) -> Result<(), StepError>;

    /// Runs one statement; `$1` is the first of `values`.
    async fn execute(&self, sql: &str, values: &[Value]) -> Result<(), StepError>;

    /// Whether a query's first row begins with true.
    async fn holds(&self, sql: &str, values: &[Value]) -> Result<bool, StepError>;
}

/// Calls to the provider itself.
#[async_trait]
pub trait HttpSteps: Send + Sync {
    /// Makes a call and checks its status.
    async fn call(&self, call: &Call) -> Result<(), StepError>;
}

/// The provider's broker.
#[async_trait]
pub trait AmqpSteps: Send + Sync {
    /// Publishes a message and waits until the broker has it.
    async fn publish(&self, message: &Message) -> Result<(), StepError>;
}

/// The stubs of the provider's neighbours.
#[async_trait]
pub trait StubSteps: Send + Sync {
    /// The states of each neighbour from now on; a neighbour that is not named has none.
    async fn set(&self, states: BTreeMap<String, Vec<ProviderState>>) -> Result<(), StepError>;
}

/// What there is to do steps with.
#[derive(Clone, Default)]
pub struct Doers {
    /// The database.
    pub sql: Option<Arc<dyn SqlSteps>>,
    /// The provider's HTTP port.
    pub http: Option<Arc<dyn HttpSteps>>,
    /// The broker.
    pub amqp: Option<Arc<dyn AmqpSteps>>,
    /// The neighbours.
    pub stubs: Option<Arc<dyn StubSteps>>,
}
