//! Answers that the edge gives itself: a refusal, a bad request, an error fault.

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use http::StatusCode;
use tokio::io::AsyncWriteExt;

use crate::capture::Saved;
use crate::connection::Client;
use crate::fault::{Shaped, poll_send};
use crate::http1::head::Method;
use crate::http1::log::Log;

/// How long, and for how many bytes, a client that is told to go may still talk. Closing at once would reset the
/// connection, and the client might never read why.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 4 << 20;

/// Answers in the provider's place.
pub(crate) async fn answer(
    client: &mut Client,
    (status, why): (StatusCode, &str),
    method: Method,
    keep: bool,
    log: &mut Log,
    shaped: &mut Option<Box<Shaped>>,
) -> io::Result<()> {
    let body = format!("{}: {why}\n", client.edge.id);
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\nx-devctl-edge: {}\r\n{}{}content-length: {}\r\n\r\n",
        client.edge.id,
        if status == StatusCode::SERVICE_UNAVAILABLE {
            "retry-after: 1\r\n"
        } else {
            ""
        },
        if keep { "" } else { "connection: close\r\n" },
        body.len(),
    );
    log.status = status.as_u16();
    log.response = log
        .request
        .as_ref()
        .map(|_| Saved::whole(head.trim_end().as_bytes().to_vec(), body.as_bytes().to_vec()));
    let text = if method == Method::Head { head } else { head + &body };
    write(client, text.as_bytes(), shaped).await
}

/// Writes all of it, through the faults if there are any.
pub(crate) async fn write(client: &mut Client, mut bytes: &[u8], shaped: &mut Option<Box<Shaped>>) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = poll_fn(|cx| poll_send(cx, bytes, &mut client.stream, shaped)).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// Waits until the faults have let everything through.
pub(crate) async fn flush(client: &mut Client, shaped: &mut Option<Box<Shaped>>) -> io::Result<()> {
    match shaped {
        Some(shaped) => poll_fn(|cx| shaped.poll_flush(cx, &mut client.stream)).await,
        None => Ok(()),
    }
}

/// Closes the connection so that the client can read what it was told.
pub(crate) async fn close(client: &mut Client) {
    if client.stream.shutdown().await.is_err() {
        return;
    }
    let drain = async {
        let mut read = client.buffer.len();
        while read < LINGER_BYTES {
            client.buffer.consume(client.buffer.len());
            match client.buffer.read(&mut client.stream).await {
                Ok(0) | Err(_) => return,
                Ok(count) => read += count,
            }
        }
    };
    // Whoever still talks then is cut off.
    let _ = tokio::time::timeout(LINGER, drain).await;
}
