//! The bytes of a connection: of TCP, or of a pipe in memory, which whoever runs a server without a network brings along.
//!
//! Owns the pipe, and what is asked of both. It knows nothing of what is sent.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io::{self, ErrorKind},
    net::Shutdown,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready},
    net::TcpStream,
};

/// Send buffer of the kernel for one socket, in bytes: what a stalled reader holds there.
/// At the bound, the socket is behind, and follows at its own pace.
const SOCKET_SEND_BUFFER_BYTES: usize = 256 * 1024;

/// One end of a connection.
#[derive(Debug)]
pub enum Transport {
    /// A socket.
    Tcp(TcpStream),
    /// An end of a pipe.
    Pipe(PipeEnd),
}

impl From<TcpStream> for Transport {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl From<PipeEnd> for Transport {
    fn from(end: PipeEnd) -> Self {
        Self::Pipe(end)
    }
}

impl Transport {
    /// Reads what is there; 0 at the end.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there, and those of the socket.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(buffer),
            Self::Pipe(end) => end.try_read(buffer),
        }
    }

    /// Writes as much as is taken at once.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is, and those of the socket.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write(bytes),
            Self::Pipe(end) => end.try_write(bytes),
        }
    }

    /// Waits until one of these may be tried. One task waits at a time.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        match self {
            Self::Tcp(stream) => stream.ready(interest).await,
            Self::Pipe(end) => Ok(poll_fn(|cx| end.poll_ready(cx, interest)).await),
        }
    }

    /// Ends one direction, or both.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn end(&self, how: Shutdown) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream).shutdown(how),
            Self::Pipe(end) => {
                if matches!(how, Shutdown::Write | Shutdown::Both) {
                    end.outgoing.end();
                }
                if matches!(how, Shutdown::Read | Shutdown::Both) {
                    end.incoming.give_up();
                }
                Ok(())
            }
        }
    }

    /// Bounds what may wait to be taken by the other end. A system that refuses has a bound of its own.
    pub fn bound_what_waits(&self) {
        if let Self::Tcp(stream) = self {
            let _ = SockRef::from(stream).set_send_buffer_size(SOCKET_SEND_BUFFER_BYTES);
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Pipe(end) => end.poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Pipe(end) => end.poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bytes),
            Self::Pipe(end) => {
                let first = bytes.iter().find(|bytes| !bytes.is_empty());
                end.poll_write(cx, first.map_or(&[], |bytes| &**bytes))
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Self::Tcp(stream) if stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Pipe(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Pipe(end) => {
                end.outgoing.end();
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// One end of a pipe in memory. Dropping it is a connection that breaks: what the other end has not read yet, it still
/// may.
#[derive(Debug)]
pub struct PipeEnd {
    incoming: Arc<Direction>,
    outgoing: Arc<Direction>,
}

/// One direction of a pipe. The lock is held for a copy.
#[derive(Debug)]
struct Direction(Mutex<DirectionBuffer>);

/// The bytes that wait in one direction.
#[derive(Debug)]
struct DirectionBuffer {
    bytes: VecDeque<u8>,
    /// The most that may wait; whoever writes more waits.
    most: usize,
    /// Nothing is written any more.
    is_ended: bool,
    /// Nobody reads any more.
    is_unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// A pipe in which so many bytes may wait in either direction.
#[must_use]
pub fn pipe(most: usize) -> (PipeEnd, PipeEnd) {
    let (there, back) = (Direction::new(most), Direction::new(most));
    let one = PipeEnd { incoming: back.clone(), outgoing: there.clone() };
    (one, PipeEnd { incoming: there, outgoing: back })
}

impl Direction {
    fn new(most: usize) -> Arc<Self> {
        let bytes = VecDeque::new();
        let waiting =
            DirectionBuffer { bytes, most, is_ended: false, is_unread: false, reader: None, writer: None };
        Arc::new(Self(Mutex::new(waiting)))
    }

    fn end(&self) {
        let mut waiting = self.lock();
        waiting.is_ended = true;
        wake(waiting.reader.take());
    }

    /// Nobody reads any more.
    fn give_up(&self) {
        let mut waiting = self.lock();
        (waiting.is_unread, waiting.is_ended) = (true, true);
        waiting.bytes.clear();
        [waiting.reader.take(), waiting.writer.take()].into_iter().flatten().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, DirectionBuffer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DirectionBuffer {
    fn is_readable(&self) -> bool {
        !self.bytes.is_empty() || self.is_ended
    }

    fn is_writable(&self) -> bool {
        self.bytes.len() < self.most || self.is_unread || self.is_ended
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl PipeEnd {
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut waiting = self.incoming.lock();
        if waiting.bytes.is_empty() && !waiting.is_ended {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = waiting.bytes.len().min(buffer.len());
        for (place, byte) in buffer.iter_mut().zip(waiting.bytes.drain(..count)) {
            *place = byte;
        }
        wake(waiting.writer.take());
        Ok(count)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut waiting = self.outgoing.lock();
        if waiting.is_unread || waiting.is_ended {
            return Err(ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(waiting.most - waiting.bytes.len());
        if count == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        waiting.bytes.extend(&bytes[..count]);
        wake(waiting.reader.take());
        Ok(count)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, interest: Interest) -> Poll<Ready> {
        let mut ready = Ready::EMPTY;
        if interest.is_readable() {
            let mut waiting = self.incoming.lock();
            if waiting.is_readable() {
                ready |= Ready::READABLE;
            }
            waiting.reader = Some(cx.waker().clone());
        }
        if interest.is_writable() {
            let mut waiting = self.outgoing.lock();
            if waiting.is_writable() {
                ready |= Ready::WRITABLE;
            }
            waiting.writer = Some(cx.waker().clone());
        }
        if ready.is_empty() { Poll::Pending } else { Poll::Ready(ready) }
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_ready(cx, Interest::READABLE));
        let count = self.try_read(buffer.initialize_unfilled())?;
        buffer.advance(count);
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_ready(cx, Interest::WRITABLE));
        Poll::Ready(self.try_write(bytes))
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        self.outgoing.end();
        self.incoming.give_up();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn ends(most: usize) -> (Transport, Transport) {
        let (one, other) = pipe(most);
        (one.into(), other.into())
    }

    #[tokio::test]
    async fn a_pipe_brings_everything_in_order_however_little_may_wait() {
        let (mut one, mut other) = ends(3);
        let sent: Vec<u8> = (0..100).collect();
        let writing = tokio::spawn({
            let sent = sent.clone();
            async move { one.write_all(&sent).await }
        });
        let mut read = Vec::new();
        other.read_to_end(&mut read).await.unwrap();
        writing.await.unwrap().unwrap();
        assert_eq!(read, sent);
    }

    #[tokio::test]
    async fn a_full_pipe_would_block_until_something_is_read() {
        let (one, other) = ends(2);
        assert_eq!(one.try_write(b"abc").unwrap(), 2);
        assert_eq!(one.try_write(b"c").unwrap_err().kind(), ErrorKind::WouldBlock);
        let is_writable = tokio::spawn(async move {
            one.ready(Interest::WRITABLE).await.unwrap();
            one
        });
        tokio::task::yield_now().await;
        assert!(!is_writable.is_finished());
        assert_eq!(other.try_read(&mut [0; 1]).unwrap(), 1);
        let one = is_writable.await.unwrap();
        assert_eq!(one.try_write(b"c").unwrap(), 1);
    }

    #[tokio::test]
    async fn an_end_that_is_dropped_ends_both_directions() {
        let (one, other) = ends(8);
        one.try_write(b"last").unwrap();
        other.try_write(b"unread").unwrap();
        drop(one);
        let mut buffer = [0; 8];
        assert_eq!(other.try_read(&mut buffer).unwrap(), 4);
        assert_eq!(other.try_read(&mut buffer).unwrap(), 0);
        assert_eq!(other.try_write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn who_ends_their_side_still_hears_the_other() {
        let (one, other) = ends(8);
        one.end(Shutdown::Write).unwrap();
        assert!(other.ready(Interest::READABLE).await.unwrap().is_readable());
        assert_eq!(other.try_read(&mut [0; 8]).unwrap(), 0);
        assert_eq!(other.try_write(b"bye").unwrap(), 3);
        assert_eq!(one.try_read(&mut [0; 8]).unwrap(), 3);
    }
}
