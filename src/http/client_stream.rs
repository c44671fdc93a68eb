//! The connection of a client that may stop to take what it is sent, or to send what it began.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Sleep,
};

use crate::transport::Transport;

/// The time that a client may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The time to send the head of a request, once it has begun it; for the first one, once it has connected.
    pub head: Duration,
    /// The time to take something of what is written.
    pub answer: Duration,
}

/// Tells a connection which of the bytes that it reads begin a request.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<AtomicU64>);

impl Requests {
    /// A head is complete.
    pub fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// The answer begins: what is read from now on belongs to the next request.
    pub fn end(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Changes with each call, and is odd in between.
    fn moment(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection that breaks when nothing of what is written has been taken for some time, so that an answer and what it
/// is made of are not held for ever, or when a request is begun and not gone on with. Between two requests it may rest.
#[derive(Debug)]
pub struct ClientStream {
    stream: Transport,
    patience: Patience,
    requests: Requests,
    /// The moment of the requests at which `head` was looked at last.
    moment: u64,
    /// Runs while the head of a request is incomplete.
    head: Option<Pin<Box<Sleep>>>,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    /// A connection that waits for its first request.
    #[must_use]
    pub fn new(stream: impl Into<Transport>, patience: Patience, requests: Requests) -> Self {
        let stream = stream.into();
        let (moment, head) = (requests.moment(), Some(Box::pin(tokio::time::sleep(patience.head))));
        Self { stream, patience, requests, moment, head, stalled: None }
    }

    /// The connection itself, without patience.
    #[must_use]
    pub fn into_inner(self) -> Transport {
        self.stream
    }

    /// Counts the time of a head, of which `bytes` have come just now; an error when it has taken too long.
    fn watch_head(&mut self, cx: &mut Context<'_>, bytes: Option<usize>) -> io::Result<()> {
        let moment = self.requests.moment();
        if std::mem::replace(&mut self.moment, moment) != moment {
            self.head = None;
        }
        let is_between = moment.is_multiple_of(2);
        if is_between && bytes.is_some_and(|bytes| bytes > 0) {
            let patience = self.patience.head;
            self.head.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        }
        if let (None, Some(head)) = (bytes, &mut self.head)
            && head.as_mut().poll(cx).is_ready()
        {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            // A client that sends the next request while this one is being answered is waited for.
            self.head = None;
            return written;
        }
        let patience = self.patience.answer;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let bytes = read.is_ready().then(|| buffer.filled().len() - before);
        self.watch_head(cx, bytes)?;
        read
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (client, listener.accept().await.unwrap().0)
    }

    fn patience(millis: u64) -> Patience {
        Patience { head: Duration::from_millis(millis), answer: Duration::from_millis(millis) }
    }

    const MORE_THAN_THE_KERNEL_TAKES: usize = 64 << 20;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (_client, server) = connected().await;
        let mut server = ClientStream::new(server, patience(50), Requests::default());
        let error = server.write_all(&vec![0; MORE_THAN_THE_KERNEL_TAKES]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_takes_its_time_gets_everything() {
        let (mut client, server) = connected().await;
        let mut server = ClientStream::new(server, patience(20_000), Requests::default());
        let writing =
            tokio::spawn(async move { server.write_all(&vec![7; MORE_THAN_THE_KERNEL_TAKES]).await });
        // The write waits.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut all = Vec::new();
        client.read_to_end(&mut all).await.unwrap();
        writing.await.unwrap().unwrap();
        assert_eq!(all.len(), MORE_THAN_THE_KERNEL_TAKES);
    }
    #[tokio::test]
    async fn a_head_that_is_begun_has_to_be_ended() {
        let (mut client, server) = connected().await;
        let requests = Requests::default();
        let mut server = ClientStream::new(server, patience(200), requests.clone());
        let mut byte = [0];
        // Between two requests there is all the time of the world.
        client.write_all(b"1").await.unwrap();
        server.read_exact(&mut byte).await.unwrap();
        requests.begin();
        requests.end();
        let rest = tokio::time::timeout(Duration::from_millis(600), server.read(&mut byte));
        assert!(rest.await.is_err(), "it rests");
        // While it is answered, too.
        client.write_all(b"2").await.unwrap();
        server.read_exact(&mut byte).await.unwrap();
        requests.begin();
        let rest = tokio::time::timeout(Duration::from_millis(600), server.read(&mut byte));
        assert!(rest.await.is_err(), "it is being answered");
        requests.end();
        client.write_all(b"3").await.unwrap();
        server.read_exact(&mut byte).await.unwrap();
        assert_eq!(server.read(&mut byte).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_connection_without_a_request_is_given_up() {
        let (_client, server) = connected().await;
        let mut server = ClientStream::new(server, patience(50), Requests::default());
        assert_eq!(server.read(&mut [0]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
