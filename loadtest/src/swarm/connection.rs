//! One socket of a swarm, from the connect to the last frame.

use std::{
    io::{ErrorKind, Read, Write},
    net::SocketAddr,
    time::Instant,
};

use anyhow::{Context, bail, ensure};
use mio::net::TcpStream;

use super::{
    Encoding, Histogram, Plan, Timeline,
    frame::{self, Frame},
    handshake,
    histogram::now_ms,
    message::{self, Decoder, Message},
    room::Room,
};

/// Least space for one read.
const MIN_READ: usize = 64 * 1024;

/// A reader.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    state: State,
    /// Its number among the readers.
    nth: usize,
    /// The drawing it follows.
    room: usize,
    /// The last revision it has, once it is live.
    revision: u64,
    /// The beginning of a frame whose rest has not come yet; mostly empty, and then without memory.
    rest: Vec<u8>,
}

/// The event that the reader waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// To be connected.
    Connecting,
    /// The answer to the handshake.
    Upgrading,
    /// `subscribed`.
    Subscribing,
    /// Frames.
    Live,
    /// `subscribed`, after it was too slow.
    Rejoining,
}

/// The state that the readers of a swarm share.
pub(super) struct Common {
    pub(super) plan: Plan,
    /// The rooms, by index of the drawing.
    pub(super) rooms: Vec<Room>,
    pub(super) decoder: Decoder,
    pub(super) tally: Tally,
    /// The time at which the first reader began to connect.
    pub(super) began: Instant,
}

/// The counts of a swarm.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) frames: u64,
    pub(super) ops: u64,
    pub(super) bytes: u64,
    pub(super) presence_frames: u64,
    pub(super) presence_bytes: u64,
    pub(super) heads: u64,
    pub(super) rejoined: u64,
    /// Readers that are to be subscribed again.
    pub(super) rejoining: usize,
    /// Ops between where readers were too slow and where they came again.
    pub(super) skipped: u64,
    pub(super) latency: Histogram,
    pub(super) timeline: Timeline,
    pub(super) subscribed: usize,
    pub(super) deflated: usize,
    pub(super) subscribed_ms: Histogram,
    /// True if the readers of some room have all got further since this was last looked at.
    pub(super) has_floor_moved: bool,
}

