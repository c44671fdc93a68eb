//! The client's end of a connection: bytes, requests of HTTP/1.1, messages of a socket.
//!
//! Owns as much of both protocols as the clients here need, and no more.

use std::io::{self, ErrorKind};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use revcast::transport::Transport;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::gate::Gate;

/// The client's end of a connection to one node. When the node crashes, it breaks, and what was on the way is lost.
#[derive(Debug)]
pub struct Wire {
    transport: Transport,
    gate: Gate,
    /// The bytes that were read and not taken yet.
    read: Vec<u8>,
}

/// An answer to a request.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, null where it is no JSON.
    pub body: Value,
}

/// A thing that a socket says.
#[derive(Debug)]
pub enum Said {
    /// A message.
    Message(Value),
    /// It closes, with this code.
    Close(u16),
}

/// A request that is sent.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its method.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Its body, if it has one.
    pub body: Option<Value>,
}

fn broken() -> io::Error {
    ErrorKind::ConnectionReset.into()
}

fn malformed() -> io::Error {
    ErrorKind::InvalidData.into()
}

impl Wire {
    /// An end whose node lives as long as `gate` is open.
    #[must_use]
    pub fn new(transport: Transport, gate: Gate) -> Self {
        Self { transport, gate, read: Vec::new() }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        tokio::select! {
            biased;
            () = self.gate.closed() => Err(broken()),
            outcome = self.transport.write_all(bytes) => outcome,
        }
    }

    /// Reads some more.
    async fn fill(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let count = tokio::select! {
            biased;
            () = self.gate.closed() => return Err(broken()),
            count = self.transport.read(&mut buffer) => count?,
        };
        if count == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.read.extend_from_slice(&buffer[..count]);
        Ok(())
    }

    /// Reads so many bytes.
    async fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.read.len() < count {
            self.fill().await?;
        }
        Ok(self.read.drain(..count).collect())
    }

    /// Reads up to and with the next `end`, and leaves that out.
    async fn take_until(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let place = loop {
            let place = self.read.windows(end.len()).position(|window| window == end);
            if let Some(place) = place {
                break place;
            }
            self.fill().await?;
        };
        let mut taken = self.take(place + end.len()).await?;
        taken.truncate(place);
        Ok(taken)
    }

    async fn head(&mut self) -> io::Result<(u16, String)> {
        let head = String::from_utf8(self.take_until(b"\r\n\r\n").await?).map_err(|_| malformed())?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
        Ok((status, head.to_ascii_lowercase()))
    }

    /// Sends a request.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send(&mut self, token: &str, call: &Call) -> io::Result<()> {
        let Call { method, path, body } = call;
        let body = body.as_ref().map(Value::to_string);
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: node\r\nauthorization: Bearer {token}\r\n");
        if let Some(body) = &body {
            text += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        text += "\r\n";
        text += body.as_deref().unwrap_or_default();
        self.write(text.as_bytes()).await
    }

    /// Reads the answer to a request.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let (status, head) = self.head().await?;
        let field = |name: &str| {
            let mut lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
            lines.find(|(found, _)| *found == name).map(|(_, value)| value.to_owned())
        };
        let body = if field("transfer-encoding").is_some() {
            self.chunks().await?
        } else {
            let length = field("content-length").and_then(|length| length.parse().ok());
            self.take(length.unwrap_or_default()).await?
        };
        Ok(Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() })
    }

    async fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = String::from_utf8(self.take_until(b"\r\n").await?).map_err(|_| malformed())?;
            let size = usize::from_str_radix(size.trim(), 16).map_err(|_| malformed())?;
            body.extend(self.take(size).await?);
            self.take_until(b"\r\n").await?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    /// Makes a socket of the connection.
    ///
    /// # Errors
    /// When the connection breaks, or the node refuses.
    pub async fn open_socket(&mut self, token: &str) -> io::Result<()> {
        // The key proves nothing here.
        let key = STANDARD.encode([7; 16]);
        let request = format!(
            "GET /v1/ws HTTP/1.1\r\nhost: node\r\nauthorization: Bearer {token}\r\nconnection: upgrade\r\n\
             upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n"
        );
        self.write(request.as_bytes()).await?;
        let (status, _) = self.head().await?;
        if status == 101 { Ok(()) } else { Err(ErrorKind::ConnectionRefused.into()) }
    }

    /// Says something on the socket.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn say(&mut self, message: &Value) -> io::Result<()> {
        self.frame(1, message.to_string().as_bytes()).await
    }

    /// Sends a frame, masked with zeros.
    async fn frame(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let mut bytes = vec![0x80 | opcode];
        match u16::try_from(payload.len()) {
            Ok(length @ 0..=125) => bytes.push(0x80 | length.to_be_bytes()[1]),
            Ok(length) => {
                bytes.push(0x80 | 126);
                bytes.extend(length.to_be_bytes());
            }
            Err(_) => return Err(malformed()),
        }
        bytes.extend([0; 4]);
        bytes.extend_from_slice(payload);
        self.write(&bytes).await
    }

    /// Hears what comes next; pings are answered.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn hear(&mut self) -> io::Result<Said> {
        loop {
            let frame = self.frame_length().await?;
            let frame = self.take(frame).await?;
            let (opcode, payload) = (frame[0] & 0x0f, &frame[header_length(frame[1])..]);
            match opcode {
                1 => return Ok(Said::Message(serde_json::from_slice(payload).map_err(|_| malformed())?)),
                8 => {
                    let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                    return Ok(Said::Close(code));
                }
                9 => self.frame(10, payload).await?,
                _ => return Err(malformed()),
            }
        }
    }

    /// The length of the next frame with its header. Nothing is taken, so that nothing is lost when this is dropped.
    async fn frame_length(&mut self) -> io::Result<usize> {
        loop {
            if let Some(length) = frame_length(&self.read).filter(|length| self.read.len() >= *length) {
                return Ok(length);
            }
            self.fill().await?;
        }
    }
}

fn header_length(second: u8) -> usize {
    match second & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

fn frame_length(read: &[u8]) -> Option<usize> {
    let second = *read.get(1)?;
    let length = match second & 0x7f {
        126 => usize::from(u16::from_be_bytes(*read.get(2..)?.first_chunk()?)),
        127 => usize::try_from(u64::from_be_bytes(*read.get(2..)?.first_chunk()?)).ok()?,
        short => usize::from(short),
    };
    Some(header_length(second) + length)
}
