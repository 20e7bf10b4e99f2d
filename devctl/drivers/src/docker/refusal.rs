//! What a registry's refusal means, by its words: the engine hands on nothing else.

use super::auth;

/// Why a registry did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nobody answers there.
    Unreachable,
    /// It wants a login, or another one; some say so of a name that is not there as well.
    Denied,
    /// Something else.
    Other,
}

impl Refusal {
    /// By what was said.
    pub(super) fn of(said: &str) -> Self {
        let said = said.to_lowercase();
        let unreachable = [
            "no such host",
            "timeout",
            "connection refused",
            "network is unreachable",
            "dial tcp",
        ];
        let denied = [
            "denied",
            "unauthorized",
            "authentication required",
            "no basic auth credentials",
        ];
        if unreachable.iter().any(|sign| said.contains(sign)) {
            Self::Unreachable
        } else if denied.iter().any(|sign| said.contains(sign)) {
            Self::Denied
        } else {
            Self::Other
        }
    }
}

/// The command that logs in where the image is.
pub(super) fn login(image: &str) -> String {
    match auth::registry(image) {
        key if key.contains("://") => "`docker login`".to_owned(),
        host => format!("`docker login {host}`"),
    }
}

/// The next step where the caller's login could not be read.
pub(super) fn unreadable_login(image: &str, trouble: &str) -> String {
    format!(
        "its login could not be read ({trouble}): correct that, or {}",
        login(image)
    )
}
