//! What the edge's tests share: real sockets on loopback, and waiting for what is seen instead of for time.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests says what it expects by panicking"
)]

use std::net::SocketAddr;
use std::time::Duration;

use devctl_edge::{Edge, EdgeId, EdgeSpec, Edges, EdgesConfig, Protocol};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// What no test waits longer than.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn edges() -> Edges {
    Edges::new(EdgesConfig::default()).unwrap()
}

pub(crate) fn id() -> EdgeId {
    EdgeId::new("api", "billing", 8080)
}

pub(crate) fn spec(protocol: Protocol) -> EdgeSpec {
    EdgeSpec::new(id(), ANY).protocol(protocol)
}

pub(crate) async fn open(edges: &Edges, protocol: Protocol) -> Edge {
    edges.open(spec(protocol)).await.unwrap()
}

/// Waits until `seen` is true of the edge.
pub(crate) async fn until(edge: &Edge, what: &str, seen: impl Fn(&Edge) -> bool) {
    let looked = async {
        while !seen(edge) {
            tokio::task::yield_now().await;
        }
    };
    assert!(
        tokio::time::timeout(PATIENCE, looked).await.is_ok(),
        "{what}: {:?}",
        edge.status()
    );
}

/// Fails instead of hanging.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen within {PATIENCE:?}"),
    }
}

/// A provider that greets with its name, then repeats what it hears, until its client is done.
pub(crate) async fn echo(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(name.as_bytes()).await?;
                let (mut from, mut to) = stream.split();
                tokio::io::copy(&mut from, &mut to).await?;
                to.shutdown().await
            });
        }
    });
    address
}

/// Exactly as many bytes as `text` has, as text.
pub(crate) async fn expect(stream: &mut TcpStream, text: &str) {
    let mut got = vec![0; text.len()];
    soon(text, stream.read_exact(&mut got)).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&got), text);
}

/// What is left until the end of the stream.
pub(crate) async fn rest(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    soon("the end", stream.read_to_end(&mut all)).await.map(|_| all)
}
