//! HTTP/1 in front of a stub: the request is read to its end, the answer put together.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt};
use http::{HeaderMap, Request, Response, StatusCode, header};

use crate::capture::Saved;
use crate::connection::Client;
use crate::fault::Shaped;
use crate::http1::answer::{flush, write};
use crate::http1::framing::Framing;
use crate::http1::head::{BadHead, Method, RequestHead};
use crate::http1::log::Log;
use crate::stub::{Incoming, Part, Stub, StubBody, call};

/// The longest body that is read for a stub.
const LONGEST: usize = 16 << 20;

/// Reads the request that begins in the client's buffer. `None` if the client left in the middle.
pub(crate) async fn read(
    client: &mut Client,
    head: &mut RequestHead,
    log: &mut Log,
) -> Result<Option<Request<Bytes>>, BadHead> {
    let bad = |status, why: &str| BadHead {
        status,
        why: why.into(),
    };
    let mut request = rebuild(&client.buffer.bytes()[..head.len])
        .ok_or_else(|| bad(StatusCode::BAD_REQUEST, "a head that makes no sense"))?;
    if head.made_trace
        && let Ok(value) = http::HeaderValue::from_bytes(&head.trace.write())
    {
        request.headers_mut().insert("traceparent", value);
    }
    let count_out = |client: &Client, count: usize| client.edge.stats.bytes_out.fetch_add(count as u64, Relaxed);
    count_out(client, head.len);
    client.buffer.consume(std::mem::take(&mut head.len));
    if head.expects && !head.framing.is_done() && client.buffer.is_empty() {
        let Ok(()) = write(client, b"HTTP/1.1 100 Continue\r\n\r\n", &mut None).await else {
            return Ok(None);
        };
    }
    let mut body = BytesMut::new();
    while !head.framing.is_done() {
        if client.buffer.is_empty() && client.buffer.read(&mut client.stream).await.unwrap_or(0) == 0 {
            return Ok(None);
        }
        let bytes = client.buffer.bytes();
        let count = match &mut head.framing {
            Framing::Chunked(chunk) => chunk.scan(bytes, |data| body.extend_from_slice(data)),
            other => other
                .scan(bytes)
                .inspect(|count| body.extend_from_slice(&bytes[..*count])),
        };
        let count = count.map_err(|_| bad(StatusCode::BAD_REQUEST, "a chunk that makes no sense"))?;
        count_out(client, count);
        client.buffer.consume(count);
        if body.len() > LONGEST {
            return Err(bad(StatusCode::PAYLOAD_TOO_LARGE, "a stub reads at most 16 MiB"));
        }
    }
    if let Some(saved) = &mut log.request {
        // Read here, not passed on: the chunks are gone already.
        saved.chunked = false;
        saved.body(&body, client.edge.traffic.limits.body);
    }
    Ok(Some(request.map(|()| body.freeze())))
}

fn rebuild(head: &[u8]) -> Option<Request<()>> {
    let mut headers = [httparse::EMPTY_HEADER; 128];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(head).ok()?;
    let mut request = Request::builder().method(parsed.method?).uri(parsed.path?);
    for header in parsed.headers {
        request = request.header(header.name, header.value);
    }
    request.body(()).ok()
}

/// Lets the stub answer, and sends that. Whether the connection can be used again.
pub(crate) async fn answer(
    client: &mut Client,
    stub: &Arc<dyn Stub>,
    request: Request<Bytes>,
    head: &RequestHead,
    log: &mut Log,
    shaped: &mut Option<Box<Shaped>>,
) -> io::Result<()> {
    let request = request.map(|body| Incoming(futures::stream::iter([Part::Data(body)]).boxed()));
    let answering = call(&client.edge, stub, request);
    let response = {
        let Client { stream, buffer, .. } = client;
        let left = async {
            while !buffer.is_full() && buffer.read(stream).await.unwrap_or(0) > 0 {}
            if buffer.is_full() {
                std::future::pending::<()>().await;
            }
        };
        futures::pin_mut!(left);
        tokio::select! {
            biased;
            response = answering => response,
            () = left.fuse() => return Err(io::ErrorKind::ConnectionAborted.into()),
        }
    };
    log.first_byte.get_or_insert_with(tokio::time::Instant::now);
    send(client, response, head, log, shaped).await?;
    flush(client, shaped).await
}

async fn send(
    client: &mut Client,
    response: Response<StubBody>,
    head: &RequestHead,
    log: &mut Log,
    shaped: &mut Option<Box<Shaped>>,
) -> io::Result<()> {
    let (parts, body) = response.into_parts();
    let limit = client.edge.traffic.limits.body;
    let mut out = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
    let mut saved = log.request.as_ref().map(|_| Saved {
        head: out.clone(),
        ..Saved::default()
    });
    for (name, value) in &parts.headers {
        // How it is framed is decided here.
        if [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(name) {
            continue;
        }
        add(&mut out, name.as_str(), value.as_bytes());
        if let Some(saved) = &mut saved {
            client
                .edge
                .traffic
                .redaction()
                .write_header(&mut saved.head, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    if !head.keep_alive {
        add(&mut out, "connection", b"close");
    }
    log.status = parts.status.as_u16();
    let bodiless = head.method == Method::Head || parts.status == 204 || parts.status == 304 || log.status < 200;
    let mut body = match body {
        StubBody::Full { data, trailers: None } => {
            if !bodiless || head.method == Method::Head {
                add(&mut out, "content-length", data.len().to_string().as_bytes());
            }
            out.extend_from_slice(b"\r\n");
            if let Some(saved) = &mut saved {
                saved.body(&data, limit);
            }
            log.response = saved;
            if !bodiless {
                out.extend_from_slice(&data);
            }
            return put(client, &out, shaped).await;
        }
        StubBody::Full { data, trailers } => {
            futures::stream::iter([Some(Part::Data(data)), trailers.map(Part::Trailers)])
                .filter_map(std::future::ready)
                .boxed()
        }
        StubBody::Stream(parts) => parts,
    };
    add(&mut out, "transfer-encoding", b"chunked");
    out.extend_from_slice(b"\r\n");
    put(client, &out, shaped).await?;
    let mut trailers = HeaderMap::new();
    while let Some(part) = body.next().await {
        match part {
            Part::Data(data) if !data.is_empty() && !bodiless => {
                if let Some(saved) = &mut saved {
                    saved.body(&data, limit);
                }
                let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
                chunk.extend_from_slice(&data);
                chunk.extend_from_slice(b"\r\n");
                put(client, &chunk, shaped).await?;
            }
            Part::Data(_) => {}
            Part::Trailers(more) => trailers.extend(more),
        }
    }
    log.response = saved;
    if bodiless {
        return Ok(());
    }
    let mut last = b"0\r\n".to_vec();
    for (name, value) in &trailers {
        add(&mut last, name.as_str(), value.as_bytes());
    }
    last.extend_from_slice(b"\r\n");
    put(client, &last, shaped).await
}

async fn put(client: &mut Client, bytes: &[u8], shaped: &mut Option<Box<Shaped>>) -> io::Result<()> {
    client.edge.stats.bytes_in.fetch_add(bytes.len() as u64, Relaxed);
    write(client, bytes, shaped).await
}

fn add(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
