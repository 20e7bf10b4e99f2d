//! The two directions of a connection that is passed through.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::buffer::Buffer;
use crate::edge::Inner;
use crate::swap::Generation;

/// How a relay ended.
pub(crate) enum Ended {
    /// Both sides are done.
    Done,
    /// The provider is being replaced, and nothing passed any more.
    Retired,
    /// One side was reset.
    Failed(io::Error),
}

/// Both directions.
pub(crate) struct Relay {
    out: Lane,
    back: Lane,
}

/// One direction.
struct Lane {
    buffer: Buffer,
    bytes: u64,
    /// Nothing more comes.
    ended: bool,
    /// And that was told to the other side.
    done: bool,
}

impl Relay {
    /// A relay that begins with what the client has sent already.
    pub(crate) fn new(sent: Buffer, edge: &Inner) -> Self {
        let bytes = sent.len() as u64;
        edge.stats.bytes_out.fetch_add(bytes, Relaxed);
        let lane = |buffer, bytes| Lane {
            buffer,
            bytes,
            ended: false,
            done: false,
        };
        Self {
            out: lane(sent, bytes),
            back: lane(Buffer::default(), 0),
        }
    }

    /// Bytes to and from the provider.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        (self.out.bytes, self.back.bytes)
    }

    pub(crate) async fn run(
        &mut self,
        client: &mut TcpStream,
        provider: &mut TcpStream,
        edge: &Inner,
        generation: &Generation,
    ) -> Ended {
        let quiet = edge.gate.limits.quiet;
        let mut look: Option<(Instant, u64)> = None;
        loop {
            tokio::select! {
                biased;
                ended = poll_fn(|cx| self.poll(cx, client, provider, edge)) => {
                    return ended.map_or_else(Ended::Failed, |()| Ended::Done);
                }
                () = generation.cut.cancelled() => return Ended::Retired,
                () = generation.retired.cancelled(), if look.is_none() => {
                    look = Some((Instant::now() + quiet, self.passed()));
                }
                () = crate::admit::at(look.map(|(then, _)| then)), if look.is_some() => {
                    if look.is_some_and(|(_, before)| before == self.passed()) {
                        return Ended::Retired;
                    }
                    look = Some((Instant::now() + quiet, self.passed()));
                }
            }
        }
    }

    fn passed(&self) -> u64 {
        self.out.bytes + self.back.bytes
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut TcpStream,
        provider: &mut TcpStream,
        edge: &Inner,
    ) -> Poll<io::Result<()>> {
        let out = self.out.poll(cx, client, provider, &edge.stats.bytes_out)?;
        let back = self.back.poll(cx, provider, client, &edge.stats.bytes_in)?;
        if out.is_ready() && back.is_ready() {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }
}

impl Lane {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        count: &AtomicU64,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.done {
                return Poll::Ready(Ok(()));
            }
            if !self.buffer.is_empty() {
                if ready!(self.buffer.poll_write(cx, to)).is_err() {
                    // Who takes nothing any more may still have something to say: the other lane tells how it ends.
                    self.done = true;
                }
            } else if self.ended {
                // The other side may have gone altogether, then there is nobody to tell.
                let _ = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                self.done = true;
            } else {
                match ready!(self.buffer.poll_read(cx, from))? {
                    0 => self.ended = true,
                    read => {
                        self.bytes += read as u64;
                        count.fetch_add(read as u64, Relaxed);
                    }
                }
            }
        }
    }
}
