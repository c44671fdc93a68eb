//! A socket client: subscribes and hands out messages as JSON.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue, protocol::CloseFrame},
};

/// Time to wait for one message.
const PATIENCE: Duration = Duration::from_secs(20);

/// An open socket.
#[derive(Debug)]
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// The first message of the server.
    pub hello: Value,
}

impl Socket {
    /// Connects to `http://host:port` as the bearer of `token`.
    pub async fn open(base: &str, token: &str) -> anyhow::Result<Self> {
        let mut request = format!("{}/v1/ws", base.replacen("http", "ws", 1)).into_client_request()?;
        request.headers_mut().insert("authorization", HeaderValue::from_str(&format!("Bearer {token}"))?);
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("revcast.v1.json"));
        let (stream, _) = connect_async(request).await?;
        let mut socket = Self { stream, hello: Value::Null };
        socket.hello = socket.receive().await?;
        Ok(socket)
    }

    /// Sends a message.
    pub async fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        Ok(self.stream.send(Message::text(message.to_string())).await?)
    }

    /// Sends any frame.
    pub async fn send_frame(&mut self, frame: Message) -> anyhow::Result<()> {
        Ok(self.stream.send(frame).await?)
    }

    /// Subscribes, from `after` or from the head, and waits for the answer: `subscribed`, `reset` or `error`.
    pub async fn subscribe(&mut self, drawing: &str, after: Option<u64>) -> anyhow::Result<Value> {
        let mut message = json!({"type": "subscribe", "drawing_id": drawing});
        if let Some(after) = after {
            message["after"] = after.into();
        }
        self.send(&message).await?;
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
            match frame.context("the socket is gone")?? {
                Message::Text(text) => return Ok(Ok(serde_json::from_str(&text)?)),
                Message::Close(frame) => return Ok(Err(frame)),
                _ => (),
            }
        }
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
