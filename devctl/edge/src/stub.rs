//! What stands in for a provider: a trait that whoever knows the contracts implements.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{HeaderMap, Request, Response, StatusCode};

use tokio_util::task::AbortOnDropHandle;

use crate::edge::Inner;
use crate::id::EdgeId;

/// Answers in a provider's place. It is called on the runtime that made the [`Edges`](crate::Edges), not on the
/// thread that serves them, so it may take its time.
#[async_trait]
pub trait Stub: Send + Sync + 'static {
    /// Answers one request, whose body is complete.
    async fn answer(&self, edge: &EdgeId, request: Request<Bytes>) -> Response<StubBody>;

    /// Answers a request whose body is still coming; what is not overridden waits for all of it and calls
    /// [`answer`](Self::answer). gRPC methods that stream towards the provider want this one.
    async fn answer_streaming(&self, edge: &EdgeId, request: Request<Incoming>) -> Response<StubBody> {
        let (head, body) = request.into_parts();
        match body.collect(16 << 20).await {
            Ok(body) => self.answer(edge, Request::from_parts(head, body)).await,
            Err(too_large) => too_large,
        }
    }
}

/// The body of a stub's answer, with trailers where the protocol has them (gRPC: `grpc-status`).
pub enum StubBody {
    /// All of it at once.
    Full {
        /// The bytes.
        data: Bytes,
        /// What follows them.
        trailers: Option<HeaderMap>,
    },
    /// Piece by piece; the end of the stream ends the body.
    Stream(BoxStream<'static, Part>),
}

/// A piece of a streamed body.
#[derive(Debug, Clone)]
pub enum Part {
    /// Bytes.
    Data(Bytes),
    /// Trailers: the last piece.
    Trailers(HeaderMap),
}

impl StubBody {
    /// No body at all.
    pub fn empty() -> Self {
        Bytes::new().into()
    }

    /// Bytes, and trailers behind them.
    pub fn with_trailers(data: impl Into<Bytes>, trailers: HeaderMap) -> Self {
        Self::Full {
            data: data.into(),
            trailers: Some(trailers),
        }
    }
}

impl<T: Into<Bytes>> From<T> for StubBody {
    fn from(data: T) -> Self {
        Self::Full {
            data: data.into(),
            trailers: None,
        }
    }
}

/// A request's body on its way to a stub.
pub struct Incoming(pub(crate) BoxStream<'static, Part>);

impl Incoming {
    /// The next piece; `None` at the end, and also when the caller has gone.
    pub async fn next(&mut self) -> Option<Part> {
        self.0.next().await
    }

    /// All of it, up to `limit` bytes; beyond them the answer to give instead.
    pub async fn collect(mut self, limit: usize) -> Result<Bytes, Response<StubBody>> {
        let mut all = BytesMut::new();
        while let Some(part) = self.next().await {
            if let Part::Data(data) = part {
                if all.len() + data.len() > limit {
                    let mut answer = Response::new(StubBody::from(format!("a stub reads at most {limit} bytes")));
                    *answer.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                    return Err(answer);
                }
                all.extend_from_slice(&data);
            }
        }
        Ok(all.freeze())
    }
}

/// Lets a stub answer, on the runtime that it belongs to. A stub that panics is a 500, not the end of the connection.
pub(crate) async fn call(edge: &Arc<Inner>, stub: &Arc<dyn Stub>, request: Request<Incoming>) -> Response<StubBody> {
    let (id, stub) = (Arc::clone(&edge.id), Arc::clone(stub));
    // Aborted when the caller goes.
    let answering = AbortOnDropHandle::new(
        edge.calling
            .spawn(async move { stub.answer_streaming(&id, request).await }),
    );
    answering.await.unwrap_or_else(|error| {
        let mut answer = Response::new(StubBody::from(format!("{}: the stub failed: {error}\n", edge.id)));
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        answer
    })
}
