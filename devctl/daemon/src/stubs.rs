//! Plugs contracts into edges: a stub of `devctl-pact` answers at an edge of `devctl-edge`.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use devctl_edge::{EdgeId, StubBody};
use devctl_pact::index::{Index, Source, load};
use http::{Request, Response};

/// The contracts of a project, and what could not be read of them.
pub(crate) struct Contracts {
    pub(crate) index: Index,
    pub(crate) problems: Vec<String>,
}

/// Reads the project's pacts. `sources` are files, folders, globs and URLs as the Compose file writes them.
pub(crate) async fn read(sources: &[String], base: &Path) -> Contracts {
    let sources: Vec<Source> = sources.iter().map(|text| Source::from_text(text)).collect();
    let loaded = load(&sources, base).await;
    let problems = loaded.problems.iter().map(|error| crate::start::told(error)).collect();
    Contracts {
        index: Index::new(loaded.contracts),
        problems,
    }
}

impl Contracts {
    /// A stand-in for `provider` that answers what its contract with `consumer` allows. None where there is no contract.
    pub(crate) fn stub(&self, consumer: &str, provider: &str) -> Option<Arc<dyn devctl_edge::Stub>> {
        let contracts = self.index.between(consumer, provider);
        if contracts.is_empty() {
            return None;
        }
        Some(at_edge(Arc::new(devctl_pact::stub::Stub::new(&contracts))))
    }
}

/// A stub as an edge wants it; whoever keeps the other end of the `Arc` may choose its states.
pub(crate) fn at_edge(stub: Arc<devctl_pact::stub::Stub>) -> Arc<dyn devctl_edge::Stub> {
    Arc::new(PactStub(stub))
}

struct PactStub(Arc<devctl_pact::stub::Stub>);

#[async_trait]
impl devctl_edge::Stub for PactStub {
    async fn answer(&self, _edge: &EdgeId, request: Request<Bytes>) -> Response<StubBody> {
        self.0.answer(request).await.map(StubBody::from)
    }
}
