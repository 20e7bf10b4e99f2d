//! One request on its way to the provider and its answer on its way back, both at the same time: a provider may answer
//! before it has heard everything, and a client may go at any moment.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::buffer::{Block, Buffer, SIZE};
use crate::capture::Saved;
use crate::connection::Client;
use crate::fault::{self, Shaped, poll_send};
use crate::http1::framing::Framing;
use crate::http1::head::{self, Method, RequestHead};
use crate::http1::log::Log;

/// A connection to the provider.
pub(crate) struct Provider {
    pub(crate) stream: TcpStream,
    pub(crate) buffer: Buffer,
    pub(crate) address: SocketAddr,
    pub(crate) generation: u64,
    /// It has answered before.
    pub(crate) used: bool,
    pub(crate) idle_since: Instant,
}

/// A request's head as the provider gets it, and what was there of the body: one write in most cases.
pub(crate) struct Opening {
    block: Block,
    len: usize,
    written: usize,
}

impl Opening {
    /// Takes head and body out of the client's buffer. `traceparent` goes in if it was missing.
    pub(crate) fn new(
        client: &mut Buffer,
        head: &mut RequestHead,
        request: &mut Option<Saved>,
        limit: usize,
    ) -> Option<Self> {
        let mut opening = Self {
            block: Block::take(),
            len: 0,
            written: 0,
        };
        if head.made_trace {
            // Before the empty line that ends the head.
            opening.add(&client.bytes()[..head.len - 2])?;
            opening.add(b"traceparent: ")?;
            opening.add(&head.trace.write())?;
            opening.add(b"\r\n\r\n")?;
        } else {
            opening.add(&client.bytes()[..head.len])?;
        }
        client.consume(std::mem::take(&mut head.len));
        let room = client.bytes().len().min(SIZE - opening.len);
        // A chunk that makes no sense is met again, and answered, where the rest of the body is read.
        let mut framing = head.framing;
        if let Ok(count) = framing.scan(&client.bytes()[..room])
            && count > 0
        {
            head.framing = framing;
            opening.add(&client.bytes()[..count])?;
            if let Some(saved) = request {
                saved.body(&client.bytes()[..count], limit);
            }
            client.consume(count);
        }
        Some(opening)
    }

    fn add(&mut self, bytes: &[u8]) -> Option<()> {
        self.block
            .get_mut(self.len..self.len + bytes.len())?
            .copy_from_slice(bytes);
        self.len += bytes.len();
        Some(())
    }
}

/// How it went.
pub(crate) enum End {
    /// The answer is whole; whether both connections can be used again.
    Whole { keep: bool },
    /// The provider has agreed to speak something else from here on.
    Upgraded,
    /// The client is gone.
    Left,
    /// Not a byte was taken by the provider: the request may be sent elsewhere.
    Unsent(io::Error),
    /// The provider hung up without a word.
    Silent(String),
    /// The provider hung up in the middle of its answer, or its answer makes no sense.
    Broken(String),
    /// The request's body makes no sense.
    BadRequest,
    /// A fault says so.
    Fault(fault::End),
}

/// The state of both directions.
pub(crate) struct Flow<'a> {
    client: &'a mut Client,
    provider: &'a mut Provider,
    opening: &'a mut Opening,
    log: &'a mut Log,
    method: Method,
    wants_keep: bool,
    request: Framing,
    /// Bytes at the front of the client's buffer that are known to belong to this request.
    request_ready: usize,
    request_done: bool,
    /// The provider takes nothing more; it may still answer.
    deaf: bool,
    /// The client sends nothing more.
    client_ended: bool,
    answer: Option<Answer>,
    /// Bytes at the front of the provider's buffer that may go to the client.
    answer_ready: usize,
    out: Option<Box<Shaped>>,
    back: Option<Box<Shaped>>,
}

#[derive(Clone, Copy)]
struct Answer {
    framing: Framing,
    keep: bool,
    upgraded: bool,
}

