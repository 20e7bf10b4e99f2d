//! What is never captured: credentials, and what the project names. It is left out before a capture is stored.

use std::borrow::Cow;

use serde_json::Value;

use crate::capture::raw::Saved;

/// What stands in a secret's place.
pub(crate) const REDACTED: &str = "[redacted]";

/// Shorter values would blot out ordinary text.
const SHORTEST: usize = 4;

/// Headers that carry credentials whatever the project is.
const ALWAYS: [&str; 6] = [
    "authorization",
    "cookie",
    "set-cookie",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
];

/// Names of secrets.
///
/// A name is a header, a variable of a query or form, and a JSON member at any depth; what begins with `$` is a JSON
/// path (`$.card.number`, `$.cards[*].pin`). `Authorization`, cookies and their like need not be named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redaction {
    names: Vec<String>,
    paths: Vec<Vec<String>>,
    /// Taken out wherever they appear.
    values: Vec<String>,
}

impl Redaction {
    /// What the project names.
    pub fn new<T: AsRef<str>>(named: impl IntoIterator<Item = T>) -> Self {
        let mut redaction = Self::default();
        for name in named {
            match name.as_ref().strip_prefix('$') {
                Some(path) => redaction.paths.push(
                    path.replace('[', ".")
                        .replace([']', '\'', '"'], "")
                        .split('.')
                        .filter(|step| !step.is_empty())
                        .map(str::to_owned)
                        .collect(),
                ),
                None => redaction.names.push(name.as_ref().to_ascii_lowercase()),
            }
        }
        redaction
    }

    /// Also these values, whatever they are called; one of fewer than four bytes would blot out everything and is left alone.
    #[must_use]
    pub fn values<T: Into<String>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        let values = values.into_iter().map(T::into);
        self.values.extend(values.filter(|value| value.len() >= SHORTEST));
        // Where one secret begins another, the longer is taken out first.
        self.values.sort_by_key(|value| std::cmp::Reverse(value.len()));
        self.values.dedup();
        self
    }

    /// Takes the values out of what was captured.
    fn plain(&self, bytes: &mut Vec<u8>) {
        for value in &self.values {
            let value = value.as_bytes();
            let mut from = 0;
            while let Some(at) = bytes[from..].windows(value.len()).position(|part| part == value) {
                let at = from + at;
                bytes.splice(at..at + value.len(), REDACTED.bytes());
                from = at + REDACTED.len();
            }
        }
    }

    /// Whether the value of this header is a secret.
    pub(crate) fn header(&self, name: &[u8]) -> bool {
        let is = |known: &str| known.len() == name.len() && known.as_bytes().eq_ignore_ascii_case(name);
        ALWAYS.into_iter().any(is) || self.names.iter().any(|known| is(known))
    }

    fn named(&self, name: &str) -> bool {
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// Adds a header to a captured head.
    pub(crate) fn write_header(&self, head: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        head.extend_from_slice(name);
        head.extend_from_slice(b": ");
        head.extend_from_slice(if self.header(name) { REDACTED.as_bytes() } else { value });
        head.extend_from_slice(b"\r\n");
    }

    /// A request's path and query without what is secret in the query.
    pub(crate) fn uri<'a>(&self, uri: &'a str) -> Cow<'a, str> {
        match uri.split_once('?') {
            Some((path, query)) if !self.names.is_empty() => match self.form(query) {
                Cow::Borrowed(_) => Cow::Borrowed(uri),
                Cow::Owned(query) => Cow::Owned(format!("{path}?{query}")),
            },
            _ => Cow::Borrowed(uri),
        }
    }

    fn form<'a>(&self, query: &'a str) -> Cow<'a, str> {
        let secret = |pair: &&str| self.named(pair.split('=').next().unwrap_or_default());
        if !query.split('&').any(|pair| secret(&pair)) {
            return Cow::Borrowed(query);
        }
        let clean = |pair: &str| match pair.split_once('=') {
            Some((name, _)) if self.named(name) => format!("{name}={REDACTED}"),
            _ => pair.to_owned(),
        };
        Cow::Owned(query.split('&').map(clean).collect::<Vec<_>>().join("&"))
    }

    /// Takes the secrets out of a captured body. A body that names one and cannot be read to the end is left out.
    pub(crate) fn body(&self, saved: &mut Saved) {
        self.plain(&mut saved.head);
        self.plain(&mut saved.body);
        if saved.body.is_empty() || (self.names.is_empty() && self.paths.is_empty()) {
            return;
        }
        if self.names_members() && saved.is_grpc() {
            saved.body = format!("{REDACTED}: protobuf, in which names cannot be looked for").into_bytes();
            return;
        }
        let Ok(text) = std::str::from_utf8(&saved.body) else {
            // Compressed text may name a secret as well, and nobody could take it out.
            if saved
                .head
                .to_ascii_lowercase()
                .windows(18)
                .any(|part| part == b"\ncontent-encoding:")
            {
                saved.body = format!("{REDACTED}: compressed, and may name a secret").into_bytes();
            }
            return;
        };
        let first = text.trim_start().bytes().next();
        let clean = if matches!(first, Some(b'{' | b'[')) {
            self.json(text)
        } else {
            match self.form(text) {
                Cow::Borrowed(_) => None,
                Cow::Owned(clean) => Some(clean),
            }
        };
        if let Some(clean) = clean {
            saved.body = clean.into_bytes();
        }
    }

    /// Whether anything is named that a message could hold; what has a dash is a header.
    fn names_members(&self) -> bool {
        !self.paths.is_empty() || self.names.iter().any(|name| !name.contains('-'))
    }

    /// The text without its secrets; `None` if it has none.
    pub(crate) fn json(&self, text: &str) -> Option<String> {
        let lower = text.to_ascii_lowercase();
        let last = self.paths.iter().filter_map(|path| path.last());
        let named = |name: &str| name == "*" || name.parse::<usize>().is_ok() || lower.contains(name);
        if !self.names.iter().any(|name| named(name)) && !last.into_iter().any(|name| named(&name.to_ascii_lowercase()))
        {
            return None;
        }
        let Ok(mut value) = serde_json::from_str::<Value>(text) else {
            return Some(format!(
                "{REDACTED}: names a secret, and is longer than what is captured or not JSON"
            ));
        };
        self.members(&mut value);
        for path in &self.paths {
            clear(&mut value, path);
        }
        Some(value.to_string())
    }

    fn members(&self, value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    if self.named(name) {
                        *value = REDACTED.into();
                    } else {
                        self.members(value);
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.members(item)),
            _ => {}
        }
    }
}

