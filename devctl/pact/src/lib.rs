//! Contracts: what one service expects of another, and whether it is still so.
//!
//! Pact files, V2 to V4, are the format and the pact crates' own matchers decide; everything around them is here.
//!
//! * [`index`]: pacts from files, folders, globs and URLs, found by consumer, provider, method and path.
//! * [`stub`]: a stand-in for a provider that answers only what a consumer's contracts allow.
//! * [`states`]: declared provider states, and setting them.
//! * [`graphql`]: operations in HTTP interactions, by what they ask and by the provider's schema.
//! * [`grpc`]: calls, their descriptors, and a mock server for consumer tests.
//! * [`message`]: what was really published held against promised messages, and what to publish to a consumer.
//! * [`verify`]: replays promises against a running provider.
//! * [`cells`]: verdicts kept by content, so that a second run replays nothing.
//! * [`report`]: JUnit, JSON, one HTML page, and what a terminal shows.
//! * [`drift`]: whether committed pacts are still what the consumers' tests write.
//! * [`difference`]: one mismatch, in the same words wherever it is shown.
//! * [`privacy`]: the pact crates report their use unless told not to.
//!
//! A library: it prints nothing, starts no process and opens no listener
//! but a consumer test's mock and what serves messages to Pact's own verifier, on loopback both. No Pact plugin is ever installed or started.

pub mod cells;
pub mod difference;
pub mod drift;
pub mod graphql;
pub mod grpc;
pub mod http_parts;
pub mod index;
pub mod message;
pub mod privacy;
pub mod report;
mod served;
pub mod states;
pub mod stub;
pub mod verify;

pub use pact_models::provider_states::ProviderState;
