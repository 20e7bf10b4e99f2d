//! Faults that are put in and taken out while connections are open.

use std::time::{Duration, Instant};

use devctl_edge::{Fault, FaultKind, Protocol, Target};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Peer, echo, edges, expect, named, open, provider, rest, soon, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: billing\r\n\r\n";
const MS: fn(u64) -> Duration = Duration::from_millis;

fn latency(ms: u64) -> Fault {
    Fault::new(FaultKind::Latency {
        latency: MS(ms),
        jitter: Duration::ZERO,
    })
}

#[tokio::test]
async fn an_answer_comes_later_while_the_fault_is_in() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::real(named("billing").await));
    let mut client = Peer::to(&edge).await;
    edge.add_fault(latency(80));
    edge.add_fault(latency(70).upstream());
    let asked = Instant::now();
    client.say(GET).await;
    assert_eq!(client.answer().await.1, "billing");
    assert!(asked.elapsed() >= MS(150), "{:?}", asked.elapsed());
    assert!(edge.remove_fault("latency_downstream") && edge.remove_fault("latency_upstream"));
    for _ in 0..20 {
        client.say(GET).await;
        assert_eq!(client.answer().await.1, "billing");
    }
    assert!(edge.stats().p50.unwrap() < MS(80), "{:?}", edge.stats());
}

#[tokio::test]
async fn some_requests_are_answered_with_an_error() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::real(named("billing").await));
    edge.add_fault(Fault::new(FaultKind::Error { status: 503 }).percent(50.0));
    let mut client = Peer::to(&edge).await;
    let mut failed = 0;
    for _ in 0..200 {
        client.say(GET).await;
        failed += u32::from(client.answer().await.0.contains("503"));
    }
    assert!((50..150).contains(&failed), "{failed}");
    until(&edge, "all are counted", |edge| edge.stats().requests == 200).await;
    assert_eq!(edge.stats().errors, u64::from(failed));
}

#[tokio::test]
async fn open_connections_meet_new_faults() {
    let edges = edges();
    let edge = open(&edges, Protocol::Tcp).await;
    let _ = edge.target(Target::real(echo("hello").await));
    let mut client = TcpStream::connect(edge.address()).await.unwrap();
    expect(&mut client, "hello").await;
    edge.add_fault(latency(60));
    let asked = Instant::now();
    client.write_all(b"ping").await.unwrap();
    expect(&mut client, "ping").await;
    assert!(asked.elapsed() >= MS(60));
    edge.clear_faults();
    client.write_all(b"pong").await.unwrap();
    expect(&mut client, "pong").await;
    edge.add_fault(Fault::new(FaultKind::ResetPeer {
        timeout: Duration::ZERO,
    }));
    assert!(rest(&mut client).await.is_err());
}

#[tokio::test]
async fn nothing_comes_through_until_the_timeout() {
    let edges = edges();
    let edge = open(&edges, Protocol::Tcp).await;
    let _ = edge.target(Target::real(echo("hello").await));
    edge.add_fault(Fault::new(FaultKind::Timeout { timeout: MS(50) }));
    let mut client = TcpStream::connect(edge.address()).await.unwrap();
    let asked = Instant::now();
    assert!(rest(&mut client).await.unwrap().is_empty());
    assert!(asked.elapsed() >= MS(50));
}

#[tokio::test]
async fn bytes_come_no_faster_than_they_may() {
    for protocol in [Protocol::Tcp, Protocol::Http] {
        let edges = edges();
        let edge = open(&edges, protocol).await;
        let large = provider(|mut peer| async move {
            peer.head().await;
            peer.say(&crate::support::ok(&"x".repeat(20_000))).await;
        });
        let _ = edge.target(Target::real(large.await));
        edge.add_fault(Fault::new(FaultKind::Bandwidth { rate: 100_000 }));
        edge.add_fault(Fault::new(FaultKind::Slicer {
            average_size: 500,
            size_variation: 100,
            delay: Duration::ZERO,
        }));
        let mut client = Peer::to(&edge).await;
        let asked = Instant::now();
        client.say(GET).await;
        assert_eq!(client.answer().await.1.len(), 20_000);
        let took = asked.elapsed();
        assert!(took >= MS(190) && took < MS(5_000), "{protocol}: {took:?}");
    }
}

#[tokio::test]
async fn a_connection_ends_after_so_many_bytes() {
    let edges = edges();
    let edge = open(&edges, Protocol::Tcp).await;
    let _ = edge.target(Target::real(echo("hello").await));
    edge.add_fault(Fault::new(FaultKind::LimitData { bytes: 3 }));
    let mut client = TcpStream::connect(edge.address()).await.unwrap();
    assert_eq!(rest(&mut client).await.unwrap(), b"hel");
}

#[tokio::test]
async fn a_reset_is_a_reset_on_http_as_well() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let _ = edge.target(Target::real(named("billing").await));
    edge.add_fault(Fault::new(FaultKind::ResetPeer {
        timeout: Duration::ZERO,
    }));
    let mut client = Peer::to(&edge).await;
    client.say(GET).await;
    assert!(rest(&mut client.stream).await.is_err());
    until(&edge, "it is an error", |edge| edge.stats().errors == 1).await;
}

#[tokio::test]
async fn who_waits_for_a_fault_may_leave() {
    let edges = edges();
    let edge = open(&edges, Protocol::Tcp).await;
    let _ = edge.target(Target::real(echo("hello").await));
    edge.add_fault(Fault::new(FaultKind::Timeout {
        timeout: Duration::ZERO,
    }));
    let client = TcpStream::connect(edge.address()).await.unwrap();
    until(&edge, "it is connected", |edge| edge.stats().bytes_in == 5).await;
    drop(client);
    soon("its end", until(&edge, "it ends", |edge| edge.stats().open == 0)).await;
}

/// A wall that is taken down does not bring back what it has swallowed: whoever waits for that is told so.
#[tokio::test]
async fn who_waits_for_what_was_swallowed_is_let_go_with_the_fault() {
    for protocol in [Protocol::Tcp, Protocol::Http] {
        let edges = edges();
        let edge = open(&edges, protocol).await;
        let _ = edge.target(Target::real(named("billing").await));
        edge.add_fault(Fault::new(FaultKind::Timeout {
            timeout: Duration::ZERO,
        }));
        let mut client = Peer::to(&edge).await;
        client.say(GET).await;
        until(&edge, "the answer is swallowed", |edge| edge.stats().bytes_in > 0).await;
        edge.add_fault(latency(1));
        assert!(edge.remove_fault("timeout_downstream"));
        let end = soon("the end", rest(&mut client.stream)).await;
        assert!(end.is_ok_and(|bytes| bytes.is_empty()), "{protocol}");
        let mut client = Peer::to(&edge).await;
        client.say(GET).await;
        assert_eq!(client.answer().await.1, "billing", "{protocol}");
    }
}
