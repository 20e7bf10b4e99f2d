//! gRPC through an edge: unary, streams both ways, trailers, deadlines, swaps. Real servers and clients of tonic.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use devctl_edge::{Edge, EdgeId, Fault, FaultKind, Filter, Followed, Protocol, Record, Stub, StubBody, Target};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, transport};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::HealthReporter;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use crate::support::{ANY, edges, open, soon, until};

/// A server that says which services it knows: `name` alone.
async fn server(name: &str) -> (SocketAddr, HealthReporter) {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_service_status(name, ServingStatus::Serving).await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .unwrap();
    let serving = Server::builder().add_service(health).add_service(reflection);
    tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));
    (address, reporter)
}

async fn channel(edge: &Edge) -> Channel {
    let endpoint: Endpoint = transport::Endpoint::from_shared(format!("http://{}", edge.address())).unwrap();
    soon("the channel", endpoint.connect()).await.unwrap()
}

/// A provider that tells when the first word of `real` has been passed on to whoever has called.
async fn told_of_its_greeting(real: SocketAddr) -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, greeted) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(real).await.unwrap();
        let mut word = [0; 1024];
        let length = far.read(&mut word).await.unwrap();
        near.write_all(&word[..length]).await.unwrap();
        tell.send(()).unwrap();
        tokio::io::copy_bidirectional(&mut near, &mut far).await
    });
    (address, greeted)
}

