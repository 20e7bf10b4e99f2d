//! Finds where a text names another service, and puts another address in its place.
//!
//! A reference is a URL's host, a `host:port`, or a bare name where something says that a host is meant (a variable
//! called `DB_HOST`, an option `--host`, `host=` in a connection string). A name that merely occurs (`POSTGRES_DB=billing`)
//! is none.

use std::ops::Range;

/// One place in a text that names a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The name, as it stands there.
    pub name: String,
    /// Where the name stands, in bytes.
    pub host: Range<usize>,
    /// The port, where one is written or the URL's scheme implies it. None: every port of the provider is meant.
    pub port: Option<u16>,
    /// Where the port's digits stand. None where it is not written.
    pub port_at: Option<Range<usize>>,
}

/// Finds the references in `text`, in its order. `key` is the variable's name; None for a word of a command. `is_name`
/// tells whether a word names a provider.
pub fn find(key: Option<&str>, text: &str, is_name: impl Fn(&str) -> bool) -> Vec<Reference> {
    let mut found = Vec::new();
    let authorities = authorities(text);
    for authority in &authorities {
        for part in split(text, authority.hosts.clone(), ',') {
            let word = Word {
                host: part.start..host_end(text, part.clone()),
                end: part.end,
            };
            if is_name(&text[word.host.clone()]) {
                let (port, port_at) = written_port(text, word.host.end, word.end);
                found.push(reference(text, word.host, port.or(authority.default_port), port_at));
            }
        }
    }
    for host in words(text).filter(|word| {
        !authorities
            .iter()
            .any(|authority| authority.whole.contains(&word.start))
    }) {
        if !is_name(&text[host.clone()]) {
            continue;
        }
        let (port, port_at) = written_port(text, host.end, text.len());
        let before = text[..host.start].chars().next_back();
        let free = before.is_none_or(|c| c.is_whitespace() || "=,;'\"(@[|".contains(c));
        let bare = port.is_none() && ends_like_a_host(text, host.end) && says_host(key, text, &host);
        if (free && port.is_some()) || bare {
            found.push(reference(text, host, port, port_at));
        }
    }
    found.sort_by_key(|reference| reference.host.start);
    found
}

/// Puts what `address` returns (host, and port where that changes) in the place of each reference. None leaves it alone.
pub fn rewrite(
    text: &str,
    references: &[Reference],
    address: impl Fn(&Reference) -> Option<(String, Option<u16>)>,
) -> String {
    let mut told = String::with_capacity(text.len());
    let mut at = 0;
    for reference in references {
        let Some((host, port)) = address(reference) else {
            continue;
        };
        told.push_str(&text[at..reference.host.start]);
        told.push_str(&host);
        at = reference.host.end;
        match (port, &reference.port_at) {
            (Some(port), Some(digits)) => {
                told.push(':');
                told.push_str(&port.to_string());
                at = digits.end;
            }
            (Some(port), None) if reference.port.is_some() => {
                told.push(':');
                told.push_str(&port.to_string());
            }
            _ => {}
        }
    }
    told.push_str(&text[at..]);
    told
}

fn reference(text: &str, host: Range<usize>, port: Option<u16>, port_at: Option<Range<usize>>) -> Reference {
    Reference {
        name: text[host.clone()].to_owned(),
        host,
        port,
        port_at,
    }
}

struct Word {
    host: Range<usize>,
    end: usize,
}

struct Authority {
    /// With user and password.
    whole: Range<usize>,
    /// After them.
    hosts: Range<usize>,
    default_port: Option<u16>,
}

/// The authority parts of all URLs in the text (RFC 3986, 3.2).
fn authorities(text: &str) -> Vec<Authority> {
    text.match_indices("://")
        .map(|(at, mark)| {
            let start = at + mark.len();
            let end = text[start..]
                .find(|c: char| "/?#\"'`<>{}|\\^()".contains(c) || c.is_whitespace())
                .map_or(text.len(), |n| start + n);
            // An unescaped `/` or `#` in a password ends the authority early in every parser: nothing to be done here.
            let hosts = text[start..end].rfind('@').map_or(start, |n| start + n + 1);
            let scheme = text[..at]
                .rfind(|c: char| !(c.is_ascii_alphanumeric() || "+.-".contains(c)))
                .map_or(0, |n| n + 1);
            Authority {
                whole: start..end,
                hosts: hosts..end,
                default_port: default_port(&text[scheme..at]),
            }
        })
        .collect()
}