impl<'a> Flow<'a> {
    pub(crate) fn new(
        client: &'a mut Client,
        provider: &'a mut Provider,
        opening: &'a mut Opening,
        head: &RequestHead,
        log: &'a mut Log,
        (out, back): (Option<Box<Shaped>>, Option<Box<Shaped>>),
    ) -> Self {
        opening.written = 0;
        Self {
            client,
            provider,
            opening,
            log,
            method: head.method,
            wants_keep: head.keep_alive,
            request: head.framing,
            request_ready: 0,
            request_done: false,
            deaf: false,
            client_ended: false,
            answer: None,
            answer_ready: 0,
            out,
            back,
        }
    }

    /// Whether the client has got something of an answer, so that another cannot be given.
    pub(crate) fn answered(&self) -> bool {
        self.answer.is_some()
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Some(end) = self.poll_request(cx) {
            return Poll::Ready(end);
        }
        if let Poll::Ready(end) = self.poll_answer(cx) {
            return Poll::Ready(end);
        }
        if self.poll_leaving(cx).is_ready() {
            return Poll::Ready(End::Left);
        }
        for shaped in [&mut self.out, &mut self.back].into_iter().flatten() {
            if let Poll::Ready(end) = shaped.poll_end(cx) {
                return Poll::Ready(End::Fault(end));
            }
        }
        Poll::Pending
    }

