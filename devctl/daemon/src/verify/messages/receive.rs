//! The consumer's side of messages: each is published to it, and must be acknowledged on its own edge to the broker, neither
//! retried nor dead-lettered.

use std::time::{Duration, Instant};

use devctl_edge::{AmqpEvent, AmqpWhat, Edges, Filter, Followed, Record, Settled, Side, Subscription};
use devctl_pact::difference::{Difference, Part};
use devctl_pact::index::{Contract, Interaction};
use devctl_pact::message::{Publishable, publishable};
use devctl_pact::states::file::{Check, Declared};
use devctl_pact::states::steps::Doers;
use devctl_pact::verify::{Exchange, Outcome, ProviderStates, Verdict, Why};
use serde_json::Value;

use super::{Bus, broker};

/// Queues are declared a moment after a service says that it is ready.
const BOUND_WITHIN: Duration = Duration::from_secs(5);
/// What shows that a message was acted upon is looked at this often.
const LOOK: Duration = Duration::from_millis(20);

/// What a consumer is verified with.
pub(in crate::verify) struct Receiver<'a> {
    pub(in crate::verify) service: &'a str,
    pub(in crate::verify) bus: &'a Bus,
    pub(in crate::verify) edges: &'a Edges,
    pub(in crate::verify) declared: &'a Declared,
    pub(in crate::verify) doers: &'a Doers,
    pub(in crate::verify) states: &'a dyn ProviderStates,
    /// It must be acknowledged by then.
    pub(in crate::verify) within: Duration,
}

/// What became of a message.
enum Fate {
    Acknowledged,
    Broken(Difference),
    BrokerGone,
}

