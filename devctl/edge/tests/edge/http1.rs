//! HTTP/1 goes through as it came: bodies of every framing, upgrades, half-closed and vanishing ends.

use devctl_edge::{Outcome, Protocol, Record, Target};
use futures::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Peer, edges, header, named, ok, open, provider, rest, soon, until};

#[tokio::test]
async fn requests_on_one_connection_are_answered_in_turn() {
    for protocol in [Protocol::Auto, Protocol::Http] {
        let edges = edges();
        let edge = open(&edges, protocol).await;
        let _ = edge.target(Target::real(named("billing").await));
        let mut client = Peer::to(&edge).await;
        for _ in 0..3 {
            client.say("GET /a HTTP/1.1\r\nHost: billing:8080\r\n\r\n").await;
            assert_eq!(client.answer().await, ("HTTP/1.1 200 OK".into(), "billing".into()));
        }
        // Pipelined.
        client.say(&"GET /a HTTP/1.1\r\nHost: billing\r\n\r\n".repeat(5)).await;
        for _ in 0..5 {
            assert_eq!(client.answer().await.1, "billing");
        }
        until(&edge, "all are counted", |edge| edge.stats().requests == 8).await;
        assert_eq!((edge.stats().protocol, edge.stats().errors), (Protocol::Http, 0));
    }
}

#[tokio::test]
async fn a_head_goes_on_as_it_came_with_a_trace() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let seen = provider(|mut peer| async move {
        while let Some(head) = peer.head().await {
            peer.say(&ok(&head)).await;
        }
    });
    let _ = edge.target(Target::real(seen.await));
    let mut client = Peer::to(&edge).await;
    let head = "GET /a?b=%20c HTTP/1.1\r\nhost: Billing:8080\r\nX-Odd:   spaced  \r\nx-odd: twice\r\n";
    client.say(&format!("{head}\r\n")).await;
    let got = client.answer().await.1;
    assert!(got.starts_with(head), "{got}");
    let made = header(&got, "traceparent").unwrap().to_owned();
    assert_eq!((made.len(), &made[..3], &made[52..]), (55, "00-", "-01"));

    let sent = format!("{head}traceparent: {made}\r\n\r\n");
    client.say(&sent).await;
    assert_eq!(client.answer().await.1, sent);
}

#[tokio::test]
async fn bodies_of_every_framing_go_both_ways() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let chunked = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n";
    let repeats = provider(move |mut peer| async move {
        while let Some(head) = peer.head().await {
            if header(&head, "transfer-encoding").is_some() {
                let body = peer.until("\r\n\r\n").await.unwrap();
                peer.say(&format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}"))
                    .await;
            } else if let Some(length) = header(&head, "content-length") {
                let body = peer.bytes(length.parse().unwrap()).await;
                peer.say(&ok(&body)).await;
            } else {
                // Until the connection closes.
                peer.say("HTTP/1.0 200 OK\r\n\r\nall of it").await;
                return;
            }
        }
    });
    let _ = edge.target(Target::real(repeats.await));
    let mut client = Peer::to(&edge).await;
    client
        .say(&format!(
            "POST / HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\n{chunked}"
        ))
        .await;
    assert!(client.head().await.unwrap().contains("chunked"));
    assert_eq!(
        soon("the end of the chunks", client.until("X-Sum: 11\r\n\r\n"))
            .await
            .unwrap(),
        chunked
    );

    client
        .say("POST / HTTP/1.1\r\nHost: b\r\nContent-Length: 6\r\n\r\nabc")
        .await;
    client.say("def").await;
    assert_eq!(client.answer().await.1, "abcdef");

    client.say("GET / HTTP/1.1\r\nHost: b\r\n\r\n").await;
    assert!(client.head().await.is_some());
    let mut all = client.read.clone();
    all.extend(rest(&mut client.stream).await.unwrap());
    assert_eq!(all, b"all of it");
}

#[tokio::test]
async fn head_requests_and_empty_answers_have_no_body() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let bodiless = provider(|mut peer| async move {
        while let Some(head) = peer.head().await {
            let status = if head.starts_with("HEAD") {
                "200 OK"
            } else {
                "304 Not Modified"
            };
            peer.say(&format!("HTTP/1.1 {status}\r\ncontent-length: 1000\r\n\r\n"))
                .await;
        }
    });
    let _ = edge.target(Target::real(bodiless.await));
    let mut client = Peer::to(&edge).await;
    for method in ["HEAD", "GET", "HEAD"] {
        client.say(&format!("{method} / HTTP/1.1\r\nHost: b\r\n\r\n")).await;
        assert!(
            soon("a head", client.head())
                .await
                .unwrap()
                .contains("content-length: 1000")
        );
    }
}

#[tokio::test]
async fn a_client_is_told_to_continue_by_the_provider_itself() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let asks = provider(|mut peer| async move {
        let head = peer.head().await.unwrap();
        assert_eq!(header(&head, "expect"), Some("100-continue"));
        peer.say("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
            .await;
        let body = peer.bytes(4).await;
        peer.say(&ok(&body)).await;
    });
    let _ = edge.target(Target::real(asks.await));
    let mut client = Peer::to(&edge).await;
    client
        .say("PUT / HTTP/1.1\r\nHost: b\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .await;
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 103"));
    assert!(client.head().await.unwrap().starts_with("HTTP/1.1 100"));
    client.say("body").await;
    assert_eq!(client.answer().await.1, "body");
}

#[tokio::test]
async fn an_answer_before_the_end_of_the_request_arrives() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let early = provider(|mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 413 Payload Too Large\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno")
            .await;
        peer.bytes(4).await;
    });
    let _ = edge.target(Target::real(early.await));
    let mut client = Peer::to(&edge).await;
    client
        .say("PUT / HTTP/1.1\r\nHost: b\r\nContent-Length: 100000\r\n\r\nsome")
        .await;
    assert_eq!(
        client.answer().await,
        ("HTTP/1.1 413 Payload Too Large".into(), "no".into())
    );
}

