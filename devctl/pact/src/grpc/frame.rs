//! gRPC's framing: each message is preceded by a flag and its length. Also `grpc-message`, which is percent-encoded.

use std::io::Read as _;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// The longest message that is taken in, compressed or not.
const LONGEST: usize = 64 << 20;

/// What `grpc-message` may not hold as it is.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(b'"').add(b'<').add(b'>').add(b'`');

/// A message in its frame, not compressed.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

/// The messages of a whole body.
pub(crate) fn messages(mut body: Bytes, encoding: Option<&str>) -> Result<Vec<Bytes>, String> {
    let mut messages = Vec::new();
    while !body.is_empty() {
        if body.len() < 5 {
            return Err("the body ends within a message's frame".to_owned());
        }
        let compressed = body.get_u8();
        let length = usize::try_from(body.get_u32()).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(format!("a message of {length} bytes is longer than is taken in"));
        }
        if body.len() < length {
            return Err("the body ends within a message".to_owned());
        }
        let message = body.split_to(length);
        messages.push(match (compressed, encoding) {
            (0, _) => message,
            (_, Some("gzip")) => unzipped(&message)?,
            (_, other) => return Err(format!("cannot read the encoding `{}`", other.unwrap_or("identity"))),
        });
    }
    Ok(messages)
}

fn unzipped(message: &[u8]) -> Result<Bytes, String> {
    let mut plain = Vec::new();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    flate2::read::GzDecoder::new(message)
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|cause| format!("cannot unzip a message: {cause}"))?;
    Ok(plain.into())
}

/// `text` as `grpc-message` carries it.
pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// What `grpc-message` says.
pub(crate) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{decoded, encoded, frame, messages};

    #[test]
    fn what_is_framed_is_read_again() {
        let body: Bytes = [frame(b"one"), frame(b""), frame(b"three")].concat().into();
        let read = messages(body.clone(), None).unwrap();
        assert_eq!(read, [&b"one"[..], b"", b"three"]);
        assert!(messages(body.slice(..4), None).is_err());
        assert!(messages(body.slice(..6), None).is_err());
        assert!(messages(Bytes::from_static(&[1, 0, 0, 0, 0]), Some("snappy")).is_err());
    }

    #[test]
    fn a_status_message_may_hold_anything() {
        let text = "50 % “größer”\nas `x`";
        assert!(encoded(text).is_ascii());
        assert_eq!(decoded(&encoded(text)), text);
    }
}
