//! A stub in the provider's place, put there and taken away while the consumer goes on.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use devctl_edge::{EdgeId, Filter, Part, Protocol, Record, Recording, Served, Stub, StubBody, Target};
use futures::StreamExt;
use http::{Request, Response};

use crate::support::{Peer, edges, header, named, open, soon, until};

/// Answers with what it was asked.
struct Repeats;

#[async_trait]
impl Stub for Repeats {
    async fn answer(&self, edge: &EdgeId, request: Request<Bytes>) -> Response<StubBody> {
        let text = format!(
            "{edge} {} {} {}",
            request.method(),
            request.uri(),
            String::from_utf8_lossy(request.body())
        );
        let answer = Response::builder()
            .header("x-stub", "yes")
            .header("connection", "close");
        match request.uri().path() {
            "/panic" => panic!("as told"),
            "/stream" => {
                let parts = ["one ", "two ", "three"].map(|text| Part::Data(text.into()));
                answer
                    .body(StubBody::Stream(futures::stream::iter(parts).boxed()))
                    .unwrap()
            }
            "/never" => std::future::pending().await,
            _ => answer.body(text.into()).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_stub_answers_until_the_provider_is_back() {
    let edges = edges();
    let edge = open(&edges, Protocol::Auto).await;
    let _ = edge.target(Target::real(named("billing").await));
    let mut client = Peer::to(&edge).await;
    client.say("GET / HTTP/1.1\r\nHost: b\r\n\r\n").await;
    assert_eq!(client.answer().await.1, "billing");

    let _ = edge.target(Target::Stub(Arc::new(Repeats)));
    let before = edge.stats();
    client
        .say("POST /a?b=c HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n")
        .await;
    let head = client.head().await.unwrap();
    assert_eq!(
        (header(&head, "x-stub"), header(&head, "connection")),
        (Some("yes"), None)
    );
    let length = header(&head, "content-length").unwrap().parse().unwrap();
    assert_eq!(client.bytes(length).await, "api->billing:8080 POST /a?b=c abcd");

    until(&edge, "it is counted", |edge| edge.stats().requests == 2).await;
    let sent = edge.stats().bytes_out - before.bytes_out;
    assert_eq!(sent, 80, "a head of 61 bytes, and its chunks");
    assert!(edge.stats().bytes_in > before.bytes_in + length as u64);

    client.say("GET /stream HTTP/1.1\r\nHost: b\r\n\r\n").await;
    assert!(client.head().await.unwrap().contains("chunked"));
    assert_eq!(
        client.until("0\r\n\r\n").await.unwrap(),
        "4\r\none \r\n4\r\ntwo \r\n5\r\nthree\r\n0\r\n\r\n"
    );

    let _ = edge.target(Target::real(named("back").await));
    client.say("GET / HTTP/1.1\r\nHost: b\r\n\r\n").await;
    assert_eq!(client.answer().await.1, "back");
    until(&edge, "all are counted", |edge| edge.stats().requests == 4).await;
    let served: Vec<_> = edges
        .traffic()
        .records(&Filter::default(), 10)
        .into_iter()
        .filter_map(served)
        .collect();
    assert!(matches!(
        served[..],
        [
            Served::Provider { .. },
            Served::Stub,
            Served::Stub,
            Served::Provider { .. }
        ]
    ));
}

fn served(record: Record) -> Option<Served> {
    match record {
        Record::Exchange(exchange) => Some(exchange.served),
        _ => None,
    }
}

#[tokio::test]
async fn a_stub_that_panics_is_a_500() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::Stub(Arc::new(Repeats)));
    let mut client = Peer::to(&edge).await;
    client.say("GET /panic HTTP/1.1\r\nHost: b\r\n\r\n").await;
    let (line, why) = client.answer().await;
    assert_eq!(line, "HTTP/1.1 500 Internal Server Error");
    assert!(why.contains("the stub failed"), "{why}");
}

#[tokio::test]
async fn a_body_that_waits_for_leave_gets_it_from_the_edge() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::Stub(Arc::new(Repeats)));
    let mut client = Peer::to(&edge).await;
    client
        .say("PUT / HTTP/1.1\r\nHost: b\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .await;
    assert_eq!(client.head().await.unwrap(), "HTTP/1.1 100 Continue\r\n\r\n");
    client.say("ab").await;
    assert!(client.answer().await.1.ends_with("PUT / ab"));
}

#[tokio::test]
async fn a_caller_that_leaves_ends_the_stubs_work() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::Stub(Arc::new(Repeats)));
    let mut client = Peer::to(&edge).await;
    client.say("GET /never HTTP/1.1\r\nHost: b\r\n\r\n").await;
    let old = edge.target(Target::real(named("billing").await));
    until(&edge, "it is asked", |_| old.busy() == 1 || edge.stats().open == 1).await;
    drop(client);
    assert_eq!(
        soon("the drain", old.wait(std::time::Duration::from_secs(60)))
            .await
            .cut,
        0
    );
}

#[tokio::test]
async fn what_was_recorded_is_answered_when_the_provider_is_gone() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::real(named("as before").await));
    let mut client = Peer::to(&edge).await;
    client.say("GET /a?b=c HTTP/1.1\r\nHost: b\r\n\r\n").await;
    client.answer().await;
    until(&edge, "it is counted", |edge| edge.stats().requests == 1).await;
    let recording = Recording::new(&edges.traffic().records(&Filter::default(), 10));
    assert_eq!(recording.len(), 1);
    let _ = edge.target(Target::Stub(Arc::new(recording)));
    client.say("GET /a?b=c HTTP/1.1\r\nHost: b\r\n\r\n").await;
    assert_eq!(client.answer().await, ("HTTP/1.1 200 OK".into(), "as before".into()));
    client.say("GET /other HTTP/1.1\r\nHost: b\r\n\r\n").await;
    let (line, why) = client.answer().await;
    assert_eq!(line, "HTTP/1.1 501 Not Implemented");
    assert!(
        why.ends_with("no answer to GET /other is recorded; recorded are:\n  GET /a?b=c\n"),
        "{why}"
    );
}
