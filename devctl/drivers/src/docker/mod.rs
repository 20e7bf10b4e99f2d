//! Containers, through an engine's API.
//!
//! | file | what it does |
//! |---|---|
//! | `endpoint`, `client` | which engine is meant, and the connection to it |
//! | `error` | what went wrong, and the next step |

mod client;
mod endpoint;
mod error;

pub use client::{Engine, EngineFacts};
pub use endpoint::{Endpoint, NamedBy, config_dir, endpoints};
pub use error::{ConnectError, Tried};
