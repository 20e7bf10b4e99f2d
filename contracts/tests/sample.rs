//! Ada and her things: the same in every pact and in `fixtures/data`, so that a pact's example is what its state holds.

use std::time::Duration;

/// Ada's id.
pub(crate) const USER: &str = "0190a000-0000-7000-8000-000000000001";
/// Where her mail goes.
pub(crate) const EMAIL: &str = "ada@example.com";
/// Her session's token.
pub(crate) const TOKEN: &str = "phx_valid-token";
/// One that was good once.
pub(crate) const EXPIRED: &str = "phx_expired-token";
/// Her open invoice.
pub(crate) const OPEN: &str = "0190a000-0000-7000-8000-0000000000a1";
/// The invoice that she paid.
pub(crate) const PAID: &str = "0190a000-0000-7000-8000-0000000000a2";
/// No invoice, or somebody else's.
pub(crate) const UNKNOWN: &str = "0190a000-0000-7000-8000-0000000000ff";
/// Some event's.
pub(crate) const EVENT: &str = "0190a000-0000-7000-8000-0000000000c2";
/// Some moment.
pub(crate) const MOMENT: &str = "2026-01-02T03:04:05.678Z";

/// A mock answers at once; whatever takes this long has been forgotten.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);
