//! What the engine calls a thing that it runs.

use std::fmt;
use std::sync::Arc;

/// One replica of one service. Shown as `billing`, further replicas as `billing[2]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId {
    service: Arc<str>,
    index: u32,
}

impl NodeId {
    /// The node of `service`'s replica `index`, which counts from 1.
    #[must_use]
    pub fn new(service: &str, index: u32) -> Self {
        Self {
            service: service.into(),
            index,
        }
    }

    /// The service's name.
    #[must_use]
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The replica's number, from 1.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }
}

impl From<&str> for NodeId {
    fn from(service: &str) -> Self {
        Self::new(service, 1)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            1 => out.pad(&self.service),
            index => out.pad(&format!("{}[{index}]", self.service)),
        }
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
