//! One request: let in or held, answered here, or led to the provider.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::admit::{Admitted, Denied, Unreached, admit, connect, enter, read_on};
use crate::buffer::Buffer;
use crate::capture::{Outcome, Served};
use crate::connection::Client;
use crate::fault::{Fault, FaultKind, Shaped, Stream};
use crate::http1::flow::{End, Flow, Opening, Provider};
use crate::http1::head::{self, RequestHead};
use crate::http1::log::Log;
use crate::http1::settle::{Next, refuse, settle};
use crate::http1::stub;
use crate::swap::{Generation, Target};

/// A provider's connection that was idle for longer is not used again: many servers close theirs after 5 s, and a
/// request must not cross with that.
const STALE: Duration = Duration::from_secs(4);

/// One request and its answer.
pub(crate) async fn exchange(client: &mut Client, provider: &mut Option<Provider>, mut head: RequestHead) -> Next {
    let faults = client.edge.faults.pick();
    let mut log = Log::new(&mut head, &faults);
    let edge = Arc::clone(&client.edge);
    let work = async {
        match error_fault(&faults) {
            Some(status) => {
                let said = (status, "an error fault of this edge");
                refuse(client, &head, &mut log, said, Outcome::Done, &faults).await
            }
            None => lead(client, provider, &mut head, &mut log, &faults).await,
        }
    };
    let (outcome, next) = tokio::select! {
        biased;
        done = work => done,
        () = edge.faults.lifted(&faults), if !faults.is_empty() => {
            let why = "a fault of this edge has swallowed it".to_owned();
            (Outcome::Failed { why }, Next::Drop)
        }
    };
    log.close(&edge, outcome);
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
        let fresh =
            |provider: &Provider| provider.generation == generation.number && provider.idle_since.elapsed() < STALE;
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

/// Waits for a provider.
async fn wait(client: &mut Client) -> Result<Admitted, Denied> {
    let Client {
        stream,
        buffer,
        edge,
        target,
        ..
    } = client;
    let bytes = buffer.len();
    admit(edge, target, bytes, None, async |waiting| {
        read_on(stream, buffer, waiting).await
    })
    .await
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
