//! The pump of a proxy, which passes bytes on: at once, later, slowly, or not at all.
//!
//! Owns the two directions of one connection. It never breaks a connection by itself.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until},
};

use crate::proxy::{Shape, Way};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks of one direction that are under way. When there are as many, nothing more is read, and the sender waits.
const CHUNKS_UNDER_WAY: usize = 64;
/// Bytes that are written at once where only so many pass each second.
const NARROW_CHUNK_BYTES: usize = 512;

/// Bytes, and when they are to arrive.
type Chunk = (Instant, Vec<u8>);

/// Passes on what either side sends until both have ended, or one of them fails.
pub(crate) async fn pass_both_ways(
    client: &mut TcpStream,
    server: &mut TcpStream,
    shape: &watch::Receiver<Shape>,
) -> io::Result<()> {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let there = pass(from_client, to_server, Way::ToServer, shape);
    let back = pass(from_server, to_client, Way::ToClient, shape);
    tokio::try_join!(there, back).map(drop)
}

async fn pass(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    way: Way,
    shape: &watch::Receiver<Shape>,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(CHUNKS_UNDER_WAY);
    tokio::try_join!(take(from, sender, shape.clone()), deliver(to, receiver, way, shape.clone())).map(drop)
}

async fn take(
    mut from: impl AsyncRead + Unpin,
    sender: mpsc::Sender<Chunk>,
    shape: watch::Receiver<Shape>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        let due = Instant::now() + shape.borrow().delay;
        if count == 0 || sender.send((due, buffer[..count].to_vec())).await.is_err() {
            return Ok(());
        }
    }
}

async fn deliver(
    mut to: impl AsyncWrite + Unpin,
    mut receiver: mpsc::Receiver<Chunk>,
    way: Way,
    mut shape: watch::Receiver<Shape>,
) -> io::Result<()> {
    while let Some((due, bytes)) = receiver.recv().await {
        tokio::select! {
            () = sleep_until(due) => (),
            // Late bytes are late no more when the link is good again; a link that goes away delivers no more at all.
            _ = shape.wait_for(|shape| shape.delay.is_zero()) => (),
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            if shape.wait_for(|shape| shape.stalled != Some(way)).await.is_err() {
                return Ok(());
            }
            let rate = shape.borrow_and_update().bytes_per_second;
            let count = if rate.is_some() { rest.len().min(NARROW_CHUNK_BYTES) } else { rest.len() };
            let (now, later) = rest.split_at(count);
            to.write_all(now).await?;
            rest = later;
            if let Some(rate) = rate {
                let count = u32::try_from(now.len()).unwrap_or(u32::MAX);
                let pause = sleep(Duration::from_secs(1) * count / rate.max(1));
                tokio::select! {
                    () = pause => (),
                    _ = shape.changed() => (),
                }
            }
        }
    }
    to.shutdown().await
}
