//! What one channel has going on: messages whose frames are still coming, and those that nobody has settled yet.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::amqp::fields::Fields;
use crate::amqp::{AmqpWhat, MessageInfo, Settled, Side};

/// Messages that may wait for their acknowledgement before the oldest is forgotten.
const UNSETTLED: usize = 100_000;

#[derive(Default)]
pub(crate) struct Channel {
    /// The tag of the next publication in confirm mode.
    confirm: Option<u64>,
    /// A message of the client's, of the broker's, whose header and body follow.
    coming: [Option<Coming>; 2],
    delivered: BTreeMap<u64, Settled>,
    published: BTreeMap<u64, Settled>,
    consumers: HashMap<String, Consumer>,
    /// Asked for, and not yet answered.
    consuming: VecDeque<(String, Consumer)>,
    getting: VecDeque<Consumer>,
    /// What an empty name means.
    last_queue: String,
}

#[derive(Clone)]
struct Consumer {
    queue: String,
    no_ack: bool,
}

/// A message of which something is still missing.
struct Coming {
    what: AmqpWhat,
    /// Bytes of the body that are still to come; unknown until the header is there.
    left: Option<u64>,
}

impl Channel {
    /// A method frame. What is complete with it is returned.
    pub(crate) fn method(&mut self, side: Side, class: u16, method: u16, args: &mut Fields<'_>) -> Option<AmqpWhat> {
        use Side::{Broker, Client};
        match (side, class, method) {
            (_, 10, 50) | (_, 20, 40) => Some(AmqpWhat::Close {
                code: args.short()?,
                text: args.text()?,
            }),
            (Client, 40, 10) => {
                args.short()?;
                Some(AmqpWhat::DeclareExchange {
                    exchange: args.text()?,
                    kind: args.text()?,
                })
            }
            (Broker, 50, 11) => {
                let queue = args.text()?;
                self.last_queue.clone_from(&queue);
                Some(AmqpWhat::Queue {
                    queue,
                    messages: args.long()?,
                    consumers: args.long()?,
                })
            }
            (Client, 50, 20) => {
                args.short()?;
                let queue = self.queue(args.text()?);
                Some(AmqpWhat::Bind {
                    queue,
                    exchange: args.text()?,
                    routing_key: args.text()?,
                })
            }
            (Client, 85, 10) => {
                self.confirm.get_or_insert(1);
                None
            }
            (_, 60, _) => self.basic(side, method, args),
            _ => None,
        }
    }

    fn basic(&mut self, side: Side, method: u16, args: &mut Fields<'_>) -> Option<AmqpWhat> {
        use Side::{Broker, Client};
        match (side, method) {
            (Client, 20) => {
                args.short()?;
                let (queue, tag) = (self.queue(args.text()?), args.text()?);
                let consumer = Consumer {
                    queue,
                    no_ack: args.bit(1)?,
                };
                if !args.bit(3)? {
                    self.consuming.push_back((tag, consumer));
                    return None;
                }
                Some(self.consume(tag, consumer))
            }
            (Broker, 21) => {
                let tag = args.text()?;
                let at = self
                    .consuming
                    .iter()
                    .position(|(asked, _)| *asked == tag || asked.is_empty())?;
                let (_, consumer) = self.consuming.remove(at)?;
                Some(self.consume(tag, consumer))
            }
            (_, 30) => {
                let consumer_tag = args.text()?;
                self.consumers.remove(&consumer_tag);
                Some(AmqpWhat::Cancel { consumer_tag })
            }
            (Client, 40) => {
                args.short()?;
                let (exchange, routing_key, mandatory) = (args.text()?, args.text()?, args.bit(0)?);
                let confirm_tag = self.confirm;
                self.confirm = confirm_tag.map(|tag| tag + 1);
                let message = MessageInfo::default();
                self.coming(
                    side,
                    AmqpWhat::Publish {
                        exchange,
                        routing_key,
                        mandatory,
                        confirm_tag,
                        message,
                    },
                )
            }
            (Broker, 50) => {
                let (code, text) = (args.short()?, args.text()?);
                let (exchange, routing_key) = (args.text()?, args.text()?);
                self.coming(
                    side,
                    AmqpWhat::Return {
                        code,
                        text,
                        exchange,
                        routing_key,
                        message: MessageInfo::default(),
                    },
                )
            }
            (Broker, 60) => {
                let (consumer_tag, delivery_tag, redelivered) = (args.text()?, args.longlong()?, args.byte()? & 1 == 1);
                let queue = self.consumers.get(&consumer_tag).map(|consumer| consumer.queue.clone());
                let (exchange, routing_key, message) = (args.text()?, args.text()?, MessageInfo::default());
                let what = AmqpWhat::Deliver {
                    consumer_tag,
                    queue,
                    delivery_tag,
                    redelivered,
                    exchange,
                    routing_key,
                    message,
                };
                self.coming(side, what)
            }
            (Client, 70) => {
                args.short()?;
                let queue = self.queue(args.text()?);
                self.getting.push_back(Consumer {
                    queue,
                    no_ack: args.bit(0)?,
                });
                None
            }
            (Broker, 71) => {
                let (delivery_tag, redelivered) = (args.longlong()?, args.byte()? & 1 == 1);
                let queue = self.getting.front().map(|asked| asked.queue.clone());
                let (exchange, routing_key, message) = (args.text()?, args.text()?, MessageInfo::default());
                self.coming(
                    side,
                    AmqpWhat::GetOk {
                        queue,
                        delivery_tag,
                        redelivered,
                        exchange,
                        routing_key,
                        message,
                    },
                )
            }
            (Broker, 72) => {
                self.getting.pop_front();
                None
            }
            (_, 80) => {
                let (tag, multiple) = (args.longlong()?, args.bit(0)?);
                Some(AmqpWhat::Ack {
                    tag,
                    multiple,
                    settles: self.settle(side, tag, multiple),
                })
            }
            (Client, 90) => {
                let (tag, requeue) = (args.longlong()?, args.bit(0)?);
                Some(AmqpWhat::Reject {
                    tag,
                    requeue,
                    settles: self.settle(side, tag, false),
                })
            }
            (_, 120) => {
                let (tag, multiple, requeue) = (args.longlong()?, args.bit(0)?, args.bit(1)?);
                Some(AmqpWhat::Nack {
                    tag,
                    multiple,
                    requeue,
                    settles: self.settle(side, tag, multiple),
                })
            }
            _ => None,
        }
    }

