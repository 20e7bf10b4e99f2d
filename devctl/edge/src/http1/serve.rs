//! A consumer's connection, request after request.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::admit::{Admitted, Denied, Unreached, admit, connect, enter};
use crate::buffer::Buffer;
use crate::capture::{Outcome, Served};
use crate::connection::{Client, Early};
use crate::fault::{self, Fault, FaultKind, Shaped, Stream};
use crate::http1::answer::{answer, close, flush};
use crate::http1::flow::{End, Flow, Opening, Provider};
use crate::http1::head::{self, BadHead, Method, RequestHead};
use crate::http1::log::Log;
use crate::http1::stub;
use crate::relay::{Ended, Relay};
use crate::swap::{Generation, Target};
use crate::tcp::reset_on_close;

/// A provider's connection that was idle for longer is not used again: many servers close theirs after 5 s, and a
/// request must not cross with that.
const STALE: Duration = Duration::from_secs(4);

/// What becomes of the consumer's connection.
enum Next {
    /// It waits for the next request.
    Keep,
    /// It is closed, and its client can read what it was told.
    Close,
    /// It is dropped: the client is gone, or is to see a reset.
    Drop,
}

/// Serves a connection that speaks HTTP/1.
pub(crate) async fn serve(mut client: Client, early: Option<Early>) {
    let mut provider = early.map(|early| Provider {
        stream: early.stream,
        buffer: Buffer::default(),
        address: early.address,
        generation: early.generation,
        used: false,
        idle_since: Instant::now(),
    });
    loop {
        let next = match next_head(&mut client, &mut provider).await {
            Ok(Some(head)) => exchange(&mut client, &mut provider, head).await,
            Ok(None) => Next::Drop,
            Err(bad) => bad_request(&mut client, &bad).await,
        };
        match next {
            Next::Keep => {}
            Next::Close => return close(&mut client).await,
            Next::Drop => return,
        }
    }
}

/// Waits for a request's head. Meanwhile the provider's connection is let go when the provider closes it or is
/// replaced. `None` if the client is done.
async fn next_head(client: &mut Client, provider: &mut Option<Provider>) -> Result<Option<RequestHead>, BadHead> {
    loop {
        if !client.buffer.is_empty() {
            let capture = client.edge.traffic.is_on().then_some(&client.edge.traffic.redaction);
            // Empty lines before a request are allowed.
            let empty = client
                .buffer
                .bytes()
                .iter()
                .take_while(|b| matches!(b, b'\r' | b'\n'))
                .count();
            client.buffer.consume(empty);
            if let Some(head) = head::request(client.buffer.bytes(), capture)? {
                return Ok(Some(head));
            }
            if client.buffer.is_full() {
                return Err(head::too_large());
            }
        }
        let Client {
            stream, buffer, target, ..
        } = &mut *client;
        if provider.is_some()
            && provider.as_ref().map(|provider| provider.generation) != Some(target.borrow_and_update().number)
        {
            *provider = None;
        }
        let read = poll_fn(|cx| {
            while let Some(idle) = provider {
                let Poll::Ready(_) = idle.stream.poll_read_ready(cx) else {
                    break;
                };
                // It closes, or says something that nobody has asked for.
                match idle.stream.try_read(&mut [0]) {
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    _ => *provider = None,
                }
            }
            buffer.poll_read(cx, stream)
        });
        tokio::select! {
            biased;
            read = read => match read {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            },
            _ = target.changed() => {}
        }
    }
}

async fn bad_request(client: &mut Client, bad: &BadHead) -> Next {
    let mut nothing = RequestHead {
        len: 0,
        method: Method::Other,
        framing: super::framing::Framing::NONE,
        keep_alive: false,
        expects: false,
        trace: crate::trace::TraceParent::make(),
        made_trace: true,
        saved: None,
    };
    let mut log = Log::new(&mut nothing, &[]);
    let told = answer(
        client,
        (bad.status, &bad.why),
        Method::Other,
        false,
        &mut log,
        &mut None,
    )
    .await;
    log.close(&client.edge, Outcome::Done);
    if told.is_ok() { Next::Close } else { Next::Drop }
}

/// One request and its answer.
async fn exchange(client: &mut Client, provider: &mut Option<Provider>, mut head: RequestHead) -> Next {
    let faults = client.edge.faults.pick();
    let mut log = Log::new(&mut head, &faults);
    let (outcome, next) = match error_fault(&faults) {
        Some(status) => {
            let said = (status, "an error fault of this edge");
            refuse(client, &head, &mut log, said, Outcome::Done, &faults).await
        }
        None => lead(client, provider, &mut head, &mut log, &faults).await,
    };
    log.close(&client.edge, outcome);
    if !faults.is_empty() && !matches!(next, Next::Keep) {
        let linger = Shaped::new(&faults, Stream::Downstream, true).map(|shaped| shaped.linger());
        tokio::time::sleep(linger.unwrap_or_default()).await;
    }
    next
}

