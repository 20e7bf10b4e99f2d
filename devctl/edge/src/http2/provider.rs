//! The connections from one consumer's connection to the provider: one for each replica that was needed, opened when
//! they are, let go when the provider is replaced.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::sync::Mutex as Turn;

use crate::admit::{Unreached, connect_to};
use crate::connection::Early;
use crate::edge::Inner;
use crate::swap::Generation;

/// Bytes that a peer may send of one stream, and of one connection, before they are taken.
pub(crate) const STREAM_WINDOW: u32 = 256 << 10;
pub(crate) const CONNECTION_WINDOW: u32 = 16 << 20;

/// A connection that takes requests.
pub(crate) type Sender = (SendRequest<Bytes>, SocketAddr);

#[derive(Default)]
pub(crate) struct Providers {
    open: Mutex<HashMap<(u64, SocketAddr), SendRequest<Bytes>>>,
    /// Who opens one is waited for by those who would open the same.
    opening: Turn<Option<Early>>,
}

impl Providers {
    pub(crate) fn new(early: Option<Early>) -> Self {
        Self {
            opening: Turn::new(early),
            ..Self::default()
        }
    }

    /// A connection to the provider that takes another request.
    pub(crate) async fn get(&self, edge: &Arc<Inner>, generation: &Generation) -> Result<Sender, Unreached> {
        let Some(address) = generation.address() else {
            return Err(Unreached::Retired);
        };
        if let Some(sender) = self.ready(generation, address).await {
            return Ok((sender, address));
        }
        let mut early = self.opening.lock().await;
        // Somebody else may have opened it meanwhile.
        if let Some(sender) = self.ready(generation, address).await {
            return Ok((sender, address));
        }
        let (stream, address) = match early.take().filter(|early| early.generation == generation.number) {
            Some(early) => (early.stream, early.address),
            None => connect_to(edge, generation, address).await?,
        };
        let sender = self.handshake(edge, stream, address).await?;
        self.all().insert((generation.number, address), sender.clone());
        Ok((sender, address))
    }

    /// Lets go of connections to former runs. What is under way on them goes on.
    pub(crate) fn keep(&self, generation: u64) {
        self.all().retain(|(number, _), _| *number == generation);
    }

    /// Forgets a connection that turned out to take nothing more.
    pub(crate) fn forget(&self, generation: u64, address: SocketAddr) {
        self.all().remove(&(generation, address));
    }

    async fn ready(&self, generation: &Generation, address: SocketAddr) -> Option<SendRequest<Bytes>> {
        let sender = self.all().get(&(generation.number, address)).cloned()?;
        let ready = sender.ready().await.ok();
        if ready.is_none() {
            self.forget(generation.number, address);
        }
        ready
    }

    async fn handshake(
        &self,
        edge: &Arc<Inner>,
        stream: TcpStream,
        address: SocketAddr,
    ) -> Result<SendRequest<Bytes>, Unreached> {
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(64 << 10)
            .enable_push(false);
        let (sender, connection) = builder.handshake::<_, Bytes>(stream).await.map_err(|error| {
            Unreached::Failed(format!(
                "{} does not speak HTTP/2 at {address}: {error}",
                edge.id.provider
            ))
        })?;
        let closed = edge.closed.clone();
        tokio::spawn(edge.tasks.track_future(async move {
            tokio::select! {
                () = closed.cancelled() => {}
                // How a connection ends is told to each of its streams.
                _ = connection => {}
            }
        }));
        Ok(sender)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<(u64, SocketAddr), SendRequest<Bytes>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
