//! A provider is replaced again and again under load, and no request fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use devctl_edge::{Edge, Protocol, Target};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{ANY, PATIENCE, Peer, edges, header, ok, open, soon};

const SWAPS: usize = 60;
const DRAIN: Duration = Duration::from_secs(30);

/// A run of the provider. Dropping it is its end: its listener and every connection of it are gone at once.
struct Run {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

async fn http() -> Run {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(async move {
                let mut peer = Peer {
                    stream,
                    read: Vec::new(),
                };
                while let Some(head) = peer.head().await {
                    let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
                    let body = peer.bytes(length).await;
                    // Not at once, so that some requests are under way at every swap.
                    tokio::task::yield_now().await;
                    peer.say(&ok(&body)).await;
                }
            });
        }
    });
    Run { address, _tasks: tasks }
}

async fn grpc() -> Run {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let serving = tonic::transport::Server::builder().add_service(health);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        serving
            .serve_with_incoming(TcpListenerStream::new(listener))
            .await
            .unwrap();
    });
    Run { address, _tasks: tasks }
}

/// Swaps, and returns the last run. Every second time with the new run beside the old one, otherwise one after the other behind a hold.
async fn swap_often(edge: &Edge, start: impl AsyncFn() -> Run, answered: &AtomicU64) -> Run {
    let mut run = start().await;
    let _ = edge.target(Target::real(run.address));
    for swap in 0..SWAPS {
        let before = answered.load(SeqCst);
        let more = async {
            while answered.load(SeqCst) < before + 20 {
                tokio::task::yield_now().await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, more).await.is_ok(),
            "nothing is answered: {:?}",
            edge.status()
        );
        if swap % 2 == 0 {
            let new = start().await;
            let old = edge.target(Target::real(new.address));
            assert_eq!(soon("the drain", old.wait(DRAIN)).await.cut, 0);
            run = new;
        } else {
            let old = edge.target(Target::hold("billing is being replaced"));
            assert_eq!(soon("the drain", old.wait(DRAIN)).await.cut, 0);
            drop(run);
            run = start().await;
            let _ = edge.target(Target::real(run.address));
        }
    }
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_http_request_fails() {
    let edges = edges();
    let edge = open(&edges, Protocol::Auto).await;
    let (answered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for number in 0..8 {
        let (edge, answered, stop) = (edge.clone(), Arc::clone(&answered), Arc::clone(&stop));
        clients.spawn(async move {
            let mut client = Peer::to(&edge).await;
            let mut count = 0;
            while !stop.load(SeqCst) {
                // Some keep their connection, some open one for each request.
                if number % 4 == 0 {
                    client = Peer::to(&edge).await;
                }
                let body = format!("{number} {count}");
                client
                    .say(&format!(
                        "POST / HTTP/1.1\r\nHost: b\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    ))
                    .await;
                assert_eq!(client.answer().await, ("HTTP/1.1 200 OK".into(), body));
                count += 1;
                answered.fetch_add(1, SeqCst);
            }
        });
    }
    let _last = swap_often(&edge, http, &answered).await;
    stop.store(true, SeqCst);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert_eq!(edge.stats().errors, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_grpc_call_fails() {
    let edges = edges();
    let edge = open(&edges, Protocol::Auto).await;
    let (answered, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", edge.address())).unwrap();
    let channel = endpoint.connect_lazy();
    let mut clients = JoinSet::new();
    for _ in 0..8 {
        let (answered, stop) = (Arc::clone(&answered), Arc::clone(&stop));
        let mut client = HealthClient::new(channel.clone());
        clients.spawn(async move {
            while !stop.load(SeqCst) {
                let answer = client.check(HealthCheckRequest { service: String::new() }).await;
                assert_eq!(answer.unwrap().into_inner().status, 1);
                answered.fetch_add(1, SeqCst);
            }
        });
    }
    let _last = swap_often(&edge, grpc, &answered).await;
    stop.store(true, SeqCst);
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert_eq!((edge.stats().errors, edge.stats().connections), (0, 1));
}
