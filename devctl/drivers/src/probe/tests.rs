//! Real listeners. PostgreSQL and RabbitMQ are probed in their own modules' tests.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const LONG: Duration = Duration::from_secs(20);

/// A server that answers each connection with these bytes, once something was asked.
async fn answering(bytes: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    addr
}

/// An address where nobody listens.
async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn tcp_is_ready_when_it_accepts() {
    assert!(Probe::Tcp(answering(b"").await).test(LONG).await.ok);
    let addr = closed().await;
    let result = Probe::Tcp(addr).test(LONG).await;
    assert!(!result.ok);
    assert_eq!(result.output, format!("connect to {addr}: connection refused"));
}

#[tokio::test]
async fn http_is_ready_below_400() {
    let probe = |addr| Probe::Http {
        addr,
        path: "/healthz".into(),
        host: None,
    };
    let found = probe(answering(b"HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n").await)
        .test(LONG)
        .await;
    assert_eq!((found.ok, found.output.as_str()), (true, "GET /healthz: 302 Found"));
    let busy = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 8\r\n\r\nno db :(";
    let busy = probe(answering(busy).await).test(LONG).await;
    assert_eq!(
        (busy.ok, busy.output.as_str()),
        (false, "GET /healthz: 503 Service Unavailable no db :(")
    );
    assert!(!probe(answering(b"SSH-2.0\r\n").await).test(LONG).await.ok);
    assert!(!probe(answering(b"").await).test(LONG).await.ok);
}

#[tokio::test]
async fn one_that_says_nothing_costs_no_more_than_the_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let login = AmqpLogin {
        addr,
        user: "u".into(),
        password: "p".into(),
        vhost: "/".into(),
        refusal_is_ready: false,
    };
    for probe in [
        Probe::Http {
            addr,
            path: "/".into(),
            host: None,
        },
        Probe::Grpc {
            addr,
            service: String::new(),
        },
        Probe::Amqp(login),
    ] {
        let result = probe.test(Duration::from_millis(50)).await;
        assert_eq!((result.ok, result.output.as_str()), (false, "no answer within 50ms"));
    }
}

#[tokio::test]
async fn grpc_health_is_asked_of_a_real_server() {
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter
        .set_service_status("ready", tonic_health::ServingStatus::Serving)
        .await;
    reporter
        .set_service_status("busy", tonic_health::ServingStatus::NotServing)
        .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server = tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(incoming),
    );
    let ask = async |service: &str| {
        let result = Probe::Grpc {
            addr,
            service: service.into(),
        }
        .test(LONG)
        .await;
        (result.ok, result.output)
    };
    assert_eq!(ask("").await, (true, "SERVING".into()));
    assert_eq!(ask("ready").await, (true, "SERVING".into()));
    assert_eq!(ask("busy").await, (false, "NOT_SERVING".into()));
    assert_eq!(
        ask("none").await,
        (false, "the server does not know that service".into())
    );
    server.abort();
}

#[tokio::test]
async fn a_command_is_ready_with_status_0() {
    let probe = |script: &str| {
        Probe::Command(Box::new(ProcessSpec {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
            dir: "/".into(),
            ..ProcessSpec::default()
        }))
    };
    let good = probe("echo fine").test(LONG).await;
    assert_eq!((good.ok, good.output.as_str()), (true, "fine"));
    let bad = probe("echo broken >&2; exit 3").test(LONG).await;
    assert_eq!((bad.ok, bad.output.as_str()), (false, "broken\nstatus 3"));
    let slow = probe("echo first; exec /bin/sleep 1000")
        .test(Duration::from_millis(300))
        .await;
    assert_eq!(
        (slow.ok, slow.output.as_str()),
        (false, "first\ntook longer than 300ms")
    );
}

#[tokio::test]
async fn what_speaks_another_protocol_is_not_ready() {
    let addr = answering(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let login = AmqpLogin {
        addr,
        user: "u".into(),
        password: "p".into(),
        vhost: "/".into(),
        refusal_is_ready: false,
    };
    assert_eq!(Probe::Amqp(login).test(LONG).await.output, "it speaks no AMQP 0-9-1");
    let login = PostgresLogin {
        host: PostgresHost::Tcp(addr),
        user: "u".into(),
        password: None,
        database: "d".into(),
    };
    assert!(!Probe::Postgres(login).test(LONG).await.ok);
}
