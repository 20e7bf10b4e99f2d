//! Protocols that are passed through: held, led elsewhere, half-closed, drained.

use std::time::Duration;

use crate::support::{self, echo, edges, expect, id, open, rest, soon, spec, until};
use devctl_edge::{EdgeError, EdgeSpec, Protocol, Target};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_connection_waits_for_its_provider() {
    for protocol in [Protocol::Auto, Protocol::Tcp, Protocol::Postgres] {
        let edges = edges();
        let edge = open(&edges, protocol).await;
        let mut client = TcpStream::connect(edge.address()).await.unwrap();
        if protocol != Protocol::Auto {
            until(&edge, "it waits", |edge| edge.held().waiting == 1).await;
        }
        let _ = edge.target(Target::real(echo("one ").await));
        expect(&mut client, "one ").await;
        client.write_all(b"hello").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut client).await.unwrap(), b"hello");
        until(&edge, "it is counted", |edge| edge.stats().requests == 1).await;
        assert_eq!((edge.stats().bytes_out, edge.stats().bytes_in), (5, 9));
        edges.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test]
async fn what_was_said_while_waiting_arrives() {
    let edges = edges();
    let edge = open(&edges, Protocol::Auto).await;
    let mut client = TcpStream::connect(edge.address()).await.unwrap();
    client.write_all(b"*1\r\n$4\r\nPING\r\n").await.unwrap();
    until(&edge, "it waits", |edge| edge.held().waiting == 1).await;
    let _ = edge.target(Target::real(echo("").await));
    expect(&mut client, "*1\r\n$4\r\nPING\r\n").await;
    assert_eq!(edge.held().held, 1);
}

#[tokio::test]
async fn who_leaves_while_waiting_is_forgotten() {
    let edges = edges();
    let edge = open(&edges, Protocol::Tcp).await;
    let client = TcpStream::connect(edge.address()).await.unwrap();
    until(&edge, "it waits", |edge| edge.held().waiting == 1).await;
    drop(client);
    until(&edge, "it left", |edge| edge.held().left == 1).await;
    assert_eq!(edge.held().waiting, 0);
}

#[tokio::test]
async fn a_swap_leaves_open_connections_and_drains_them() {
    let edges = edges();
    let edge = open(&edges, Protocol::Tcp).await;
    let _ = edge.target(Target::real(echo("old ").await));
    let mut before = TcpStream::connect(edge.address()).await.unwrap();
    expect(&mut before, "old ").await;

    let old = edge.target(Target::real(echo("new ").await));
    let mut after = TcpStream::connect(edge.address()).await.unwrap();
    expect(&mut after, "new ").await;
    before.write_all(b"still here").await.unwrap();
    expect(&mut before, "still here").await;
    assert_eq!(old.busy(), 1);

    assert_eq!(soon("the drain", old.wait(Duration::from_millis(50))).await.cut, 1);
    assert!(rest(&mut before).await.unwrap().is_empty());
    after.write_all(b"untouched").await.unwrap();
    expect(&mut after, "untouched").await;
}

