//! A consumer's connection, request after request.

use std::future::poll_fn;
use std::task::Poll;

use crate::buffer::Buffer;
use crate::capture::Outcome;
use crate::connection::{Client, Early};
use crate::http1::answer::{answer, close};
use crate::http1::flow::Provider;
use crate::http1::head::{self, BadHead, Method, RequestHead};
use crate::http1::lead::exchange;
use crate::http1::log::Log;
use crate::http1::settle::Next;

/// Serves a connection that speaks HTTP/1.
pub(crate) async fn serve(mut client: Client, early: Option<Early>) {
    let mut provider = early.map(|early| Provider {
        stream: early.stream,
        buffer: Buffer::default(),
        address: early.address,
        generation: early.generation,
        used: false,
        idle_since: early.opened,
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
            let traffic = &client.edge.traffic;
            let capture = traffic.is_on().then(|| traffic.redaction());
            // Empty lines before a request are allowed.
            let empty = client
                .buffer
                .bytes()
                .iter()
                .take_while(|b| matches!(b, b'\r' | b'\n'))
                .count();
            client.buffer.consume(empty);
            if let Some(head) = head::request(client.buffer.bytes(), capture.as_deref())? {
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
