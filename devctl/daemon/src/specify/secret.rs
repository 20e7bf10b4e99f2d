//! Which of a service's variables are secrets: by the words in their names, and by `x-devctl.redact`.

use indexmap::IndexMap;

/// Shorter values of variables that nobody has named are rather settings than secrets.
const SHORTEST: usize = 8;

/// Whether the variable's value is never shown.
pub(crate) fn is_secret(name: &str, redact: &[String]) -> bool {
    redact.iter().any(|named| named.eq_ignore_ascii_case(name))
}

/// Values that are never shown, stored or logged, wherever they appear.
pub(super) fn values<'a>(
    environment: impl IntoIterator<Item = (&'a String, &'a String)>,
    redact: &[String],
) -> Vec<String> {
    environment
        .into_iter()
        .filter(|(name, value)| is_secret(name, redact) || (value.len() >= SHORTEST && sounds_secret(name)))
        .map(|(_, value)| value.clone())
        .filter(|value| !value.is_empty())
        .collect()
}

fn sounds_secret(name: &str) -> bool {
    const WORDS: &[&str] = &[
        "password",
        "passwd",
        "secret",
        "token",
        "private_key",
        "api_key",
        "apikey",
        "credential",
    ];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word)) || name.ends_with("_pass")
}

/// The service's variables and those that it has only as a process.
pub(super) fn told<'a>(
    written: &'a IndexMap<String, String>,
    native: Option<&'a devctl_compose::model::Native>,
) -> impl Iterator<Item = (&'a String, &'a String)> {
    written.iter().chain(native.into_iter().flat_map(|native| &native.env))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_a_secret_however_short() {
        let environment: IndexMap<String, String> = [
            ("DB_PASSWORD", "billing-secret"),
            ("POSTGRES_PASSWORD", "auth"),
            ("Tenant", "acme"),
            ("REGION", "europe-west"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let found = values(&environment, &["TENANT".to_owned(), "$.card.number".to_owned()]);
        assert_eq!(found, ["billing-secret", "acme"]);
    }
}
