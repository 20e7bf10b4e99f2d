//! What a head says about its message and its connection.

use http::StatusCode;

use crate::capture::Redaction;
use crate::capture::Saved;
use crate::http1::framing::Framing;
use crate::trace::TraceParent;

/// Headers of one message.
const MOST: usize = 128;

/// What is known of a request once its head is there.
pub(crate) struct RequestHead {
    /// Bytes of the head, the empty line included.
    pub(crate) len: usize,
    pub(crate) method: Method,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub(crate) expects: bool,
    /// Its trace; made here if it had none.
    pub(crate) trace: TraceParent,
    pub(crate) made_trace: bool,
    /// A copy for the capture.
    pub(crate) saved: Option<Saved>,
}

/// As much of a method as matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Head,
    Connect,
    /// GET, OPTIONS, PUT and others that a client sends again by itself.
    Idempotent,
    Other,
}

/// What is known of an answer once its head is there.
pub(crate) struct ResponseHead {
    pub(crate) len: usize,
    pub(crate) status: u16,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) saved: Option<Saved>,
}

/// A request that is not passed on, because nobody could be sure what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadHead {
    pub(crate) status: StatusCode,
    pub(crate) why: String,
}

fn bad(why: impl Into<String>) -> BadHead {
    BadHead {
        status: StatusCode::BAD_REQUEST,
        why: why.into(),
    }
}

/// Reads a request's head; `None` if more bytes are needed.
pub(crate) fn request(bytes: &[u8], capture: Option<&Redaction>) -> Result<Option<RequestHead>, BadHead> {
    let mut headers = [httparse::EMPTY_HEADER; MOST];
    let mut parsed = httparse::Request::new(&mut headers);
    let len = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => return Err(too_large()),
        Err(error) => return Err(bad(error.to_string())),
    };
    let method = match parsed.method.unwrap_or_default() {
        "HEAD" => Method::Head,
        "CONNECT" => Method::Connect,
        "GET" | "OPTIONS" | "TRACE" | "PUT" | "DELETE" => Method::Idempotent,
        _ => Method::Other,
    };
    let seen = Seen::of(parsed.headers, parsed.version == Some(1));
    let framing = match (seen.chunked, seen.coded, seen.length) {
        (_, _, Length::Bad) => return Err(bad("content-length is not one number")),
        // Two ways to say where the body ends are how one request is smuggled behind another.
        (_, true, Length::Is(_)) => return Err(bad("both content-length and transfer-encoding")),
        (true, ..) => Framing::CHUNKED,
        (false, true, _) => return Err(bad("a transfer-encoding that does not end with chunked")),
        (false, false, Length::Is(length)) => Framing::Length(length),
        (false, false, Length::None) => Framing::NONE,
    };
    let trace = seen.trace.unwrap_or_else(TraceParent::make);
    let saved = capture.map(|redaction| {
        let mut saved = Saved {
            chunked: framing == Framing::CHUNKED,
            ..Saved::default()
        };
        saved.head.reserve(len + 80);
        saved
            .head
            .extend_from_slice(parsed.method.unwrap_or_default().as_bytes());
        saved.head.push(b' ');
        saved
            .head
            .extend_from_slice(redaction.uri(parsed.path.unwrap_or_default()).as_bytes());
        saved.head.extend_from_slice(b" HTTP/1.1\r\n");
        parsed
            .headers
            .iter()
            .for_each(|h| redaction.write_header(&mut saved.head, h.name.as_bytes(), h.value));
        saved
    });
    Ok(Some(RequestHead {
        len,
        method,
        framing,
        keep_alive: seen.keep_alive,
        expects: seen.expects,
        trace,
        made_trace: seen.trace.is_none(),
        saved,
    }))
}

/// The head is larger than a block.
pub(crate) fn too_large() -> BadHead {
    BadHead {
        status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        why: format!("more than {MOST} headers, or {} bytes of them", crate::buffer::SIZE),
    }
}

/// Reads an answer's head; `None` if more bytes are needed.
pub(crate) fn response(
    bytes: &[u8],
    asked: Method,
    capture: Option<&Redaction>,
) -> Result<Option<ResponseHead>, httparse::Error> {
    let mut headers = [httparse::EMPTY_HEADER; MOST];
    let mut parsed = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(len) = parsed.parse(bytes)? else {
        return Ok(None);
    };
    let status = parsed.code.unwrap_or_default();
    let seen = Seen::of(parsed.headers, parsed.version == Some(1));
    let bodiless = asked == Method::Head || status < 200 || status == 204 || status == 304;
    let framing = match (seen.chunked, seen.coded, seen.length) {
        _ if bodiless => Framing::NONE,
        (true, ..) => Framing::CHUNKED,
        (false, false, Length::Is(length)) => Framing::Length(length),
        _ => Framing::UntilClose,
    };
    let saved = capture.filter(|_| status >= 200 || status == 101).map(|redaction| {
        let mut saved = Saved {
            chunked: framing == Framing::CHUNKED,
            ..Saved::default()
        };
        saved.head.reserve(len);
        saved
            .head
            .extend_from_slice(format!("HTTP/1.1 {status}\r\n").as_bytes());
        parsed
            .headers
            .iter()
            .for_each(|h| redaction.write_header(&mut saved.head, h.name.as_bytes(), h.value));
        saved
    });
    let keep_alive = seen.keep_alive && framing != Framing::UntilClose;
    Ok(Some(ResponseHead {
        len,
        status,
        framing,
        keep_alive,
        saved,
    }))
}

