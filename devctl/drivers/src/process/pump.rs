//! Takes what a process writes out of its pipe, always and at once, so that the process never waits for us.
//!
//! When the process has ended, what it wrote until then is taken out and reported as complete; the pipe is read on for as
//! long as any descendant keeps it open.

use std::future::Future;
use std::os::fd::AsFd as _;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;

/// One pipe being emptied.
pub(crate) struct Pump {
    ended: oneshot::Sender<()>,
    complete: oneshot::Receiver<()>,
}

impl Pump {
    /// Begins. `receive` is given each piece, and `None` whenever an unfinished line will get no more for now.
    pub(crate) fn begin(pipe: Receiver, receive: impl FnMut(Option<&[u8]>) + Send + 'static) -> Self {
        let (ended, told) = oneshot::channel();
        let (done, complete) = oneshot::channel();
        tokio::spawn(run(pipe, receive, told, done));
        Self { ended, complete }
    }

    /// Tells that the process has ended; completes once all that it wrote has been received.
    pub(crate) fn drain(self) -> impl Future<Output = ()> {
        // A pump that is at the pipe's end already has gone.
        let _ = self.ended.send(());
        async {
            let _ = self.complete.await;
        }
    }
}

async fn run(
    pipe: Receiver,
    mut receive: impl FnMut(Option<&[u8]>) + Send,
    mut ended: oneshot::Receiver<()>,
    done: oneshot::Sender<()>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            biased;
            readable = pipe.readable() => {
                if readable.is_err() || !read_some(&pipe, &mut buffer, &mut receive) {
                    receive(None);
                    return;
                }
            }
            _ = &mut ended => break,
        }
    }
    // Straight from the descriptor: the runtime may not have heard yet that there is something.
    while let Ok(count) = nix::unistd::read(pipe.as_fd(), &mut buffer) {
        if count == 0 {
            break;
        }
        receive(Some(&buffer[..count]));
    }
    receive(None);
    // Nobody may be waiting.
    let _ = done.send(());
    while pipe.readable().await.is_ok() && read_some(&pipe, &mut buffer, &mut receive) {}
    receive(None);
}

/// `false` at the pipe's end.
fn read_some(pipe: &Receiver, buffer: &mut [u8], receive: &mut impl FnMut(Option<&[u8]>)) -> bool {
    match pipe.try_read(buffer) {
        Ok(0) => false,
        Ok(count) => {
            receive(Some(&buffer[..count]));
            true
        }
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}