impl Connection {
    /// Begins to connect.
    pub(super) fn open(address: SocketAddr, nth: usize, room: usize) -> std::io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        Ok(Self { stream, state: State::Connecting, nth, room, revision: 0, rest: Vec::new() })
    }

    /// For the poll.
    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// True if it has subscribed once.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live | State::Rejoining)
    }

    /// Takes its place in the room back.
    pub(super) fn leave(&self, common: &mut Common) {
        match self.state {
            State::Live => common.tally.has_floor_moved |= common.rooms[self.room].leave(self.revision),
            State::Rejoining => common.tally.rejoining -= 1,
            _ => (),
        }
    }

    /// Goes on once connected.
    pub(super) fn on_writable(&mut self, common: &Common) -> anyhow::Result<()> {
        if self.state != State::Connecting {
            return Ok(());
        }
        if let Some(error) = self.stream.take_error()? {
            return Err(error).context("the connection was refused");
        }
        if common.plan.encoding == Encoding::Bare {
            self.state = State::Subscribing;
            return Ok(());
        }
        // Cursors are many small writes, none of which should wait for the one before.
        self.stream.set_nodelay(true)?;
        self.state = State::Upgrading;
        let request = handshake::request(&common.plan, self.nth);
        self.write(request.as_bytes())
    }

    /// Takes all there is. `is_ending` says that the other side has closed: then there is an end to find.
    pub(super) fn on_readable(
        &mut self,
        buffer: &mut Vec<u8>,
        is_ending: bool,
        common: &mut Common,
    ) -> anyhow::Result<()> {
        loop {
            let kept = self.rest.len();
            if buffer.len() < kept + MIN_READ {
                buffer.resize(2 * kept + MIN_READ, 0);
            }
            buffer[..kept].copy_from_slice(&self.rest);
            let read = match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("reading"),
            };
            let end = kept + read;
            let done = self.take(&buffer[..end], common)?;
            self.rest = buffer[done..end].to_vec();
            // A short read has emptied the socket, and the next byte makes a new event: a second
            // call that finds nothing would cost as much as the first.
            if end < buffer.len() && !is_ending {
                return Ok(());
            }
        }
    }

    /// Handles what is whole; returns where the rest begins.
    fn take(&mut self, bytes: &[u8], common: &mut Common) -> anyhow::Result<usize> {
        let mut at = 0;
        if self.state == State::Upgrading {
            let Some(upgraded) = handshake::response(bytes, common.plan.encoding)? else { return Ok(0) };
            common.tally.deflated += usize::from(upgraded.is_deflated);
            at = upgraded.end;
            self.state = State::Subscribing;
            let plan = &common.plan;
            let subscribe = message::subscribe(plan, self.room, plan.after_of(self.room))?;
            self.send(&subscribe, plan.encoding)?;
        }
        while let Some(frame) = frame::parse(&bytes[at..])? {
            let payload = &bytes[at + frame.start..at + frame.end];
            match frame.opcode {
                frame::TEXT | frame::BINARY => self.on_message(frame, payload, common)?,
                frame::PING => self.write(&frame::masked(frame::PONG, payload))?,
                frame::PONG => (),
                frame::CLOSE => bail!("closed with {}", close_reason(payload)),
                opcode => bail!("a frame of opcode {opcode}"),
            }
            at += frame.end;
        }
        Ok(at)
    }

    fn on_message(&mut self, frame: Frame, payload: &[u8], common: &mut Common) -> anyhow::Result<()> {
        if common.plan.encoding == Encoding::Bare {
            return self.on_bare(frame, common);
        }
        let Common { plan, rooms, decoder, tally, began } = common;
        let (room, size) = (&mut rooms[self.room], frame.end as u64);
        let glanced = decoder.glance(payload, frame.is_deflated);
        let message = match &glanced {
            Some(message) => message,
            None => room.decode(decoder, payload, frame.is_deflated)?,
        };
        match message {
            Message::Ops(ops) => {
                ensure!(self.state == State::Live, "ops came before subscribed");
                let (first, last) = (ops.first, ops.last);
                ensure!(first == self.revision + 1, "revision {first} came after {}", self.revision);
                tally.frames += 1;
                tally.ops += last - self.revision;
                tally.bytes += size;
                tally.timeline.count(last - self.revision, size);
                if !ops.sent.is_empty() {
                    let now = now_ms();
                    for sent in &ops.sent {
                        tally.timeline.record(now - sent.at_ms);
                        if !sent.is_ramp {
                            tally.latency.record(now - sent.at_ms);
                        }
                    }
                }
                tally.has_floor_moved |= room.advance(self.revision, last);
                self.revision = last;
            }
            Message::Presence => {
                tally.presence_frames += 1;
                tally.presence_bytes += size;
                tally.timeline.count_presence(size);
            }
            Message::Head => tally.heads += 1,
            Message::Subscribed(revision) => {
                if self.state == State::Subscribing {
                    let after = plan.after_of(self.room).unwrap_or(*revision);
                    ensure!(*revision == after, "subscribed says {revision} instead of {after}");
                    tally.subscribed += 1;
                    tally.subscribed_ms.record(began.elapsed().as_secs_f64() * 1e3);
                } else {
                    ensure!(self.state == State::Rejoining, "subscribed came twice");
                    let skipped = revision.checked_sub(self.revision);
                    tally.skipped += skipped.with_context(|| {
                        format!("subscribed says {revision} after {} was there", self.revision)
                    })?;
                    tally.rejoining -= 1;
                }
                (self.state, self.revision) = (State::Live, *revision);
                room.enter(self.revision);
                tally.has_floor_moved = true;
            }
            Message::Lagged => {
                ensure!(plan.rejoins && self.state == State::Live, "reset: lagged");
                self.state = State::Rejoining;
                tally.rejoined += 1;
                tally.rejoining += 1;
                tally.has_floor_moved |= room.leave(self.revision);
                let subscribe = message::subscribe(plan, self.room, None)?;
                self.send(&subscribe, plan.encoding)?;
            }
            Message::Refusal(reason) => bail!("{reason}"),
            Message::Other => (),
        }
        Ok(())
    }

    /// Frames of the limit program count, and mean nothing.
    fn on_bare(&mut self, frame: Frame, common: &mut Common) -> anyhow::Result<()> {
        let Common { rooms, tally, began, .. } = common;
        let room = &mut rooms[self.room];
        if self.state == State::Live {
            tally.frames += 1;
            tally.ops += 1;
            tally.bytes += frame.end as u64;
            tally.has_floor_moved |= room.advance(self.revision, self.revision + 1);
            self.revision += 1;
        } else {
            self.state = State::Live;
            tally.subscribed += 1;
            tally.subscribed_ms.record(began.elapsed().as_secs_f64() * 1e3);
            room.enter(0);
        }
        Ok(())
    }

    /// Sends where the cursor is.
    pub(super) fn send_cursor(&mut self, tick: u64, plan: &Plan) -> anyhow::Result<()> {
        let message = message::cursor(plan, self.room, tick)?;
        self.send(&message, plan.encoding)
    }

    fn send(&mut self, message: &[u8], encoding: Encoding) -> anyhow::Result<()> {
        let opcode = if encoding == Encoding::Msgpack { frame::BINARY } else { frame::TEXT };
        self.write(&frame::masked(opcode, message))
    }

    /// Writes at once or fails: a reader says so little that it always fits.
    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = self.stream.write(bytes).context("writing")?;
        ensure!(written == bytes.len(), "the server does not read what a reader says");
        Ok(())
    }
}

/// Code and reason of a close frame, in words.
fn close_reason(payload: &[u8]) -> String {
    match payload {
        [a, b, reason @ ..] => {
            format!("{} {}", u16::from_be_bytes([*a, *b]), String::from_utf8_lossy(reason))
        }
        _ => "no reason".to_owned(),
    }
}