/// Replaces what a path leads to.
fn clear(value: &mut Value, path: &[String]) {
    let Some((step, rest)) = path.split_first() else {
        *value = REDACTED.into();
        return;
    };
    match value {
        Value::Object(members) if step == "*" => members.values_mut().for_each(|value| clear(value, rest)),
        Value::Object(members) => {
            if let Some(value) = members.get_mut(step) {
                clear(value, rest);
            }
        }
        Value::Array(items) if step == "*" => items.iter_mut().for_each(|value| clear(value, rest)),
        Value::Array(items) => {
            if let Some(value) = step.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
                clear(value, rest);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_without_being_named() {
        let redaction = Redaction::new(["X-Tenant-Key"]);
        for name in ["Authorization", "COOKIE", "set-cookie", "x-tenant-key"] {
            assert!(redaction.header(name.as_bytes()), "{name}");
        }
        assert!(!redaction.header(b"content-type"));
    }

    #[test]
    fn a_value_goes_wherever_it_stands() {
        let redaction = Redaction::default().values(["hunter2", "hunter2-long", "abc"]);
        let head = b"GET /?a=hunter2 HTTP/1.1\r\nX: hunter2-long\r\n".to_vec();
        let mut saved = Saved::whole(head, b"\xff hunter2hunter2 abc".to_vec());
        redaction.body(&mut saved);
        assert_eq!(saved.head, b"GET /?a=[redacted] HTTP/1.1\r\nX: [redacted]\r\n");
        assert_eq!(saved.body, b"\xff [redacted][redacted] abc");
    }

    #[test]
    fn what_is_named_goes_wherever_it_stands() {
        let redaction = Redaction::new(["password", "$.card.number", "$.cards[*].pin", "$.keys[1]"]);
        let body = |text: &str| {
            let mut saved = Saved {
                body: text.into(),
                ..Saved::default()
            };
            redaction.body(&mut saved);
            String::from_utf8(saved.body).unwrap()
        };
        assert_eq!(
            redaction.uri("/login?user=a&Password=b"),
            "/login?user=a&Password=[redacted]"
        );
        assert_eq!(redaction.uri("/login?user=a"), "/login?user=a");
        assert_eq!(body("user=a&password=b"), "user=a&password=[redacted]");
        assert_eq!(
            body(r#"[{"a":{"password":{"x":1}}}]"#),
            r#"[{"a":{"password":"[redacted]"}}]"#
        );
        assert_eq!(
            body(r#"{"card":{"number":"4","cvc":1}}"#),
            r#"{"card":{"number":"[redacted]","cvc":1}}"#
        );
        assert_eq!(
            body(r#"{"cards":[{"pin":1},{"pin":2}]}"#),
            r#"{"cards":[{"pin":"[redacted]"},{"pin":"[redacted]"}]}"#
        );
        assert_eq!(body(r#"{"keys":["a","b"]}"#), r#"{"keys":["a","[redacted]"]}"#);
        assert!(body(r#"{"password":"cut o"#).starts_with("[redacted]"));
        assert_eq!(body("plain password"), "plain password");
        let head = b"HTTP/1.1 200\r\nContent-Encoding: gzip\r\n".to_vec();
        let mut packed = Saved::whole(head, vec![0x1f, 0x8b, 8]);
        redaction.body(&mut packed);
        assert!(packed.body.starts_with(b"[redacted]"));
        let head = b"POST /auth.v1.Auth/Login HTTP/2\r\nContent-Type: application/grpc+proto\r\n".to_vec();
        let mut message = Saved::whole(head, b"\x00\x00\x00\x00\x04\x0a\x02pw".to_vec());
        Redaction::new(["X-Tenant-Key"]).body(&mut message);
        assert!(message.body.ends_with(b"pw"), "a header is in no message");
        redaction.body(&mut message);
        assert!(message.body.starts_with(b"[redacted]"));
    }
}
