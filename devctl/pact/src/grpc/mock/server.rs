//! HTTP/2 by prior knowledge, for calls of one message.

use std::sync::{Arc, PoisonError};

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::Shared;
use crate::grpc::Answer;
use crate::grpc::answer::Received;

/// Answers until it is dropped, and every connection with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                connections.spawn(connection(socket, Arc::clone(&shared)));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn connection(socket: TcpStream, shared: Arc<Shared>) {
    let _ = socket.set_nodelay(true);
    let Ok(mut connection) = h2::server::handshake(socket).await else {
        return;
    };
    let mut streams = JoinSet::new();
    // The connection makes no progress but here, so streams run beside it.
    while let Some(Ok((request, respond))) = connection.accept().await {
        let shared = Arc::clone(&shared);
        streams.spawn(async move {
            // The caller has gone: there is nobody to tell.
            let _ = stream(request, respond, &shared).await;
        });
    }
}

async fn stream(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    shared: &Shared,
) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let mut whole = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        whole.extend_from_slice(&data);
    }
    let received = Received {
        path: head.uri.path().trim_start_matches('/'),
        metadata: &head.headers,
        body: whole.freeze(),
    };
    let answer = shared.calls.answer(&received, &[]).await;
    if answer.interaction.is_none() {
        let refused = &shared.refused;
        refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(answer.message.clone());
    }
    send(&mut respond, &answer)
}

fn send(respond: &mut SendResponse<Bytes>, answer: &Answer) -> Result<(), h2::Error> {
    let mut response = Response::new(());
    *response.headers_mut() = answer.metadata.clone();
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    if answer.messages.is_empty() {
        // An answer without messages is its trailers alone.
        let trailers: HeaderMap = answer.trailers();
        headers.extend(trailers);
        respond.send_response(response, true)?;
        return Ok(());
    }
    let mut to = respond.send_response(response, false)?;
    to.send_data(answer.body(), false)?;
    to.send_trailers(answer.trailers())
}
