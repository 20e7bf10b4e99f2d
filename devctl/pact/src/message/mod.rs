//! Messages: whether what was really published keeps a promise, and what to publish to a consumer.
//!
//! A broker's delivery carries more than contents. A pact's message metadata says it, under these names, in any
//! spelling of case, `-` and `_`:
//!
//! | metadata | of the delivery |
//! |---|---|
//! | `contentType` | the content type |
//! | `exchange`, `routingKey` | where it was published |
//! | `messageId`, `type`, `appId`, `correlationId`, `replyTo`, `contentEncoding`, `deliveryMode`, `priority`, `timestamp`, `expiration`, `userId` | the property of AMQP |
//! | anything else | the header of that name |
//!
//! Matching is `pact_matching::match_message`'s, as in Pact's own verifier. No broker is spoken to here.

mod delivery;
mod judge;
mod publish;

pub use delivery::Delivery;
pub(crate) use judge::explain_delivery;
pub use judge::{Judged, judge, nearest, outcome, waited};
pub use publish::{Publishable, publishable};