/// The headers that matter here.
struct Seen {
    length: Length,
    /// There is a transfer encoding,
    coded: bool,
    /// and the last one is `chunked`.
    chunked: bool,
    keep_alive: bool,
    expects: bool,
    trace: Option<TraceParent>,
}

#[derive(Clone, Copy)]
enum Length {
    None,
    Is(u64),
    Bad,
}

impl Seen {
    fn of(headers: &[httparse::Header<'_>], version_1_1: bool) -> Self {
        let mut seen = Self {
            length: Length::None,
            coded: false,
            chunked: false,
            keep_alive: version_1_1,
            expects: false,
            trace: None,
        };
        for header in headers {
            // By length first: most headers are none of these.
            match header.name.len() {
                14 if header.name.eq_ignore_ascii_case("content-length") => seen.length = seen.length.and(header.value),
                17 if header.name.eq_ignore_ascii_case("transfer-encoding") => {
                    seen.coded = true;
                    seen.chunked = words(header.value)
                        .last()
                        .is_some_and(|word| word.eq_ignore_ascii_case(b"chunked"));
                }
                10 if header.name.eq_ignore_ascii_case("connection") => {
                    for word in words(header.value) {
                        if word.eq_ignore_ascii_case(b"close") {
                            seen.keep_alive = false;
                        } else if word.eq_ignore_ascii_case(b"keep-alive") {
                            seen.keep_alive = true;
                        }
                    }
                }
                6 if header.name.eq_ignore_ascii_case("expect") => {
                    seen.expects = header.value.eq_ignore_ascii_case(b"100-continue");
                }
                11 if header.name.eq_ignore_ascii_case("traceparent") => seen.trace = TraceParent::parse(header.value),
                _ => {}
            }
        }
        seen
    }
}

impl Length {
    /// One more `content-length`: the same number again is allowed.
    fn and(self, value: &[u8]) -> Self {
        let mut length = self;
        for word in words(value) {
            let number = std::str::from_utf8(word)
                .ok()
                .filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            length = match (length, number.and_then(|text| text.parse().ok())) {
                (Self::None, Some(number)) => Self::Is(number),
                (Self::Is(known), Some(number)) if known == number => length,
                _ => Self::Bad,
            };
        }
        if matches!(length, Self::None) {
            Self::Bad
        } else {
            length
        }
    }
}

fn words(value: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    value
        .split(|b| *b == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<RequestHead, String> {
        let text = format!("{}\r\n\r\n", head.replace('\n', "\r\n"));
        match request(text.as_bytes(), None) {
            Ok(head) => Ok(head.unwrap()),
            Err(bad) => Err(bad.why),
        }
    }

    #[test]
    fn a_head_tells_where_its_body_ends() {
        let framing = |head: &str| read(head).map(|head| head.framing);
        assert_eq!(framing("GET / HTTP/1.1\nHost: a"), Ok(Framing::NONE));
        assert_eq!(framing("POST / HTTP/1.1\nContent-Length: 12"), Ok(Framing::Length(12)));
        assert_eq!(
            framing("POST / HTTP/1.1\nContent-Length: 12, 12"),
            Ok(Framing::Length(12))
        );
        assert_eq!(
            framing("POST / HTTP/1.1\nTransfer-Encoding: gzip, chunked"),
            Ok(Framing::CHUNKED)
        );
        for smuggled in [
            "POST / HTTP/1.1\nContent-Length: 12\nContent-Length: 13",
            "POST / HTTP/1.1\nContent-Length: +12",
            "POST / HTTP/1.1\nContent-Length:",
            "POST / HTTP/1.1\nContent-Length: 12\nTransfer-Encoding: chunked",
            "POST / HTTP/1.1\nTransfer-Encoding: chunked, gzip",
        ] {
            assert!(framing(smuggled).is_err(), "{smuggled}");
        }
    }

    #[test]
    fn a_head_tells_whether_its_connection_goes_on() {
        let keep = |head: &str| read(head).unwrap().keep_alive;
        assert!(keep("GET / HTTP/1.1"));
        assert!(!keep("GET / HTTP/1.1\nConnection: Close"));
        assert!(!keep("GET / HTTP/1.0"));
        assert!(keep("GET / HTTP/1.0\nConnection: keep-alive"));
    }

    #[test]
    fn an_answer_has_a_body_unless_it_says_otherwise() {
        let framing = |asked, text: &str| {
            let text = format!("{}\r\n\r\n", text.replace('\n', "\r\n"));
            let head = response(text.as_bytes(), asked, None).unwrap().unwrap();
            (head.framing, head.keep_alive)
        };
        let get = Method::Idempotent;
        assert_eq!(
            framing(get, "HTTP/1.1 200 OK\nContent-Length: 3"),
            (Framing::Length(3), true)
        );
        assert_eq!(
            framing(Method::Head, "HTTP/1.1 200 OK\nContent-Length: 3"),
            (Framing::NONE, true)
        );
        assert_eq!(
            framing(get, "HTTP/1.1 304 Not Modified\nContent-Length: 3"),
            (Framing::NONE, true)
        );
        assert_eq!(framing(get, "HTTP/1.1 200 OK"), (Framing::UntilClose, false));
        assert_eq!(
            framing(get, "HTTP/1.1 200 OK\nTransfer-Encoding: chunked"),
            (Framing::CHUNKED, true)
        );
    }

    #[test]
    fn a_trace_is_kept_or_made() {
        let kept =
            read("GET / HTTP/1.1\ntraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert!(!kept.made_trace);
        assert_eq!(kept.trace.span, 0x00f0_67aa_0ba9_02b7);
        assert!(read("GET / HTTP/1.1").unwrap().made_trace);
    }
}
