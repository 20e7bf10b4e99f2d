//! Plugs contracts into edges: a stub of `devctl-pact` answers at an edge of `devctl-edge`.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use devctl_edge::{EdgeId, StubBody};
use devctl_pact::index::{Contract, Index, Origin, Source, load};
use devctl_pact::stub::Stub;
use http::{Request, Response};

/// The contracts of a project, and what could not be read of them.
pub(crate) struct Contracts {
    pub(crate) index: Index,
    pub(crate) problems: Vec<String>,
}

/// What answers one consumer in a provider's place.
pub(crate) struct StandIn {
    /// The services.
    pub(crate) consumer: String,
    pub(crate) provider: String,
    /// The contracts' contents: with others it answers otherwise.
    pub(crate) digest: String,
    /// Where these were read.
    pub(crate) origins: BTreeSet<Origin>,
    pub(crate) stub: Arc<dyn devctl_edge::Stub>,
}

/// Reads the project's pacts. `sources` are files, folders, globs and URLs as the Compose file writes them.
pub(crate) async fn read(sources: &[String], base: &Path) -> Contracts {
    let sources: Vec<Source> = sources.iter().map(|text| Source::from_text(text)).collect();
    let loaded = load(&sources, base).await;
    let mut problems: Vec<String> = loaded.problems.iter().map(|error| crate::start::told(error)).collect();
    for contract in &loaded.contracts {
        problems.extend(Stub::new(std::slice::from_ref(contract)).problems());
    }
    Contracts {
        index: Index::new(loaded.contracts),
        problems,
    }
}

impl Contracts {
    /// A stand-in for `provider` that answers what its contract with `consumer` allows; both as the pacts name them. None where there
    /// is no contract.
    pub(crate) fn stub(&self, consumer: &str, provider: &str) -> Option<(Vec<Arc<Contract>>, Arc<Stub>)> {
        let contracts = self.index.between(consumer, provider);
        if contracts.is_empty() {
            return None;
        }
        let stub = Arc::new(Stub::new(&contracts));
        Some((contracts, stub))
    }
}

impl StandIn {
    /// Between two services. Whoever keeps the other end of `stub` may choose its states.
    pub(crate) fn new(consumer: &str, provider: &str, contracts: &[Arc<Contract>], stub: Arc<Stub>) -> Self {
        let digests: Vec<&str> = contracts.iter().map(|contract| contract.digest.as_str()).collect();
        Self {
            consumer: consumer.to_owned(),
            provider: provider.to_owned(),
            digest: digests.join(" "),
            origins: contracts.iter().map(|contract| contract.origin.clone()).collect(),
            stub: Arc::new(AtEdge(stub)),
        }
    }
}

/// A stub as an edge wants it.
struct AtEdge(Arc<Stub>);

#[async_trait]
impl devctl_edge::Stub for AtEdge {
    async fn answer(&self, _edge: &EdgeId, request: Request<Bytes>) -> Response<StubBody> {
        let reply = self.0.reply(request).await;
        reply.response.map(|data| StubBody::Full {
            data,
            trailers: reply.trailers,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::{Buf as _, BufMut as _, Bytes};
    use devctl_edge::{EdgeId, EdgeSpec, Edges, EdgesConfig, Target};
    use devctl_pact::grpc::Proto;
    use devctl_pact::grpc::mock::Pact;
    use serde_json::json;
    use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
    use tonic::transport::Endpoint;
    use tonic::{Code, Status};

    /// Messages as their bytes: the client knows no more of them.
    #[derive(Default)]
    struct Raw;

    impl Codec for Raw {
        type Encode = Bytes;
        type Decode = Bytes;
        type Encoder = Self;
        type Decoder = Self;

        fn encoder(&mut self) -> Self {
            Self
        }

        fn decoder(&mut self) -> Self {
            Self
        }
    }

    impl Encoder for Raw {
        type Item = Bytes;
        type Error = Status;

        fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
            to.put(item);
            Ok(())
        }
    }

    impl Decoder for Raw {
        type Item = Bytes;
        type Error = Status;

        fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
            Ok(Some(from.copy_to_bytes(from.remaining())))
        }
    }

    /// A pact file in a folder, an edge whose target is its stub, and tonic's client in front of it.
    #[tokio::test]
    async fn grpc_calls_are_answered_from_contracts_through_an_edge() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let text = "syntax = \"proto3\"; package shop.v1; message Item { string id = 1; } \
            service Shop { rpc Get(Item) returns (Item); rpc List(Item) returns (stream Item); }";
        std::fs::write(folder.path().join("shop.proto"), text).expect("write");
        let proto = Proto::compile(&[folder.path()], &["shop.proto"]).expect("compiles");
        let pact = Pact::new("web", "shop", &proto)
            .interaction("an item", |i| {
                i.call("shop.v1.Shop/Get")
                    .request(json!({"id": "matching(regex, '\\\\d+', '1')"}))
                    .answer(json!({"id": "one"}))
            })
            .interaction("items", |i| {
                i.call("shop.v1.Shop/List")
                    .request(json!({}))
                    .answer(json!({"id": "a"}))
                    .answer(json!({"id": "b"}))
            });
        let pact = pact.json().expect("a pact").to_string();
        std::fs::write(folder.path().join("web-shop.json"), pact).expect("write");

        let contracts = super::read(&["web-shop.json".to_owned()], folder.path()).await;
        assert_eq!(contracts.problems, [""; 0]);
        let (of, stub) = contracts.stub("web", "shop").expect("a contract");
        let stub = super::StandIn::new("web", "shop", &of, stub).stub;
        let edges = Edges::new(EdgesConfig::default()).expect("edges");
        let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let spec = EdgeSpec::new(EdgeId::new("web", "shop", 9090), listen);
        let edge = edges.open(spec).await.expect("an edge");
        let _ = edge.target(Target::Stub(Arc::clone(&stub)));

        let url = format!("http://{}", edge.address());
        let channel = Endpoint::from_shared(url)
            .expect("a URL")
            .connect()
            .await
            .expect("connects");
        let mut client = tonic::client::Grpc::new(channel);
        let mut call = async |path: &'static str, message: &'static [u8]| {
            client.ready().await.expect("ready");
            let request = tonic::Request::new(Bytes::from_static(message));
            let path = http::uri::PathAndQuery::from_static(path);
            let mut stream = client.server_streaming(request, path, Raw).await?.into_inner();
            let mut messages = Vec::new();
            while let Some(message) = stream.message().await? {
                messages.push(message);
            }
            Ok::<_, Status>(messages)
        };
        // Field 1, a text.
        assert_eq!(
            call("/shop.v1.Shop/Get", b"\x0a\x0217").await.expect("allowed"),
            [&b"\x0a\x03one"[..]]
        );
        assert_eq!(
            call("/shop.v1.Shop/List", b"").await.expect("allowed"),
            [&b"\x0a\x01a"[..], &b"\x0a\x01b"[..]]
        );
        let refused = call("/shop.v1.Shop/Get", b"\x0a\x01x").await.expect_err("not allowed");
        assert_eq!(refused.code(), Code::Unimplemented);
        let told = refused.message();
        assert!(told.contains("nearest is `an item`") && told.contains("$.id"), "{told}");
        let refused = call("/shop.v1.Shop/Buy", b"").await.expect_err("not allowed");
        assert!(
            refused.message().contains("no interaction calls `shop.v1.Shop/Buy`"),
            "{refused:?}"
        );
    }
}
