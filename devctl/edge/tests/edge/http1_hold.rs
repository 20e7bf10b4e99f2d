//! HTTP/1 while the provider is away, replaced, failed.

use std::time::Duration;

use devctl_edge::{HoldLimits, Protocol, Target};

use crate::support::{Peer, edges, named, ok, open, provider, rest, soon, spec, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: billing\r\n\r\n";

#[tokio::test]
async fn a_request_on_a_kept_alive_connection_waits_for_the_next_run() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::real(named("old").await));
    let mut client = Peer::to(&edge).await;
    client.say(GET).await;
    assert_eq!(client.answer().await.1, "old");

    let old = edge.target(Target::hold("billing is being built"));
    assert_eq!(soon("the drain", old.wait(Duration::from_secs(60))).await.cut, 0);
    client.say(GET).await;
    let mut another = Peer::to(&edge).await;
    another
        .say("POST / HTTP/1.1\r\nHost: billing\r\nContent-Length: 0\r\n\r\n")
        .await;
    until(&edge, "both wait", |edge| edge.held().waiting == 2).await;
    let _ = edge.target(Target::real(named("new").await));
    assert_eq!(client.answer().await.1, "new");
    assert_eq!(another.answer().await.1, "new");
    let held = edge.held();
    assert_eq!((held.held, held.waiting, held.refused), (2, 0, 0));
    assert!(held.longest > Duration::ZERO);
    assert_eq!(edge.stats().errors, 0);
}

#[tokio::test]
async fn what_has_begun_ends_at_the_old_run_while_the_new_one_serves() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let (go, gone) = tokio::sync::watch::channel(false);
    let slow = provider(move |mut peer| {
        let mut gone = gone.clone();
        async move {
            peer.head().await;
            peer.say("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nold ").await;
            gone.wait_for(|go| *go).await.unwrap();
            peer.say("done").await;
            assert!(peer.head().await.is_none(), "no request comes to the old run any more");
        }
    });
    let _ = edge.target(Target::real(slow.await));
    let mut client = Peer::to(&edge).await;
    client.say(GET).await;
    assert!(client.head().await.is_some());
    let old = edge.target(Target::real(named("new").await));
    let mut another = Peer::to(&edge).await;
    another.say(GET).await;
    assert_eq!(another.answer().await.1, "new");
    assert_eq!(old.busy(), 1);
    go.send(true).unwrap();
    assert_eq!(client.bytes(8).await, "old done");
    assert_eq!(soon("the drain", old.wait(Duration::from_secs(60))).await.cut, 0);
    client.say(GET).await;
    assert_eq!(client.answer().await.1, "new");
}

#[tokio::test]
async fn a_stream_that_never_ends_is_cut_at_the_deadline() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let endless = provider(|mut peer| async move {
        peer.head().await;
        peer.say("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n")
            .await;
        peer.head().await;
    });
    let _ = edge.target(Target::real(endless.await));
    let mut client = Peer::to(&edge).await;
    client.say(GET).await;
    assert!(soon("an event", client.until("data: 1\n\n")).await.is_some());
    let old = edge.target(Target::real(named("new").await));
    assert_eq!(soon("the drain", old.wait(Duration::from_millis(20))).await.cut, 1);
    assert!(rest(&mut client.stream).await.is_err());
}

#[tokio::test]
async fn who_waits_too_long_or_comes_too_late_is_told_why() {
    let edges = edges();
    let limits = HoldLimits {
        requests: 1,
        time: Duration::from_millis(100),
        ..HoldLimits::default()
    };
    let edge = edges.open(spec(Protocol::Http).hold(limits)).await.unwrap();
    let _ = edge.target(Target::hold("billing is being built"));
    let mut first = Peer::to(&edge).await;
    first.say(GET).await;
    until(&edge, "one waits", |edge| edge.held().waiting == 1).await;
    let mut second = Peer::to(&edge).await;
    second.say(GET).await;
    let (line, why) = second.answer().await;
    assert_eq!(line, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(
        why,
        "api->billing:8080: billing is being built: 1 requests wait already (x-devctl.edges: hold.requests)\n"
    );
    let (line, why) = first.answer().await;
    assert_eq!(line, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(
        why,
        "api->billing:8080: billing is being built: waited 100ms (x-devctl.edges: hold.time)\n"
    );
    assert_eq!(edge.held().refused, 2);
    let _ = edge.target(Target::real(named("new").await));
    first.say(GET).await;
    assert_eq!(first.answer().await.1, "new");
}

#[tokio::test]
async fn a_request_whose_caller_left_is_never_sent() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let mut client = Peer::to(&edge).await;
    client
        .say("POST /pay HTTP/1.1\r\nHost: billing\r\nContent-Length: 4\r\n\r\nbody")
        .await;
    until(&edge, "it waits", |edge| edge.held().waiting == 1).await;
    drop(client);
    until(&edge, "it left", |edge| edge.held().left == 1).await;
    let quiet = provider(|mut peer| async move {
        assert!(!peer.head().await.unwrap().contains("/pay"));
        peer.say(&ok("only this")).await;
    });
    let _ = edge.target(Target::real(quiet.await));
    let mut another = Peer::to(&edge).await;
    another.say(GET).await;
    assert_eq!(another.answer().await.1, "only this");
}

#[tokio::test]
async fn a_large_body_waits_at_its_sender() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let mut client = Peer::to(&edge).await;
    let body = "x".repeat(3_000_000);
    let head = format!(
        "PUT / HTTP/1.1\r\nHost: billing\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let sent = tokio::spawn(async move {
        client.say(&(head + &body)).await;
        client.answer().await.1
    });
    until(&edge, "it waits", |edge| edge.held().waiting == 1).await;
    let counts = provider(|mut peer| async move {
        peer.head().await;
        let count = peer.bytes(3_000_000).await.len();
        peer.say(&ok(&count.to_string())).await;
    });
    let _ = edge.target(Target::real(counts.await));
    assert_eq!(soon("the answer", sent).await.unwrap(), "3000000");
}

#[tokio::test]
async fn a_provider_that_failed_is_a_503_that_says_why() {
    let edges = edges();
    let edge = open(&edges, Protocol::Auto).await;
    let _ = edge.target(Target::refused("billing exited with 101"));
    let mut client = Peer::to(&edge).await;
    for _ in 0..2 {
        client.say(GET).await;
        let (line, why) = client.answer().await;
        assert_eq!(line, "HTTP/1.1 503 Service Unavailable");
        assert_eq!(why, "api->billing:8080: billing exited with 101\n");
    }
}

#[tokio::test]
async fn replicas_take_turns() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::Real(vec![named("a").await, named("b").await]));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let mut client = Peer::to(&edge).await;
        client.say(GET).await;
        seen.push(client.answer().await.1);
    }
    assert_eq!(seen, ["a", "b", "a", "b"]);
}

#[tokio::test]
async fn a_provider_that_closes_idle_connections_is_not_noticed() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let (closed, mut closing) = tokio::sync::mpsc::unbounded_channel();
    let once = provider(move |mut peer| {
        let closed = closed.clone();
        async move {
            peer.head().await;
            peer.say(&ok("once")).await;
            drop(peer);
            closed.send(()).unwrap();
        }
    });
    let _ = edge.target(Target::real(once.await));
    let mut client = Peer::to(&edge).await;
    for _ in 0..3 {
        client.say(GET).await;
        assert_eq!(client.answer().await.1, "once");
        closing.recv().await.unwrap();
    }
}
