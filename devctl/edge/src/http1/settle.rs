//! What follows from how an exchange ended: for the consumer, and for both connections.

use std::sync::Arc;

use http::StatusCode;
use tokio::time::Instant;

use crate::capture::{Outcome, Served};
use crate::connection::Client;
use crate::fault::{self, Fault, Shaped, Stream};
use crate::http1::answer::{answer, flush};
use crate::http1::flow::{End, Provider};
use crate::http1::head::{Method, RequestHead};
use crate::http1::log::Log;
use crate::relay::{Ended, Relay};
use crate::swap::Generation;
use crate::tcp::reset_on_close;

/// What becomes of the consumer's connection.
pub(crate) enum Next {
    /// It waits for the next request.
    Keep,
    /// It is closed, and its client can read what it was told.
    Close,
    /// It is dropped: the client is gone, or is to see a reset.
    Drop,
}

/// What follows from how an exchange with the provider ended.
pub(crate) async fn settle(
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

/// Answers in the provider's place. The connection goes on if the request's end is known.
pub(crate) async fn refuse(
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
