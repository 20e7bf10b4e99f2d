//! A provider's stand-in for a consumer's test: what the test promises is answered, whatever else is asked is refused
//! with the nearest promise and the difference, and what was promised and exercised is written to the pact.
//!
//! ```no_run
//! # use devctl_pact::grpc::{Code, Proto, mock::Pact};
//! # use serde_json::json;
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let proto = Proto::compile(&["contracts/proto"], &["auth/v1/tokens.proto"])?;
//! let mock = Pact::new("api-gateway", "auth", &proto)
//!     .interaction("whose token is it", |i| {
//!         i.given("a user with a session")
//!             .call("auth.v1.Tokens/Introspect")
//!             .request(json!({"token": "matching(type, 'good')"}))
//!             .answer(json!({"active": true, "email": "matching(type, 'ada@example.com')"}))
//!     })
//!     .interaction("the store is down", |i| {
//!         i.call("auth.v1.Tokens/Introspect")
//!             .request(json!({"token": "any"}))
//!             .refuse(Code::Unavailable, "try again")
//!     })
//!     .start()
//!     .await?;
//! // ... the consumer's own client calls `mock.url()` ...
//! mock.finish("contracts/pacts").await?;
//! # Ok(())
//! # }
//! ```

mod interaction;
mod pact_file;
mod server;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::answer::Calls;
use super::{CallError, Proto, ProtoError, ShapeError};
use crate::index::{LoadError, Origin, parse};

pub use interaction::Interaction;

/// Why a consumer's test has no mock, or no pact.
#[derive(Debug, thiserror::Error)]
pub enum MockError {
    /// The method is not in the descriptors.
    #[error("promise `{interaction}`")]
    Proto {
        /// The interaction's description.
        interaction: String,
        /// Why.
        #[source]
        cause: Box<ProtoError>,
    },
    /// A message that does not fit its type.
    #[error("promise `{interaction}`: its {what}")]
    Shape {
        /// The interaction's description.
        interaction: String,
        /// `request`, `answer 1` or `metadata`.
        what: String,
        /// Where and what.
        #[source]
        cause: ShapeError,
    },
    /// A promise that cannot be kept as it stands.
    #[error("promise `{interaction}`: {what}")]
    Promise {
        /// The interaction's description.
        interaction: String,
        /// What is wrong with it.
        what: String,
    },
    /// The pact made of it is not understood; a defect of ours.
    #[error("read the pact that was made")]
    Load(#[source] Box<LoadError>),
    /// The pact's interaction is not understood; a defect of ours.
    #[error("read the interaction that was made")]
    Call(#[source] Box<CallError>),
    /// No listener.
    #[error("listen on loopback")]
    Listen(#[source] io::Error),
    /// The test did not ask what it promised, or asked otherwise. Nothing was written.
    #[error("keep to the pact: {}", .0.join("; "))]
    NotKept(Vec<String>),
    /// The pact file cannot be read or written.
    #[error("write the pact `{path}`")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// What stands there is no pact of V4 between the two.
    #[error("add to the pact `{path}`: {what}")]
    Existing {
        /// Which.
        path: PathBuf,
        /// What stands there instead.
        what: String,
    },
}

/// What a test promises, before it runs.
#[derive(Debug)]
pub struct Pact {
    consumer: String,
    provider: String,
    proto: Proto,
    interactions: Vec<Interaction>,
}

impl Pact {
    /// A pact of `consumer` with `provider`, whose services are in `proto`.
    pub fn new(consumer: &str, provider: &str, proto: &Proto) -> Self {
        Self {
            consumer: consumer.to_owned(),
            provider: provider.to_owned(),
            proto: proto.clone(),
            interactions: Vec::new(),
        }
    }

    /// Promises a call. The description is unique in the pact together with the provider states.
    #[must_use]
    pub fn interaction(mut self, description: &str, build: impl FnOnce(Interaction) -> Interaction) -> Self {
        self.interactions.push(build(Interaction::new(description)));
        self
    }

    /// The pact's JSON, in the protobuf plugin's shape.
    ///
    /// # Errors
    ///
    /// Where a promise does not fit the descriptors.
    pub fn json(&self) -> Result<Value, MockError> {
        let interactions = self.interactions.iter().map(|one| one.json(&self.proto));
        let interactions = interactions.collect::<Result<Vec<_>, _>>()?;
        Ok(pact_file::pact(
            &self.consumer,
            &self.provider,
            &self.proto,
            interactions,
        ))
    }

    /// Starts to answer on a free port of loopback.
    ///
    /// # Errors
    ///
    /// Where a promise does not fit the descriptors.
    pub async fn start(self) -> Result<Mock, MockError> {
        let json = self.json()?;
        let origin = Origin::Memory(format!("{}-{}.json", self.consumer, self.provider));
        // What is answered from is what will be written, read as a verifier will read it.
        let contract = parse(&origin, &json.to_string()).map_err(|cause| MockError::Load(Box::new(cause)))?;
        let mut calls = Calls::new(&[Arc::new(contract)]);
        calls.in_turn = true;
        if let Some((_, cause)) = calls.unusable.pop() {
            return Err(MockError::Call(Box::new(cause)));
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(MockError::Listen)?;
        let address = listener.local_addr().map_err(MockError::Listen)?;
        let shared = Arc::new(Shared {
            calls,
            refused: Mutex::default(),
        });
        Ok(Mock {
            json,
            address,
            server: tokio::spawn(server::serve(listener, Arc::clone(&shared))),
            shared,
        })
    }
}

struct Shared {
    calls: Calls,
    /// What was asked and not promised, in words.
    refused: Mutex<Vec<String>>,
}

/// A mock that answers; it stops when dropped.
pub struct Mock {
    json: Value,
    address: SocketAddr,
    server: JoinHandle<()>,
    shared: Arc<Shared>,
}

impl fmt::Debug for Mock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mock")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Mock {
    /// Where it answers: `http://127.0.0.1:PORT`, HTTP/2 without TLS.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the test did not ask although it promised it, and what it asked and did not promise.
    pub fn problems(&self) -> Vec<String> {
        let entries = self.shared.calls.entries.iter();
        let mut problems: Vec<String> = entries
            .filter(|entry| entry.served.load(std::sync::atomic::Ordering::Relaxed) == 0)
            .map(|entry| format!("`{}` was promised and never asked", entry.interaction.title()))
            .collect();
        let refused = self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner);
        problems.extend(refused.iter().cloned());
        problems
    }

    /// Ends the test: everything promised was asked and nothing else was; then the promises are written to
    /// `CONSUMER-PROVIDER.json` in `folder`, beside those of other tests that are there already.
    ///
    /// # Errors
    ///
    /// [`MockError::NotKept`] with everything that was not so; then nothing is written.
    pub async fn finish(self, folder: impl AsRef<Path>) -> Result<PathBuf, MockError> {
        let problems = self.problems();
        if !problems.is_empty() {
            return Err(MockError::NotKept(problems));
        }
        let (folder, json) = (folder.as_ref().to_owned(), self.json.clone());
        let written = tokio::task::spawn_blocking(move || pact_file::merge(&folder, json)).await;
        written.unwrap_or_else(|cause| Err(MockError::Listen(io::Error::other(cause))))
    }
}
