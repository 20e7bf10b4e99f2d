//! Holds deliveries against a promised message. Any delivery may keep the promise; where none does, the nearest is
//! shown.

use std::collections::HashMap;
use std::panic::RefUnwindSafe;
use std::time::Duration;

use pact_matching::match_message;
use pact_models::bodies::OptionalBody;
use pact_models::content_types::ContentType;
use pact_models::interaction::Interaction as PactInteraction;
use pact_models::v4::async_message::AsynchronousMessage;
use pact_models::v4::message_parts::MessageContents;
use serde_json::Value;

use super::delivery::{Delivery, Meant, address};
use crate::difference::{Difference, Part, explain, from_mismatches, is_secret, short};
use crate::index::{Contract, Interaction, Kind};
use crate::verify::{Exchange, Outcome, Verdict, Why};

/// What came of several deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The delivery that keeps the promise, or is nearest to it; none where there was no delivery.
    pub at: Option<usize>,
    /// What differs; empty where the promise is kept.
    pub differences: Vec<Difference>,
}

/// How `delivery` differs from the message that `interaction` promises; empty where it does not.
///
/// # Errors
///
/// Where the interaction is no message.
pub async fn judge(
    contract: &Contract,
    interaction: &Interaction,
    delivery: &Delivery,
) -> Result<Vec<Difference>, Why> {
    let expected = expected(interaction)?;
    let mut metadata = HashMap::new();
    for key in expected.contents.metadata.keys() {
        if let Some(value) = delivery.metadatum(key) {
            metadata.insert(key.clone(), value);
        }
    }
    let kind = delivery.content_type.as_deref();
    let actual = AsynchronousMessage {
        contents: MessageContents {
            contents: if delivery.body.is_empty() {
                OptionalBody::Empty
            } else {
                let kind = kind.and_then(|kind| ContentType::parse(kind).ok());
                OptionalBody::Present(delivery.body.clone(), kind, None)
            },
            metadata,
            ..MessageContents::default()
        },
        ..AsynchronousMessage::default()
    };
    let actual: Box<dyn PactInteraction + Send + Sync + RefUnwindSafe> = Box::new(actual);
    let mismatches = match_message(&interaction.boxed, &actual, &contract.shell).await;
    let mut differences = from_mismatches(&mismatches);
    explain_delivery(&mut differences, expected);
    Ok(differences)
}

/// Says of each difference which rule it breaks, and shows metadata about the address as such.
pub(crate) fn explain_delivery(differences: &mut [Difference], expected: &AsynchronousMessage) {
    explain(differences, &expected.contents.matching_rules);
    for difference in differences.iter_mut() {
        place(difference);
    }
    differences.sort();
}

/// The first delivery that keeps the promise, or else the nearest: at the right address before all, then with the
/// fewest differences.
///
/// # Errors
///
/// Where the interaction is no message.
pub async fn nearest(contract: &Contract, interaction: &Interaction, deliveries: &[Delivery]) -> Result<Judged, Why> {
    let mut best: Option<(usize, usize, usize, Vec<Difference>)> = None;
    for (at, delivery) in deliveries.iter().enumerate() {
        let differences = judge(contract, interaction, delivery).await?;
        let kept = differences.is_empty();
        let elsewhere = differences.iter().filter(|one| one.part == Part::Address).count();
        let rank = (elsewhere, differences.len(), at);
        if best
            .as_ref()
            .is_none_or(|(elsewhere, count, at, _)| rank < (*elsewhere, *count, *at))
        {
            best = Some((rank.0, rank.1, at, differences));
        }
        if kept {
            break;
        }
    }
    Ok(match best {
        Some((_, _, at, differences)) => Judged {
            at: Some(at),
            differences,
        },
        None => Judged {
            at: None,
            differences: vec![nothing(interaction)?],
        },
    })
}