    /// Sends as much of the request as there is and the provider takes.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Option<End> {
        loop {
            if self.request_done || self.deaf {
                if let Some(shaped) = &mut self.out {
                    // What fails here is seen where the answer is read.
                    let _ = shaped.poll_flush(cx, &mut self.provider.stream);
                }
                return None;
            }
            let opening = &self.opening.block[self.opening.written..self.opening.len];
            let (bytes, from_opening) = match opening {
                [] => (&self.client.buffer.bytes()[..self.request_ready], false),
                opening => (opening, true),
            };
            if !bytes.is_empty() {
                match poll_send(cx, bytes, &mut self.provider.stream, &mut self.out) {
                    Poll::Pending => return None,
                    Poll::Ready(Ok(count)) => {
                        self.client.edge.stats.bytes_out.fetch_add(count as u64, Relaxed);
                        if from_opening {
                            self.opening.written += count;
                        } else {
                            self.client.buffer.consume(count);
                            self.request_ready -= count;
                        }
                    }
                    Poll::Ready(Err(error)) if from_opening && self.opening.written == 0 => {
                        return Some(End::Unsent(error));
                    }
                    Poll::Ready(Err(_)) => self.deaf = true,
                }
            } else if self.request.is_done() {
                self.request_done = true;
            } else if !self.client.buffer.is_empty() {
                let bytes = self.client.buffer.bytes();
                let Ok(count) = self.request.scan(bytes) else {
                    return Some(End::BadRequest);
                };
                self.request_ready = count;
                if let Some(saved) = &mut self.log.request {
                    saved.body(&bytes[..count], self.client.edge.traffic.limits.body);
                }
            } else {
                match self.client.buffer.poll_read(cx, &mut self.client.stream) {
                    Poll::Pending => return None,
                    // A body that stops in the middle is a client that gave up.
                    Poll::Ready(Ok(0) | Err(_)) => return Some(End::Left),
                    Poll::Ready(Ok(_)) => {}
                }
            }
        }
    }

    /// Sends as much of the answer as there is and the client takes.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if self.answer_ready > 0 {
                let bytes = &self.provider.buffer.bytes()[..self.answer_ready];
                match ready!(poll_send(cx, bytes, &mut self.client.stream, &mut self.back)) {
                    Ok(count) => {
                        self.client.edge.stats.bytes_in.fetch_add(count as u64, Relaxed);
                        self.provider.buffer.consume(count);
                        self.answer_ready -= count;
                    }
                    Err(_) => return Poll::Ready(End::Left),
                }
                continue;
            }
            if let Some(answer) = self.answer.filter(|answer| answer.framing.is_done()) {
                return self.poll_whole(cx, answer);
            }
            if !self.provider.buffer.is_empty() {
                match self.next_part() {
                    Ok(0) if self.provider.buffer.is_full() => {
                        return Poll::Ready(End::Broken(format!("its answer has a head of more than {SIZE} bytes")));
                    }
                    Ok(0) => {}
                    Ok(count) => {
                        self.answer_ready = count;
                        continue;
                    }
                    Err(why) => return Poll::Ready(End::Broken(why)),
                }
            }
            match ready!(self.provider.buffer.poll_read(cx, &mut self.provider.stream)) {
                Ok(0) => return self.hung_up(cx, "closed the connection"),
                Ok(_) => {
                    self.log.first_byte.get_or_insert_with(Instant::now);
                }
                Err(error) => return self.hung_up(cx, &format!("broke the connection: {error}")),
            }
        }
    }

    /// How many of the bytes that the provider has sent may go on; 0 if a head is not whole yet.
    fn next_part(&mut self) -> Result<usize, String> {
        let traffic = &self.client.edge.traffic;
        let bytes = self.provider.buffer.bytes();
        let limit = traffic.limits.body;
        let (start, mut answer) = match self.answer {
            Some(answer) => (0, answer),
            None => {
                let capture = self.log.request.as_ref().map(|_| traffic.redaction());
                let head = match head::response(bytes, self.method, capture.as_deref()) {
                    Ok(Some(head)) => head,
                    Ok(None) => return Ok(0),
                    Err(error) => return Err(format!("its answer is not HTTP: {error}")),
                };
                if head.status < 200 && head.status != 101 {
                    return Ok(head.len);
                }
                self.log.status = head.status;
                self.log.response = head.saved;
                let tunnel = self.method == Method::Connect && (200..300).contains(&head.status);
                let upgraded = head.status == 101 || tunnel;
                let framing = if upgraded { Framing::NONE } else { head.framing };
                (
                    head.len,
                    Answer {
                        framing,
                        keep: head.keep_alive,
                        upgraded,
                    },
                )
            }
        };
        let body = &bytes[start..];
        let count = answer
            .framing
            .scan(body)
            .map_err(|_| "a chunk of its answer makes no sense".to_owned())?;
        if let Some(saved) = &mut self.log.response {
            saved.body(&body[..count], limit);
        }
        self.answer = Some(answer);
        Ok(start + count)
    }

    /// The answer is whole. The request may not be: then its rest is taken as well, unless the connection ends here.
    fn poll_whole(&mut self, cx: &mut Context<'_>, answer: Answer) -> Poll<End> {
        if let Some(shaped) = &mut self.back
            && ready!(shaped.poll_flush(cx, &mut self.client.stream)).is_err()
        {
            return Poll::Ready(End::Left);
        }
        if answer.upgraded {
            return Poll::Ready(End::Upgraded);
        }
        let keep = answer.keep && self.wants_keep && !self.client_ended && !self.deaf;
        if keep && !self.request_done {
            // Nothing is due from the provider: it hangs up, or the connections are out of step.
            let _ = ready!(self.provider.buffer.poll_read(cx, &mut self.provider.stream));
            return Poll::Ready(End::Whole { keep: false });
        }
        Poll::Ready(End::Whole {
            keep: keep && self.provider.buffer.is_empty(),
        })
    }

    fn hung_up(&mut self, cx: &mut Context<'_>, how: &str) -> Poll<End> {
        match &mut self.answer {
            Some(answer) if answer.framing == Framing::UntilClose => {
                answer.framing = Framing::NONE;
                let answer = *answer;
                self.poll_whole(cx, answer)
            }
            Some(_) => Poll::Ready(End::Broken(format!("{how} in the middle of its answer"))),
            None => Poll::Ready(End::Silent(format!("{how} without an answer"))),
        }
    }

    /// Notices that the client sends no more, and tells the provider. Bytes of its next request wait.
    fn poll_leaving(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.request_done && !self.client_ended && self.client.buffer.is_empty() {
            match ready!(self.client.buffer.poll_read(cx, &mut self.client.stream)) {
                Ok(0) => {
                    // It may only have closed its half. What the provider makes of that is the provider's business.
                    self.client_ended = true;
                    let _ = Pin::new(&mut self.provider.stream).poll_shutdown(cx);
                }
                Ok(_) => {}
                Err(_) => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }
}
