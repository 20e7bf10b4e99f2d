//! One connection of a consumer: finding out what is spoken on it, and handing it to whoever serves that.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::buffer::Buffer;
use crate::detect::{self, Guess, detect};
use crate::edge::Inner;
use crate::id::Protocol;
use crate::swap::{Generation, Target};
use crate::{admit, http1, http2, tcp};

/// A beginning that is not finished within this time is no request line.
const UNFINISHED: Duration = Duration::from_millis(500);
/// How soon a provider that refused a connection is tried again while nobody has spoken.
const AGAIN: Duration = Duration::from_millis(100);
/// How long the way to a provider may take before its first word is no longer waited for.
const EARLY: Duration = Duration::from_secs(1);

/// A consumer's connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// What was read and not used up.
    pub(crate) buffer: Buffer,
    pub(crate) edge: Arc<Inner>,
    pub(crate) target: watch::Receiver<Arc<Generation>>,
    pub(crate) accepted: SystemTime,
}

/// A connection to the provider that was opened before it was known what is spoken on it, to see whether the provider
/// speaks first. Nothing was sent on it.
pub(crate) struct Early {
    pub(crate) stream: TcpStream,
    pub(crate) address: SocketAddr,
    pub(crate) generation: u64,
    pub(crate) opened: Instant,
}

/// Serves one connection until it ends or the edge is closed.
pub(crate) async fn run(stream: TcpStream, edge: Arc<Inner>) {
    // Small frames must not wait for each other; if the option cannot be set, they do.
    let _ = stream.set_nodelay(true);
    edge.stats.open.fetch_add(1, Relaxed);
    let _open = Open(Arc::clone(&edge));
    let client = Client {
        stream,
        buffer: Buffer::default(),
        target: edge.target.subscribe(),
        accepted: SystemTime::now(),
        edge: Arc::clone(&edge),
    };
    tokio::select! {
        biased;
        () = edge.closed.cancelled() => {}
        () = serve(client) => {}
    }
}

struct Open(Arc<Inner>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.stats.open.fetch_sub(1, Relaxed);
    }
}

async fn serve(mut client: Client) {
    let (protocol, early) = match client.edge.protocol {
        Protocol::Auto => match find_out(&mut client).await {
            Some(found) => found,
            None => return,
        },
        Protocol::Http => match first_bytes(&mut client).await {
            Some(protocol) => (protocol, None),
            None => return,
        },
        known => (known, None),
    };
    client.edge.stats.see(protocol);
    match protocol {
        Protocol::Http => http1::serve(client, early).await,
        Protocol::Http2 | Protocol::Grpc => http2::serve(client, early).await,
        _ => tcp::serve(client, protocol, early).await,
    }
}

/// On an HTTP edge: version 1 or 2. `None` if the client has gone.
async fn first_bytes(client: &mut Client) -> Option<Protocol> {
    loop {
        match detect(client.buffer.bytes()) {
            Guess::Is(Protocol::Http2) => return Some(Protocol::Http2),
            // `PRI` may be a method as far as the first bytes go, so this one is waited for.
            Guess::More if client.buffer.bytes().first().is_none_or(|b| *b == b'P') => {}
            // TLS, or garbage: the HTTP/1 side would answer 400, where passing it on is what the caller would have
            // without an edge.
            Guess::Is(other) if other != Protocol::Http => return Some(other),
            _ => return Some(Protocol::Http),
        }
        if client.buffer.read(&mut client.stream).await.unwrap_or(0) == 0 {
            return None;
        }
    }
}

/// Waits for whichever side speaks first. `None` if the client has gone without a word.
async fn find_out(client: &mut Client) -> Option<(Protocol, Option<Early>)> {
    let mut early: Option<Early> = None;
    // An HTTP/2 server greets before it is spoken to; who calls it speaks all the same.
    let mut greeted = false;
    loop {
        if let Guess::Is(protocol) = detect(client.buffer.bytes()) {
            return Some((protocol, early));
        }
        let generation = Arc::clone(&client.target.borrow_and_update());
        if early
            .as_ref()
            .is_some_and(|early| early.generation != generation.number)
        {
            early = None;
            greeted = false;
        }
        let mut retry = false;
        if early.is_none() && matches!(generation.target, Target::Real(_)) {
            early = open_early(&generation).await;
            retry = early.is_none();
        }
        tokio::select! {
            biased;
            read = client.buffer.read(&mut client.stream) => match read {
                // A client that says nothing and will say nothing may still want to be told something.
                Ok(0) if early.is_some() => return Some((Protocol::Tcp, early)),
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            },
            _ = client.target.changed() => {}
            word = speaks(early.as_ref()), if !greeted => match detect::greets_as_http2(&word) {
                true => greeted = true,
                false => return Some((Protocol::Tcp, early)),
            },
            () = tokio::time::sleep(AGAIN), if retry => {}
            () = tokio::time::sleep(UNFINISHED), if !client.buffer.is_empty() => return Some((Protocol::Tcp, early)),
            // Who will not be served is not kept waiting for a word that may never come.
            () = tokio::time::sleep(UNFINISHED), if matches!(generation.target, Target::Refused { .. }) => {
                return Some((Protocol::Tcp, early));
            }
        }
    }
}

async fn open_early(generation: &Generation) -> Option<Early> {
    let address = generation.address()?;
    let connected = tokio::time::timeout(EARLY, admit::try_connect(address)).await;
    let stream = connected.ok()?.ok()?;
    Some(Early {
        stream,
        address,
        generation: generation.number,
        opened: Instant::now(),
    })
}

/// The provider's first bytes, which are left where they are; none if it has hung up.
async fn speaks(early: Option<&Early>) -> Vec<u8> {
    let Some(early) = early else { return pending().await };
    let mut word = vec![0; detect::GREETING];
    let length = early.stream.peek(&mut word).await.unwrap_or(0);
    word.truncate(length);
    word
}
