//! The servers that Compose files name most, in containers of their images: known as ready by their own protocols.

use std::time::Duration;

use devctl_drivers::probe::{AmqpLogin, PostgresHost, PostgresLogin, Probe};
use testcontainers::core::IntoContainerPort as _;
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};

use crate::support::engine_with;

const LONG: Duration = Duration::from_secs(10);
/// RabbitMQ's boot, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// Where that port of the container answers on this host.
async fn at(container: &ContainerAsync<GenericImage>, port: u16) -> std::net::SocketAddr {
    let published = container.get_host_port_ipv4(port.tcp()).await.unwrap();
    ([127, 0, 0, 1], published).into()
}

async fn ready(probe: &Probe) {
    let ready = async {
        while !probe.test(LONG).await.ok {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ready).await.unwrap();
}

#[tokio::test]
async fn postgres_is_ready_when_it_answers_its_user_and_tells_who_is_none() {
    let Some(_engine) = engine_with("postgres:15").await else {
        return;
    };
    let server = GenericImage::new("postgres", "15")
        .with_exposed_port(5432.tcp())
        .with_env_var("POSTGRES_USER", "shop")
        .with_env_var("POSTGRES_PASSWORD", "the password")
        .with_env_var("POSTGRES_DB", "goods")
        .start()
        .await
        .unwrap();
    let addr = at(&server, 5432).await;
    let as_whom = |password: &str, database: &str| {
        Probe::Postgres(PostgresLogin {
            host: PostgresHost::Tcp(addr),
            user: "shop".to_owned(),
            password: Some(password.to_owned()),
            database: database.to_owned(),
        })
    };
    ready(&as_whom("the password", "goods")).await;
    let wrong = as_whom("another one", "goods").test(LONG).await;
    assert!(!wrong.ok && wrong.output.contains("password"), "{}", wrong.output);
    let missing = as_whom("the password", "nothing").test(LONG).await;
    assert!(!missing.ok && missing.output.contains("nothing"), "{}", missing.output);
    server.stop().await.unwrap();
    assert!(!as_whom("the password", "goods").test(LONG).await.ok);
}

#[tokio::test]
async fn rabbitmq_is_ready_when_it_opens_a_connection_to_the_virtual_host() {
    let Some(_engine) = engine_with("rabbitmq:3.10-management").await else {
        return;
    };
    let server = GenericImage::new("rabbitmq", "3.10-management")
        .with_exposed_port(5672.tcp())
        .with_env_var("RABBITMQ_DEFAULT_USER", "shop")
        .with_env_var("RABBITMQ_DEFAULT_PASS", "the password")
        .with_env_var("RABBITMQ_DEFAULT_VHOST", "orders")
        .start()
        .await
        .unwrap();
    let addr = at(&server, 5672).await;
    let to = |password: &str, vhost: &str| {
        Probe::Amqp(AmqpLogin {
            addr,
            user: "shop".to_owned(),
            password: password.to_owned(),
            vhost: vhost.to_owned(),
            refusal_is_ready: false,
        })
    };
    ready(&to("the password", "orders")).await;
    assert!(!to("another one", "orders").test(LONG).await.ok);
    assert!(!to("the password", "nothing").test(LONG).await.ok);
}
