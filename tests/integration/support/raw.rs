//! A socket without a WebSocket library: whatever bytes a test wants to send, and what comes back.

use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use loadtest::socket::Direction;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::asyncapi::check_message;

/// Time to wait for bytes.
const PATIENCE: Duration = Duration::from_secs(5);
/// The key of RFC 6455 §1.3, whose answer is known.
pub const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The answer of a server to [`KEY`].
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A TCP connection that has sent a handshake.
pub struct RawSocket {
    pub status: u16,
    /// Names in lower case.
    headers: Vec<(String, String)>,
    stream: TcpStream,
    /// Received, not looked at yet.
    received: Vec<u8>,
}

/// A frame of the server.
#[derive(Clone, Debug, PartialEq)]
pub enum Received {
    Message(Value),
    Ping,
    Pong(Vec<u8>),
    Close(Option<u16>),
    /// The connection has ended.
    End,
    /// Nothing has come in a long time.
    Silence,
}

impl RawSocket {
    /// Sends the head of a request, and reads that of the answer.
    pub async fn handshake(base: &str, method: &str, target: &str, headers: &[(&str, &str)]) -> Self {
        let address = base.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let mut socket = Self { status: 0, headers: Vec::new(), stream, received: Vec::new() };
        let head = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n{lines}\r\n");
        assert!(socket.send(head.as_bytes(), usize::MAX).await);
        let end = loop {
            if let Some(at) = socket.received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at;
            }
            let has_more = timeout(PATIENCE, socket.read_more()).await;
            assert!(has_more.expect("a handshake is answered"), "the connection ends in the handshake");
        };
        let head: Vec<u8> = socket.received.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.lines();
        socket.status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(':'));
        socket.headers =
            headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        socket
    }

    /// The headers that open a socket as the bearer of `token`.
    pub fn opening(authorization: &str) -> Vec<(&str, &str)> {
        vec![
            ("Authorization", authorization),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY),
        ]
    }

    /// The only value of a header of the answer.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(header, _)| header == name).map(|(_, value)| &**value);
        let value = values.next();
        assert_eq!(values.next(), None, "{name} comes twice");
        value
    }

    /// Sends bytes, so many at once; false when the server takes no more.
    pub async fn send(&mut self, bytes: &[u8], at_once: usize) -> bool {
        for chunk in bytes.chunks(at_once) {
            if self.stream.write_all(chunk).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Sends nothing any more.
    pub async fn finish(&mut self) {
        // The server may be gone already.
        let _ = self.stream.shutdown().await;
    }

    /// The next frame of the server, after checking that it keeps to the rules.
    pub async fn receive(&mut self) -> Received {
        self.receive_sized().await.0
    }

    /// The same with the first byte of the frame and the size of its payload.
    pub async fn receive_sized(&mut self) -> (Received, u8, usize) {
        loop {
            if let Some((first, payload)) = self.take_frame() {
                let size = payload.len();
                let received = match first {
                    0x81 => Received::Message(message(&payload)),
                    0xc1 => {
                        let agreed = self.header("sec-websocket-extensions");
                        assert!(agreed.is_some(), "compressed without agreement");
                        Received::Message(message(&inflate(&payload)))
                    }
                    0x88 => {
                        assert!(payload.get(2..).is_none_or(|reason| str::from_utf8(reason).is_ok()));
                        assert_ne!(payload.len(), 1);
                        Received::Close(payload.first_chunk().map(|code| u16::from_be_bytes(*code)))
                    }
                    0x89 => Received::Ping,
                    0x8a => Received::Pong(payload),
                    _ => panic!("a frame of the server begins with {first:#x}"),
                };
                return (received, first, size);
            }
            match timeout(PATIENCE, self.read_more()).await {
                Ok(true) => (),
                Ok(false) => {
                    assert!(self.received.is_empty(), "the connection ends inside a frame");
                    return (Received::End, 0, 0);
                }
                Err(_) => return (Received::Silence, 0, 0),
            }
        }
    }

    /// Takes a frame off what was received, if there is a whole one.
    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (first, second) = (*self.received.first()?, *self.received.get(1)?);
        assert!(second < 0x80, "a server masks nothing");
        let (header, length) = match second {
            126 => (4, u64::from(u16::from_be_bytes(*self.received.get(2..)?.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*self.received.get(2..)?.first_chunk()?)),
            length => (2, u64::from(length)),
        };
        let end = header + usize::try_from(length).unwrap();
        if self.received.len() < end {
            return None;
        }
        Some((first, self.received.drain(..end).skip(header).collect()))
    }

    /// False at the end of the connection, however it ends.
    async fn read_more(&mut self) -> bool {
        self.stream.read_buf(&mut self.received).await.is_ok_and(|count| count > 0)
    }
}

/// A message of the server.
fn message(json: &[u8]) -> Value {
    let message = serde_json::from_slice(json).unwrap();
    check_message(Direction::Received, &message);
    message
}

/// A masked frame.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame_header(first, payload.len() as u64);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The header of a masked frame, whose length takes no more bytes than it needs.
pub fn frame_header(first: u8, length: u64) -> Vec<u8> {
    let length_bytes = match length {
        0..=125 => 0,
        126..=0xffff => 2,
        _ => 8,
    };
    frame_header_with(first, length, length_bytes)
}

/// The header of a masked frame with a length in 0, 2 or 8 further bytes.
pub fn frame_header_with(first: u8, length: u64, length_bytes: usize) -> Vec<u8> {
    let short = match length_bytes {
        0 => u8::try_from(length).unwrap(),
        2 => 126,
        _ => 127,
    };
    [&[first, 0x80 | short], &length.to_be_bytes()[8 - length_bytes..], &MASK].concat()
}

/// Returns the payload as a compressed message bears it.
pub fn deflate(payload: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::with_capacity(payload.len() + 1_024);
    let mut deflater = Compress::new(Compression::default(), false);
    deflater.compress_vec(payload, &mut compressed, FlushCompress::Sync).unwrap();
    assert!(compressed.ends_with(&[0, 0, 0xff, 0xff]));
    compressed.truncate(compressed.len() - 4);
    compressed
}

fn inflate(payload: &[u8]) -> Vec<u8> {
    let mut inflated = Vec::with_capacity(1 << 20);
    let compressed = [payload, &[0, 0, 0xff, 0xff]].concat();
    Decompress::new(false).decompress_vec(&compressed, &mut inflated, FlushDecompress::Sync).unwrap();
    inflated
}
