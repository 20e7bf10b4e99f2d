//! gRPC providers: the mock that knows one call, and the expressions that its messages share.

use std::path::Path;
use std::time::Duration;

use api_gateway::guard::Limits;
use devctl_pact::grpc::Proto;
use devctl_pact::grpc::mock::{Interaction, Mock, Pact};
use phoenix_contracts::{Pair, UUID, output};

use crate::sample::LIMIT;

/// One call's worth of trouble is too much here.
pub(crate) const LIMITS: Limits = Limits {
    timeout: LIMIT,
    concurrency: 1,
    failures: 1,
    open_for: Duration::from_secs(1),
};

/// A provider that knows one call; see [`Promised::kept`].
pub(crate) struct Promised(Mock);

/// What the proto file `file` says, of which `build` promises one call.
pub(crate) async fn promise(
    pair: Pair,
    file: &str,
    description: &str,
    build: impl FnOnce(Interaction) -> Interaction,
) -> Promised {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto");
    let proto = Proto::compile(&[folder], &[file]).unwrap();
    let pact = Pact::new(pair.consumer, pair.provider, &proto).interaction(description, build);
    Promised(pact.start().await.unwrap())
}

impl Promised {
    /// Where it answers.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }

    /// Adds the call to the pact: the consumer has asked what it was promised, and nothing else.
    pub(crate) async fn kept(self) {
        self.0.finish(output()).await.unwrap();
    }
}

/// Any UUID, such as `example`.
pub(crate) fn uuid(example: &str) -> String {
    format!("matching(regex, '{UUID}', '{example}')")
}

/// Any text, such as `example`.
pub(crate) fn like(example: &str) -> String {
    format!("matching(type, '{example}')")
}
