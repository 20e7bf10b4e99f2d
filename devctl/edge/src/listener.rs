//! Binding, and taking connections in.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};

use crate::connection;
use crate::edge::Inner;
use crate::error::EdgeError;
use crate::id::EdgeId;
use crate::spec::Listen;

/// Connections that may wait to be accepted: a consumer's pool opens at once.
const BACKLOG: u32 = 4096;

/// Binds, within the reactor that will serve it.
pub(crate) fn bind(edge: &EdgeId, listen: Listen) -> Result<(TcpListener, SocketAddr), EdgeError> {
    match listen {
        Listen::Address(address) => open(address)
            .and_then(|listener| listener.local_addr().map(|bound| (listener, bound)))
            .map_err(|source| EdgeError::listen(edge.clone(), address, source)),
        Listen::Bound(listener) => {
            let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
            let address = listener.local_addr().unwrap_or(unknown);
            listener
                .set_nonblocking(true)
                .and_then(|()| TcpListener::from_std(listener))
                .map(|listener| (listener, address))
                .map_err(|source| EdgeError::listen(edge.clone(), address, source))
        }
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // A port whose last connections are in TIME_WAIT is free: a restarted daemon binds what it had.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes connections until the edge is closed.
pub(crate) fn accept(listener: TcpListener, edge: Arc<Inner>) -> impl Future<Output = ()> {
    let tasks = edge.tasks.clone();
    tasks.track_future(async move {
        loop {
            let accepted = tokio::select! {
                biased;
                () = edge.deaf.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((client, peer)) => {
                    if edge.allow.is_some_and(|network| !network.contains(peer.ip())) {
                        tracing::warn!(edge = %edge.id, %peer, "closed a connection from outside the network");
                        continue;
                    }
                    edge.stats.connections.fetch_add(1, Relaxed);
                    tokio::spawn(edge.tasks.track_future(connection::run(client, Arc::clone(&edge))));
                }
                // The caller has gone already: nothing to do with the listener.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                    ) => {}
                Err(error) => {
                    // Out of open files, most likely: accepting goes on when some are closed.
                    tracing::warn!(edge = %edge.id, %error, "failed to accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    })
}
