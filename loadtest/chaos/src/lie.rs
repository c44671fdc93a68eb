//! A proxy that keeps something from those who follow a drawing, to see that a round tells.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};

/// The beginning of a message with ops.
const OPS: &[u8] = b"{\"type\":\"ops\"";
/// The number of the message of a connection that is kept from its reader.
const SWALLOWED: u32 = 3;
/// The time for which it is held back, unless it is swallowed: longer than it may take.
const HELD: Duration = Duration::from_secs(7);

/// The harm that is done to the third message with ops of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It does not come.
    Swallow,
    /// It comes late, and all that is after it.
    Hold,
}

/// The proxy. It stops when the handle goes.
#[derive(Debug)]
pub(crate) struct Liar {
    /// The port that it listens on.
    pub(crate) port: u16,
    task: JoinHandle<()>,
}

impl Liar {
    /// Starts one in front of `127.0.0.1:port`.
    ///
    /// # Errors
    /// When there is no port.
    pub(crate) async fn start(port: u16, lie: Lie) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let own_port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // Either side may break off.
                tokio::spawn(pass(client, port, lie));
            }
        });
        Ok(Self { port: own_port, task })
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut client: TcpStream, port: u16, lie: Lie) -> std::io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let there = async {
        copy(&mut from_client, &mut to_server).await?;
        to_server.shutdown().await
    };
    let back = async {
        let (mut frames, mut bytes) = (Frames::default(), Vec::new());
        while from_server.read_buf(&mut bytes).await? > 0 {
            let whole = bytes.clone();
            let passed = frames.filter(&mut bytes);
            let looked_at = &whole[..whole.len() - bytes.len()];
            if lie == Lie::Hold && passed.len() < looked_at.len() {
                sleep(HELD).await;
                to_client.write_all(looked_at).await?;
            } else {
                to_client.write_all(&passed).await?;
            }
        }
        to_client.shutdown().await
    };
    tokio::try_join!(there, back).map(drop)
}

/// The state of the bytes that a server sends on one connection.
#[derive(Debug, Default)]
enum Frames {
    /// Its first answer is still coming.
    #[default]
    Answer,
    /// Answers of HTTP.
    Plain,
    /// Frames of a WebSocket, so many of which had ops.
    Open(u32),
}

impl Frames {
    /// Takes what can be passed on out of the bytes that have come, but for what is kept back.
    fn filter(&mut self, bytes: &mut Vec<u8>) -> Vec<u8> {
        let mut passed = Vec::new();
        if matches!(self, Self::Answer) {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return passed };
            *self = if bytes.starts_with(b"HTTP/1.1 101") { Self::Open(0) } else { Self::Plain };
            passed.extend(bytes.drain(..end + 4));
        }
        let Self::Open(count) = self else {
            passed.append(bytes);
            return passed;
        };
        while let Some((header, length)) =
            measure(bytes).filter(|(header, length)| bytes.len() >= header + length)
        {
            let is_ops = bytes[header..header + length].starts_with(OPS);
            *count += u32::from(is_ops);
            let frame = bytes.drain(..header + length);
            if !is_ops || *count != SWALLOWED {
                passed.extend(frame);
            }
        }
        passed
    }
}

/// The lengths of a frame's header and of its payload, as soon as the bytes tell them.
fn measure(bytes: &[u8]) -> Option<(usize, usize)> {
    let number = |range: std::ops::Range<usize>| {
        let digits = bytes.get(range)?;
        Some(digits.iter().fold(0_usize, |sum, &byte| sum << 8 | usize::from(byte)))
    };
    match bytes.get(1)? & 0x7f {
        126 => Some((4, number(2..4)?)),
        127 => Some((10, number(2..10)?)),
        length => Some((2, length.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        [&[0x81, u8::try_from(payload.len()).unwrap()], payload].concat()
    }

    #[test]
    fn the_third_message_with_ops_is_kept_back_wherever_bytes_are_cut() {
        let (ops, head) = (frame(b"{\"type\":\"ops\",1}"), frame(b"{\"type\":\"head\"}"));
        let answer = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
        let sent = [answer, &ops[..], &ops, &head, &ops, &head, &ops].concat();
        let expected = [answer, &ops[..], &ops, &head, &head, &ops].concat();
        for size in 1..sent.len() {
            let (mut frames, mut bytes, mut passed) = (Frames::default(), Vec::new(), Vec::new());
            for chunk in sent.chunks(size) {
                bytes.extend_from_slice(chunk);
                passed.extend(frames.filter(&mut bytes));
            }
            assert_eq!(passed, expected, "cut after {size}");
        }
    }
}