fn error_fault(faults: &[Fault]) -> Option<StatusCode> {
    faults.iter().find_map(|fault| match fault.kind {
        FaultKind::Error { status } => StatusCode::from_u16(status).ok(),
        _ => None,
    })
}

/// To wherever the edge leads, again if that changes before anything was sent.
async fn lead(
    client: &mut Client,
    provider: &mut Option<Provider>,
    head: &mut RequestHead,
    log: &mut Log,
    faults: &[Fault],
) -> (Outcome, Next) {
    let mut opening: Option<Opening> = None;
    loop {
        let inflight = match enter(&client.target) {
            Some(inflight) => inflight,
            None => match wait(client).await {
                Ok(Admitted { inflight, held }) => {
                    log.held += held;
                    inflight
                }
                Err(Denied::Refused(why)) => {
                    let failed = Outcome::Failed { why: why.clone() };
                    return refuse(
                        client,
                        head,
                        log,
                        (StatusCode::SERVICE_UNAVAILABLE, &why),
                        failed,
                        faults,
                    )
                    .await;
                }
                Err(Denied::Left | Denied::Deadline) => return (Outcome::Left, Next::Drop),
            },
        };
        let generation = Arc::clone(inflight.generation());
        match &generation.target {
            Target::Hold { .. } => continue,
            Target::Real(_) => {}
            Target::Stub(stub) => return from_stub(client, stub, head, log, faults).await,
            Target::Refused { why } => {
                let failed = Outcome::Failed { why: why.clone() };
                return refuse(
                    client,
                    head,
                    log,
                    (StatusCode::SERVICE_UNAVAILABLE, why),
                    failed,
                    faults,
                )
                .await;
            }
        }
        let fresh = |provider: &Provider| {
            provider.generation == generation.number && (!provider.used || provider.idle_since.elapsed() < STALE)
        };
        let mut to = match provider.take().filter(fresh) {
            Some(provider) => provider,
            None => match connect(&client.edge, &generation).await {
                Ok((stream, address)) => Provider {
                    stream,
                    buffer: Buffer::default(),
                    address,
                    generation: generation.number,
                    used: false,
                    idle_since: Instant::now(),
                },
                Err(Unreached::Retired) => continue,
                Err(Unreached::Failed(why)) => {
                    let failed = Outcome::Failed { why: why.clone() };
                    return refuse(client, head, log, (StatusCode::BAD_GATEWAY, &why), failed, faults).await;
                }
            },
        };
        log.served = Served::Provider { address: to.address };
        let opening = match &mut opening {
            Some(opening) => opening,
            none => {
                let limit = client.edge.traffic.limits.body;
                match Opening::new(&mut client.buffer, head, &mut log.request, limit) {
                    Some(opening) => none.insert(opening),
                    None => {
                        let large = head::too_large();
                        return refuse(client, head, log, (large.status, &large.why), Outcome::Done, faults).await;
                    }
                }
            }
        };
        let end = forward(client, &mut to, opening, head, log, (faults, &generation)).await;
        if let End::Unsent(error) = &end {
            // The connection was dead before. Where it was a new one, trying again is for the client to decide.
            if to.used {
                continue;
            }
            let why = format!("{} took nothing of the request: {error}", client.edge.id.provider);
            let failed = Outcome::Failed { why: why.clone() };
            return refuse(client, head, log, (StatusCode::BAD_GATEWAY, &why), failed, faults).await;
        }
        return settle(client, provider, to, end, head, log, (faults, &generation)).await;
    }
}

/// Waits for a provider, and reads meanwhile, because only so can it be seen that the client has gone.
async fn wait(client: &mut Client) -> Result<Admitted, Denied> {
    let Client {
        stream,
        buffer,
        edge,
        target,
        ..
    } = client;
    let bytes = buffer.len();
    let left = async {
        while !buffer.is_full() {
            if buffer.read(stream).await.unwrap_or(0) == 0 {
                return;
            }
        }
        std::future::pending().await
    };
    admit(edge, target, bytes, None, left).await
}

async fn forward(
    client: &mut Client,
    to: &mut Provider,
    opening: &mut Opening,
    head: &RequestHead,
    log: &mut Log,
    (faults, generation): (&[Fault], &Generation),
) -> End {
    let shaped = if faults.is_empty() {
        (None, None)
    } else {
        (
            Shaped::new(faults, Stream::Upstream, true),
            Shaped::new(faults, Stream::Downstream, true),
        )
    };
    let mut flow = Flow::new(client, to, opening, head, log, shaped);
    tokio::select! {
        biased;
        end = poll_fn(|cx| flow.poll(cx)) => end,
        () = generation.cut.cancelled() => {
            let why = "was replaced, and its time to finish is over".to_owned();
            if flow.answered() { End::Broken(why) } else { End::Silent(why) }
        }
    }
}

