//! Memory and open files: a process of its own, since both belong to the whole process.

#![expect(
    clippy::unwrap_used,
    reason = "tests and their helpers say what they expect by panicking"
)]

use std::future::poll_fn;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use devctl_edge::{Edge, EdgeId, EdgeSpec, Edges, EdgesConfig, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const GIBIBYTE: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// Resident memory, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

fn files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// A provider that answers its first request with a gibibyte if asked for `/large`, with a word otherwise.
async fn provider() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = vec![0; 4096];
                let count = stream.read(&mut head).await?;
                if !head[..count].starts_with(b"GET /large") {
                    return stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nsmall")
                        .await;
                }
                stream
                    .write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {GIBIBYTE}\r\n\r\n").as_bytes())
                    .await?;
                let block = vec![7; 1 << 20];
                for _ in 0..GIBIBYTE / MIB {
                    stream.write_all(&block).await?;
                }
                Ok(())
            });
        }
    });
    address
}

/// Asks, and reads the answer to its end; how many bytes it had, and the most memory that was seen meanwhile.
async fn ask(edge: &Edge, path: &str) -> (u64, u64) {
    let mut client = TcpStream::connect(edge.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: billing\r\nConnection: close\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut block = vec![0; 1 << 20];
    let (mut all, mut most) = (0, 0);
    loop {
        let count = client.read(&mut block).await.unwrap() as u64;
        if count == 0 {
            return (all, most);
        }
        all += count;
        most = most.max(memory());
    }
}

/// A provider of HTTP/2 that answers with a gibibyte.
async fn provider_2() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            tokio::spawn(async move {
                let mut body = respond.send_response(http::Response::new(()), false).unwrap();
                let mut left = usize::try_from(GIBIBYTE).unwrap();
                while left > 0 {
                    body.reserve_capacity(left.min(1 << 20));
                    let Some(Ok(room)) = poll_fn(|cx| body.poll_capacity(cx)).await else {
                        return;
                    };
                    let count = room.min(left);
                    body.send_data(vec![7; count].into(), false).unwrap();
                    left -= count;
                }
                body.send_data(Bytes::new(), true).unwrap();
            });
        }
    });
    address
}

/// As [`ask`], over HTTP/2.
async fn ask_2(edge: &Edge) -> (u64, u64) {
    let stream = TcpStream::connect(edge.address()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let (answer, _) = client
        .send_request(http::Request::get("http://billing/large").body(()).unwrap(), true)
        .unwrap();
    let mut body = answer.await.unwrap().into_body();
    let (mut all, mut most) = (0, 0);
    while let Some(chunk) = body.data().await {
        let count = chunk.unwrap().len();
        all += count as u64;
        body.flow_control().release_capacity(count).unwrap();
        if all % MIB < 16384 {
            most = most.max(memory());
        }
    }
    (all, most)
}

async fn idle(edge: &Edge) {
    let closed = async {
        while edge.stats().open > 0 {
            tokio::task::yield_now().await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(20), closed).await.is_ok(),
        "{:?}",
        edge.stats()
    );
}

#[tokio::test]
async fn nothing_grows_with_what_goes_through() {
    let edges = Edges::new(EdgesConfig::default()).unwrap();
    let listen: SocketAddr = ([127, 0, 0, 1], 0).into();
    let edge = edges
        .open(EdgeSpec::new(EdgeId::new("api", "billing", 80), listen))
        .await
        .unwrap();
    let _ = edge.target(Target::real(provider().await));
    for _ in 0..500 {
        ask(&edge, "/").await;
    }
    idle(&edge).await;
    edges.traffic().capture(false);
    let (memory_before, files_before) = (memory(), files());

    let (bytes, most) = ask(&edge, "/large").await;
    assert!(bytes > GIBIBYTE);
    let more = most.saturating_sub(memory_before);
    assert!(more < 32 * MIB, "{more} bytes of memory for a body of 1 GiB");

    let _ = edge.target(Target::real(provider_2().await));
    let (bytes, most) = ask_2(&edge).await;
    assert_eq!(bytes, GIBIBYTE);
    let more = most.saturating_sub(memory_before);
    assert!(
        more < 64 * MIB,
        "{more} bytes of memory for a body of 1 GiB over HTTP/2"
    );
    let _ = edge.target(Target::real(provider().await));

    for _ in 0..2_000 {
        ask(&edge, "/").await;
    }
    idle(&edge).await;
    let more = memory().saturating_sub(memory_before);
    assert!(more < 16 * MIB, "{more} bytes of memory are left of 2000 connections");
    // The provider's own ends are in this process too, and may be a moment behind.
    let closed = async {
        while files() > files_before + 8 {
            tokio::task::yield_now().await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(20), closed).await.is_ok(),
        "{} files, {files_before} before",
        files()
    );
    edges.shutdown(Duration::ZERO).await;
}
