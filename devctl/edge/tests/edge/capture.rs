//! What is captured, what is not, and how it is followed.

use devctl_edge::{
    CaptureLimits, Edges, EdgesConfig, Exchange, Filter, Followed, Outcome, Protocol, Record, Redaction, Served,
    Target, har,
};

use crate::support::{Peer, ok, open, provider, soon, until};

async fn repeating() -> std::net::SocketAddr {
    provider(|mut peer| async move {
        while let Some(head) = peer.head().await {
            let length = crate::support::header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
            let body = peer.bytes(length).await;
            peer.say(&format!(
                "HTTP/1.1 201 Created\r\nset-cookie: secret\r\ncontent-length: {length}\r\n\r\n{body}"
            ))
            .await;
        }
    })
    .await
}

fn exchange(record: &Record) -> &Exchange {
    match record {
        Record::Exchange(exchange) => exchange,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_exchange_is_captured_without_its_secrets() {
    let redact = Redaction::new(["X-Tenant", "$.card.number"]);
    let edges = Edges::new(EdgesConfig {
        redact,
        ..EdgesConfig::default()
    })
    .unwrap();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::real(repeating().await));
    let mut traffic = edges.traffic().follow(Filter::edge(edge.id()));
    let mut client = Peer::to(&edge).await;
    let body = r#"{"card":{"number":"4111"},"note":"hi"}"#;
    client
        .say(&format!(
            "POST /pay?x-tenant=acme&a=b HTTP/1.1\r\nHost: billing:8080\r\nAuthorization: Bearer abc\r\nX-Tenant: acme\r\n\
             Content-Length: {}\r\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n{body}",
            body.len()
        ))
        .await;
    assert_eq!(client.answer().await.1, body, "the consumer gets everything");
    let Some(Followed::Record(record)) = soon("the record", traffic.next()).await else {
        panic!("nothing was captured")
    };
    let seen = exchange(&record);
    assert_eq!(
        (seen.request.method.as_str(), seen.request.uri.as_str()),
        ("POST", "/pay?x-tenant=[redacted]&a=b")
    );
    assert_eq!(seen.request.authority, "billing:8080");
    assert_eq!(
        seen.request.body.text(),
        Some(r#"{"card":{"number":"[redacted]"},"note":"hi"}"#)
    );
    let trace = seen.trace.as_ref().unwrap();
    assert_eq!(
        (trace.trace_id.as_str(), trace.made),
        ("4bf92f3577b34da6a3ce929d0e0e4736", false)
    );
    let answer = seen.response.as_ref().unwrap();
    assert_eq!((answer.status, &seen.outcome), (201, &Outcome::Done));
    assert!(matches!(seen.served, Served::Provider { .. }));
    assert!(seen.timing.first_byte.unwrap() <= seen.timing.total);
    let json = serde_json::to_string(&record).unwrap();
    for secret in ["Bearer abc", "acme", "4111", "secret"] {
        assert!(!json.contains(secret), "{secret} in {json}");
    }
    let archive = har([&record]);
    let entry = &archive["log"]["entries"][0];
    assert_eq!(
        entry["request"]["url"],
        "http://billing:8080/pay?x-tenant=[redacted]&a=b"
    );
    assert_eq!(entry["request"]["queryString"][1]["value"], "b");
    assert_eq!(entry["response"]["status"], 201);
    assert_eq!(entry["_edge"], "api->billing:8080");
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let capture = CaptureLimits {
        records: 3,
        bytes: 1 << 20,
        body: 8,
    };
    let edges = Edges::new(EdgesConfig {
        capture,
        ..EdgesConfig::default()
    })
    .unwrap();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::real(repeating().await));
    let mut client = Peer::to(&edge).await;
    for _ in 0..10 {
        client
            .say("PUT / HTTP/1.1\r\nHost: b\r\nContent-Length: 20\r\n\r\n01234567890123456789")
            .await;
        client.answer().await;
    }
    until(&edge, "all are counted", |edge| edge.stats().requests == 10).await;
    let mut following = edges.traffic().follow(Filter {
        after: Some(0),
        ..Filter::default()
    });
    let mut numbers = Vec::new();
    while numbers.last() != Some(&10) {
        let Some(Followed::Record(record)) = soon("a record", following.next()).await else {
            panic!("missed some")
        };
        let seen = exchange(&record);
        numbers.push(seen.number);
        assert_eq!(
            (seen.request.body.data.as_slice(), seen.request.body.size),
            (&b"01234567"[..], 20)
        );
        assert!(seen.request.body.truncated && seen.response.as_ref().unwrap().body.truncated);
    }
    assert_eq!(numbers, [8, 9, 10]);
    assert_eq!(edges.traffic().records(&Filter::default(), 2).len(), 2);
    let others = Filter {
        consumer: Some("other".into()),
        ..Filter::default()
    };
    assert!(edges.traffic().records(&others, 10).is_empty());
}

#[tokio::test]
async fn capturing_can_be_off() {
    let edges = crate::support::edges();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::real(repeating().await));
    edges.traffic().capture(false);
    let mut client = Peer::to(&edge).await;
    client.say("GET / HTTP/1.1\r\nHost: b\r\n\r\n").await;
    assert_eq!(client.answer().await.0, "HTTP/1.1 201 Created");
    edges.traffic().capture(true);
    client.say("GET /2 HTTP/1.1\r\nHost: b\r\n\r\n").await;
    client.answer().await;
    let mut following = edges.traffic().follow(Filter {
        after: Some(0),
        ..Filter::default()
    });
    let Some(Followed::Record(record)) = soon("a record", following.next()).await else {
        panic!("nothing")
    };
    assert_eq!(exchange(&record).request.uri, "/2");
    until(&edge, "both are counted", |edge| edge.stats().requests == 2).await;
}

