//! Writing under faults: bytes are accepted at once and go on when the [`Shaper`] lets them.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::time::{Instant, Sleep, sleep_until};

use super::shaper::{End, Piece, Shaper};
use super::{Fault, Stream};

/// Bytes that wait for their time before whoever sends more has to wait as well.
const WAITING: usize = 1 << 20;

/// One direction of a connection or message that meets faults.
pub(crate) struct Shaped {
    shaper: Shaper,
    queue: VecDeque<Piece>,
    /// Bytes in `queue`.
    queued: usize,
    /// Bytes of its first piece that are written.
    written: usize,
    /// HTTP: latency is for the first bytes alone.
    message: bool,
    timer: Pin<Box<Sleep>>,
    end: Option<(Pin<Box<Sleep>>, End)>,
}

impl Shaped {
    /// `None` if none of the faults is for this direction.
    pub(crate) fn new(picked: &[Fault], stream: Stream, message: bool) -> Option<Box<Self>> {
        if !picked.iter().any(|fault| fault.stream == stream) {
            return None;
        }
        let now = Instant::now();
        let shaper = Shaper::new(picked, stream, now);
        let timer = Box::pin(sleep_until(now));
        Some(Box::new(Self {
            shaper,
            queue: VecDeque::new(),
            queued: 0,
            written: 0,
            message,
            timer,
            end: None,
        }))
    }

    /// Other faults from now on; what waits keeps its time. Where some of it was swallowed, the rest is no use to anybody.
    pub(crate) fn change(&mut self, picked: &[Fault], stream: Stream) {
        let now = Instant::now();
        let next = Shaper::new(picked, stream, now);
        if self.shaper.has_lost() {
            if !next.swallows() {
                self.end = Some((Box::pin(sleep_until(now)), End::Close));
            }
            return;
        }
        self.shaper = next;
        self.end = None;
    }

    /// Takes bytes over, as a socket does.
    pub(crate) fn poll_send<W>(&mut self, cx: &mut Context<'_>, data: &[u8], to: &mut W) -> Poll<io::Result<usize>>
    where
        W: AsyncWrite + Unpin,
    {
        if self.queued >= WAITING {
            ready!(self.poll_written(cx, to))?;
        }
        let before: usize = self.queue.len();
        self.shaper.push(data, Instant::now(), self.message, &mut self.queue);
        self.queued += self
            .queue
            .iter()
            .skip(before)
            .map(|piece| piece.data.len())
            .sum::<usize>();
        if let Poll::Ready(Err(error)) = self.poll_written(cx, to) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(data.len()))
    }

    /// Ends when everything has gone on. What is swallowed never does.
    pub(crate) fn poll_flush<W>(&mut self, cx: &mut Context<'_>, to: &mut W) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
    {
        ready!(self.poll_written(cx, to))?;
        if self.shaper.swallows() {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    /// Ends when a fault ends the connection.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if !self.queue.is_empty() {
            return Poll::Pending;
        }
        if self.end.is_none() {
            self.end = self.shaper.end().map(|(then, end)| (Box::pin(sleep_until(then)), end));
        }
        match &mut self.end {
            Some((timer, end)) => timer.as_mut().poll(cx).map(|()| *end),
            None => Poll::Pending,
        }
    }

    /// Whether nothing comes through any more.
    pub(crate) fn swallows(&self) -> bool {
        self.shaper.swallows()
    }

    /// How much longer the connection stays open after its last byte.
    pub(crate) fn linger(&self) -> std::time::Duration {
        self.shaper.linger()
    }

    fn poll_written<W>(&mut self, cx: &mut Context<'_>, to: &mut W) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
    {
        while let Some(piece) = self.queue.front() {
            if piece.due > self.timer.deadline() {
                self.timer.as_mut().reset(piece.due);
            }
            if piece.due > Instant::now() {
                ready!(self.timer.as_mut().poll(cx));
            }
            let count = ready!(Pin::new(&mut *to).poll_write(cx, &piece.data[self.written..]))?;
            self.written += count;
            self.queued -= count;
            if self.written == piece.data.len() {
                self.written = 0;
                self.queue.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Writes as a socket does, through the faults if there are any.
pub(crate) fn poll_send<W>(
    cx: &mut Context<'_>,
    data: &[u8],
    to: &mut W,
    shaped: &mut Option<Box<Shaped>>,
) -> Poll<io::Result<usize>>
where
    W: AsyncWrite + Unpin,
{
    match shaped {
        None => Pin::new(to).poll_write(cx, data),
        Some(shaped) => shaped.poll_send(cx, data, to),
    }
}
