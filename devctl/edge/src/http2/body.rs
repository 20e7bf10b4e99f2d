//! A body on its way from one stream to another: no more is taken than the other side takes.

use std::collections::VecDeque;
use std::future::{pending, poll_fn};

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use http::HeaderMap;
use tokio::time::{Instant, sleep_until};

use crate::fault::{End, Fault, Shaper, Stream};

/// Bytes of a request that are kept until its answer begins, in case the provider refuses it without looking.
const REPLAY: usize = 64 << 10;

/// How a body stopped before its end.
pub(crate) enum Stopped {
    /// Who sends it broke off.
    Source(h2::Error),
    /// Who should take it does not.
    Sink,
    /// A fault says so.
    Fault(End),
}

/// What was sent of a request already.
#[derive(Default)]
pub(crate) struct Replay {
    chunks: Vec<Bytes>,
    size: usize,
    ended: Option<Option<HeaderMap>>,
    /// Too much, or no longer wanted.
    pub(crate) lost: bool,
}

impl Replay {
    /// Whether nothing was sent before.
    pub(crate) fn is_empty(&self) -> bool {
        self.size == 0 && self.ended.is_none()
    }

    fn keep(&mut self, chunk: &Bytes) {
        self.size += chunk.len();
        if self.lost || self.size > REPLAY {
            self.lost = true;
            self.chunks.clear();
        } else {
            self.chunks.push(chunk.clone());
        }
    }
}

/// The faults of one direction of one stream.
pub(crate) struct Pace(Shaper);

impl Pace {
    /// `None` if none of the faults is for this direction.
    pub(crate) fn new(picked: &[Fault], way: Stream) -> Option<Self> {
        let any = picked.iter().any(|fault| fault.stream == way);
        any.then(|| Self(Shaper::new(picked, way, Instant::now())))
    }

    /// Waits as long as the head has to.
    pub(crate) async fn head(pace: &mut Option<Self>) -> Result<(), End> {
        let Some(Self(shaper)) = pace else { return Ok(()) };
        if shaper.swallows() {
            return Err(Self::end(shaper).await);
        }
        sleep_until(shaper.delay(Instant::now())).await;
        Ok(())
    }

    async fn end(shaper: &Shaper) -> End {
        match shaper.end() {
            Some((then, end)) => {
                sleep_until(then).await;
                end
            }
            None => pending().await,
        }
    }

    pub(crate) async fn send(&mut self, to: &mut SendStream<Bytes>, chunk: &[u8]) -> Result<(), Stopped> {
        let mut pieces = VecDeque::new();
        self.0.push(chunk, Instant::now(), true, &mut pieces);
        for piece in pieces {
            sleep_until(piece.due).await;
            send(to, piece.data.into(), false).await?;
        }
        if self.0.swallows() {
            return Err(Stopped::Fault(Self::end(&self.0).await));
        }
        Ok(())
    }
}

/// Takes a request's body to the provider: what was sent of it before, then what comes.
pub(crate) async fn upload(
    from: &mut RecvStream,
    to: &mut SendStream<Bytes>,
    replay: &mut Replay,
    pace: &mut Option<Pace>,
    mut seen: impl FnMut(&[u8]),
) -> Result<(), Stopped> {
    let (before, ended) = (replay.chunks.clone(), replay.ended.clone());
    for chunk in before {
        send(to, chunk, false).await?;
    }
    if let Some(trailers) = ended {
        return finish(to, trailers);
    }
    while let Some(chunk) = from.data().await {
        let chunk = chunk.map_err(Stopped::Source)?;
        let len = chunk.len();
        seen(&chunk);
        replay.keep(&chunk);
        let last = from.is_end_stream();
        if last {
            replay.ended = Some(None);
        }
        pass(to, chunk, last, pace).await?;
        // Freed now that it is taken: this is what makes a slow reader slow its writer.
        let _ = from.flow_control().release_capacity(len);
        if last {
            return Ok(());
        }
    }
    let trailers = from.trailers().await.map_err(Stopped::Source)?;
    replay.ended = Some(trailers.clone());
    finish(to, trailers)
}

/// Takes an answer's body to the consumer.
pub(crate) async fn download(
    from: &mut RecvStream,
    to: &mut SendStream<Bytes>,
    pace: &mut Option<Pace>,
    mut seen: impl FnMut(&[u8]),
) -> Result<Option<HeaderMap>, Stopped> {
    loop {
        let chunk = tokio::select! {
            biased;
            chunk = from.data() => chunk,
            // The caller may go while the provider is silent.
            _ = poll_fn(|cx| to.poll_reset(cx)) => return Err(Stopped::Sink),
        };
        let Some(chunk) = chunk else { break };
        let chunk = chunk.map_err(Stopped::Source)?;
        let len = chunk.len();
        seen(&chunk);
        let last = from.is_end_stream();
        pass(to, chunk, last, pace).await?;
        let _ = from.flow_control().release_capacity(len);
        if last {
            return Ok(None);
        }
    }
    let trailers = from.trailers().await.map_err(Stopped::Source)?;
    finish(to, trailers.clone())?;
    Ok(trailers)
}

async fn pass(to: &mut SendStream<Bytes>, chunk: Bytes, last: bool, pace: &mut Option<Pace>) -> Result<(), Stopped> {
    match pace {
        None => send(to, chunk, last).await,
        Some(pace) => {
            pace.send(to, &chunk).await?;
            if last { finish(to, None) } else { Ok(()) }
        }
    }
}

/// Sends a chunk as the other side makes room for it.
pub(crate) async fn send(to: &mut SendStream<Bytes>, mut chunk: Bytes, last: bool) -> Result<(), Stopped> {
    while !chunk.is_empty() {
        to.reserve_capacity(chunk.len());
        let mut room = to.capacity();
        if room == 0 {
            room = match poll_fn(|cx| to.poll_capacity(cx)).await {
                Some(room) => room.map_err(|_| Stopped::Sink)?,
                None => return Err(Stopped::Sink),
            };
        }
        let part = chunk.split_to(room.min(chunk.len()));
        to.send_data(part, last && chunk.is_empty())
            .map_err(|_| Stopped::Sink)?;
        if last && chunk.is_empty() {
            return Ok(());
        }
    }
    if last { finish(to, None) } else { Ok(()) }
}

/// Ends a body.
pub(crate) fn finish(to: &mut SendStream<Bytes>, trailers: Option<HeaderMap>) -> Result<(), Stopped> {
    let sent = match trailers {
        Some(trailers) => to.send_trailers(trailers),
        None => to.send_data(Bytes::new(), true),
    };
    sent.map_err(|_| Stopped::Sink)
}
