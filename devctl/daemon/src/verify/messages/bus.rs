//! A connection to one virtual host: publishes, and hears everything that is published there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use devctl_pact::message::{Delivery, Publishable};
use devctl_pact::states::file::Message;
use devctl_pact::states::steps::{AmqpSteps, StepError};
use futures::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
    QueuePurgeOptions,
};

use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use serde_json::Value;

use super::super::broker::{VirtualHosts, encoded};

/// How long the broker may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// The connection.
pub(in crate::verify) struct Bus {
    hosts: Arc<VirtualHosts>,
    vhost: String,
    /// Kept: its end is the channel's.
    _connection: Connection,
    channel: Channel,
}

/// A queue that gets a copy of everything that is published to the exchanges of its virtual host.
pub(super) struct Tap {
    queue: String,
    channel: Channel,
    heard: Consumer,
    bound: BTreeSet<(String, String)>,
}

/// Why the broker cannot be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::verify) enum BusError {
    /// It refused, or is gone.
    #[error("{doing}: {cause}")]
    Amqp {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        cause: String,
    },
    /// No answer in time.
    #[error("{0}: the broker does not answer")]
    Late(&'static str),
}

impl Bus {
    pub(in crate::verify) async fn connect(hosts: Arc<VirtualHosts>, vhost: &str) -> Result<Self, BusError> {
        let uri = format!(
            "amqp://{}:{}@{}/{}",
            encoded(&hosts.user),
            encoded(&hosts.password),
            hosts.amqp,
            encoded(vhost)
        );
        let connection = within("connect", Connection::connect(&uri, ConnectionProperties::default())).await?;
        let channel = within("open a channel", connection.create_channel()).await?;
        within("confirm", channel.confirm_select(ConfirmSelectOptions::default())).await?;
        Ok(Self {
            hosts,
            vhost: vhost.to_owned(),
            _connection: connection,
            channel,
        })
    }

    /// Publishes with the mandatory flag; the broker's words where no queue takes it.
    pub(super) async fn publish(&self, message: &Publishable) -> Result<Option<String>, BusError> {
        let options = BasicPublishOptions {
            mandatory: true,
            ..BasicPublishOptions::default()
        };
        let exchange = message.exchange.clone().unwrap_or_default();
        let key = message.routing_key.clone().unwrap_or_default();
        let sent = self
            .channel
            .basic_publish(exchange.into(), key.into(), options, &message.body, properties(message));
        let confirmed = async { sent.await?.await };
        match within("publish", confirmed).await? {
            Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
                Ok(Some(returned.reply_text.to_string()))
            }
            Confirmation::Ack(None) | Confirmation::NotRequested => Ok(None),
            Confirmation::Nack(None) => Err(BusError::Amqp {
                doing: "publish",
                cause: "the broker did not take it".to_owned(),
            }),
        }
    }

    /// A tap that is bound to nothing yet.
    pub(super) async fn tap(&self) -> Result<Tap, BusError> {
        let channel = self.channel.clone();
        let options = QueueDeclareOptions {
            exclusive: true,
            auto_delete: true,
            ..QueueDeclareOptions::default()
        };
        let declared = channel.queue_declare("".into(), options, FieldTable::default());
        let queue = within("declare a queue", declared).await?.name().to_string();
        let options = BasicConsumeOptions {
            no_ack: true,
            ..BasicConsumeOptions::default()
        };
        let heard = channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default());
        let heard = within("consume", heard).await?;
        Ok(Tap {
            queue,
            channel,
            heard,
            bound: BTreeSet::new(),
        })
    }

    /// Binds a tap to every exchange. `promised`: the key to listen for at exchanges that know no patterns, beside those in use.
    pub(super) async fn bind(&self, tap: &mut Tap, promised: &str) -> Result<(), BusError> {
        let failed = |error: super::super::broker::HostError| BusError::Amqp {
            doing: "list the exchanges",
            cause: error.to_string(),
        };
        let exchanges = self.hosts.list("exchanges", &self.vhost).await.map_err(failed)?;
        let bindings = self.hosts.list("bindings", &self.vhost).await.map_err(failed)?;
        for exchange in &exchanges {
            let name = exchange["name"].as_str().unwrap_or_default();
            if name.is_empty() || name.starts_with("amq.") || exchange["internal"] == true {
                continue;
            }
            let keys: BTreeSet<String> = match exchange["type"].as_str() {
                Some("topic") => ["#".to_owned()].into(),
                Some("direct") => {
                    let of = bindings.iter().filter(|binding| binding["source"] == name);
                    let keys = of.filter_map(|binding| binding["routing_key"].as_str().map(str::to_owned));
                    keys.chain([promised.to_owned()]).collect()
                }
                _ => [String::new()].into(),
            };
            for key in keys {
                let one = (name.to_owned(), key);
                if tap.bound.contains(&one) {
                    continue;
                }
                let (queue, exchange, key) = (tap.queue.as_str().into(), name.into(), one.1.as_str().into());
                let options = QueueBindOptions::default();
                let bound = self
                    .channel
                    .queue_bind(queue, exchange, key, options, FieldTable::default());
                within("bind a queue", bound).await?;
                tap.bound.insert(one);
            }
        }
        Ok(())
    }

    /// Whether there is such an exchange.
    pub(super) async fn has_exchange(&self, name: &str) -> Result<bool, BusError> {
        if name.is_empty() {
            return Ok(true);
        }
        let listed = self.hosts.list("exchanges", &self.vhost).await;
        let listed = listed.map_err(|error| BusError::Amqp {
            doing: "list the exchanges",
            cause: error.to_string(),
        })?;
        Ok(listed.iter().any(|exchange| exchange["name"] == name))
    }

    /// The exchanges from which some queue gets what is published under a key, for contracts that name none.
    pub(super) async fn bindings(&self) -> Result<Vec<(String, String)>, BusError> {
        let listed = self.hosts.list("bindings", &self.vhost).await;
        let listed = listed.map_err(|error| BusError::Amqp {
            doing: "list the bindings",
            cause: error.to_string(),
        })?;
        let pair = |binding: &Value| {
            let text = |name: &str| binding[name].as_str().unwrap_or_default().to_owned();
            (text("source"), text("routing_key"))
        };
        Ok(listed
            .iter()
            .map(pair)
            .filter(|(source, _)| !source.is_empty())
            .collect())
    }
}

