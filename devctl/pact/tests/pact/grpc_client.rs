//! A gRPC client that is not ours: tonic's, on messages that are known by their descriptors alone.

use bytes::{Buf, BufMut, Bytes};
use devctl_pact::grpc::Proto;
use http::uri::PathAndQuery;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MethodDescriptor};
use serde_json::Value;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

/// The folder of Phoenix's `.proto` files.
pub(crate) const PROTOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts/proto");

/// Phoenix's billing.
pub(crate) fn billing() -> Proto {
    Proto::compile(&[PROTOS], &["billing/v1/billing.proto"]).unwrap()
}

pub(crate) struct Client {
    channel: Channel,
    pool: DescriptorPool,
}

/// Initial metadata, messages as JSON, and how it ended.
pub(crate) struct Answered {
    pub(crate) metadata: tonic::metadata::MetadataMap,
    pub(crate) messages: Vec<Value>,
    pub(crate) status: Status,
}

impl Client {
    pub(crate) async fn connect(url: &str, file: &str) -> Self {
        let channel = Endpoint::from_shared(url.to_owned()).unwrap().connect().await.unwrap();
        let mut compiler = protox::Compiler::new([PROTOS]).unwrap();
        compiler.include_imports(true).open_file(file).unwrap();
        Self {
            channel,
            pool: compiler.descriptor_pool(),
        }
    }

    fn method(&self, path: &str) -> MethodDescriptor {
        let (service, name) = path.split_once('/').unwrap();
        let service = self.pool.get_service_by_name(service).unwrap();
        service.methods().find(|method| method.name() == name).unwrap()
    }

    /// Calls with a message in protobuf's JSON form; every method is called as one that streams its answers.
    pub(crate) async fn call(&self, path: &str, message: &Value, metadata: &[(&'static str, &str)]) -> Answered {
        let method = self.method(path);
        let message = DynamicMessage::deserialize(method.input(), message).unwrap();
        let mut request = Request::new(Bytes::from(message.encode_to_vec()));
        for (name, value) in metadata {
            request.metadata_mut().insert(*name, value.parse().unwrap());
        }
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let path = PathAndQuery::try_from(format!("/{path}")).unwrap();
        let mut answered = Answered {
            metadata: tonic::metadata::MetadataMap::new(),
            messages: Vec::new(),
            status: Status::ok(""),
        };
        let mut stream = match grpc.server_streaming(request, path, Raw).await {
            Err(status) => {
                answered.metadata = status.metadata().clone();
                answered.status = status;
                return answered;
            }
            Ok(response) => {
                answered.metadata = response.metadata().clone();
                response.into_inner()
            }
        };
        loop {
            match stream.message().await {
                Ok(Some(bytes)) => {
                    let message = DynamicMessage::decode(method.output(), bytes).unwrap();
                    answered.messages.push(serde_json::to_value(&message).unwrap());
                }
                Ok(None) => return answered,
                Err(status) => {
                    answered.status = status;
                    return answered;
                }
            }
        }
    }
}

/// Bytes as they are.
#[derive(Default)]
pub(crate) struct Raw;

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
