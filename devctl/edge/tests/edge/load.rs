//! Much at once, and nothing of it left behind.

use std::time::Duration;

use devctl_edge::{Protocol, Target};
use tokio::io::AsyncWriteExt;

use crate::support::{Peer, edges, named, ok, open, provider, soon, until};

const GET: &str = "GET / HTTP/1.1\r\nHost: billing\r\n\r\n";

#[tokio::test]
async fn two_thousand_connections_wait_and_are_served() {
    // Four ends of two thousand connections are in this one process.
    let most = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE, most.1, most.1).unwrap();
    let count = 2_000;
    assert!(most.1 > 4 * count + 200, "{} files may be open", most.1);
    let edges = edges();
    let edge = open(&edges, Protocol::Auto).await;
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = Peer::to(&edge).await;
        client.say(GET).await;
        clients.push(client);
    }
    until(&edge, "all wait", |edge| edge.held().waiting as u64 == count).await;
    let _ = edge.target(Target::real(named("billing").await));
    for client in &mut clients {
        assert_eq!(client.answer().await.1, "billing");
    }
    assert_eq!((edge.stats().open, edge.stats().errors), (count, 0));
    drop(clients);
    until(&edge, "all are closed", |edge| edge.stats().open == 0).await;
}

#[tokio::test]
async fn a_slow_reader_slows_its_writer() {
    let edges = edges();
    let edge = open(&edges, Protocol::Tcp).await;
    let (progress, written) = tokio::sync::watch::channel(0usize);
    let eager = provider(move |mut peer| {
        let progress = progress.clone();
        async move {
            let block = vec![7; 64 << 10];
            while peer.stream.write_all(&block).await.is_ok() {
                progress.send_modify(|sum| *sum += block.len());
            }
        }
    });
    let _ = edge.target(Target::real(eager.await));
    let client = Peer::to(&edge).await;
    // It stops by itself once the sockets' buffers are full: no progress in a while.
    let mut written = written;
    soon("the writer's stop", async {
        loop {
            written.mark_unchanged();
            if tokio::time::timeout(Duration::from_millis(300), written.changed())
                .await
                .is_err()
                && *written.borrow() > 0
            {
                return;
            }
        }
    })
    .await;
    assert!(
        *written.borrow() < 64 << 20,
        "{} bytes were taken for nobody",
        *written.borrow()
    );
    drop(client);
    until(&edge, "it is over", |edge| edge.stats().open == 0).await;
}

#[tokio::test]
async fn an_edge_that_closes_ends_what_is_under_way() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let silent = provider(|mut peer| async move {
        peer.head().await;
        peer.head().await;
    });
    let _ = edge.target(Target::real(silent.await));
    let mut client = Peer::to(&edge).await;
    client.say(GET).await;
    until(&edge, "it is under way", |edge| edge.stats().bytes_out > 0).await;
    assert!(soon("the end", edges.close(edge.id())).await);
    assert!(client.head().await.is_none());
    assert!(tokio::net::TcpStream::connect(edge.address()).await.is_err());
    soon("the end of all", edges.shutdown(Duration::ZERO)).await;
}

#[tokio::test]
async fn an_edge_that_is_set_aside_leads_on_and_another_may_have_its_name() {
    let edges = edges();
    let first = open(&edges, Protocol::Http).await;
    let (id, before) = (first.id().clone(), first.address());
    let aside = edges.set_aside(&id).unwrap();
    assert!(edges.get(&id).is_none() && edges.set_aside(&id).is_none());
    let second = open(&edges, Protocol::Http).await;
    assert_eq!(second.id(), &id);
    for edge in [&aside, &second] {
        let answering = provider(|mut peer| async move {
            peer.head().await;
            peer.say(&ok("here")).await;
        });
        let _ = edge.target(Target::real(answering.await));
        let mut client = Peer::to(edge).await;
        client.say(GET).await;
        assert!(soon("an answer", client.head()).await.is_some());
    }
    assert!(edges.take_back(&id, before).is_none(), "the name is taken");
    assert!(edges.close(&id).await);
    assert_eq!(edges.aside(&id, before.ip()), Some(before));
    assert_eq!(edges.take_back(&id, before).unwrap().address(), before);
    soon("the end of all", edges.shutdown(Duration::ZERO)).await;
    assert!(tokio::net::TcpStream::connect(before).await.is_err());
}

#[tokio::test]
async fn a_shutdown_lets_requests_end() {
    let edges = edges();
    let edge = open(&edges, Protocol::Http).await;
    let (go, gone) = tokio::sync::watch::channel(false);
    let slow = provider(move |mut peer| {
        let mut gone = gone.clone();
        async move {
            peer.head().await;
            gone.wait_for(|go| *go).await.unwrap();
            peer.say(&ok("done")).await;
            peer.head().await;
        }
    });
    let _ = edge.target(Target::real(slow.await));
    let mut client = Peer::to(&edge).await;
    client.say(GET).await;
    until(&edge, "it is under way", |edge| edge.stats().bytes_out > 0).await;
    let (down, answer) = tokio::join!(edges.shutdown(Duration::from_secs(60)), async {
        go.send(true).unwrap();
        client.answer().await.1
    });
    let () = down;
    assert_eq!(answer, "done");
}