#[tokio::test]
async fn a_server_that_greets_before_it_is_spoken_to_is_no_plain_tcp() {
    let edges = edges();
    let edge = open(&edges, Protocol::Auto).await;
    let (address, mut greeted) = told_of_its_greeting(server("billing").await.0).await;
    let _ = edge.target(Target::real(address));
    let stream = TcpStream::connect(edge.address()).await.unwrap();
    soon("the greeting", greeted.recv()).await.unwrap();
    let (mut client, connection) = soon("a connection", h2::client::handshake(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post(format!("http://{}/grpc.health.v1.Health/Check", edge.address()))
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    soon("an answer", response).await.unwrap();
    assert_eq!(edge.stats().protocol, Protocol::Grpc);
}

fn service(name: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: name.into() }
}

/// Whether the server behind the edge knows this service.
async fn knows(client: &mut HealthClient<Channel>, name: &str) -> Result<i32, Code> {
    let answer = soon("the answer", client.check(service(name))).await;
    answer
        .map(|answer| answer.into_inner().status)
        .map_err(|status| status.code())
}

#[tokio::test]
async fn unary_calls_and_their_trailers_go_through() {
    for protocol in [Protocol::Auto, Protocol::Grpc, Protocol::Http] {
        let edges = edges();
        let edge = open(&edges, protocol).await;
        let _ = edge.target(Target::real(server("billing").await.0));
        let mut client = HealthClient::new(channel(&edge).await);
        assert_eq!(knows(&mut client, "billing").await, Ok(1));
        assert_eq!(knows(&mut client, "other").await, Err(Code::NotFound));
        assert_eq!(edge.stats().protocol, Protocol::Grpc);
        until(&edge, "both are counted", |edge| edge.stats().requests == 2).await;
        assert_eq!(edge.stats().errors, 0);
        let mut traffic = edges.traffic().follow(Filter {
            after: Some(0),
            ..Filter::default()
        });
        for status in [0, 5] {
            let Some(Followed::Record(Record::Exchange(seen))) = traffic.next().await else {
                panic!("no record")
            };
            assert_eq!(seen.request.uri, "/grpc.health.v1.Health/Check");
            assert_eq!(seen.response.unwrap().grpc_status(), Some(status));
            assert!(seen.trace.unwrap().made);
        }
    }
}

#[tokio::test]
async fn streams_go_both_ways_at_once() {
    let edges = edges();
    let edge = open(&edges, Protocol::Grpc).await;
    let (address, reporter) = server("billing").await;
    let _ = edge.target(Target::real(address));
    let channel = channel(&edge).await;

    let mut watch = HealthClient::new(channel.clone())
        .watch(service("billing"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(soon("a message", watch.next()).await.unwrap().unwrap().status, 1);
    reporter.set_service_status("billing", ServingStatus::NotServing).await;
    assert_eq!(soon("a message", watch.next()).await.unwrap().unwrap().status, 2);

    let (ask, asked) = tokio::sync::mpsc::channel(1);
    let asked = tokio_stream::wrappers::ReceiverStream::new(asked);
    let mut client = ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(asked).await.unwrap().into_inner();
    for _ in 0..3 {
        let message_request = Some(MessageRequest::ListServices(String::new()));
        ask.send(ServerReflectionRequest {
            host: String::new(),
            message_request,
        })
        .await
        .unwrap();
        assert!(soon("an answer", answers.next()).await.unwrap().is_ok());
    }
    drop(ask);
    assert!(soon("the end", answers.next()).await.is_none());
}

#[tokio::test]
async fn calls_wait_and_go_to_the_new_run_over_the_same_connection() {
    let edges = edges();
    let edge = open(&edges, Protocol::Grpc).await;
    let (address, _reporter) = server("old").await;
    let _ = edge.target(Target::real(address));
    let channel = channel(&edge).await;
    let mut client = HealthClient::new(channel.clone());
    assert_eq!(knows(&mut client, "old").await, Ok(1));
    let mut stream = client.watch(service("old")).await.unwrap().into_inner();
    assert!(stream.next().await.unwrap().is_ok());

    let old = edge.target(Target::hold("billing is being built"));
    let held: Vec<_> = (0..20)
        .map(|_| {
            let mut client = HealthClient::new(channel.clone());
            tokio::spawn(async move { knows(&mut client, "new").await })
        })
        .collect();
    until(&edge, "all wait", |edge| edge.held().waiting == 20).await;
    let _ = edge.target(Target::real(server("new").await.0));
    for call in held {
        assert_eq!(soon("the call", call).await.unwrap(), Ok(1));
    }
    assert_eq!(edge.stats().connections, 1);
    assert_eq!(edge.held().held, 20);
    // The stream is the old run's last.
    assert_eq!(old.busy(), 1);
    assert_eq!(soon("the drain", old.wait(Duration::from_millis(20))).await.cut, 1);
    assert!(soon("the end", stream.next()).await.unwrap().is_err());
}

#[tokio::test]
async fn a_held_call_ends_with_its_callers_deadline() {
    let edges = edges();
    let edge = open(&edges, Protocol::Grpc).await;
    // Not with tonic: its client keeps the deadline by itself, and the edge's answer would not be seen.
    let socket = tokio::net::TcpStream::connect(edge.address()).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("http://billing/a.B/C").header("content-type", "application/grpc+proto");
    let (answer, _) = client
        .send_request(request.header("grpc-timeout", "50m").body(()).unwrap(), true)
        .unwrap();
    let answer = soon("the deadline", answer).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["grpc-status"]),
        (200, &"4".parse().unwrap())
    );
    assert_eq!(edge.held().waiting, 0);
}

#[tokio::test]
async fn a_held_call_whose_caller_left_is_never_made() {
    let edges = edges();
    let edge = open(&edges, Protocol::Grpc).await;
    let client = HealthClient::new(channel(&edge).await);
    let mut leaving = client.clone();
    let call = tokio::spawn(async move { leaving.check(service("billing")).await.map(|_| ()) });
    until(&edge, "it waits", |edge| edge.held().waiting == 1).await;
    call.abort();
    until(&edge, "it left", |edge| edge.held().left == 1).await;
}

#[tokio::test]
async fn what_is_refused_is_a_grpc_status_that_says_why() {
    let edges = edges();
    let edge = open(&edges, Protocol::Grpc).await;
    let _ = edge.target(Target::refused("billing exited with 101"));
    let mut client = HealthClient::new(channel(&edge).await);
    let status = client.check(service("billing")).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "api->billing:8080: billing exited with 101")
    );
    edge.add_fault(Fault::new(FaultKind::Error { status: 403 }));
    assert_eq!(knows(&mut client, "billing").await, Err(Code::PermissionDenied));
    edge.clear_faults();
    // Nobody listens there.
    let gone = TcpListener::bind(ANY).await.unwrap().local_addr().unwrap();
    let _ = edge.target(Target::real(gone));
    let status = client.check(service("billing")).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("billing cannot be reached"), "{status:?}");
}

/// Says SERVING of everything.
struct AllServing;

#[async_trait]
impl Stub for AllServing {
    async fn answer(&self, _edge: &EdgeId, request: Request<Bytes>) -> Response<StubBody> {
        assert_eq!(request.body()[0], 0, "a length-prefixed message");
        let trailers = HeaderMap::from_iter([("grpc-status".parse().unwrap(), "0".parse().unwrap())]);
        let message = Bytes::from_static(&[0, 0, 0, 0, 2, 8, 1]);
        let answer = Response::builder().header("content-type", "application/grpc");
        answer.body(StubBody::with_trailers(message, trailers)).unwrap()
    }
}