    /// A header frame.
    pub(crate) fn header(&mut self, side: Side, args: &mut Fields<'_>) -> Option<AmqpWhat> {
        let (size, properties) = args.content()?;
        let coming = self.coming[side as usize].as_mut()?;
        coming.left = Some(size);
        let message = message(&mut coming.what)?;
        *message = properties;
        message.body.size = size;
        message.body.truncated = size > 0;
        self.whole(side)
    }

    /// A body frame, of which at least the beginning is there. `limit` is how much of the body is kept.
    pub(crate) fn body(&mut self, side: Side, bytes: &[u8], size: usize, limit: usize) -> Option<AmqpWhat> {
        let coming = self.coming[side as usize].as_mut()?;
        coming.left = Some(coming.left?.saturating_sub(size as u64));
        let body = &mut message(&mut coming.what)?.body;
        let room = limit.saturating_sub(body.data.len()).min(bytes.len());
        body.data.extend_from_slice(&bytes[..room]);
        body.truncated = body.size > body.data.len() as u64;
        self.whole(side)
    }

    fn queue(&self, name: String) -> String {
        if name.is_empty() { self.last_queue.clone() } else { name }
    }

    fn consume(&mut self, consumer_tag: String, consumer: Consumer) -> AmqpWhat {
        let (queue, no_ack) = (consumer.queue.clone(), consumer.no_ack);
        self.consumers.insert(consumer_tag.clone(), consumer);
        AmqpWhat::Consume {
            queue,
            consumer_tag,
            no_ack,
        }
    }

    fn coming(&mut self, side: Side, what: AmqpWhat) -> Option<AmqpWhat> {
        self.coming[side as usize] = Some(Coming { what, left: None });
        None
    }

    /// Takes a message out whose last byte is there, and remembers that somebody has to settle it.
    fn whole(&mut self, side: Side) -> Option<AmqpWhat> {
        let what = self.coming[side as usize]
            .take_if(|coming| coming.left == Some(0))?
            .what;
        // What counts as acknowledged at once is settled already.
        let no_ack = match &what {
            AmqpWhat::Deliver { consumer_tag, .. } => {
                self.consumers.get(consumer_tag).is_some_and(|known| known.no_ack)
            }
            AmqpWhat::GetOk { .. } => self.getting.pop_front().is_some_and(|asked| asked.no_ack),
            _ => false,
        };
        match &what {
            AmqpWhat::Publish {
                confirm_tag: Some(tag),
                message,
                exchange,
                routing_key,
                ..
            } => {
                remember(&mut self.published, *tag, message, None, (exchange, routing_key));
            }
            AmqpWhat::Deliver {
                delivery_tag,
                message,
                queue,
                exchange,
                routing_key,
                ..
            }
            | AmqpWhat::GetOk {
                delivery_tag,
                message,
                queue,
                exchange,
                routing_key,
                ..
            } if !no_ack => {
                remember(
                    &mut self.delivered,
                    *delivery_tag,
                    message,
                    queue.clone(),
                    (exchange, routing_key),
                );
            }
            _ => {}
        }
        Some(what)
    }

    fn settle(&mut self, side: Side, tag: u64, multiple: bool) -> Vec<Settled> {
        let waiting = match side {
            Side::Client => &mut self.delivered,
            Side::Broker => &mut self.published,
        };
        match (multiple, tag) {
            (false, tag) => waiting.remove(&tag).into_iter().collect(),
            (true, 0) => std::mem::take(waiting).into_values().collect(),
            (true, tag) => {
                let later = waiting.split_off(&(tag + 1));
                std::mem::replace(waiting, later).into_values().collect()
            }
        }
    }
}

fn remember(
    waiting: &mut BTreeMap<u64, Settled>,
    tag: u64,
    message: &MessageInfo,
    queue: Option<String>,
    (exchange, routing_key): (&str, &str),
) {
    if waiting.len() >= UNSETTLED {
        waiting.pop_first();
    }
    let message_id = message.message_id.clone();
    let (exchange, routing_key) = (exchange.to_owned(), routing_key.to_owned());
    waiting.insert(
        tag,
        Settled {
            tag,
            message_id,
            queue,
            exchange,
            routing_key,
        },
    );
}

pub(crate) fn message(what: &mut AmqpWhat) -> Option<&mut MessageInfo> {
    match what {
        AmqpWhat::Publish { message, .. }
        | AmqpWhat::Deliver { message, .. }
        | AmqpWhat::GetOk { message, .. }
        | AmqpWhat::Return { message, .. } => Some(message),
        _ => None,
    }
}
