//! gRPC's status codes by the names that pacts write.

use std::fmt;

/// A status code of the gRPC specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the specification's own")]
pub enum Code {
    Ok = 0,
    Cancelled = 1,
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    AlreadyExists = 6,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    FailedPrecondition = 9,
    Aborted = 10,
    OutOfRange = 11,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
    Unauthenticated = 16,
}

const NAMES: [(Code, &str); 17] = [
    (Code::Ok, "OK"),
    (Code::Cancelled, "CANCELLED"),
    (Code::Unknown, "UNKNOWN"),
    (Code::InvalidArgument, "INVALID_ARGUMENT"),
    (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
    (Code::NotFound, "NOT_FOUND"),
    (Code::AlreadyExists, "ALREADY_EXISTS"),
    (Code::PermissionDenied, "PERMISSION_DENIED"),
    (Code::ResourceExhausted, "RESOURCE_EXHAUSTED"),
    (Code::FailedPrecondition, "FAILED_PRECONDITION"),
    (Code::Aborted, "ABORTED"),
    (Code::OutOfRange, "OUT_OF_RANGE"),
    (Code::Unimplemented, "UNIMPLEMENTED"),
    (Code::Internal, "INTERNAL"),
    (Code::Unavailable, "UNAVAILABLE"),
    (Code::DataLoss, "DATA_LOSS"),
    (Code::Unauthenticated, "UNAUTHENTICATED"),
];

impl Code {
    /// The code of `NOT_FOUND`, `NotFound` or `5`.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |text: &str| text.replace('_', "").to_uppercase();
        let wanted = plain(text.trim());
        NAMES
            .iter()
            .find(|(code, name)| plain(name) == wanted || wanted == (*code as u8).to_string())
            .map(|(code, _)| *code)
    }

    /// `NOT_FOUND`.
    pub fn name(self) -> &'static str {
        NAMES[self as usize].1
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, NAMES};

    #[test]
    fn codes_are_read_in_every_form_that_pacts_write() {
        for (at, (code, name)) in NAMES.iter().enumerate() {
            assert_eq!(*code as usize, at);
            assert_eq!(Code::parse(name), Some(*code));
            assert_eq!(Code::parse(&at.to_string()), Some(*code));
        }
        assert_eq!(Code::parse("NotFound"), Some(Code::NotFound));
        assert_eq!(Code::parse("17"), None);
    }
}
