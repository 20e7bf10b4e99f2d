//! Read buffers that are lent for as long as they hold something. An idle connection holds none, and the next read of
//! another connection finds the buffer still in the processor's cache.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Bytes of one buffer: what a loopback socket hands over in one read.
pub(crate) const SIZE: usize = 64 << 10;
/// Buffers that are kept per thread; more are given back to the allocator.
const KEPT: usize = 64;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A block of [`SIZE`] bytes from the pool.
pub(crate) struct Block(Option<Box<[u8]>>);

impl Block {
    pub(crate) fn take() -> Self {
        let kept = POOL.with(|pool| pool.borrow_mut().pop());
        Self(Some(kept.unwrap_or_else(|| vec![0; SIZE].into_boxed_slice())))
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(block) = self.0.take() {
            // The pool is gone while its thread ends.
            let _ = POOL.try_with(|pool| {
                let mut pool = pool.borrow_mut();
                if pool.len() < KEPT {
                    pool.push(block);
                }
            });
        }
    }
}

impl Deref for Block {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}

/// What was read and not yet used up.
#[derive(Default)]
pub(crate) struct Buffer {
    block: Option<Block>,
    start: usize,
    end: usize,
}

impl Buffer {
    pub(crate) fn bytes(&self) -> &[u8] {
        self.block.as_ref().map_or(&[], |block| &block[self.start..self.end])
    }

    pub(crate) fn len(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether nothing more can be read before something is used up.
    pub(crate) fn is_full(&self) -> bool {
        self.len() == SIZE
    }

    /// Forgets the first `count` bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.is_empty() {
            self.block = None;
            (self.start, self.end) = (0, 0);
        }
    }

    /// Reads once, behind what is there; 0 is the end of the stream.
    pub(crate) fn poll_read<R>(&mut self, cx: &mut Context<'_>, from: &mut R) -> Poll<io::Result<usize>>
    where
        R: AsyncRead + Unpin,
    {
        let mut block = self.block.take().unwrap_or_else(Block::take);
        if self.end == SIZE {
            block.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let mut space = ReadBuf::new(&mut block[self.end..]);
        let polled = Pin::new(from).poll_read(cx, &mut space);
        let count = space.filled().len();
        self.end += count;
        if !self.is_empty() {
            self.block = Some(block);
        }
        ready!(polled)?;
        Poll::Ready(Ok(count))
    }

    /// Reads once.
    pub(crate) async fn read<R: AsyncRead + Unpin>(&mut self, from: &mut R) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, from)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_empty_buffer_holds_no_block() {
        let mut buffer = Buffer::default();
        assert_eq!(buffer.read(&mut &b"hello"[..]).await.unwrap(), 5);
        buffer.consume(2);
        assert_eq!(buffer.bytes(), b"llo");
        buffer.consume(9);
        assert!(buffer.is_empty() && buffer.block.is_none());
        assert_eq!(buffer.read(&mut &b""[..]).await.unwrap(), 0);
        assert!(buffer.block.is_none());
    }

    #[tokio::test]
    async fn a_full_buffer_makes_room_by_moving() {
        let mut buffer = Buffer::default();
        buffer.read(&mut &vec![1; SIZE][..]).await.unwrap();
        assert!(buffer.is_full());
        buffer.consume(SIZE - 3);
        assert_eq!(buffer.read(&mut &[2u8; 9][..]).await.unwrap(), 9);
        assert_eq!(buffer.bytes(), [1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
    }
}
