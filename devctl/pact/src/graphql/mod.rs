//! GraphQL over HTTP: operations in pacts are held against the provider's schema, and two queries that ask for the same
//! are the same, however they are written.
//!
//! * [`operation`]: which HTTP requests are operations, and what they ask.
//! * [`normal`]: a query's normal form: without layout, with fragments in their place, in an order of its own.
//! * [`schema`]: the provider's schema, and what of an operation it does not know.

pub mod normal;
pub mod operation;
pub mod schema;

pub use normal::Normal;
pub use operation::Operation;
pub use schema::{Schema, SchemaError};
