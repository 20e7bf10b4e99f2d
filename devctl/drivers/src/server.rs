//! Which images the machine's own servers may stand in for, and which version is wanted.
//!
//! Honest rules: the official image by one of its names, with a tag that says a version, or none. A vendor's build or a tag
//! that names an extension is not plain PostgreSQL or RabbitMQ, and is never replaced.

use std::fmt;
use std::str::FromStr;

/// A server that devctl can run from the machine's binaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// PostgreSQL.
    Postgres {
        /// What the tag asks for.
        version: Requirement,
    },
    /// RabbitMQ.
    RabbitMq {
        /// What the tag asks for.
        version: Requirement,
        /// Whether the tag asks for the management plugin.
        management: bool,
    },
}

/// A version: `15`, `15.4`, `3.10.8`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub Vec<u32>);

/// Which versions will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// Whatever is there (`latest`, or no tag).
    Any,
    /// The major version of a tag (PostgreSQL: `15`; RabbitMQ: `3`), or more of it.
    Same(Version),
    /// Comparisons that must all hold, as `x-devctl.native.version` writes them: `>=14, <17`.
    All(Vec<(Comparison, Version)>),
}

/// How a version is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Server {
    /// What an image's name stands for, if the machine's own server may stand in for it.
    pub fn recognise(_image: &str) -> Option<Self> {
        todo!()
    }
}

impl Requirement {
    /// Whether that version will do.
    pub fn accepts(&self, _version: &Version) -> bool {
        todo!()
    }
}

impl FromStr for Requirement {
    type Err = BadRequirement;

    fn from_str(_text: &str) -> Result<Self, Self::Err> {
        todo!()
    }
}

/// A requirement that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("read `{text}` as a version requirement")]
pub struct BadRequirement {
    /// As it was written.
    pub text: String,
}

impl BadRequirement {
    /// What may be written.
    pub fn help(&self) -> String {
        "write a version (`15`) or comparisons (`>=14, <17`)".into()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            write!(f, "{}{part}", if index == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::Same(version) => version.fmt(f),
            Self::All(all) => {
                for (index, (comparison, version)) in all.iter().enumerate() {
                    let sign = match comparison {
                        Comparison::Less => "<",
                        Comparison::LessOrEqual => "<=",
                        Comparison::Equal => "=",
                        Comparison::GreaterOrEqual => ">=",
                        Comparison::Greater => ">",
                    };
                    write!(f, "{}{sign}{version}", if index == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}