#[tokio::test]
async fn a_websocket_is_a_tunnel() {
    let edges = edges();
    let edge = open(&edges, Protocol::Auto).await;
    let echo = provider(|peer| async move {
        let mut socket = tokio_tungstenite::accept_async(peer.stream).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() || socket.send(message).await.is_err() {
                break;
            }
        }
    });
    let _ = edge.target(Target::real(echo.await));
    let url = format!("ws://{}/socket", edge.address());
    let (mut socket, _) = soon("the upgrade", tokio_tungstenite::connect_async(url))
        .await
        .unwrap();
    for size in [1, 100, 100_000] {
        socket.send(Message::binary(vec![7; size])).await.unwrap();
        assert_eq!(soon("the echo", socket.next()).await.unwrap().unwrap().len(), size);
    }
    socket.close(None).await.unwrap();
    while socket.next().await.is_some() {}
    drop(socket);
    until(&edge, "it is counted", |edge| edge.stats().requests == 1).await;
}

#[tokio::test]
async fn a_client_that_closes_its_half_gets_its_answer() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let patient = provider(|mut peer| async move {
        peer.head().await;
        // Until the client's half is closed here as well.
        while peer.until("never").await.is_some() {}
        peer.say(&ok("late")).await;
    });
    let _ = edge.target(Target::real(patient.await));
    let mut client = Peer::to(&edge).await;
    client.say("GET / HTTP/1.1\r\nHost: b\r\n\r\n").await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.answer().await.1, "late");
    assert!(rest(&mut client.stream).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_provider_that_dies_is_a_502_that_says_so_and_nothing_is_sent_twice() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let (heard, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let dies = provider(move |mut peer| {
        let heard = heard.clone();
        async move {
            let head = peer.head().await.unwrap();
            heard.send(head).unwrap();
        }
    });
    let _ = edge.target(Target::real(dies.await));
    let mut client = Peer::to(&edge).await;
    client
        .say("POST /pay HTTP/1.1\r\nHost: b\r\nContent-Length: 0\r\n\r\n")
        .await;
    let (line, why) = client.answer().await;
    assert_eq!(line, "HTTP/1.1 502 Bad Gateway");
    assert_eq!(
        why,
        "api->billing:8080: billing closed the connection without an answer\n"
    );
    assert!(requests.recv().await.unwrap().starts_with("POST /pay"));
    assert!(requests.try_recv().is_err());
    // The same connection goes on.
    let _ = edge.target(Target::real(named("again").await));
    client.say("GET / HTTP/1.1\r\nHost: b\r\n\r\n").await;
    assert_eq!(client.answer().await.1, "again");
}

#[tokio::test]
async fn half_an_answer_does_not_look_like_a_whole_one() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let half = provider(|mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    });
    let _ = edge.target(Target::real(half.await));
    let mut client = Peer::to(&edge).await;
    client.say("GET / HTTP/1.1\r\nHost: b\r\n\r\n").await;
    assert!(client.head().await.unwrap().contains("200"));
    assert!(rest(&mut client.stream).await.is_err(), "it is a reset");
    until(&edge, "it is an error", |edge| edge.stats().errors == 1).await;
}

#[tokio::test]
async fn a_client_that_leaves_is_told_to_the_provider() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let (told, mut left) = tokio::sync::mpsc::unbounded_channel();
    let waits = provider(move |mut peer| {
        let told = told.clone();
        async move {
            peer.head().await;
            told.send("asked").unwrap();
            assert!(peer.head().await.is_none());
            told.send("left").unwrap();
        }
    });
    let _ = edge.target(Target::real(waits.await));
    let mut client = Peer::to(&edge).await;
    client.say("GET / HTTP/1.1\r\nHost: b\r\n\r\n").await;
    assert_eq!(left.recv().await, Some("asked"));
    drop(client);
    assert_eq!(soon("the news", left.recv()).await, Some("left"));
}

#[tokio::test]
async fn what_nobody_can_be_sure_about_is_a_400() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::real(named("billing").await));
    let long = format!("GET / HTTP/1.1\r\nHost: b\r\nX: {}\r\n\r\n", "x".repeat(70_000));
    for (request, status) in [
        (
            "GET / HTTP/1.1\r\nHost: b\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "400",
        ),
        ("GET / HTTP/1.1\r\nHost: b\r\nBad Header: 1\r\n\r\n", "400"),
        (
            "POST / HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "400",
        ),
        (long.as_str(), "431"),
    ] {
        let mut client = Peer::to(&edge).await;
        client.say(request).await;
        let (line, _) = client.answer().await;
        assert!(line.contains(status), "{line} to {request:.100}");
        assert!(rest(&mut client.stream).await.unwrap().is_empty());
    }
    let failed = edges.traffic().records(&devctl_edge::Filter::default(), 10);
    assert!(
        failed
            .iter()
            .all(|record| matches!(record, Record::Exchange(seen) if seen.outcome == Outcome::Done))
    );
}

#[tokio::test]
async fn a_provider_that_answers_and_hangs_up_before_the_request_is_whole_ends_both() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let refuses = provider(|mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno")
            .await;
    });
    let _ = edge.target(Target::real(refuses.await));
    let mut client = Peer::to(&edge).await;
    client
        .say("PUT / HTTP/1.1\r\nHost: b\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        .await;
    assert_eq!(client.answer().await, ("HTTP/1.1 401 Unauthorized".into(), "no".into()));
    assert!(rest(&mut client.stream).await.unwrap().is_empty());
}
