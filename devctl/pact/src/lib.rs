//! Contracts: what one service expects of another, and whether it is still so.
//!
//! Pact files, V2 to V4, are the format and the pact crates' own matchers decide; everything around them is here.
//!
//! * [`index`]: pacts from files, folders, globs and URLs, found by consumer, provider, method and path.
//! * [`stub`]: a stand-in for a provider that answers only what a consumer's contracts allow.
//! * [`verify`]: every HTTP promise replayed at the real provider, by the fast loop or by `pact_verifier`.
//! * [`difference`]: one mismatch, in the same words wherever it is shown.
//! * [`privacy`]: the pact crates report their use unless told not to.
//!
//! A library: it prints nothing, starts no process and opens no listener. No Pact plugin is ever installed or started.

pub mod difference;
pub mod http_parts;
pub mod index;
pub mod privacy;
pub mod stub;
pub mod verify;

pub use pact_models::provider_states::ProviderState;
