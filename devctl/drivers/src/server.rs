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
    pub fn recognise(image: &str) -> Option<Self> {
        // A digest pins a build: whatever the machine has is another one.
        if image.contains('@') {
            return None;
        }
        let (name, tag) = image
            .rsplit_once(':')
            .filter(|(_, tag)| !tag.contains('/'))
            .unwrap_or((image, "latest"));
        let name = name
            .strip_prefix("docker.io/")
            .or(name.strip_prefix("index.docker.io/"))
            .unwrap_or(name);
        let name = name.strip_prefix("library/").unwrap_or(name);
        let mut words = tag.split('-');
        let mut management = false;
        let version = match words.next()? {
            "latest" => Requirement::Any,
            // `alpine`, `management`: no version, and a variant.
            word @ ("alpine" | "management") => {
                management = word == "management";
                Requirement::Any
            }
            word => Requirement::Same(Version::parse(word)?),
        };
        for word in words {
            match word {
                "management" => management = true,
                "bullseye" | "bookworm" | "trixie" => {}
                _ if word.starts_with("alpine") => {}
                _ => return None,
            }
        }
        match name {
            "postgres" if !management => Some(Self::Postgres {
                version: version.shortened(),
            }),
            "rabbitmq" => Some(Self::RabbitMq {
                version: version.shortened(),
                management,
            }),
            _ => None,
        }
    }
}

impl Version {
    /// Reads `15`, `15.4`, `3.10.8`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        text.trim()
            .split('.')
            .map(|part| part.parse().ok())
            .collect::<Option<Vec<u32>>>()
            .map(Self)
    }

    /// The major version.
    pub fn major(&self) -> u32 {
        self.0.first().copied().unwrap_or_default()
    }
}

impl Requirement {
    /// Whether that version will do.
    pub fn accepts(&self, version: &Version) -> bool {
        match self {
            Self::Any => true,
            Self::Same(wanted) => version.0.starts_with(&wanted.0),
            Self::All(all) => all.iter().all(|(comparison, other)| {
                // As far as the requirement says: 15.4 is `=15`, and not `>15`.
                let length = other.0.len().min(version.0.len());
                let order = version.0[..length].cmp(&other.0);
                match comparison {
                    Comparison::Less => order.is_lt(),
                    Comparison::LessOrEqual => order.is_le(),
                    Comparison::Equal => order.is_eq(),
                    Comparison::GreaterOrEqual => order.is_ge(),
                    Comparison::Greater => order.is_gt(),
                }
            }),
        }
    }

    /// A tag's minor version is a patch level, which the machine's own need not match: the major one counts.
    fn shortened(self) -> Self {
        match self {
            Self::Same(version) => Self::Same(Version(version.0.into_iter().take(1).collect())),
            other => other,
        }
    }
}

impl FromStr for Requirement {
    type Err = BadRequirement;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadRequirement { text: text.to_owned() };
        let text = text.trim();
        if let Some(version) = Version::parse(text) {
            return Ok(Self::Same(version));
        }
        let all = text.split([',', ' ']).filter(|part| !part.is_empty()).map(|part| {
            let (comparison, rest) = [
                ("<=", Comparison::LessOrEqual),
                (">=", Comparison::GreaterOrEqual),
                ("<", Comparison::Less),
                (">", Comparison::Greater),
                ("=", Comparison::Equal),
            ]
            .into_iter()
            .find_map(|(sign, comparison)| Some((comparison, part.strip_prefix(sign)?)))?;
            Some((comparison, Version::parse(rest)?))
        });
        match all.collect::<Option<Vec<_>>>() {
            Some(all) if !all.is_empty() => Ok(Self::All(all)),
            _ => Err(bad()),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn same(parts: &[u32]) -> Requirement {
        Requirement::Same(Version(parts.to_vec()))
    }

    #[test]
    fn official_images_are_recognised_by_all_their_names() {
        for image in [
            "postgres:15",
            "postgres:15.4-alpine3.18",
            "docker.io/library/postgres:15-bookworm",
            "library/postgres:15",
        ] {
            assert_eq!(
                Server::recognise(image),
                Some(Server::Postgres { version: same(&[15]) }),
                "{image}"
            );
        }
        assert_eq!(
            Server::recognise("postgres"),
            Some(Server::Postgres {
                version: Requirement::Any
            })
        );
        for (image, version, management) in [
            ("rabbitmq:3-management", same(&[3]), true),
            ("rabbitmq:3.13.7-management-alpine", same(&[3]), true),
            ("rabbitmq:3.10", same(&[3]), false),
            ("rabbitmq:management", Requirement::Any, true),
            ("rabbitmq", Requirement::Any, false),
        ] {
            assert_eq!(
                Server::recognise(image),
                Some(Server::RabbitMq { version, management }),
                "{image}"
            );
        }
    }

    #[test]
    fn what_is_not_plain_is_never_replaced() {
        for image in [
            "postgis/postgis:15-3.4",
            "pgvector/pgvector:pg15",
            "bitnami/postgresql:15",
            "registry.example.com/postgres:15",
            "localhost:5000/postgres",
            "postgres:15-postgis",
            "postgres:17beta1",
            "postgres@sha256:0123",
            "mysql:8",
        ] {
            assert_eq!(Server::recognise(image), None, "{image}");
        }
    }

    #[test]
    fn requirements_compare_as_far_as_they_say() {
        let accepts = |requirement: &str, version: &str| {
            requirement
                .parse::<Requirement>()
                .unwrap()
                .accepts(&Version::parse(version).unwrap())
        };
        for (requirement, yes, no) in [
            ("15", "15.4", "16.0"),
            (">=14", "15.4", "13.9"),
            (">=14, <17", "16.9", "17.0"),
            (">15", "16.1", "15.4"),
            ("<=15", "15.4", "16.0"),
            ("=3.10", "3.10.8", "3.11.0"),
        ] {
            assert!(accepts(requirement, yes), "{requirement} {yes}");
            assert!(!accepts(requirement, no), "{requirement} {no}");
        }
        assert_eq!(">=14, <17".parse::<Requirement>().unwrap().to_string(), ">=14, <17");
        for bad in ["", "abc", ">=", "~15"] {
            assert!(bad.parse::<Requirement>().is_err(), "{bad}");
        }
    }
}
