//! A consumer's HTTP/2 connection: every stream of it becomes a task.

use std::sync::Arc;

use bytes::Bytes;
use h2::server::Connection;

use crate::connection::{Client, Early};
use crate::http2::prefixed::Prefixed;
use crate::http2::provider::{CONNECTION_WINDOW, Providers, STREAM_WINDOW};
use crate::http2::stream::{self, Shared};

/// Streams of one connection at the same time: as many as a provider would hardly allow.
const STREAMS: u32 = 4096;

/// Serves a connection that speaks HTTP/2.
pub(crate) async fn serve(client: Client, early: Option<Early>) {
    let Client {
        stream,
        buffer,
        edge,
        mut target,
        ..
    } = client;
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(STREAMS)
        // Whoever cancels a burst of calls is no attacker here.
        .max_pending_accept_reset_streams(STREAMS as usize)
        .max_header_list_size(64 << 10);
    let io = Prefixed::new(buffer, stream, Arc::clone(&edge));
    let Ok(mut connection) = builder.handshake::<_, Bytes>(io).await else {
        return;
    };
    let shared = Arc::new(Shared {
        edge: Arc::clone(&edge),
        target: target.clone(),
        providers: Providers::new(early),
    });
    let mut leaving = false;
    loop {
        tokio::select! {
            biased;
            accepted = accept(&mut connection) => match accepted {
                Some((request, respond)) => {
                    let task = stream::run(Arc::clone(&shared), request, respond);
                    tokio::spawn(edge.tasks.track_future(task));
                }
                None => return,
            },
            _ = target.changed() => {
                let current = target.borrow_and_update().number;
                shared.providers.keep(current);
            }
            () = edge.deaf.cancelled(), if !leaving => {
                leaving = true;
                connection.graceful_shutdown();
            }
        }
    }
}

type Accepted = (http::Request<h2::RecvStream>, h2::server::SendResponse<Bytes>);

/// The next stream; `None` when the connection is over.
async fn accept(connection: &mut Connection<Prefixed, Bytes>) -> Option<Accepted> {
    connection.accept().await?.ok()
}
