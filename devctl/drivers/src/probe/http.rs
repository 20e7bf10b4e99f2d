//! One `GET` on a connection of its own.

use std::net::SocketAddr;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{HOST, USER_AGENT};
use hyper_util::rt::TokioIo;

/// How much of an answer is shown.
const SHOWN: usize = 1024;

/// Ready is what answers with a status below 400.
pub(super) async fn get(addr: SocketAddr, path: &str, host: Option<&str>) -> Result<String, String> {
    let stream = super::connect(addr).await?;
    let (mut send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let host = host.map_or_else(|| addr.to_string(), str::to_owned);
    let request = hyper::Request::get(path)
        .header(HOST, host)
        .header(USER_AGENT, "devctl-probe")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let exchange = async {
        let answer = send.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        // A body that is too long, or breaks off, is as good as none: the status decides.
        let body = Limited::new(answer.into_body(), SHOWN).collect().await;
        let text = body
            .map(|body| String::from_utf8_lossy(&body.to_bytes()).trim().to_owned())
            .unwrap_or_default();
        let output = format!("GET {path}: {status} {text}").trim_end().to_owned();
        if status.as_u16() < 400 { Ok(output) } else { Err(output) }
    };
    // Driven here and not in a task of its own, so that dropping the probe closes the connection.
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        told = &mut exchange => told,
        ended = &mut connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(format!("GET {path}: {error}")),
        },
    }
}
