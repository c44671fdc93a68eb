//! One connection: it reads its rooms at its own pace, and answers its client.

use std::{collections::HashMap, num::NonZeroU32, sync::Arc, time::Duration};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::{
    sync::Notify,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tokio_tungstenite::tungstenite;
use uuid::Uuid;

use super::{
    Gateway,
    protocol::{ClientMessage, CloseCode, Limits, ServerMessage},
};
use crate::{
    error::ErrorCode,
    identity::{Identity, now_seconds},
    limits,
    model::{DrawingId, Role},
    room::{Frame, Item, JoinError, Joined, Next, Position, Reader},
    telemetry,
};

/// Frames sent for one drawing before the others get their turn.
const FRAMES_PER_TURN: usize = 16;

/// An open socket and what it follows.
pub(super) struct Connection {
    gateway: Gateway,
    socket: WebSocket,
    identity: Identity,
    /// Fires when a room has something to read.
    wake: Arc<Notify>,
    subscriptions: HashMap<DrawingId, Subscription>,
    /// Joins under way; the connection goes on meanwhile.
    joins: FuturesUnordered<BoxFuture<'static, (DrawingId, u64, JoinOutcome)>>,
    next_attempt: u64,
    rate: DefaultDirectRateLimiter,
    heard_at: Instant,
}

/// One drawing of a connection.
struct Subscription {
    /// Tells a join that was superseded from the one that counts.
    attempt: u64,
    /// Absent while joining.
    reader: Option<Reader>,
    /// The role that the client was told last.
    role: Option<Role>,
}

enum JoinOutcome {
    Joined(Joined, Role),
    Failed(ErrorCode, &'static str),
}

/// Ends the connection, for this reason.
type Ended<T = ()> = Result<T, CloseCode>;

impl Connection {
    /// Serves the socket until either side ends it.
    pub(super) async fn run(gateway: Gateway, socket: WebSocket, identity: Identity) {
        let per_second = NonZeroU32::new(limits::CLIENT_MESSAGES_PER_SECOND).unwrap_or(NonZeroU32::MIN);
        let metrics = gateway.metrics.clone();
        let mut connection = Self {
            gateway,
            socket,
            identity,
            wake: Arc::new(Notify::new()),
            subscriptions: HashMap::new(),
            joins: FuturesUnordered::new(),
            next_attempt: 0,
            rate: RateLimiter::direct(Quota::per_second(per_second)),
            heard_at: Instant::now(),
        };
        metrics.connections.increment(1);
        let reason = match connection.serve().await {
            Ok(()) => CloseCode::Normal,
            Err(reason) => reason,
        };
        metrics.connections.decrement(1);
        close(connection.socket, reason).await;
    }

    async fn serve(&mut self) -> Ended {
        self.say_hello().await?;
        let shutdown = self.gateway.shutdown.clone();
        let wake = self.wake.clone();
        let mut pings = interval(limits::PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        loop {
            tokio::select! {
                // What the client has sent counts before its silence does, and pings before a busy room.
                biased;
                () = shutdown.cancelled() => return self.say_goaway().await,
                () = sleep(self.remaining_identity()) => return Err(CloseCode::IdentityExpired),
                message = self.socket.recv() => match message {
                    Some(message) => if !self.on_message(message).await? { return Ok(()) },
                    None => return Ok(()),
                },
                _ = pings.tick() => {
                    if self.heard_at.elapsed() >= limits::SOCKET_IDLE_TIMEOUT {
                        return Err(CloseCode::NoPong);
                    }
                    self.transmit(Message::Ping(Bytes::new())).await?;
                }
                Some((drawing, attempt, outcome)) = self.joins.next() => self.on_joined(drawing, attempt, outcome).await?,
                () = wake.notified() => self.read_rooms().await?,
            }
        }
    }

    async fn say_hello(&mut self) -> Ended {
        let Ok(meta) = self.gateway.store.meta().await else { return Err(CloseCode::Overloaded) };
        let heartbeat_ms = u64::try_from(self.gateway.heartbeat.as_millis()).unwrap_or(u64::MAX);
        self.send(&ServerMessage::Hello {
            protocol: 1,
            connection_id: Uuid::now_v7(),
            epoch: meta.epoch,
            heartbeat_ms,
            limits: Limits::ADVERTISED,
        })
        .await
    }

    async fn say_goaway(&mut self) -> Ended {
        // Each client gets its own moment of the window: they must not all come back at once.
        let window = u64::try_from(limits::GOAWAY_WINDOW.as_millis()).unwrap_or(u64::MAX);
        let reconnect_in_ms = u64::from(Uuid::new_v4().as_fields().0) % window;
        self.send(&ServerMessage::Goaway { reconnect_in_ms }).await?;
        Err(CloseCode::GoingAway)
    }

    fn remaining_identity(&self) -> Duration {
        Duration::from_secs(self.identity.expires_at.saturating_sub(now_seconds()))
    }

    // --- What the client says -----------------------------------------------------------------------

    /// Handles one frame; false when the client has closed.
    async fn on_message(&mut self, message: Result<Message, axum::Error>) -> Ended<bool> {
        let message = message.map_err(close_code_of)?;
        self.heard_at = Instant::now();
        match message {
            Message::Text(text) => self.on_text(&text).await.map(|()| true),
            Message::Binary(_) => Err(CloseCode::ProtocolViolation),
            Message::Ping(_) | Message::Pong(_) => Ok(true),
            Message::Close(_) => Ok(false),
        }
    }

    async fn on_text(&mut self, text: &str) -> Ended {
        if self.rate.check().is_err() {
            return Err(CloseCode::Rate);
        }
        // serde would read an array as the fields of a message in order.
        let message = if text.trim_start().starts_with('{') { serde_json::from_str(text).ok() } else { None };
        let message = match message {
            Some(message) => message,
            None => {
                return self
                    .send_error(ErrorCode::InvalidRequest, "the message is not as documented", None)
                    .await;
            }
        };
        match message {
            ClientMessage::Subscribe { drawing_id, after, epoch } => {
                self.subscribe(drawing_id, Position { after, epoch }).await
            }
            ClientMessage::Unsubscribe { drawing_id } => {
                self.subscriptions.remove(&drawing_id);
                Ok(())
            }
            ClientMessage::Auth { ticket } => self.renew(&ticket),
            ClientMessage::Ping { t } => self.send(&ServerMessage::Pong { t: &t }).await,
            _ if names_an_op(text) => {
                let detail = "ops are committed with POST /v1/drawings/{drawing_id}/ops";
                self.send_error(ErrorCode::WriteOverRest, detail, None).await
            }
            ClientMessage::Unknown => Ok(()),
        }
    }

    fn renew(&mut self, ticket: &str) -> Ended {
        match self.gateway.authenticator.verify_ticket(ticket) {
            // Another user would inherit subscriptions that are not theirs.
            Ok(identity) if identity.user_id == self.identity.user_id => {
                self.identity = identity;
                Ok(())
            }
            _ => Err(CloseCode::BadTicket),
        }
    }

    async fn subscribe(&mut self, drawing: DrawingId, position: Position) -> Ended {
        let is_known = self.subscriptions.contains_key(&drawing);
        let is_full = !is_known && self.subscriptions.len() >= limits::MAX_SUBSCRIPTIONS;
        if is_full || self.joins.len() >= limits::MAX_SUBSCRIPTIONS {
            let detail = "this socket follows as many drawings as it may";
            return self.send_error(ErrorCode::TooManySubscriptions, detail, Some(drawing)).await;
        }
        let attempt = self.next_attempt;
        self.next_attempt += 1;
        // A second subscription to the same drawing takes the place of the first.
        self.subscriptions.insert(drawing, Subscription { attempt, reader: None, role: None });
        let (gateway, user, wake) = (self.gateway.clone(), self.identity.user_id.clone(), self.wake.clone());
        self.joins.push(Box::pin(async move {
            let unavailable =
                JoinOutcome::Failed(ErrorCode::StoreUnavailable, "the store does not answer; try again");
            let unknown = JoinOutcome::Failed(
                ErrorCode::NotFound,
                "the drawing does not exist, or you have no role on it",
            );
            let outcome = match gateway.access.role(drawing, &user).await {
                Err(_) => unavailable,
                Ok(None) => unknown,
                Ok(Some(_)) => match gateway.rooms.join(drawing, &user, position, &wake).await {
                    Err(JoinError::NoDrawing) => unknown,
                    Err(JoinError::Unavailable) => unavailable,
                    Err(JoinError::Draining) => {
                        JoinOutcome::Failed(ErrorCode::Draining, "the server is stopping")
                    }
                    // Looked up again now that the reader hears of changes: none falls in between.
                    Ok(joined) => match gateway.access.fresh_role(drawing, &user).await {
                        Ok(Some(role)) => JoinOutcome::Joined(joined, role),
                        Ok(None) => unknown,
                        Err(_) => unavailable,
                    },
                },
            };
            (drawing, attempt, outcome)
        }));
        Ok(())
    }

    // --- What the rooms say ---------------------------------------------------------------------------

    async fn on_joined(&mut self, drawing_id: DrawingId, attempt: u64, outcome: JoinOutcome) -> Ended {
        let Some(subscription) = self.subscriptions.get_mut(&drawing_id).filter(|s| s.attempt == attempt)
        else {
            // Unsubscribed or subscribed anew meanwhile.
            return Ok(());
        };
        match outcome {
            JoinOutcome::Joined(Joined::Live { epoch, revision, backlog, reader }, role) => {
                reader.note_role(role);
                (subscription.reader, subscription.role) = (Some(reader), Some(role));
                self.send(&ServerMessage::Subscribed { drawing_id, epoch, revision, role }).await?;
                for frame in backlog {
                    self.send_frame(&frame).await?;
                }
                self.wake.notify_one();
                Ok(())
            }
            JoinOutcome::Joined(Joined::Reset { reason, epoch, revision }, _) => {
                self.on_item(drawing_id, Item::Restarted { reason, epoch, revision }).await
            }
            JoinOutcome::Failed(code, detail) => {
                self.subscriptions.remove(&drawing_id);
                self.send_error(code, detail, Some(drawing_id)).await
            }
        }
    }

    /// Sends what the rooms have, each drawing a few frames in turn.
    async fn read_rooms(&mut self) -> Ended {
        let drawings: Vec<DrawingId> = self.subscriptions.keys().copied().collect();
        for drawing in drawings {
            for turn in 0..=FRAMES_PER_TURN {
                if turn == FRAMES_PER_TURN {
                    // There may be more; the others and the client come first.
                    self.wake.notify_one();
                    break;
                }
                let reader = self.subscriptions.get_mut(&drawing).and_then(|s| s.reader.as_mut());
                let Some(reader) = reader else { break };
                match reader.read() {
                    Next::Empty => break,
                    Next::Item(item) => self.on_item(drawing, item).await?,
                    Next::Lagged { epoch, revision } => {
                        let reason = crate::room::ResetReason::Lagged;
                        self.on_item(drawing, Item::Restarted { reason, epoch, revision }).await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn on_item(&mut self, drawing_id: DrawingId, item: Item) -> Ended {
        match item {
            Item::Ops(frame) => self.send_frame(&frame).await,
            Item::Head { epoch, revision } => {
                self.send(&ServerMessage::Head { drawing_id, epoch, revision }).await
            }
            Item::Role { user_id, role } if user_id == self.identity.user_id => {
                let told =
                    self.subscriptions.get_mut(&drawing_id).map(|s| std::mem::replace(&mut s.role, role));
                if role.is_none() {
                    self.subscriptions.remove(&drawing_id);
                }
                // The same news may come twice, by the bus and without it.
                if told == Some(role) {
                    return Ok(());
                }
                self.send(&ServerMessage::Role { drawing_id, role }).await
            }
            Item::Role { .. } => Ok(()),
            Item::Gone => {
                self.subscriptions.remove(&drawing_id);
                self.send(&ServerMessage::Role { drawing_id, role: None }).await
            }
            Item::Restarted { reason, epoch, revision } => {
                self.subscriptions.remove(&drawing_id);
                telemetry::count_reset(reason.as_str());
                self.send(&ServerMessage::Reset { drawing_id, reason, epoch, revision }).await
            }
        }
    }

    // --- Sending --------------------------------------------------------------------------------------

    async fn send_error(&mut self, code: ErrorCode, detail: &str, drawing_id: Option<DrawingId>) -> Ended {
        self.send(&ServerMessage::Error { code: code.as_str(), detail, drawing_id }).await
    }

    async fn send(&mut self, message: &ServerMessage<'_>) -> Ended {
        let Ok(json) = serde_json::to_string(message) else { return Err(CloseCode::Overloaded) };
        self.transmit(Message::Text(json.into())).await
    }

    async fn send_frame(&mut self, frame: &Frame) -> Ended {
        // Ops were JSON text on their way in, and a frame is put together from text.
        let Ok(text) = Utf8Bytes::try_from(frame.json.clone()) else { return Err(CloseCode::Overloaded) };
        self.transmit(Message::Text(text)).await
    }

    /// Waits until the socket has taken the message: a slow client holds up only itself.
    async fn transmit(&mut self, message: Message) -> Ended {
        if self.remaining_identity().is_zero() {
            return Err(CloseCode::IdentityExpired);
        }
        self.gateway.metrics.frames.increment(1);
        let shutdown = self.gateway.shutdown.clone();
        tokio::select! {
            biased;
            sent = timeout(limits::SOCKET_SEND_TIMEOUT, self.socket.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                // The client is gone.
                Ok(Err(_)) => Err(CloseCode::Normal),
                Err(_) => Err(CloseCode::TooSlow),
            },
            // A client that takes nothing must not hold up the stop.
            () = async {
                shutdown.cancelled().await;
                sleep(limits::SOCKET_CLOSE_TIMEOUT).await;
            } => Err(CloseCode::GoingAway),
        }
    }
}

/// Says goodbye, as far as the client listens.
pub(super) async fn close(mut socket: WebSocket, reason: CloseCode) {
    telemetry::count_close(reason as u16);
    let frame = CloseFrame { code: reason as u16, reason: Utf8Bytes::from_static(reason.reason()) };
    let goodbye = async {
        // Where the client has closed already, there is nothing to send but the answer that waits.
        let _ = socket.send(Message::Close(Some(frame))).await;
        // Reading on lets the goodbye arrive before the connection is torn down.
        while let Some(Ok(_)) = socket.recv().await {}
    };
    let _ = timeout(limits::SOCKET_CLOSE_TIMEOUT, goodbye).await;
}

/// Whether a message of no known type is an op on the wrong way.
fn names_an_op(text: &str) -> bool {
    #[derive(serde::Deserialize)]
    struct Probe {
        #[serde(rename = "type")]
        type_name: Option<String>,
        op_id: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_str::<Probe>(text)
        .is_ok_and(|probe| probe.op_id.is_some() || matches!(probe.type_name.as_deref(), Some("op" | "ops")))
}

fn close_code_of(error: axum::Error) -> CloseCode {
    use tungstenite::Error::{Capacity, Protocol, Utf8};
    match error.into_inner().downcast_ref::<tungstenite::Error>() {
        Some(Capacity(_)) => CloseCode::MessageTooLarge,
        Some(Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => CloseCode::Normal,
        Some(Protocol(_) | Utf8(_)) => CloseCode::ProtocolViolation,
        _ => CloseCode::Normal,
    }
}
