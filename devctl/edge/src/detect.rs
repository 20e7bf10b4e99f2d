//! Which protocol the first bytes of a client belong to.

use crate::id::Protocol;

/// How HTTP/2 by prior knowledge begins.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A request line that is longer than this is not waited for.
const LONGEST_LINE: usize = 16 << 10;

/// So many bytes tell whether a server greets as HTTP/2 servers do.
pub(crate) const GREETING: usize = 9;

/// What the first bytes tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    /// It is this one.
    Is(Protocol),
    /// More bytes are needed.
    More,
}

/// Looks at the first bytes that a client sent. Nothing that is not surely something else is taken for it: what is
/// left is passed through as TCP.
pub(crate) fn detect(bytes: &[u8]) -> Guess {
    if bytes.is_empty() {
        return Guess::More;
    }
    if begins(bytes, PREFACE) {
        return if bytes.len() < PREFACE.len() {
            Guess::More
        } else {
            Guess::Is(Protocol::Http2)
        };
    }
    if begins(bytes, b"AMQP") {
        return match bytes.get(4..8) {
            None => Guess::More,
            Some([0, 0, 9, 1]) => Guess::Is(Protocol::Amqp),
            // AMQP 1.0 and others frame otherwise.
            Some(_) => Guess::Is(Protocol::Tcp),
        };
    }
    if begins(bytes, &[0x16, 0x03]) {
        return if bytes.len() < 3 {
            Guess::More
        } else {
            Guess::Is(Protocol::Tls)
        };
    }
    if bytes[0] == 0 {
        return postgres(bytes);
    }
    http1(bytes)
}

/// Whether a server's first bytes are the head of a SETTINGS frame (RFC 9113, 3.4 and 6.5): its length is one of whole settings, it
/// acknowledges nothing, and it belongs to no stream.
pub(crate) fn greets_as_http2(word: &[u8]) -> bool {
    let [0, high, low, 4, 0, 0, 0, 0, 0] = *word else {
        return false;
    };
    u16::from_be_bytes([high, low]) % 6 == 0
}

/// Whether `bytes` and `pattern` agree as far as both go.
fn begins(bytes: &[u8], pattern: &[u8]) -> bool {
    let both = bytes.len().min(pattern.len());
    bytes[..both] == pattern[..both]
}

/// A startup packet: its length, then protocol 3.x or one of the codes that ask for SSL, GSS or a cancellation.
fn postgres(bytes: &[u8]) -> Guess {
    let Some(head) = bytes.first_chunk::<8>() else {
        return Guess::More;
    };
    let code = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let known = code >> 16 == 3 || (80_877_102..=80_877_104).contains(&code);
    Guess::Is(if known { Protocol::Postgres } else { Protocol::Tcp })
}

/// `METHOD target HTTP/1.x`. A text protocol may have verbs as well (`GET key` of Redis), so the whole line counts.
fn http1(bytes: &[u8]) -> Guess {
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    let line = bytes.iter().position(|b| *b == b'\n');
    let method = bytes.iter().take_while(|b| token(b)).count();
    if method == 0 || method > 32 || bytes.get(method).is_some_and(|b| *b != b' ') {
        return Guess::Is(Protocol::Tcp);
    }
    match line {
        Some(end) => {
            let line = bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]);
            let http = line.len() > 9 && line[line.len() - 9..line.len() - 1] == *b" HTTP/1.";
            Guess::Is(if http { Protocol::Http } else { Protocol::Tcp })
        }
        None if bytes.len() > LONGEST_LINE => Guess::Is(Protocol::Tcp),
        None => Guess::More,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_protocol() {
        let cases: &[(&[u8], Protocol)] = &[
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Protocol::Http),
            (b"PURGE * HTTP/1.0\n", Protocol::Http),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Protocol::Http2),
            (b"AMQP\x00\x00\x09\x01", Protocol::Amqp),
            (b"AMQP\x00\x01\x00\x00", Protocol::Tcp),
            (b"\x16\x03\x01\x02\x00", Protocol::Tls),
            (&[0, 0, 0, 8, 4, 210, 22, 47], Protocol::Postgres),
            (&[0, 0, 0, 41, 0, 3, 0, 0, b'u'], Protocol::Postgres),
            (&[0, 0, 0, 41, 0, 9, 0, 0], Protocol::Tcp),
            (b"*1\r\n$4\r\nPING\r\n", Protocol::Tcp),
            (b"GET key\r\n", Protocol::Tcp),
            (b"PING\r\n", Protocol::Tcp),
            (b"\xff\xfe", Protocol::Tcp),
        ];
        for (bytes, want) in cases {
            assert_eq!(detect(bytes), Guess::Is(*want), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_beginning_may_become_several_things() {
        for bytes in [
            &b""[..],
            b"P",
            b"PRI * HT",
            b"POST /a",
            b"AMQP",
            b"\x16",
            b"\x00\x00\x00\x08",
            b"GET",
        ] {
            assert_eq!(detect(bytes), Guess::More, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_server_that_greets_with_its_settings_speaks_http2() {
        assert!(greets_as_http2(&[0, 0, 6, 4, 0, 0, 0, 0, 0]));
        assert!(greets_as_http2(&[0, 0, 0, 4, 0, 0, 0, 0, 0]));
        for other in [
            &b"220 smtp."[..],
            &[0, 0, 5, 4, 0, 0, 0, 0, 0],
            &[0, 0, 6, 4, 1, 0, 0, 0, 0],
            b"",
            b"\0\0\x06\x04",
        ] {
            assert!(!greets_as_http2(other), "{}", other.escape_ascii());
        }
    }

    #[test]
    fn one_byte_more_never_changes_an_answer() {
        let line = b"GET /orders?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
        let first = (1..=line.len()).find(|n| detect(&line[..*n]) != Guess::More).unwrap();
        assert!((first..=line.len()).all(|n| detect(&line[..n]) == Guess::Is(Protocol::Http)));
    }
}