fn default_port(scheme: &str) -> Option<u16> {
    Some(match scheme.rsplit('+').next().unwrap_or(scheme) {
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        "postgres" | "postgresql" => 5432,
        "amqp" => 5672,
        "amqps" => 5671,
        "redis" => 6379,
        "mysql" | "mariadb" => 3306,
        "mongodb" => 27017,
        "nats" => 4222,
        _ => return None,
    })
}

fn split(text: &str, range: Range<usize>, by: char) -> Vec<Range<usize>> {
    let mut parts = Vec::new();
    let mut start = range.start;
    for (at, _) in text[range.clone()].match_indices(by) {
        parts.push(start..range.start + at);
        start = range.start + at + by.len_utf8();
    }
    parts.push(start..range.end);
    parts
}

fn is_host_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

fn host_end(text: &str, part: Range<usize>) -> usize {
    text[part.clone()]
        .find(|c| !is_host_char(c))
        .map_or(part.end, |n| part.start + n)
}

/// The maximal runs of characters that a host's name can have.
fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_host_char)?;
        let end = host_end(text, start..text.len());
        at = end;
        Some(start..end)
    })
}

/// `:8080` at `at`, followed by nothing that would make it something else.
fn written_port(text: &str, at: usize, end: usize) -> (Option<u16>, Option<Range<usize>>) {
    let rest = &text[at..end];
    let Some(digits) = rest.strip_prefix(':') else {
        return (None, None);
    };
    let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let after = digits[length..].chars().next();
    let ends = after.is_none_or(|c| c.is_whitespace() || "/,;'\")]?&|".contains(c));
    match digits[..length].parse::<u16>() {
        Ok(port) if ends && port != 0 => (Some(port), Some(at + 1..at + 1 + length)),
        _ => (None, None),
    }
}

fn ends_like_a_host(text: &str, at: usize) -> bool {
    text[at..]
        .chars()
        .next()
        .is_none_or(|c| c.is_whitespace() || ",;'\")".contains(c))
}

/// Whether a bare name at `host` is meant as one.
fn says_host(key: Option<&str>, text: &str, host: &Range<usize>) -> bool {
    let before = text[..host.start].trim_end_matches(['"', '\'']);
    // `host=db` in a connection string, `--host=db`; `-h db`, `--db-host db` in a shell's line.
    let option = match before.strip_suffix('=') {
        Some(option) => Some(option),
        None if before.ends_with(char::is_whitespace) => Some(before.trim_end()).filter(|option| {
            option
                .rsplit(char::is_whitespace)
                .next()
                .is_some_and(|word| word.starts_with('-'))
        }),
        None => None,
    };
    if let Some(option) = option {
        let word = option
            .rsplit(|c: char| c.is_whitespace() || c == ';' || c == '&' || c == '?')
            .next()
            .unwrap_or(option);
        return word == "-h" || key_says_host(word.trim_start_matches('-'));
    }
    let in_list = before.is_empty() || before.ends_with(',');
    in_list && key.is_some_and(key_says_host)
}

