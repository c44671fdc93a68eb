//! A socket client: subscribes and hands out messages as JSON, whichever subprotocol is spoken.
//!
//! Every message that it sends and receives can be watched, so that tests can hold it against the document.

use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async, connect_async,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        handshake::client::Request,
        http::HeaderValue,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

/// Time to wait for one message.
const PATIENCE: Duration = Duration::from_secs(20);

/// The subprotocol with JSON in text frames.
pub const JSON: &str = "revcast.v1.json";
/// The subprotocol with MessagePack in binary frames.
pub const MESSAGE_PACK: &str = "revcast.v1.msgpack";

/// The direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Sent,
    /// From the server.
    Received,
}

/// Sees every message; it panics at one that should not be.
pub type Watch = fn(Direction, &Value);

static WATCH: OnceLock<Watch> = OnceLock::new();

/// Shows all messages of all sockets of this process to `watch`; the first one stays.
pub fn watch_all(watch: Watch) {
    // Another test may have been first.
    let _ = WATCH.set(watch);
}

fn watched(direction: Direction, message: &Value) {
    if let Some(watch) = WATCH.get() {
        watch(direction, message);
    }
}

/// An open socket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    is_message_pack: bool,
    /// The first message of the server.
    pub hello: Value,
}

impl Socket {
    /// Connects to `http://host:port` as the bearer of `token`, and speaks JSON.
    pub async fn open(base: &str, token: &str) -> anyhow::Result<Self> {
        Self::open_with(base, token, JSON).await
    }