#[tokio::test]
async fn a_connection_that_is_passed_through_is_a_record() {
    let edges = crate::support::edges();
    let edge = open(&edges, Protocol::Tcp).await;
    let _ = edge.target(Target::real(
        provider(|mut peer| async move { peer.say(&ok("x")).await }).await,
    ));
    let mut traffic = edges.traffic().follow(Filter::default());
    let mut client = Peer::to(&edge).await;
    client.answer().await;
    drop(client);
    let Some(Followed::Record(Record::Connection(seen))) = soon("the record", traffic.next()).await else {
        panic!("none")
    };
    assert_eq!(
        (seen.protocol, seen.bytes_out, seen.bytes_in),
        (Protocol::Tcp, 0, ok("x").len() as u64)
    );
}

#[tokio::test]
async fn chunks_hide_no_secret() {
    let redact = Redaction::new(["password"]);
    let edges = Edges::new(EdgesConfig {
        redact,
        ..EdgesConfig::default()
    })
    .unwrap();
    let edge = open(&edges, Protocol::Http).await;
    let chunked = provider(|mut peer| async move {
        peer.until("0\r\n\r\n").await;
        peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        peer.say("6\r\n{\"pass\r\nc\r\nword\":\"def\"}\r\n0\r\n\r\n").await;
        peer.head().await;
    });
    let _ = edge.target(Target::real(chunked.await));
    let mut traffic = edges.traffic().follow(Filter::default());
    let mut client = Peer::to(&edge).await;
    client
        .say("POST / HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    client.say("b\r\n{\"password\"\r\n7\r\n:\"abc\"}\r\n0\r\n\r\n").await;
    assert!(client.until("0\r\n\r\n").await.unwrap().contains("def"));
    let Some(Followed::Record(record)) = soon("the record", traffic.next()).await else {
        panic!("none")
    };
    let seen = exchange(&record);
    assert_eq!(seen.request.body.text(), Some(r#"{"password":"[redacted]"}"#));
    assert_eq!(
        seen.response.as_ref().unwrap().body.text(),
        Some(r#"{"password":"[redacted]"}"#)
    );
}
