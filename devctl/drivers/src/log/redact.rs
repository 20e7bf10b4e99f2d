//! Secrets never reach a file: they are replaced by `***` on the way.

use std::borrow::Cow;
use std::sync::Arc;

use regex::bytes::{NoExpand, Regex};

/// Shorter secrets would blot out ordinary text.
const SHORTEST: usize = 4;

/// Secrets that are replaced by `***` before anything is stored. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Redaction {
    secrets: Option<Arc<Secrets>>,
    /// `name: value` and `name=value` of values that are secrets by their name.
    named: Option<Arc<Regex>>,
}

struct Secrets {
    pattern: Regex,
    longest: usize,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

impl Redaction {
    /// Replaces each of these wherever it appears. Each line of a secret of several lines counts by itself; one of fewer than
    /// four bytes would blot out everything and is left alone.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Self {
        let secrets: Vec<S> = secrets.into_iter().collect();
        let mut lines: Vec<&str> = secrets
            .iter()
            .flat_map(|secret| secret.as_ref().lines())
            .map(str::trim)
            .filter(|line| line.len() >= SHORTEST)
            .collect();
        // Where one secret begins another, the longer must be tried first.
        lines.sort_by_key(|line| std::cmp::Reverse(line.len()));
        lines.dedup();
        let longest = lines.first().map_or(0, |line| line.len());
        let alternatives: Vec<String> = lines.into_iter().map(regex::escape).collect();
        if alternatives.is_empty() {
            return Self::default();
        }
        let secrets = Regex::new(&alternatives.join("|"))
            .ok()
            .map(|pattern| Arc::new(Secrets { pattern, longest }));
        Self { secrets, named: None }
    }

    /// Also what a line says to be the value of one of these names: `"pin": 1234`, `pin=1234`. Of a JSON path, its last step is
    /// the name.
    #[must_use]
    pub fn naming<S: AsRef<str>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let names: Vec<String> = names
            .into_iter()
            .filter_map(|name| {
                let name = name.as_ref().trim_end_matches([']', '*', '[']);
                let last = if name.starts_with('$') {
                    name.rsplit(['.', '$']).next()?
                } else {
                    name
                };
                (!last.is_empty()).then(|| regex::escape(last))
            })
            .collect();
        if !names.is_empty() {
            let value = r#""(?:[^"\\]|\\.)*"|[^\s,;&}\]]+"#;
            let pattern = format!(r#"(?i)(\b(?:{})\b\\?"?\s*[:=]\s*)(?:{value})"#, names.join("|"));
            self.named = Regex::new(&pattern).ok().map(Arc::new);
        }
        self
    }

    /// `text` without the secrets.
    pub fn apply<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let clean = match &self.secrets {
            Some(secrets) => secrets.pattern.replace_all(text, NoExpand(b"***")),
            None => Cow::Borrowed(text),
        };
        match &self.named {
            Some(named) => match named.replace_all(&clean, b"${1}***".as_slice()) {
                Cow::Borrowed(_) => clean,
                Cow::Owned(cleaner) => Cow::Owned(cleaner),
            },
            None => clean,
        }
    }

    /// How many bytes must be held back where a line is cut, so that no secret is cut in two.
    pub(super) fn overlap(&self) -> usize {
        self.secrets
            .as_ref()
            .map_or(0, |secrets| secrets.longest.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_replaced_and_the_longer_first() {
        let redaction = Redaction::new(["hunter2", "hunter2-long", "a.c$1", "abc"]);
        let text = redaction.apply(b"hunter2-long hunter2 a.c$1 abc$1 abc");
        assert_eq!(String::from_utf8_lossy(&text), "*** *** *** abc$1 abc");
    }

    #[test]
    fn a_value_goes_with_its_name() {
        let redaction = Redaction::default().naming(["pin", "$.card.number", "X-Tenant"]);
        let clean = |text: &str| String::from_utf8_lossy(&redaction.apply(text.as_bytes())).into_owned();
        assert_eq!(clean(r#"{"pin": 1234, "a": 1}"#), r#"{"pin": ***, "a": 1}"#);
        assert_eq!(
            clean(r#"{"card":{"number":"4 \" 2"},"x":1}"#),
            r#"{"card":{"number":***},"x":1}"#
        );
        assert_eq!(
            clean("login pin=77 x-tenant: acme; ok"),
            "login pin=*** x-tenant: ***; ok"
        );
        assert_eq!(clean("spinning number9"), "spinning number9");
    }

    #[test]
    fn every_line_of_a_key_is_a_secret() {
        let redaction = Redaction::new(["BEGIN KEY\nMIIabc\n"]);
        assert_eq!(&*redaction.apply(b"x MIIabc y"), b"x *** y");
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        assert!(!format!("{:?}", Redaction::new(["hunter2"])).contains("hunter2"));
    }
}
