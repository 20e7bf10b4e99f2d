//! Who calls whom: the identity of an edge, and the protocol that is spoken on it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One consumer's way to one port of one provider.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EdgeId {
    /// The service that calls; `host` for a published port.
    pub consumer: String,
    /// The service that answers.
    pub provider: String,
    /// The provider's port, as the consumer names it.
    pub port: u16,
}

impl EdgeId {
    /// The consumer of every published port.
    pub const HOST: &str = "host";

    /// The edge from `consumer` to `provider:port`.
    pub fn new(consumer: impl Into<String>, provider: impl Into<String>, port: u16) -> Self {
        Self {
            consumer: consumer.into(),
            provider: provider.into(),
            port,
        }
    }
}

impl fmt::Display for EdgeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}:{}", self.consumer, self.provider, self.port)
    }
}

/// What is spoken on an edge, as the project says it or as the first bytes show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Look at the first bytes, of whichever side speaks first.
    #[default]
    Auto,
    /// HTTP/1.1, or HTTP/2 by prior knowledge: the preface decides.
    Http,
    /// HTTP/2 by prior knowledge.
    Http2,
    /// gRPC over HTTP/2: as `Http2`, but a refusal is told as a gRPC status.
    Grpc,
    /// Bytes, passed through.
    Tcp,
    /// AMQP 0-9-1: passed through, its frames read.
    Amqp,
    /// PostgreSQL: passed through.
    Postgres,
    /// TLS: passed through untouched.
    Tls,
}

impl Protocol {
    /// The word for it in listings, the same as in the project's file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::Tcp => "tcp",
            Self::Amqp => "amqp",
            Self::Postgres => "postgres",
            Self::Tls => "tls",
        }
    }

    /// Reads `app_protocol` or `x-devctl.edges.*.protocol`, with the words that people write there.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "http" | "http1" | "http/1.1" | "ws" | "kubernetes.io/ws" => Self::Http,
            "http2" | "h2c" | "http/2" | "kubernetes.io/h2c" => Self::Http2,
            "grpc" => Self::Grpc,
            "tcp" | "redis" | "mysql" | "mongo" | "nats" | "kafka" => Self::Tcp,
            "amqp" => Self::Amqp,
            "postgres" | "postgresql" => Self::Postgres,
            "tls" | "https" | "amqps" | "wss" | "kubernetes.io/wss" | "grpcs" => Self::Tls,
            _ => return None,
        })
    }

    /// Whether single requests can be told apart, so that they can be answered, held and captured one by one.
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Http2 | Self::Grpc)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