/// Whether a variable or an option of this name holds a host.
#[must_use]
pub fn key_says_host(key: &str) -> bool {
    const WORDS: &[&str] = &[
        "host",
        "hosts",
        "hostname",
        "addr",
        "addrs",
        "address",
        "addresses",
        "server",
        "servers",
        "endpoint",
        "endpoints",
        "broker",
        "brokers",
        "upstream",
        "upstreams",
        "peer",
        "peers",
    ];
    let lower = key.to_ascii_lowercase();
    let mut words = lower.split(['_', '-', '.', ' ']).filter(|word| !word.is_empty());
    words.any(|word| WORDS.contains(&word) || (word.ends_with("host") && word != "localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["billing", "billing-db", "rabbitmq", "auth", "db"];

    fn told(key: Option<&str>, text: &str) -> String {
        let found = find(key, text, |word| NAMES.contains(&word));
        rewrite(text, &found, |reference| Some((format!("<{}>", reference.name), None)))
    }

    fn ports(key: Option<&str>, text: &str) -> Vec<Option<u16>> {
        find(key, text, |word| NAMES.contains(&word))
            .into_iter()
            .map(|reference| reference.port)
            .collect()
    }

    #[test]
    fn urls() {
        assert_eq!(told(Some("X"), "http://billing:8080/v1"), "http://<billing>:8080/v1");
        assert_eq!(
            told(Some("X"), "postgres://billing:billing@billing-db:5432/billing"),
            "postgres://billing:billing@<billing-db>:5432/billing"
        );
        assert_eq!(
            told(Some("X"), "amqp://auth:5672@rabbitmq"),
            "amqp://auth:5672@<rabbitmq>"
        );
        assert_eq!(ports(Some("X"), "amqp://rabbitmq/%2f"), [Some(5672)]);
        assert_eq!(
            told(Some("X"), "jdbc:postgresql://db:5432/db"),
            "jdbc:postgresql://<db>:5432/db"
        );
        assert_eq!(
            told(Some("X"), "postgres://db:1,billing-db:2/x"),
            "postgres://<db>:1,<billing-db>:2/x"
        );
        assert_eq!(
            told(Some("X"), "http://example.org/billing:8080"),
            "http://example.org/billing:8080"
        );
        assert_eq!(
            told(Some("X"), "http://billing.example.org/"),
            "http://billing.example.org/"
        );
    }

    #[test]
    fn host_and_port() {
        assert_eq!(told(Some("X"), "auth:9090,billing:9090"), "<auth>:9090,<billing>:9090");
        assert_eq!(
            told(Some("X"), "u:p@tcp(db:3306)/billing"),
            "u:p@tcp(<db>:3306)/billing"
        );
        assert_eq!(told(Some("IMAGE"), "registry/billing:80"), "registry/billing:80");
        assert_eq!(told(Some("IMAGE"), "billing:1.2"), "billing:1.2");
        assert_eq!(told(Some("X"), "my-billing:80"), "my-billing:80");
    }

    #[test]
    fn bare_names_only_where_a_host_is_meant() {
        assert_eq!(told(Some("DB_HOST"), "db"), "<db>");
        assert_eq!(told(Some("PGHOST"), "db"), "<db>");
        assert_eq!(told(Some("BROKERS"), "rabbitmq,db"), "<rabbitmq>,<db>");
        assert_eq!(told(Some("POSTGRES_DB"), "billing"), "billing");
        assert_eq!(told(Some("OTEL_SERVICE_NAME"), "billing"), "billing");
        assert_eq!(
            told(Some("DSN"), "host=db port=5432 dbname=billing"),
            "host=<db> port=5432 dbname=billing"
        );
        assert_eq!(
            told(Some("DSN"), "Server=db;Database=billing"),
            "Server=<db>;Database=billing"
        );
    }

    #[test]
    fn words_of_a_command() {
        assert_eq!(told(None, "--db-host=db"), "--db-host=<db>");
        assert_eq!(
            told(None, "pg_isready -h db -U billing"),
            "pg_isready -h <db> -U billing"
        );
        assert_eq!(
            told(None, "curl -fs http://auth/healthz"),
            "curl -fs http://<auth>/healthz"
        );
        assert_eq!(told(None, "billing"), "billing");
    }

    #[test]
    fn a_port_that_changes_is_written() {
        let put = |text: &str| {
            let found = find(Some("X"), text, |word| NAMES.contains(&word));
            rewrite(text, &found, |_| Some(("127.0.0.1".to_owned(), Some(7000))))
        };
        assert_eq!(put("http://billing/v1"), "http://127.0.0.1:7000/v1");
        assert_eq!(put("http://billing:80/v1"), "http://127.0.0.1:7000/v1");
    }
}
