//! From a blocking writer to a stream of bytes: archives are made by blocking code and sent by the engine's client.

use std::io;

use bytes::Bytes;
use futures::Stream;
use tokio::sync::mpsc;

/// A blocking writer whose writes arrive at the other end of the channel.
pub(super) struct Pieces(pub(super) mpsc::Sender<io::Result<Bytes>>);

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.0.blocking_send(Ok(piece)).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What arrives, as a stream.
pub(super) fn stream(
    receive: mpsc::Receiver<io::Result<Bytes>>,
) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    futures::stream::unfold(receive, |mut receive| async move {
        let piece = receive.recv().await?;
        Some((piece, receive))
    })
}