/// The verdict on a promised message after `deliveries` came, with the nearest of them where the promise is broken.
pub async fn outcome(
    contract: &Contract,
    interaction: &Interaction,
    deliveries: &[Delivery],
    took: Duration,
) -> Outcome {
    let judged = match nearest(contract, interaction, deliveries).await {
        Ok(judged) => judged,
        Err(why) => return Outcome::new(contract, interaction, Verdict::CouldNotRun { why }, took),
    };
    let seen = judged.at.and_then(|at| deliveries.get(at));
    let verdict = Verdict::of(judged.differences, interaction.pending);
    let mut outcome = Outcome::new(contract, interaction, verdict, took);
    if outcome.verdict != Verdict::Passed {
        outcome.exchange = seen.map(shown);
    }
    outcome.trace = seen.and_then(trace);
    outcome
}

/// What reports show of a delivery.
fn shown(delivery: &Delivery) -> Exchange {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let described = delivery.properties.iter().chain(&delivery.headers);
    let mut headers: Vec<(String, String)> = described
        .map(|(name, value)| {
            let value = if is_secret(name) {
                "(not shown)".to_owned()
            } else {
                text(value)
            };
            (name.clone(), value)
        })
        .collect();
    headers.extend(
        delivery
            .content_type
            .iter()
            .map(|kind| ("content_type".to_owned(), kind.clone())),
    );
    headers.sort();
    Exchange {
        answer: format!("published to {}", delivery.address()),
        response_headers: headers,
        response_body: short(&String::from_utf8_lossy(&delivery.body)),
        ..Exchange::default()
    }
}

/// The trace in which it was published.
fn trace(delivery: &Delivery) -> Option<String> {
    let parent = delivery.metadatum("traceparent")?;
    let trace = parent.as_str()?.split('-').nth(1)?.to_owned();
    (trace.len() == 32).then_some(trace)
}

/// Says of an outcome without any message how long one was waited for.
pub fn waited(outcome: &mut Outcome, limit: Duration) {
    let (Verdict::Broken { mismatches } | Verdict::Pending { mismatches, .. }) = &mut outcome.verdict else {
        return;
    };
    for difference in mismatches {
        let limit = format!("within {} ms", limit.as_millis());
        difference.message = format!("{} {limit}", difference.message);
        difference.rule = Some(format!("must be published {limit}"));
    }
}

fn expected(interaction: &Interaction) -> Result<&AsynchronousMessage, Why> {
    match &interaction.kind {
        Kind::Message(message) => Ok(message),
        Kind::Http(_) | Kind::SyncMessage(_) => Err(Why::Kind {
            kind: interaction.protocol().into(),
        }),
    }
}

/// Metadata about the address is shown as such.
fn place(difference: &mut Difference) {
    if difference.part != Part::Metadata {
        return;
    }
    let address = match Meant::of(&difference.path) {
        Meant::Exchange => "to the exchange",
        Meant::RoutingKey => "with the routing key",
        Meant::ContentType => {
            difference.part = Part::ContentType;
            return;
        }
        Meant::Property(_) | Meant::Header => return,
    };
    difference.part = Part::Address;
    let (expected, actual) = (
        difference.expected.trim_matches('"'),
        difference.actual.trim_matches('"'),
    );
    difference.message = format!("expected to be published {address} `{expected}`, was published {address} `{actual}`");
}

fn nothing(interaction: &Interaction) -> Result<Difference, Why> {
    let metadata = &expected(interaction)?.contents.metadata;
    let of = |meant: &Meant| {
        let found = metadata.iter().find(|(key, _)| Meant::of(key) == *meant);
        found
            .and_then(|(_, value)| value.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    let (exchange, key) = (of(&Meant::Exchange), of(&Meant::RoutingKey));
    let wanted = if exchange.is_empty() && key.is_empty() {
        "a message".to_owned()
    } else {
        format!("a message to {}", address(&exchange, &key))
    };
    let message = format!("expected {wanted}, none was published");
    let mut difference = Difference::new(Part::Address, "", &wanted, "no message", message);
    difference.rule = Some("must be published in time".to_owned());
    Ok(difference)
}
