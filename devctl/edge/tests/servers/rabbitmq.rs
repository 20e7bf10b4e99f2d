//! RabbitMQ: which message went which way, and who acknowledged it, seen from the edge between consumer and broker.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use devctl_edge::{AmqpEvent, AmqpWhat, Filter, Followed, Protocol, Record, Settled, Side, Subscription, Target};
use futures::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicGetOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use nix::sys::signal::Signal;

use crate::{Server, edge, free_port, skip};

/// RabbitMQ's own start script; the one in /usr/sbin insists on a user.
fn script() -> Option<PathBuf> {
    let lib = std::fs::read_dir("/usr/lib/rabbitmq/lib").ok()?;
    let found = lib
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("sbin/rabbitmq-server"));
    found.into_iter().find(|path| path.exists())
}

fn start(script: &Path, dir: &Path, port: u16) -> Server {
    let epmd = free_port().to_string();
    let path = |name: &str| dir.join(name);
    std::fs::write(path("plugins"), "[].").unwrap();
    std::fs::write(path("rabbitmq.conf"), format!("listeners.tcp.1 = 127.0.0.1:{port}\n")).unwrap();
    let mut server = Command::new(script);
    server
        .env("HOME", dir)
        .env("ERL_EPMD_PORT", &epmd)
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODENAME", format!("edge{port}@localhost"))
        .env("RABBITMQ_NODE_PORT", port.to_string())
        .env("RABBITMQ_DIST_PORT", free_port().to_string())
        .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
        .env("RABBITMQ_MNESIA_BASE", path("mnesia"))
        .env("RABBITMQ_LOG_BASE", path("log"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins"))
        .env(
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
            "+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}",
        )
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut server = Server::start(server, Signal::SIGTERM);
    let mut after = Command::new("epmd");
    after.args(["-port", &epmd, "-kill"]).env("ERL_EPMD_PORT", &epmd);
    server.after = Some(after);
    server
}

/// The next event that `wanted` makes something of.
async fn next<T>(traffic: &mut Subscription, what: &str, wanted: impl Fn(&AmqpEvent) -> Option<T>) -> T {
    let found = async {
        loop {
            match traffic.next().await {
                Some(Followed::Record(Record::Amqp(event))) => {
                    if let Some(found) = wanted(&event) {
                        return found;
                    }
                }
                Some(Followed::Record(_)) => {}
                other => panic!("{what}: {other:?}"),
            }
        }
    };
    match tokio::time::timeout(Duration::from_secs(20), found).await {
        Ok(found) => found,
        Err(_) => panic!("{what} was not seen"),
    }
}

async fn topology(channel: &Channel) {
    let durable = ExchangeDeclareOptions {
        auto_delete: true,
        ..ExchangeDeclareOptions::default()
    };
    let table = FieldTable::default;
    channel
        .exchange_declare("orders".into(), ExchangeKind::Topic, durable, table())
        .await
        .unwrap();
    channel
        .queue_declare("billing.orders".into(), QueueDeclareOptions::default(), table())
        .await
        .unwrap();
    let bind = channel.queue_bind(
        "billing.orders".into(),
        "orders".into(),
        "order.*".into(),
        QueueBindOptions::default(),
        table(),
    );
    bind.await.unwrap();
}

fn properties(id: &str) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert("tenant".into(), AMQPValue::LongString("acme".into()));
    headers.insert("attempt".into(), AMQPValue::LongInt(2));
    headers.insert("authorization".into(), AMQPValue::LongString("Bearer abc".into()));
    BasicProperties::default()
        .with_message_id(id.into())
        .with_content_type("application/json".into())
        .with_headers(headers)
        .with_delivery_mode(2)
}

async fn publish(channel: &Channel, id: &str, body: &[u8]) {
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let sent = channel
        .basic_publish("orders".into(), "order.placed".into(), options, body, properties(id))
        .await
        .unwrap();
    sent.await.unwrap();
}

fn settled(tag: u64, id: &str, queue: Option<&str>) -> Settled {
    Settled {
        tag,
        message_id: Some(id.into()),
        queue: queue.map(str::to_owned),
        exchange: "orders".into(),
        routing_key: "order.placed".into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_and_acknowledgements_are_seen() {
    let Some(script) = script() else {
        return skip("no RabbitMQ on this machine");
    };
    let dir = tempfile::Builder::new().prefix("edge-rmq").tempdir().unwrap();
    let port = free_port();
    let _server = start(&script, dir.path(), port);
    let (edges, edge) = edge("broker", 5672).await;
    let mut traffic = edges.traffic().follow(Filter::edge(edge.id()));
    let uri = format!("amqp://guest:guest@{}/%2f", edge.address());
    // Held from before the broker listens until it does.
    let connecting = tokio::spawn(async move { Connection::connect(&uri, ConnectionProperties::default()).await });
    let up = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(90), up).await.is_ok(),
        "RabbitMQ does not listen"
    );
    let _ = edge.target(Target::real(([127, 0, 0, 1], port).into()));
    let connection = connecting.await.unwrap().unwrap();
    assert_eq!(edge.stats().protocol, Protocol::Amqp);
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    channel.basic_qos(10, BasicQosOptions::default()).await.unwrap();
    topology(&channel).await;
    let bound = next(&mut traffic, "the binding", |event| match &event.what {
        AmqpWhat::Bind {
            queue,
            exchange,
            routing_key,
        } => Some((queue.clone(), exchange.clone(), routing_key.clone())),
        _ => None,
    });
    assert_eq!(
        bound.await,
        ("billing.orders".into(), "orders".into(), "order.*".into())
    );

    // Published and confirmed; the second is longer than a frame and than what is captured.
    publish(&channel, "m-1", b"{\"order\":1}").await;
    publish(&channel, "m-2", &vec![b'x'; 300_000]).await;
    let (tag, message) = next(&mut traffic, "the publication", |event| match &event.what {
        AmqpWhat::Publish {
            exchange,
            routing_key,
            mandatory: true,
            confirm_tag,
            message,
        } => {
            assert_eq!(
                (event.from, exchange.as_str(), routing_key.as_str()),
                (Side::Client, "orders", "order.placed")
            );
            Some((*confirm_tag, message.clone()))
        }
        _ => None,
    })
    .await;
    assert_eq!(
        (tag, message.body.text(), message.message_id.as_deref()),
        (Some(1), Some("{\"order\":1}"), Some("m-1"))
    );
    let headers: Vec<_> = message
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert!(
        headers.contains(&("tenant", "acme")) && headers.contains(&("attempt", "2")),
        "{headers:?}"
    );
    assert!(headers.contains(&("authorization", "[redacted]")), "{headers:?}");
    let long = next(&mut traffic, "the long one", |event| match &event.what {
        AmqpWhat::Publish { message, .. } => Some(message.body.clone()),
        _ => None,
    });
    let long = long.await;
    assert!(long.truncated && long.size == 300_000 && long.data.len() == 16 << 10);

    // Delivered; the first acknowledged, the second refused.
    let tag = "billing-1".into();
    let mut consumer = channel
        .basic_consume(
            "billing.orders".into(),
            tag,
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();
    let first = consumer.next().await.unwrap().unwrap();
    let second = consumer.next().await.unwrap().unwrap();
    let delivered = next(&mut traffic, "the delivery", |event| match &event.what {
        AmqpWhat::Deliver {
            consumer_tag,
            queue,
            delivery_tag,
            redelivered: false,
            message,
            ..
        } => {
            assert_eq!(event.from, Side::Broker);
            Some((
                consumer_tag.clone(),
                queue.clone(),
                *delivery_tag,
                message.message_id.clone(),
            ))
        }
        _ => None,
    });
    assert_eq!(
        delivered.await,
        ("billing-1".into(), Some("billing.orders".into()), 1, Some("m-1".into()))
    );
    first.ack(BasicAckOptions::default()).await.unwrap();
    second
        .nack(BasicNackOptions {
            requeue: true,
            ..BasicNackOptions::default()
        })
        .await
        .unwrap();
    let acked = next(&mut traffic, "the acknowledgement", |event| {
        match (&event.what, event.from) {
            (AmqpWhat::Ack { settles, .. }, Side::Client) => Some(settles.clone()),
            _ => None,
        }
    });
    assert_eq!(acked.await, [settled(1, "m-1", Some("billing.orders"))]);
    let refused = next(&mut traffic, "the refusal", |event| match &event.what {
        AmqpWhat::Nack {
            settles, requeue: true, ..
        } => Some(settles.clone()),
        _ => None,
    });
    assert_eq!(refused.await, [settled(2, "m-2", Some("billing.orders"))]);
    let again = next(&mut traffic, "the second delivery", |event| match &event.what {
        AmqpWhat::Deliver {
            redelivered: true,
            message,
            ..
        } => Some(message.message_id.clone()),
        _ => None,
    });
    assert_eq!(again.await.as_deref(), Some("m-2"));
    consumer
        .next()
        .await
        .unwrap()
        .unwrap()
        .ack(BasicAckOptions::default())
        .await
        .unwrap();
    channel
        .basic_cancel("billing-1".into(), lapin::options::BasicCancelOptions::default())
        .await
        .unwrap();

    // Asked for one by one, and one that nobody wants.
    publish(&channel, "m-3", b"3").await;
    let got = channel
        .basic_get("billing.orders".into(), BasicGetOptions::default())
        .await
        .unwrap()
        .unwrap();
    got.delivery.ack(BasicAckOptions { multiple: true }).await.unwrap();
    let got = next(&mut traffic, "the answer", |event| match &event.what {
        AmqpWhat::GetOk { queue, message, .. } => Some((queue.clone(), message.message_id.clone())),
        _ => None,
    });
    assert_eq!(got.await, (Some("billing.orders".into()), Some("m-3".into())));
    let options = BasicPublishOptions {
        mandatory: true,
        ..BasicPublishOptions::default()
    };
    let lost = channel.basic_publish(
        "orders".into(),
        "nobody.wants".into(),
        options,
        b"lost",
        properties("m-4"),
    );
    lost.await.unwrap().await.unwrap();
    let returned = next(&mut traffic, "the return", |event| match &event.what {
        AmqpWhat::Return {
            code,
            routing_key,
            message,
            ..
        } => Some((*code, routing_key.clone(), message.body.text().map(str::to_owned))),
        _ => None,
    });
    assert_eq!(returned.await, (312, "nobody.wants".into(), Some("lost".into())));
    connection.close(200, "bye".into()).await.unwrap();
    let closed = next(&mut traffic, "the end", |event| match &event.what {
        AmqpWhat::Close { code, text } => Some((*code, text.clone())),
        _ => None,
    });
    assert_eq!(closed.await, (200, "bye".into()));
}