#[tokio::test]
async fn a_stub_answers_with_trailers() {
    let edges = edges();
    let edge = open(&edges, Protocol::Auto).await;
    let _ = edge.target(Target::Stub(Arc::new(AllServing)));
    let mut client = HealthClient::new(channel(&edge).await);
    assert_eq!(knows(&mut client, "anything").await, Ok(1));
    let _ = edge.target(Target::real(server("billing").await.0));
    assert_eq!(knows(&mut client, "anything").await, Err(Code::NotFound));
}

#[tokio::test]
async fn a_refused_stream_is_sent_again_and_nothing_else() {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        let mut count = 0;
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            count += 1;
            told.send(request.uri().path().to_owned()).unwrap();
            match count {
                1 => respond.send_reset(h2::Reason::REFUSED_STREAM),
                2 => {
                    let mut body = request.into_body();
                    tokio::spawn(async move {
                        let mut all = Vec::new();
                        while let Some(Ok(chunk)) = body.data().await {
                            all.extend_from_slice(&chunk);
                        }
                        let mut stream = respond.send_response(Response::new(()), false).unwrap();
                        stream.send_data(all.into(), true).unwrap();
                    });
                }
                _ => respond.send_reset(h2::Reason::INTERNAL_ERROR),
            }
        }
    });
    let edges = edges();
    let edge = open(&edges, Protocol::Http2).await;
    let _ = edge.target(Target::real(address));
    let socket = tokio::net::TcpStream::connect(edge.address()).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    tokio::spawn(connection);
    let post = |path| Request::post(format!("http://billing{path}")).body(()).unwrap();
    let (answer, mut body) = client.send_request(post("/first"), false).unwrap();
    body.send_data("the body".into(), true).unwrap();
    let mut answer = soon("the answer", answer).await.unwrap().into_body();
    assert_eq!(answer.data().await.unwrap().unwrap(), "the body");
    let (answer, _) = client.send_request(post("/second"), true).unwrap();
    let error = soon("the reset", answer).await.unwrap_err();
    assert_eq!(error.reason(), Some(h2::Reason::INTERNAL_ERROR));
    assert_eq!(seen.recv().await.unwrap(), "/first");
    assert_eq!(seen.recv().await.unwrap(), "/first");
    assert_eq!(seen.recv().await.unwrap(), "/second");
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn faults_meet_single_calls() {
    let edges = edges();
    let edge = open(&edges, Protocol::Grpc).await;
    let _ = edge.target(Target::real(server("billing").await.0));
    let mut client = HealthClient::new(channel(&edge).await);
    let latency = FaultKind::Latency {
        latency: Duration::from_millis(60),
        jitter: Duration::ZERO,
    };
    edge.add_fault(Fault::new(latency.clone()));
    edge.add_fault(Fault::new(latency).upstream());
    let asked = std::time::Instant::now();
    assert_eq!(knows(&mut client, "billing").await, Ok(1));
    assert!(asked.elapsed() >= Duration::from_millis(120), "{:?}", asked.elapsed());
    edge.clear_faults();
    edge.add_fault(Fault::new(FaultKind::ResetPeer {
        timeout: Duration::ZERO,
    }));
    assert_eq!(knows(&mut client, "billing").await, Err(Code::Internal));
    edge.clear_faults();
    edge.add_fault(Fault::new(FaultKind::LimitData { bytes: 3 }));
    assert!(knows(&mut client, "billing").await.is_err());
    edge.clear_faults();
    assert_eq!(knows(&mut client, "billing").await, Ok(1));
    assert_eq!(edge.stats().connections, 1, "the connection has seen it all");
}

#[tokio::test]
async fn a_burst_of_cancelled_calls_does_not_cost_the_connection() {
    let edges = edges();
    let edge = open(&edges, Protocol::Grpc).await;
    let client = HealthClient::new(channel(&edge).await);
    let calls: Vec<_> = (0..300)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.check(service("billing")).await.map(|_| ()) })
        })
        .collect();
    until(&edge, "all wait", |edge| edge.held().waiting == 300).await;
    for call in &calls {
        call.abort();
    }
    until(&edge, "all left", |edge| edge.held().left == 300).await;
    let _ = edge.target(Target::real(server("billing").await.0));
    assert_eq!(knows(&mut client.clone(), "billing").await, Ok(1));
    assert_eq!(edge.stats().connections, 1);
}
