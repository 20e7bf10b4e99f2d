//! What can be seen in an AMQP connection.

use serde::Serialize;

use crate::capture::Body;
use crate::id::EdgeId;

/// Something that happened on a channel.
#[derive(Debug, Clone, Serialize)]
pub struct AmqpEvent {
    /// Its place in the order of everything that was captured.
    pub number: u64,
    /// Whose connection to which broker.
    pub edge: EdgeId,
    /// Which of the edge's connections: a number that is never used twice.
    pub connection: u64,
    /// Which of the connection's channels.
    pub channel: u16,
    /// When its last frame had passed.
    pub at: jiff::Timestamp,
    /// Who sent it.
    pub from: Side,
    /// What it was.
    pub what: AmqpWhat,
}

impl AmqpEvent {
    pub(crate) fn weight(&self) -> usize {
        match &self.what {
            AmqpWhat::Publish { message, .. }
            | AmqpWhat::Deliver { message, .. }
            | AmqpWhat::GetOk { message, .. }
            | AmqpWhat::Return { message, .. } => message.body.data.len() + message.headers.len() * 64 + 256,
            _ => 128,
        }
    }
}

/// Who sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The service at the consumer's end of the edge.
    Client,
    /// The broker.
    Broker,
}

/// What was sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "what")]
pub enum AmqpWhat {
    /// `basic.publish`: a message to an exchange.
    Publish {
        /// Empty: the default exchange, where the routing key names a queue.
        exchange: String,
        /// What it is routed by.
        routing_key: String,
        /// Whether it is to come back if it cannot be routed.
        mandatory: bool,
        /// In confirm mode: the tag by which the broker will acknowledge it.
        confirm_tag: Option<u64>,
        /// Properties and body.
        message: MessageInfo,
    },
    /// `basic.deliver`: a message to a consumer.
    Deliver {
        /// The consumer.
        consumer_tag: String,
        /// The queue that the consumer reads, where its `basic.consume` was seen.
        queue: Option<String>,
        /// By which it is acknowledged.
        delivery_tag: u64,
        /// Whether it was delivered before.
        redelivered: bool,
        /// Where it was published.
        exchange: String,
        /// What it was routed by.
        routing_key: String,
        /// Properties and body.
        message: MessageInfo,
    },
    /// `basic.get-ok`: a message that was asked for.
    GetOk {
        /// The queue, where the `basic.get` was seen.
        queue: Option<String>,
        /// By which it is acknowledged.
        delivery_tag: u64,
        /// Whether it was delivered before.
        redelivered: bool,
        /// Where it was published.
        exchange: String,
        /// What it was routed by.
        routing_key: String,
        /// Properties and body.
        message: MessageInfo,
    },
    /// `basic.return`: a message that could not be routed.
    Return {
        /// AMQP's reply code: 312 no route.
        code: u16,
        /// The same in words.
        text: String,
        /// Where it was published.
        exchange: String,
        /// What it was to be routed by.
        routing_key: String,
        /// Properties and body.
        message: MessageInfo,
    },
    /// `basic.ack`, of a delivery (from the client) or of a publication (from the broker).
    Ack {
        /// What is acknowledged.
        tag: u64,
        /// Everything before it as well.
        multiple: bool,
        /// The messages that this settles, as far as their passing was seen: `message_id`, or nothing where it had none.
        settles: Vec<Settled>,
    },
    /// `basic.nack`.
    Nack {
        /// What is refused.
        tag: u64,
        /// Everything before it as well.
        multiple: bool,
        /// Whether it goes back to its queue.
        requeue: bool,
        /// The messages that this settles.
        settles: Vec<Settled>,
    },
    /// `basic.reject`.
    Reject {
        /// What is refused.
        tag: u64,
        /// Whether it goes back to its queue.
        requeue: bool,
        /// The message that this settles.
        settles: Vec<Settled>,
    },
    /// `exchange.declare`.
    DeclareExchange {
        /// Its name.
        exchange: String,
        /// `topic`, `direct`, `fanout`, `headers`.
        kind: String,
    },
    /// `queue.declare-ok`: the queue exists, under this name.
    Queue {
        /// Its name, which the broker may have made up.
        queue: String,
        /// Messages in it.
        messages: u32,
        /// Who reads it.
        consumers: u32,
    },
    /// `queue.bind`.
    Bind {
        /// To this queue,
        queue: String,
        /// from this exchange,
        exchange: String,
        /// what has this routing key.
        routing_key: String,
    },
    /// `basic.consume`, once the broker has agreed.
    Consume {
        /// The queue that is read.
        queue: String,
        /// By this consumer.
        consumer_tag: String,
        /// Whether a delivery counts as acknowledged at once.
        no_ack: bool,
    },
    /// `basic.cancel`: the consumer reads no more.
    Cancel {
        /// Which.
        consumer_tag: String,
    },
    /// `channel.close` or, on channel 0, `connection.close`.
    Close {
        /// AMQP's reply code: 200 is no error.
        code: u16,
        /// The same in words.
        text: String,
    },
}

/// A message that was acknowledged, refused or confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// Its tag on this channel.
    pub tag: u64,
    /// Its `message_id` property.
    pub message_id: Option<String>,
    /// The queue it was delivered from; missing for a publication.
    pub queue: Option<String>,
    /// Where it was published.
    pub exchange: String,
    /// What it was routed by.
    pub routing_key: String,
}

/// Properties and body of a message.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct MessageInfo {
    /// The body's type.
    pub content_type: Option<String>,
    /// The body's encoding.
    pub content_encoding: Option<String>,
    /// Application headers, as text; secrets are replaced by `[redacted]`.
    pub headers: Vec<(String, String)>,
    /// 2 for a message that is to survive a restart of the broker.
    pub delivery_mode: Option<u8>,
    /// What an answer refers to.
    pub correlation_id: Option<String>,
    /// Where an answer goes.
    pub reply_to: Option<String>,
    /// The message's own id.
    pub message_id: Option<String>,
    /// The message's type.
    pub kind: Option<String>,
    /// Who says that it sent it.
    pub app_id: Option<String>,
    /// The beginning of the body.
    pub body: Body,
}
