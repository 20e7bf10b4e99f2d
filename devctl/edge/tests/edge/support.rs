//! What the edge's tests share: real sockets on loopback, and waiting for what is seen instead of for time.

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

/// A provider of HTTP/1 that hands each of its connections to `serve`.
pub(crate) async fn provider<F, R>(serve: F) -> SocketAddr
where
    F: Fn(Peer) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(Peer {
                stream,
                read: Vec::new(),
            }));
        }
    });
    address
}

/// A provider that answers every request with 200 and a name.
pub(crate) async fn named(name: &'static str) -> SocketAddr {
    provider(move |mut peer| async move {
        while peer.head().await.is_some() {
            peer.say(&ok(name)).await;
        }
    })
    .await
}

/// An answer with a body.
pub(crate) fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// One end of a connection that speaks in text.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    pub(crate) read: Vec<u8>,
}

impl Peer {
    pub(crate) async fn to(edge: &Edge) -> Self {
        Self {
            stream: TcpStream::connect(edge.address()).await.unwrap(),
            read: Vec::new(),
        }
    }

    /// Writes, as far as the other end listens.
    pub(crate) async fn say(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes()).await;
    }

    /// The next head, empty line included; `None` at the end of the stream.
    pub(crate) async fn head(&mut self) -> Option<String> {
        self.until("\r\n\r\n").await
    }

    /// Everything up to `end`, and it.
    pub(crate) async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = self.read.windows(end.len()).position(|part| part == end.as_bytes()) {
                let head = self.read.drain(..at + end.len()).collect();
                return Some(String::from_utf8(head).unwrap());
            }
            if self.more().await == 0 {
                return None;
            }
        }
    }

    /// So many bytes.
    pub(crate) async fn bytes(&mut self, count: usize) -> String {
        while self.read.len() < count {
            assert_ne!(
                self.more().await,
                0,
                "the end after {:?}",
                String::from_utf8_lossy(&self.read)
            );
        }
        String::from_utf8(self.read.drain(..count).collect()).unwrap()
    }

    /// An answer with a length, as its first line and its body.
    pub(crate) async fn answer(&mut self) -> (String, String) {
        let head = soon("an answer", self.head()).await.unwrap();
        let length = header(&head, "content-length").map_or(0, |length| length.parse().unwrap());
        let body = soon("a body", self.bytes(length)).await;
        (head.lines().next().unwrap().to_owned(), body)
    }

    async fn more(&mut self) -> usize {
        // A reset is an end as well.
        self.stream.read_buf(&mut self.read).await.unwrap_or(0)
    }
}

/// A header's value.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().skip(1);
    let mut pairs = lines.filter_map(|line| line.split_once(':'));
    pairs
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}