#[tokio::test]
async fn a_silent_connection_to_the_old_run_does_not_delay_the_drain() {
    let edges = edges();
    let mut spec = spec(Protocol::Tcp);
    spec.hold.quiet = Duration::from_millis(50);
    let edge = edges.open(spec).await.unwrap();
    let _ = edge.target(Target::real(echo("old ").await));
    let mut idle = TcpStream::connect(edge.address()).await.unwrap();
    expect(&mut idle, "old ").await;
    let old = edge.target(Target::real(echo("new ").await));
    assert_eq!(soon("the drain", old.wait(Duration::from_secs(3600))).await.cut, 0);
    assert!(rest(&mut idle).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_provider_that_failed_is_a_reset() {
    let edges = edges();
    let edge = open(&edges, Protocol::Tcp).await;
    let _ = edge.target(Target::refused("billing exited with 101"));
    let mut client = TcpStream::connect(edge.address()).await.unwrap();
    assert!(rest(&mut client).await.is_err());
    until(&edge, "it is an error", |edge| edge.stats().errors == 1).await;
}

#[tokio::test]
async fn a_crashed_provider_that_comes_back_at_once_is_not_noticed() {
    let edges = edges();
    let edge = open(&edges, Protocol::Tcp).await;
    let gone = tokio::net::TcpListener::bind(support::ANY)
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let _ = edge.target(Target::real(gone));
    let mut client = TcpStream::connect(edge.address()).await.unwrap();
    let _ = edge.target(Target::hold("billing is starting again"));
    until(&edge, "it waits", |edge| edge.held().waiting == 1).await;
    let _ = edge.target(Target::real(echo("back").await));
    expect(&mut client, "back").await;
}

#[tokio::test]
async fn an_address_in_use_says_so_and_what_to_do() {
    let edges = edges();
    let edge = open(&edges, Protocol::Tcp).await;
    let mut other = id();
    other.port = 1;
    let error = edges.open(EdgeSpec::new(other, edge.address())).await.err().unwrap();
    assert!(matches!(error, EdgeError::AddressInUse { .. }), "{error}");
    assert!(error.help().unwrap().contains("ss -ltnp"));
    assert!(matches!(
        edges.open(spec(Protocol::Tcp)).await.err().unwrap(),
        EdgeError::Twice(_)
    ));
    assert!(edges.close(&id()).await);
    let again = edges.open(EdgeSpec::new(id(), edge.address())).await;
    assert_eq!(again.unwrap().address(), edge.address());
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let edges = edges();
    let edge = edges
        .open(spec(Protocol::Tcp).allow_peers("172.18.0.0/16".parse().unwrap()))
        .await
        .unwrap();
    let _ = edge.target(Target::real(echo("hello").await));
    let mut client = TcpStream::connect(edge.address()).await.unwrap();
    assert!(rest(&mut client).await.unwrap_or_default().is_empty());
    assert_eq!(edge.stats().connections, 0);
}

#[tokio::test]
async fn an_idle_connection_stays_when_nothing_changes() {
    let edges = edges();
    let mut spec = spec(Protocol::Tcp);
    spec.hold.quiet = Duration::ZERO;
    let edge = edges.open(spec).await.unwrap();
    let same = Target::real(echo("db").await);
    let _ = edge.target(same.clone());
    let mut idle = TcpStream::connect(edge.address()).await.unwrap();
    expect(&mut idle, "db").await;
    assert_eq!(edge.target(same).busy(), 0);
    // Somebody else's reload.
    let mut other = id();
    other.provider = "orders".into();
    let other = edges.open(EdgeSpec::new(other, support::ANY)).await.unwrap();
    let _ = other.target(Target::real(echo("one").await));
    assert_eq!(
        other
            .target(Target::real(echo("two").await))
            .wait(Duration::ZERO)
            .await
            .cut,
        0
    );
    idle.write_all(b"still here").await.unwrap();
    expect(&mut idle, "still here").await;
}

#[tokio::test]
async fn protocols_are_told_apart_and_passed_through() {
    for (first, protocol) in [
        (&b"\x16\x03\x01\x00\x05hello"[..], Protocol::Tls),
        (&[0, 0, 0, 8, 4, 210, 22, 47], Protocol::Postgres),
        (b"*1\r\n$4\r\nPING\r\n", Protocol::Tcp),
        // Neither a line nor anything known: passed on after a moment.
        (b"ruok", Protocol::Tcp),
    ] {
        let edges = edges();
        let edge = open(&edges, Protocol::Auto).await;
        let _ = edge.target(Target::real(echo("").await));
        let mut client = TcpStream::connect(edge.address()).await.unwrap();
        client.write_all(first).await.unwrap();
        let mut got = vec![0; first.len()];
        soon("the echo", tokio::io::AsyncReadExt::read_exact(&mut client, &mut got))
            .await
            .unwrap();
        assert_eq!((got.as_slice(), edge.stats().protocol), (first, protocol));
    }
}
