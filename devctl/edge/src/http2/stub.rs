//! HTTP/2 in front of a stub, gRPC with trailers and streams both ways among it.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::StreamExt;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response, request};

use crate::capture::{Outcome, Saved};
use crate::edge::Inner;
use crate::fault::{Fault, Stream};
use crate::http2::body::{Pace, Stopped, finish, send};
use crate::http2::log::Log;
use crate::http2::stream::{Shared, reset};
use crate::stub::{Incoming, Part, Stub, StubBody, call};

/// Lets the stub answer, and sends that.
pub(crate) async fn answer(
    shared: &Shared,
    stub: &Arc<dyn Stub>,
    (head, body): (request::Parts, RecvStream),
    respond: &mut SendResponse<Bytes>,
    log: &mut Log,
    faults: &[Fault],
) -> Outcome {
    let edge = &shared.edge;
    let limit = edge.traffic.limits.body;
    let saved = Arc::new(Mutex::new(log.request.take()));
    let incoming = Incoming(parts(body, Arc::clone(edge), Arc::clone(&saved), limit));
    let answered = tokio::select! {
        biased;
        response = call(edge, stub, Request::from_parts(head, incoming)) => Some(response),
        _ = std::future::poll_fn(|cx| respond.poll_reset(cx)) => None,
    };
    log.request = saved.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(response) = answered else { return Outcome::Left };
    let mut pace = Pace::new(faults, Stream::Downstream);
    if let Err(end) = Pace::head(&mut pace).await {
        return reset(respond, end);
    }
    match write(shared, response, respond, log, &mut pace).await {
        Ok(()) => Outcome::Done,
        Err(Stopped::Fault(end)) => reset(respond, end),
        Err(Stopped::Source(_) | Stopped::Sink) => Outcome::Left,
    }
}

/// A request's body, piece by piece.
fn parts(
    body: RecvStream,
    edge: Arc<Inner>,
    saved: Arc<Mutex<Option<Saved>>>,
    limit: usize,
) -> futures::stream::BoxStream<'static, Part> {
    let state = Some((body, edge, saved));
    futures::stream::unfold(state, move |state| async move {
        let (mut body, edge, saved) = state?;
        if let Some(chunk) = body.data().await {
            let chunk = chunk.ok()?;
            let _ = body.flow_control().release_capacity(chunk.len());
            edge.stats.bytes_out.fetch_add(chunk.len() as u64, Relaxed);
            if let Some(saved) = &mut *saved.lock().unwrap_or_else(PoisonError::into_inner) {
                saved.body(&chunk, limit);
            }
            return Some((Part::Data(chunk), Some((body, edge, saved))));
        }
        let trailers = body.trailers().await.ok()??;
        Some((Part::Trailers(trailers), None))
    })
    .boxed()
}

async fn write(
    shared: &Shared,
    response: Response<StubBody>,
    respond: &mut SendResponse<Bytes>,
    log: &mut Log,
    pace: &mut Option<Pace>,
) -> Result<(), Stopped> {
    let edge = &shared.edge;
    let (mut head, body) = response.into_parts();
    for hop in [
        "connection",
        "transfer-encoding",
        "keep-alive",
        "upgrade",
        "proxy-connection",
    ] {
        head.headers.remove(hop);
    }
    head.version = http::Version::HTTP_2;
    log.answered(edge, &head);
    let empty = matches!(&body, StubBody::Full { data, trailers: None } if data.is_empty());
    let mut to = respond
        .send_response(Response::from_parts(head, ()), empty)
        .map_err(|_| Stopped::Sink)?;
    let mut body = match body {
        _ if empty => return Ok(()),
        StubBody::Full { data, trailers } => {
            let parts = [Some(Part::Data(data)), trailers.map(Part::Trailers)];
            futures::stream::iter(parts.into_iter().flatten()).boxed()
        }
        StubBody::Stream(parts) => parts,
    };
    while let Some(part) = body.next().await {
        match part {
            Part::Data(data) => {
                log.answer_body(edge, &data);
                edge.stats.bytes_in.fetch_add(data.len() as u64, Relaxed);
                match pace {
                    None => send(&mut to, data, false).await?,
                    Some(pace) => pace.send(&mut to, &data).await?,
                }
            }
            Part::Trailers(trailers) => {
                log.trailers(edge, &trailers);
                return finish(&mut to, Some(trailers));
            }
        }
    }
    finish(&mut to, None)
}
