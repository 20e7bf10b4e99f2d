//! `grpc.health.v1.Health/Check`. By hand on h2: one request of one field, one answer of one number, and tonic would bring the
//! whole of its stack into this crate.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};

const PATH: &str = "/grpc.health.v1.Health/Check";

/// Ready is what answers SERVING.
pub(super) async fn check(addr: SocketAddr, service: &str) -> Result<String, String> {
    let stream = super::connect(addr).await?;
    let text = |error: h2::Error| format!("{PATH}: {error}");
    let (send, connection) = h2::client::handshake(stream).await.map_err(text)?;
    let exchange = async move {
        let mut send = send.ready().await.map_err(text)?;
        let request = http::Request::post(format!("http://{addr}{PATH}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(())
            .map_err(|error| error.to_string())?;
        let (answer, mut body) = send.send_request(request, false).map_err(text)?;
        body.send_data(message(service), true).map_err(text)?;
        let answer = answer.await.map_err(text)?;
        if let Some(error) = refused(answer.headers()) {
            return Err(error);
        }
        let mut body = answer.into_body();
        let mut data = BytesMut::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.map_err(text)?;
            // Without it the peer would stop after 64 KiB.
            body.flow_control().release_capacity(chunk.len()).map_err(text)?;
            data.put(chunk);
        }
        if let Some(error) = body.trailers().await.map_err(text)?.as_ref().and_then(refused) {
            return Err(error);
        }
        match status(&data) {
            Some(1) => Ok("SERVING".to_owned()),
            Some(2) => Err("NOT_SERVING".to_owned()),
            Some(3) => Err("SERVICE_UNKNOWN".to_owned()),
            _ => Err("UNKNOWN".to_owned()),
        }
    };
    tokio::pin!(connection);
    tokio::pin!(exchange);
    tokio::select! {
        told = &mut exchange => told,
        ended = &mut connection => match ended {
            Ok(()) => Err(format!("{PATH}: connection closed")),
            Err(error) => Err(text(error)),
        },
    }
}

/// A call that failed says so in `grpc-status`.
fn refused(headers: &http::HeaderMap) -> Option<String> {
    let text = |name| {
        headers
            .get(name)
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let status = text("grpc-status").filter(|status| status != "0")?;
    Some(match status.as_str() {
        "12" => format!("{PATH}: the server has no health service"),
        "5" => "the server does not know that service".into(),
        _ => format!("grpc-status {status} {}", text("grpc-message").unwrap_or_default())
            .trim_end()
            .to_owned(),
    })
}

/// `HealthCheckRequest { string service = 1 }`, behind its five bytes of length.
fn message(service: &str) -> Bytes {
    let mut proto = BytesMut::new();
    if !service.is_empty() {
        proto.put_u8(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            proto.put_u8((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        proto.put_u8(length as u8);
        proto.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(proto.len() as u32);
    framed.put(proto);
    framed.freeze()
}

/// `HealthCheckResponse { ServingStatus status = 1 }`; 0, which is not sent, is UNKNOWN.
fn status(data: &[u8]) -> Option<u8> {
    match data.get(5..)? {
        [] => Some(0),
        [0x08, status, ..] => Some(*status),
        _ => None,
    }
}
