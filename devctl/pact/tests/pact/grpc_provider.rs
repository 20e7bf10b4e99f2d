//! A gRPC provider that is not ours: tonic's server, answering bytes that a test makes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::TcpListenerStream;

use crate::grpc_client::PROTOS;

/// What a test's provider answers.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) metadata: Vec<(&'static str, &'static str)>,
    pub(crate) messages: Vec<Vec<u8>>,
    pub(crate) code: u16,
    pub(crate) message: &'static str,
    pub(crate) never: bool,
}

type Answer = Arc<dyn Fn(&str, &HeaderMap, Bytes) -> Given + Send + Sync>;

pub(crate) struct Provider {
    pub(crate) address: String,
    pub(crate) connections: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Provider {
    pub(crate) async fn new(answer: impl Fn(&str, &HeaderMap, Bytes) -> Given + Send + Sync + 'static) -> Self {
        let answer: Answer = Arc::new(answer);
        let app = Router::new().fallback(serve).with_state(answer);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let incoming = TcpListenerStream::new(listener).map(move |socket| {
            counted.fetch_add(1, Ordering::Relaxed);
            socket
        });
        let server = tokio::spawn(async move {
            let routes = tonic::service::Routes::from(app);
            tonic::transport::Server::builder()
                .add_routes(routes)
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
        Self {
            address,
            connections,
            server,
        }
    }
}

async fn serve(State(answer): State<Answer>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let given = answer(head.uri.path().trim_start_matches('/'), &head.headers, body.slice(5..));
    if given.never {
        std::future::pending::<()>().await;
    }
    let mut frames: Vec<Result<Frame<Bytes>, std::convert::Infallible>> = Vec::new();
    for message in &given.messages {
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).unwrap());
        framed.put_slice(message);
        frames.push(Ok(Frame::data(framed.freeze())));
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(given.code));
    if !given.message.is_empty() {
        trailers.insert("grpc-message", HeaderValue::from_static(given.message));
    }
    frames.push(Ok(Frame::trailers(trailers)));
    let mut response = Response::new(Body::new(StreamBody::new(tokio_stream::iter(frames))));
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    for (name, value) in given.metadata {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Messages of billing, perhaps of another version of its `.proto` file.
#[derive(Clone)]
pub(crate) struct Messages(DescriptorPool);

impl Messages {
    /// `change` makes another version of the text.
    pub(crate) fn of_billing(change: impl Fn(&str) -> String) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let text = std::fs::read_to_string(format!("{PROTOS}/billing/v1/billing.proto")).unwrap();
        std::fs::write(folder.path().join("billing.proto"), change(&text)).unwrap();
        let mut compiler = protox::Compiler::new([folder.path()]).unwrap();
        compiler.include_imports(true).open_file("billing.proto").unwrap();
        Self(compiler.descriptor_pool())
    }

    /// A message in protobuf's JSON form, encoded.
    pub(crate) fn encode(&self, name: &str, json: &Value) -> Vec<u8> {
        let of = self.0.get_message_by_name(&format!("billing.v1.{name}")).unwrap();
        DynamicMessage::deserialize(of, json).unwrap().encode_to_vec()
    }

    /// An encoded message in protobuf's JSON form.
    pub(crate) fn decode(&self, name: &str, bytes: Bytes) -> Value {
        let of = self.0.get_message_by_name(&format!("billing.v1.{name}")).unwrap();
        serde_json::to_value(DynamicMessage::decode(of, bytes).unwrap()).unwrap()
    }
}