    /// Connects with a ticket, as browsers do, and speaks JSON.
    pub async fn open_with_ticket(base: &str, ticket: &str) -> anyhow::Result<Self> {
        let address = format!("{}/v1/ws?ticket={ticket}", base.replacen("http", "ws", 1));
        let mut request = address.into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(JSON));
        let (stream, _) = connect_async(request).await?;
        Self::greet(stream, JSON).await
    }

    /// Connects, and speaks the subprotocol, which the server has to take.
    pub async fn open_with(base: &str, token: &str, subprotocol: &'static str) -> anyhow::Result<Self> {
        let (stream, response) = connect_async(opening(base, token, subprotocol)?).await?;
        let agreed = response.headers().get("sec-websocket-protocol");
        ensure!(agreed.is_some_and(|agreed| agreed == subprotocol), "{subprotocol} is not taken: {agreed:?}");
        Self::greet(stream, subprotocol).await
    }

    /// The same in JSON with a receive buffer of about so many bytes in the kernel: whoever does not read
    /// from it stops the server soon.
    pub async fn open_narrow(base: &str, token: &str, bytes: u32) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(bytes)?;
        let stream = socket.connect(base.trim_start_matches("http://").parse()?).await?;
        let (stream, _) = client_async(opening(base, token, JSON)?, MaybeTlsStream::Plain(stream)).await?;
        Self::greet(stream, JSON).await
    }

    async fn greet(
        stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
        subprotocol: &str,
    ) -> anyhow::Result<Self> {
        let mut socket = Self { stream, is_message_pack: subprotocol == MESSAGE_PACK, hello: Value::Null };
        socket.hello = socket.receive().await?;
        Ok(socket)
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        watched(Direction::Sent, message);
        self.send_unchecked(message).await
    }

    /// Sends a message that is wrong on purpose: nobody watches.
    pub async fn send_unchecked(&mut self, message: &Value) -> anyhow::Result<()> {
        let frame = match self.is_message_pack {
            true => Message::binary(rmp_serde::to_vec_named(message)?),
            false => Message::text(message.to_string()),
        };
        self.send_frame(frame).await
    }

    /// Sends any frame.
    pub async fn send_frame(&mut self, frame: Message) -> anyhow::Result<()> {
        Ok(self.stream.send(frame).await?)
    }

    /// Subscribes, from `after` or from the head, and waits for the answer: `subscribed`, `reset` or `error`.
    pub async fn subscribe(&mut self, drawing: &str, after: Option<u64>) -> anyhow::Result<Value> {
        let mut message = json!({"type": "subscribe", "drawing_id": drawing, "presence": false});
        if let Some(after) = after {
            message["after"] = after.into();
        }
        self.subscribe_with(drawing, &message).await
    }

    /// Subscribes after a position that was read elsewhere, and waits for the answer.
    pub async fn resume(&mut self, drawing: &str, after: u64, epoch: &str) -> anyhow::Result<Value> {
        let message = json!({"type": "subscribe", "drawing_id": drawing, "after": after, "epoch": epoch});
        self.subscribe_with(drawing, &message).await
    }

    /// Subscribes and wants to know who is present.
    pub async fn watch(&mut self, drawing: &str) -> anyhow::Result<Value> {
        self.subscribe_with(drawing, &json!({"type": "subscribe", "drawing_id": drawing, "presence": true}))
            .await
    }

    async fn subscribe_with(&mut self, drawing: &str, message: &Value) -> anyhow::Result<Value> {
        self.send(message).await?;
        loop {
            let answer = self.receive().await?;
            let is_answer = matches!(answer["type"].as_str(), Some("subscribed" | "reset" | "error"));
            if is_answer && answer["drawing_id"] == drawing {
                return Ok(answer);
            }
        }
    }

    /// The next message of the protocol; an error when the socket closes or stays silent.
    pub async fn receive(&mut self) -> anyhow::Result<Value> {
        match self.receive_or_close().await? {
            Ok(message) => Ok(message),
            Err(frame) => bail!("the socket closed: {frame:?}"),
        }
    }

    /// The next message of the protocol, or the frame with which the server closes.
    pub async fn receive_or_close(&mut self) -> anyhow::Result<Result<Value, Option<CloseFrame>>> {
        loop {
            let frame = timeout(PATIENCE, self.stream.next()).await.context("the socket stays silent")?;
            let message: Value = match frame.context("the socket is gone")?? {
                Message::Text(text) if !self.is_message_pack => serde_json::from_str(&text)?,
                Message::Binary(bytes) if self.is_message_pack => rmp_serde::from_slice(&bytes)?,
                Message::Close(frame) => return Ok(Err(frame)),
                Message::Ping(_) | Message::Pong(_) => continue,
                frame => bail!("a frame of another subprotocol: {frame:?}"),
            };
            watched(Direction::Received, &message);
            return Ok(Ok(message));
        }
    }

    /// Closes with 1000 and waits until the server has done the same; returns the frame that it sent.
    pub async fn close(mut self) -> anyhow::Result<Option<CloseFrame>> {
        self.stream.close(Some(CloseFrame { code: CloseCode::Normal, reason: "".into() })).await?;
        let answer = loop {
            if let Err(frame) = self.receive_or_close().await? {
                break frame;
            }
        };
        let end = timeout(PATIENCE, self.stream.next()).await.context("the connection does not end")?;
        ensure!(end.is_none(), "after the close frame comes {end:?}");
        Ok(answer)
    }

    /// The next message of type `kind`; others are passed over.
    pub async fn receive_type(&mut self, kind: &str) -> anyhow::Result<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let message = self.receive().await?;
            if message["type"] == kind {
                return Ok(message);
            }
            // Heartbeats go on for ever.
            ensure!(Instant::now() < deadline, "no {kind} in time, but {message}");
        }
    }

    /// The next ops, from one frame.
    pub async fn receive_ops(&mut self) -> anyhow::Result<Vec<Value>> {
        let mut message = self.receive_type("ops").await?;
        match message["ops"].take() {
            Value::Array(ops) => Ok(ops),
            other => bail!("ops is no array: {other}"),
        }
    }
}

/// The request that opens a socket.
fn opening(base: &str, token: &str, subprotocol: &'static str) -> anyhow::Result<Request> {
    let mut request = format!("{}/v1/ws", base.replacen("http", "ws", 1)).into_client_request()?;
    request.headers_mut().insert("authorization", HeaderValue::from_str(&format!("Bearer {token}"))?);
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(subprotocol));
    Ok(request)
}
