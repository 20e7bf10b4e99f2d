//! Messages through the real broker: what a provider publishes, and what becomes of what a consumer is given.

mod bus;
mod produce;
mod receive;

pub(super) use bus::Bus;
pub(super) use produce::Producer;
pub(super) use receive::Receiver;

use devctl_pact::index::{Interaction, InteractionId};
use devctl_pact::verify::{Outcome, Verdict, Why};

/// How the ids and titles of a consumer's side differ from those of the promise itself.
pub(super) const RECEIVED: &str = "-received";

/// The id of a promise, or of its consumer's side.
pub(super) fn id(interaction: &Interaction, receives: bool) -> InteractionId {
    match receives {
        true => InteractionId(format!("{}{RECEIVED}", interaction.id)),
        false => interaction.id.clone(),
    }
}

/// Turns the verdict on a promise into that on its consumer's side.
pub(super) fn as_received(outcome: &mut Outcome) {
    outcome.interaction = InteractionId(format!("{}{RECEIVED}", outcome.interaction));
    outcome.description = format!("received: {}", outcome.description);
    // They are the publisher's.
    outcome.states.clear();
}

/// The broker, or something on the way to it, failed: nobody is to blame for the promise.
fn broker(what: impl std::fmt::Display) -> Verdict {
    Verdict::CouldNotRun {
        why: Why::Broker { what: what.to_string() },
    }
}