impl Receiver<'_> {
    /// Gives the consumer one message.
    pub(in crate::verify) async fn verify(&self, contract: &Contract, interaction: &Interaction) -> Outcome {
        let began = Instant::now();
        let mut exchange = None;
        let verdict = match self.give(contract, interaction, &mut exchange).await {
            Ok(None) => Verdict::Passed,
            Ok(Some(difference)) if interaction.pending => Verdict::Pending {
                mismatches: vec![difference],
                why: None,
            },
            Ok(Some(difference)) => Verdict::Broken {
                mismatches: vec![difference],
            },
            Err(verdict) => *verdict,
        };
        let mut outcome = Outcome::new(contract, interaction, verdict, began.elapsed());
        super::as_received(&mut outcome);
        if outcome.verdict != Verdict::Passed {
            outcome.exchange = exchange;
        }
        outcome
    }

    async fn give(
        &self,
        contract: &Contract,
        interaction: &Interaction,
        exchange: &mut Option<Exchange>,
    ) -> Result<Option<Difference>, Box<Verdict>> {
        let could_not = |why| Box::new(Verdict::CouldNotRun { why });
        let mut message = publishable(contract, interaction).await.map_err(could_not)?;
        let id = uuid::Uuid::new_v4().to_string();
        message
            .properties
            .insert("message_id".to_owned(), Value::from(id.as_str()));
        // The contract's states are the publisher's; the consumer begins with nothing.
        self.states.set_up(&[]).await.map_err(|failure| {
            could_not(Why::State {
                what: failure.what,
                help: failure.help,
            })
        })?;
        let mut traffic = self.edges.traffic().follow(Filter {
            consumer: Some(self.service.to_owned()),
            ..Filter::default()
        });
        let returned = self.publish(&mut message).await;
        *exchange = Some(shown(&message));
        if let Some(said) = returned? {
            let (at, key) = (
                message.exchange.unwrap_or_default(),
                message.routing_key.unwrap_or_default(),
            );
            let expected = format!(
                "a queue of {} that takes `{at}` with the routing key `{key}`",
                contract.consumer
            );
            let text = format!("no queue of {} is bound for it: {said}", contract.consumer);
            return Ok(Some(Difference::new(Part::Address, "", &expected, "none", text)));
        }
        let deadline = Instant::now() + self.within;
        match tokio::time::timeout(self.within, fate(&mut traffic, &id)).await {
            Ok(Fate::Acknowledged) => self.acted(interaction, deadline).await,
            Ok(Fate::Broken(difference)) => Ok(Some(difference)),
            Ok(Fate::BrokerGone) => Err(Box::new(broker(
                "it went away while the acknowledgement was waited for",
            ))),
            Err(_) => {
                let expected = format!("an acknowledgement within {} ms", self.within.as_millis());
                let text = format!("expected {expected}, there was none");
                Ok(Some(Difference::new(
                    Part::Time,
                    "",
                    &expected,
                    "no acknowledgement",
                    text,
                )))
            }
        }
    }

    /// Publishes once some queue takes it; the broker's words where none does.
    async fn publish(&self, message: &mut Publishable) -> Result<Option<String>, Box<Verdict>> {
        let failed = |error: super::bus::BusError| Box::new(broker(error));
        let began = Instant::now();
        loop {
            if message.exchange.is_none() || message.routing_key.is_none() {
                let bindings = self.bus.bindings().await.map_err(failed)?;
                let fits = |(exchange, key): &&(String, String)| {
                    message.exchange.as_ref().is_none_or(|wanted| wanted == exchange)
                        && message.routing_key.as_ref().is_none_or(|wanted| wanted == key)
                };
                if let Some((exchange, key)) = bindings.iter().find(fits) {
                    message.exchange.get_or_insert_with(|| exchange.clone());
                    message.routing_key.get_or_insert_with(|| key.clone());
                }
            }
            // An exchange that is not there would cost the channel.
            let exchange = message.exchange.as_deref().unwrap_or_default();
            let returned = match self.bus.has_exchange(exchange).await.map_err(failed)? {
                true => self.bus.publish(message).await.map_err(failed)?,
                false => Some(format!("there is no exchange `{exchange}`")),
            };
            if returned.is_none() || began.elapsed() > BOUND_WITHIN {
                return Ok(returned);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether what shows that it was acted upon becomes so.
    async fn acted(&self, interaction: &Interaction, deadline: Instant) -> Result<Option<Difference>, Box<Verdict>> {
        let rules = self.declared.messages.get(&interaction.description);
        let Some(check) = rules.and_then(|rules| rules.expect.as_ref()) else {
            return Ok(None);
        };
        let what = match check {
            Check::Sql(sql) => format!("`{sql}`"),
            Check::Http(call) => format!("{} {}", call.method, call.path),
        };
        loop {
            let said = match check {
                Check::Sql(sql) => {
                    let Some(database) = &self.doers.sql else {
                        return Err(missing("sql"));
                    };
                    match database.holds(sql, &[]).await {
                        Ok(true) => return Ok(None),
                        Ok(false) => "it does not hold".to_owned(),
                        Err(error) => return Err(could_not_look(&crate::start::told(&error))),
                    }
                }
                Check::Http(call) => {
                    let Some(http) = &self.doers.http else {
                        return Err(missing("http"));
                    };
                    match http.call(call).await {
                        Ok(()) => return Ok(None),
                        Err(error) => crate::start::told(&error),
                    }
                }
            };
            if Instant::now() >= deadline {
                let text = format!("it was acknowledged, but not acted upon: {what} was to hold");
                return Ok(Some(Difference::new(Part::Time, "", &what, &said, text)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn missing(what: &str) -> Box<Verdict> {
    could_not_look(&format!("the service was started without anything to do `{what}` on"))
}

fn could_not_look(what: &str) -> Box<Verdict> {
    Box::new(Verdict::CouldNotRun {
        why: Why::State {
            what: format!("look whether the message was acted upon: {what}"),
            help: None,
        },
    })
}

/// What becomes of the message with that id, as far as its consumer's edge shows it.
async fn fate(traffic: &mut Subscription, id: &str) -> Fate {
    let mut seen = Seen::default();
    loop {
        match traffic.next().await {
            Some(Followed::Record(Record::Amqp(event))) => {
                if let Some(fate) = seen.next(&event, id) {
                    return fate;
                }
            }
            Some(_) => {}
            None => return Fate::BrokerGone,
        }
    }
}

#[derive(Default)]
struct Seen {
    deliveries: usize,
    /// Consumers of which each delivery counts as acknowledged.
    without_ack: Vec<String>,
}

impl Seen {
    fn next(&mut self, event: &AmqpEvent, id: &str) -> Option<Fate> {
        let ours = |settles: &[Settled]| settles.iter().any(|one| one.message_id.as_deref() == Some(id));
        match &event.what {
            AmqpWhat::Consume {
                consumer_tag,
                no_ack: true,
                ..
            } => {
                self.without_ack.push(consumer_tag.clone());
                None
            }
            AmqpWhat::Deliver {
                message,
                redelivered,
                consumer_tag,
                ..
            } if message.message_id.as_deref() == Some(id) => {
                self.deliveries += 1;
                if *redelivered || self.deliveries > 1 {
                    return Some(broken("it was given back and delivered again", "delivered twice"));
                }
                self.without_ack.contains(consumer_tag).then_some(Fate::Acknowledged)
            }
            AmqpWhat::Ack { settles, .. } if event.from == Side::Client && ours(settles) => Some(Fate::Acknowledged),
            AmqpWhat::Nack { settles, requeue, .. } | AmqpWhat::Reject { settles, requeue, .. } if ours(settles) => {
                Some(match requeue {
                    true => broken(
                        "the consumer gave it back, to be delivered again",
                        "given back to its queue",
                    ),
                    false => broken("the consumer refused it: it is dead-lettered, or lost", "refused"),
                })
            }
            AmqpWhat::Publish {
                exchange,
                routing_key,
                message,
                ..
            } if event.from == Side::Client && message.message_id.as_deref() == Some(id) => {
                let actual = format!("published again to `{exchange}` with the routing key `{routing_key}`");
                let text = format!("the consumer {actual}: it is retried, or dead-lettered");
                Some(broken(&text, &actual))
            }
            _ => None,
        }
    }
}

fn broken(text: &str, actual: &str) -> Fate {
    Fate::Broken(Difference::new(
        Part::Settlement,
        "",
        "an acknowledgement",
        actual,
        text.to_owned(),
    ))
}

/// What reports show of the message that was given.
fn shown(message: &Publishable) -> Exchange {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let described = message.properties.iter().chain(&message.headers);
    Exchange {
        request: format!(
            "published to `{}` with the routing key `{}`",
            message.exchange.as_deref().unwrap_or_default(),
            message.routing_key.as_deref().unwrap_or_default()
        ),
        request_headers: described.map(|(name, value)| (name.clone(), text(value))).collect(),
        request_body: String::from_utf8_lossy(&message.body).into_owned(),
        ..Exchange::default()
    }
}

#[cfg(test)]
mod tests {
    use devctl_edge::{EdgeId, MessageInfo};

    use super::*;

    fn event(from: Side, what: AmqpWhat) -> AmqpEvent {
        AmqpEvent {
            number: 1,
            edge: EdgeId::new("api", "rabbit", 5672),
            connection: 1,
            channel: 1,
            at: jiff::Timestamp::UNIX_EPOCH,
            from,
            what,
        }
    }

    fn delivered(redelivered: bool) -> AmqpWhat {
        AmqpWhat::Deliver {
            consumer_tag: "c".to_owned(),
            queue: None,
            delivery_tag: 1,
            redelivered,
            exchange: String::new(),
            routing_key: String::new(),
            message: MessageInfo {
                message_id: Some("m".to_owned()),
                ..MessageInfo::default()
            },
        }
    }

    fn settled() -> Vec<Settled> {
        vec![Settled {
            tag: 1,
            message_id: Some("m".to_owned()),
            queue: None,
            exchange: String::new(),
            routing_key: String::new(),
        }]
    }

    #[test]
    fn only_an_acknowledgement_by_the_consumer_keeps_the_promise() {
        let mut seen = Seen::default();
        let ack = || AmqpWhat::Ack {
            tag: 1,
            multiple: false,
            settles: settled(),
        };
        assert!(seen.next(&event(Side::Broker, delivered(false)), "m").is_none());
        assert!(
            seen.next(&event(Side::Broker, ack()), "m").is_none(),
            "that is a publication's"
        );
        assert!(matches!(
            seen.next(&event(Side::Client, ack()), "m"),
            Some(Fate::Acknowledged)
        ));
        assert!(seen.next(&event(Side::Client, ack()), "another").is_none());
    }

    #[test]
    fn given_back_refused_or_delivered_again_is_broken() {
        let nack = |requeue| AmqpWhat::Nack {
            tag: 1,
            multiple: false,
            requeue,
            settles: settled(),
        };
        for what in [nack(true), nack(false), delivered(true)] {
            let fate = Seen::default().next(&event(Side::Client, what), "m");
            assert!(matches!(fate, Some(Fate::Broken(_))));
        }
    }
}