impl Tap {
    /// Forgets what has been heard.
    pub(super) async fn drain(&mut self) -> Result<(), BusError> {
        let purged = self
            .channel
            .queue_purge(self.queue.as_str().into(), QueuePurgeOptions::default());
        within("drain the queue", purged).await?;
        while let Some(Some(_)) = futures::FutureExt::now_or_never(self.heard.next()) {}
        Ok(())
    }

    /// The next message. None: the broker is gone.
    pub(super) async fn next(&mut self) -> Option<Delivery> {
        let delivery = self.heard.next().await?.ok()?;
        let properties = &delivery.properties;
        let mut of = BTreeMap::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                of.insert(name.to_owned(), value);
            }
        };
        let text = |value: &Option<lapin::types::ShortString>| value.as_ref().map(|text| Value::from(text.as_str()));
        set("message_id", text(properties.message_id()));
        set("type", text(properties.kind()));
        set("app_id", text(properties.app_id()));
        set("user_id", text(properties.user_id()));
        set("reply_to", text(properties.reply_to()));
        set("expiration", text(properties.expiration()));
        set("correlation_id", text(properties.correlation_id()));
        set("content_encoding", text(properties.content_encoding()));
        set("delivery_mode", properties.delivery_mode().map(Value::from));
        set("priority", properties.priority().map(Value::from));
        set("timestamp", properties.timestamp().map(Value::from));
        let headers = properties.headers().iter().flat_map(|table| table.inner());
        Some(Delivery {
            exchange: delivery.exchange.to_string(),
            routing_key: delivery.routing_key.to_string(),
            content_type: properties.content_type().as_ref().map(|kind| kind.to_string()),
            properties: of,
            headers: headers.map(|(name, value)| (name.to_string(), json(value))).collect(),
            body: delivery.data.into(),
        })
    }
}

#[async_trait]
impl AmqpSteps for Bus {
    async fn publish(&self, message: &Message) -> Result<(), StepError> {
        let sent = Bus::publish(self, &Publishable::from(message)).await;
        let failed = |cause: String| StepError::Other(format!("publish to `{}`: {cause}", message.exchange));
        match sent {
            Ok(None) => Ok(()),
            Ok(Some(returned)) => Err(failed(returned)),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

fn properties(message: &Publishable) -> BasicProperties {
    let mut properties = BasicProperties::default();
    if let Some(kind) = &message.content_type {
        properties = properties.with_content_type(kind.as_str().into());
    }
    for (name, value) in &message.properties {
        let text = || value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        properties = match name.as_str() {
            "message_id" => properties.with_message_id(text().into()),
            "type" => properties.with_type(text().into()),
            "app_id" => properties.with_app_id(text().into()),
            "user_id" => properties.with_user_id(text().into()),
            "reply_to" => properties.with_reply_to(text().into()),
            "expiration" => properties.with_expiration(text().into()),
            "correlation_id" => properties.with_correlation_id(text().into()),
            "content_encoding" => properties.with_content_encoding(text().into()),
            "delivery_mode" => properties.with_delivery_mode(if text() == "1" { 1 } else { 2 }),
            "priority" => properties.with_priority(text().parse().unwrap_or_default()),
            "timestamp" => properties.with_timestamp(text().parse().unwrap_or_default()),
            _ => properties,
        };
    }
    let mut headers = FieldTable::default();
    for (name, value) in &message.headers {
        headers.insert(name.as_str().into(), field(value));
    }
    properties.with_headers(headers)
}

fn field(value: &Value) -> AMQPValue {
    match value {
        Value::Bool(value) => AMQPValue::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(number) => AMQPValue::LongLongInt(number),
            None => AMQPValue::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => AMQPValue::LongString(text.as_str().into()),
        Value::Null => AMQPValue::Void,
        other => AMQPValue::LongString(other.to_string().into()),
    }
}

fn json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(value) => Value::from(*value),
        AMQPValue::ShortShortInt(value) => Value::from(*value),
        AMQPValue::ShortShortUInt(value) => Value::from(*value),
        AMQPValue::ShortInt(value) => Value::from(*value),
        AMQPValue::ShortUInt(value) => Value::from(*value),
        AMQPValue::LongInt(value) => Value::from(*value),
        AMQPValue::LongUInt(value) => Value::from(*value),
        AMQPValue::LongLongInt(value) => Value::from(*value),
        AMQPValue::Float(value) => Value::from(*value),
        AMQPValue::Double(value) => Value::from(*value),
        AMQPValue::ShortString(text) => Value::from(text.as_str()),
        AMQPValue::LongString(text) => Value::from(text.to_string()),
        AMQPValue::Timestamp(value) => Value::from(*value),
        AMQPValue::Void => Value::Null,
        other => serde_json::to_value(other).unwrap_or_default(),
    }
}

async fn within<T>(doing: &'static str, work: impl Future<Output = Result<T, lapin::Error>>) -> Result<T, BusError> {
    match tokio::time::timeout(LIMIT, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(cause)) => Err(BusError::Amqp {
            doing,
            cause: cause.to_string(),
        }),
        Err(_) => Err(BusError::Late(doing)),
    }
}
