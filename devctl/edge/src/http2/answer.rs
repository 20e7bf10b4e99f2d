//! Answers that the edge gives itself on HTTP/2: for gRPC a status, otherwise as on HTTP/1.

use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use percent::encode;

use crate::edge::Inner;
use crate::http2::log::Log;

/// gRPC's deadline exceeded.
pub(crate) const DEADLINE_EXCEEDED: u16 = 4;

/// Answers in the provider's place. The caller may have gone; then nobody hears it.
pub(crate) fn answer(
    edge: &Inner,
    respond: &mut SendResponse<Bytes>,
    (status, why): (StatusCode, &str),
    grpc: Option<u16>,
    log: &mut Log,
) {
    let text = format!("{}: {why}", edge.id);
    let mut response = Response::new(());
    let headers = response.headers_mut();
    if let Ok(name) = HeaderValue::from_str(&edge.id.to_string()) {
        headers.insert("x-devctl-edge", name);
    }
    let body = match grpc {
        Some(code) => {
            headers.insert("content-type", HeaderValue::from_static("application/grpc"));
            headers.insert("grpc-status", HeaderValue::from(code));
            if let Ok(message) = HeaderValue::from_str(&encode(&text)) {
                headers.insert("grpc-message", message);
            }
            None
        }
        None => {
            headers.insert("content-type", HeaderValue::from_static("text/plain; charset=utf-8"));
            headers.insert("content-length", HeaderValue::from(text.len() + 1));
            *response.status_mut() = status;
            Some(Bytes::from(text + "\n"))
        }
    };
    let (head, ()) = response.into_parts();
    log.answered(edge, &head);
    if let Ok(mut stream) = respond.send_response(Response::from_parts(head, ()), body.is_none())
        && let Some(body) = body
    {
        log.answer_body(edge, &body);
        // A few bytes: h2 keeps them until there is room.
        let _ = stream.send_data(body, true);
    }
}

/// The gRPC status that goes with an HTTP status, as gRPC's own mapping has it.
pub(crate) fn grpc_code(status: StatusCode) -> u16 {
    match status.as_u16() {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// How long the caller of a gRPC method waits.
pub(crate) fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if number.len() > 8 {
        return None;
    }
    let number: u64 = number.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

mod percent {
    /// `grpc-message` is percent-encoded: printable ASCII alone stands for itself.
    pub(super) fn encode(text: &str) -> String {
        let byte = |byte: u8| match byte {
            b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(byte).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_has_a_unit() {
        let read = |text: &'static str| {
            grpc_timeout(&HeaderMap::from_iter([(
                "grpc-timeout".parse().unwrap(),
                HeaderValue::from_static(text),
            )]))
        };
        assert_eq!(read("100m"), Some(Duration::from_millis(100)));
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        assert_eq!(read("1H"), Some(Duration::from_secs(3600)));
        for bad in ["", "S", "5", "123456789S", "-1S", "1x"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_message_is_plain_ascii() {
        assert_eq!(encode("100 % weg: ü"), "100 %25 weg: %C3%BC");
    }
}