/// What follows from how an exchange with the provider ended.
async fn settle(
    client: &mut Client,
    idle: &mut Option<Provider>,
    mut to: Provider,
    end: End,
    head: &mut RequestHead,
    log: &mut Log,
    (faults, generation): (&[Fault], &Generation),
) -> (Outcome, Next) {
    if !head.framing.is_done() || matches!(end, End::BadRequest) {
        // How much of the body is still to come is known no more.
        head.keep_alive = false;
    }
    let name = client.edge.id.provider.clone();
    match end {
        End::Whole { keep: true } => {
            (to.used, to.idle_since) = (true, Instant::now());
            *idle = Some(to);
            (Outcome::Done, Next::Keep)
        }
        End::Whole { keep: false } => (Outcome::Done, Next::Close),
        End::Upgraded => (tunnel(client, to, generation).await, Next::Drop),
        End::Left => {
            reset_on_close(&to.stream);
            (Outcome::Left, Next::Drop)
        }
        // The client had a kept-alive connection, as the provider had: it knows that such a one may be closed any
        // time, and sends again by itself what may be sent again.
        End::Silent(why) if to.used && matches!(head.method, Method::Idempotent | Method::Head) => (
            Outcome::Failed {
                why: format!("{name} {why}"),
            },
            Next::Drop,
        ),
        End::Silent(why) => {
            let why = format!("{name} {why}");
            let failed = Outcome::Failed { why: why.clone() };
            refuse(client, head, log, (StatusCode::BAD_GATEWAY, &why), failed, faults).await
        }
        End::Broken(why) if log.status == 0 => {
            let why = format!("{name}: {why}");
            let failed = Outcome::Failed { why: why.clone() };
            refuse(client, head, log, (StatusCode::BAD_GATEWAY, &why), failed, faults).await
        }
        // Half an answer must not look like a whole one.
        End::Broken(why) => {
            reset_on_close(&client.stream);
            (
                Outcome::Failed {
                    why: format!("{name} {why}"),
                },
                Next::Drop,
            )
        }
        End::BadRequest => {
            let said = (StatusCode::BAD_REQUEST, "a chunk of the body makes no sense");
            refuse(client, head, log, said, Outcome::Done, faults).await
        }
        End::Fault(end) => {
            if end == fault::End::Reset {
                reset_on_close(&client.stream);
            }
            (
                Outcome::Failed {
                    why: "a fault of this edge ended the connection".into(),
                },
                Next::Drop,
            )
        }
        End::Unsent(error) => (Outcome::Failed { why: error.to_string() }, Next::Drop),
    }
}

/// After `101 Switching Protocols`, or a CONNECT: bytes both ways.
async fn tunnel(client: &mut Client, mut to: Provider, generation: &Generation) -> Outcome {
    let edge = Arc::clone(&client.edge);
    let mut relay = Relay::new(
        std::mem::take(&mut client.buffer),
        std::mem::take(&mut to.buffer),
        &edge,
    );
    match relay.run(&mut client.stream, &mut to.stream, &edge, generation).await {
        Ended::Done | Ended::Retired | Ended::Fault(fault::End::Close) => Outcome::Done,
        Ended::Fault(fault::End::Reset) => {
            reset_on_close(&client.stream);
            Outcome::Failed {
                why: "a fault of this edge ended the connection".into(),
            }
        }
        Ended::Failed(error) => {
            reset_on_close(&client.stream);
            reset_on_close(&to.stream);
            Outcome::Failed { why: error.to_string() }
        }
    }
}

async fn from_stub(
    client: &mut Client,
    with: &Arc<dyn crate::stub::Stub>,
    head: &mut RequestHead,
    log: &mut Log,
    faults: &[Fault],
) -> (Outcome, Next) {
    log.served = Served::Stub;
    let request = match stub::read(client, head, log).await {
        Ok(Some(request)) => request,
        Ok(None) => return (Outcome::Left, Next::Drop),
        Err(bad) => {
            head.keep_alive = false;
            return refuse(client, head, log, (bad.status, &bad.why), Outcome::Done, faults).await;
        }
    };
    let mut shaped = Shaped::new(faults, Stream::Downstream, true);
    match stub::answer(client, with, request, head, log, &mut shaped).await {
        Ok(()) if head.keep_alive => (Outcome::Done, Next::Keep),
        Ok(()) => (Outcome::Done, Next::Close),
        Err(_) => (Outcome::Left, Next::Drop),
    }
}

/// Answers in the provider's place. The connection goes on if the request's end is known.
async fn refuse(
    client: &mut Client,
    head: &RequestHead,
    log: &mut Log,
    said: (StatusCode, &str),
    outcome: Outcome,
    faults: &[Fault],
) -> (Outcome, Next) {
    log.served = Served::Edge;
    let mut body = head.framing;
    client.buffer.consume(head.len);
    let rest = body.scan(client.buffer.bytes()).unwrap_or(0);
    client.buffer.consume(rest);
    let keep = head.keep_alive && body.is_done();
    let mut shaped = Shaped::new(faults, Stream::Downstream, true);
    let told = async {
        answer(client, said, head.method, keep, log, &mut shaped).await?;
        flush(client, &mut shaped).await
    };
    match told.await {
        Ok(()) if keep => (outcome, Next::Keep),
        Ok(()) => (outcome, Next::Close),
        Err(_) => (Outcome::Left, Next::Drop),
    }
}
