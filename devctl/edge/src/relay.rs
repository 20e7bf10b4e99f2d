//! The two directions of a connection that is passed through.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use crate::amqp::Tap;
use crate::buffer::Buffer;
use crate::edge::Inner;
use crate::fault::{self, End, Fault, Shaped, Stream};
use crate::swap::Generation;

/// How a relay ended.
pub(crate) enum Ended {
    /// Both sides are done.
    Done,
    /// The provider is being replaced, and nothing passed any more.
    Retired,
    /// A fault says so.
    Fault(End),
    /// One side was reset.
    Failed(io::Error),
}

/// Both directions.
pub(crate) struct Relay {
    out: Lane,
    back: Lane,
    /// Reads along.
    tap: Option<Box<Tap>>,
}

/// One direction.
struct Lane {
    way: Stream,
    buffer: Buffer,
    bytes: u64,
    /// Nothing more comes.
    ended: bool,
    /// And that was told to the other side.
    done: bool,
    shaped: Option<Box<Shaped>>,
    /// `slow_close`: the end is told later.
    linger: Option<Pin<Box<Sleep>>>,
}

impl Relay {
    /// A relay that begins with what both sides have sent already.
    pub(crate) fn new(out: Buffer, back: Buffer, edge: &Inner) -> Self {
        edge.stats.bytes_out.fetch_add(out.len() as u64, Relaxed);
        edge.stats.bytes_in.fetch_add(back.len() as u64, Relaxed);
        Self {
            out: Lane::new(Stream::Upstream, out),
            back: Lane::new(Stream::Downstream, back),
            tap: None,
        }
    }

    /// The same, read along by `tap`.
    pub(crate) fn tapped(mut self, mut tap: Box<Tap>) -> Self {
        tap.read(Stream::Upstream, self.out.buffer.bytes());
        tap.read(Stream::Downstream, self.back.buffer.bytes());
        self.tap = Some(tap);
        self
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
        let mut changed = edge.faults.watch();
        self.pick(&edge.faults.pick());
        loop {
            tokio::select! {
                biased;
                ended = poll_fn(|cx| self.poll(cx, client, provider, edge)) => return ended,
                () = generation.cut.cancelled() => return Ended::Retired,
                _ = changed.changed() => self.pick(&edge.faults.pick()),
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

    fn pick(&mut self, faults: &[Fault]) {
        self.out.pick(faults);
        self.back.pick(faults);
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut TcpStream,
        provider: &mut TcpStream,
        edge: &Inner,
    ) -> Poll<Ended> {
        let out = self
            .out
            .poll(cx, client, provider, &edge.stats.bytes_out, &mut self.tap);
        let back = self
            .back
            .poll(cx, provider, client, &edge.stats.bytes_in, &mut self.tap);
        for lane in [&mut self.out, &mut self.back] {
            if let Some(Poll::Ready(end)) = lane.shaped.as_mut().map(|shaped| shaped.poll_end(cx)) {
                return Poll::Ready(Ended::Fault(end));
            }
        }
        match (out, back) {
            (Poll::Ready(Err(error)), _) | (_, Poll::Ready(Err(error))) => Poll::Ready(Ended::Failed(error)),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Ended::Done),
            // Nobody is left whom a fault could keep waiting.
            _ if self.out.is_over() && self.back.is_over() => Poll::Ready(Ended::Done),
            _ => Poll::Pending,
        }
    }
}

impl Lane {
    fn new(way: Stream, buffer: Buffer) -> Self {
        Self {
            way,
            bytes: buffer.len() as u64,
            buffer,
            ended: false,
            done: false,
            shaped: None,
            linger: None,
        }
    }

    fn pick(&mut self, faults: &[Fault]) {
        match &mut self.shaped {
            // What waits in it keeps its place.
            Some(shaped) => shaped.change(faults, self.way),
            None => self.shaped = Shaped::new(faults, self.way, false),
        }
    }

    fn is_over(&self) -> bool {
        self.done || (self.ended && self.shaped.as_ref().is_some_and(|shaped| shaped.swallows()))
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut TcpStream,
        to: &mut TcpStream,
        count: &AtomicU64,
        tap: &mut Option<Box<Tap>>,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.done {
                return Poll::Ready(Ok(()));
            }
            if !self.buffer.is_empty() {
                match ready!(fault::poll_send(cx, self.buffer.bytes(), to, &mut self.shaped)) {
                    Ok(written) => self.buffer.consume(written),
                    // Who takes nothing any more may still have something to say: the other lane tells how it ends.
                    Err(_) => self.done = true,
                }
            } else if self.ended {
                if let Some(shaped) = &mut self.shaped {
                    // An error is met again by the shutdown.
                    let _ = ready!(shaped.poll_flush(cx, to));
                    let linger = self.linger.get_or_insert_with(|| Box::pin(sleep(shaped.linger())));
                    ready!(linger.as_mut().poll(cx));
                }
                // The other side may have gone altogether, then there is nobody to tell.
                let _ = ready!(Pin::new(&mut *to).poll_shutdown(cx));
                self.done = true;
            } else {
                if let Some(shaped) = &mut self.shaped {
                    // What waits goes on even if nothing more comes.
                    let _ = shaped.poll_flush(cx, to);
                }
                match ready!(self.buffer.poll_read(cx, from))? {
                    0 => self.ended = true,
                    read => {
                        self.bytes += read as u64;
                        count.fetch_add(read as u64, Relaxed);
                        if let Some(tap) = tap {
                            let bytes = self.buffer.bytes();
                            tap.read(self.way, &bytes[bytes.len() - read..]);
                        }
                    }
                }
            }
        }
    }
}
