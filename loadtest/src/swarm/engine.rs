//! The thread of a swarm: one poll for all its sockets.

use std::{
    io::ErrorKind,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, TryRecvError},
    },
    time::{Duration, Instant},
};

use mio::{Events, Interest, Poll, Token, event::Event};
use tokio::sync::watch;

use super::{
    Counts, Latency, Outcome, Plan, Started,
    connection::{Common, Connection, Tally},
    handle::Order,
    message::Decoder,
    room::Room,
};

/// The token of the waker; sockets have their number.
pub(super) const WAKER: Token = Token(usize::MAX);

/// Events taken at a time.
const EVENTS: usize = 1_024;
/// The one buffer that all sockets are read into.
const BUFFER_BYTES: usize = 256 * 1024;
/// Longest sleep: the handle may be gone without a word.
const NAP: Duration = Duration::from_secs(1);
/// Longest sleep while readers are still to come.
const RAMP_NAP: Duration = Duration::from_millis(5);
/// The time for which the end waits for readers that lack something.
const PATIENCE: Duration = Duration::from_secs(30);
/// Failures that are told in words.
const TOLD_FAILURES: usize = 5;

/// The counts and reports with which the engine tells how it goes.
pub(super) struct Reports {
    pub(super) counts: Arc<Counts>,
    /// Once each reader has subscribed or failed.
    pub(super) started: watch::Sender<Option<Started>>,
    /// The revision that all readers of the first drawing have.
    pub(super) floor: watch::Sender<u64>,
}

/// A running swarm.
pub(super) struct Engine {
    common: Common,
    poll: Poll,
    /// The connections, by number; `None` for those that failed.
    connections: Vec<Option<Connection>>,
    buffer: Vec<u8>,
    /// Readers that have neither subscribed nor failed yet.
    pending: usize,
    failed: usize,
    failures: Vec<String>,
    reports: Reports,
    orders: Receiver<Order>,
    /// The revisions that all readers must have before the end, and the deadline for that.
    until: Option<(Vec<u64>, Instant)>,
    /// The time at which they had it, in ms.
    complete_ms: Option<f64>,
    cursors: Cursors,
}

/// The moves of the cursors, one after the other.
struct Cursors {
    next_at: Instant,
    /// Between two moves, whichever cursors they are of; nothing when cursors rest.
    pause: Option<Duration>,
    moves: u64,
}

impl Engine {
    pub(super) fn new(plan: Plan, poll: Poll, reports: Reports, orders: Receiver<Order>) -> Self {
        let moves_per_second = u32::try_from(plan.readers).unwrap_or(u32::MAX) * plan.cursors_per_second;
        let pause = (moves_per_second > 0).then(|| Duration::from_secs(1) / moves_per_second);
        let began = Instant::now();
        let rooms = plan.drawings.iter().map(|_| Room::default()).collect();
        let decoder = Decoder::new(plan.encoding);
        Self {
            common: Common { plan, rooms, decoder, tally: Tally::default(), began },
            poll,
            connections: Vec::new(),
            buffer: vec![0; BUFFER_BYTES],
            pending: 0,
            failed: 0,
            failures: Vec::new(),
            reports,
            orders,
            until: None,
            complete_ms: None,
            cursors: Cursors { next_at: began, pause, moves: 0 },
        }
    }

    /// Runs until ordered to end.
    pub(super) fn run(mut self) -> anyhow::Result<Outcome> {
        let mut events = Events::with_capacity(EVENTS);
        self.common.began = Instant::now();
        loop {
            self.connect();
            match self.poll.poll(&mut events, Some(self.nap())) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            for event in &events {
                if event.token() != WAKER {
                    self.serve(event);
                }
            }
            self.move_cursors();
            self.report();
            if self.is_over() {
                return Ok(self.outcome());
            }
        }
    }

    /// Connects as many as may be under way at a time.
    fn connect(&mut self) {
        let due = self.common.plan.due_after(self.common.began.elapsed());
        while self.connections.len() < due && self.pending < self.common.plan.at_once {
            let nth = self.connections.len();
            self.connections.push(None);
            self.pending += 1;
            let plan = &self.common.plan;
            let registry = self.poll.registry();
            let opened =
                Connection::open(plan.address_of(nth), nth, plan.room_of(nth)).and_then(|mut connection| {
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    registry.register(connection.stream(), Token(nth), interest).map(|()| connection)
                });
            match opened {
                Ok(connection) => self.connections[nth] = Some(connection),
                Err(error) => self.fail(nth, &error.into(), false),
            }
        }
    }

    /// Lets one connection go on.
    fn serve(&mut self, event: &Event) {
        let Token(nth) = event.token();
        // Late events of a socket that has failed find nothing.
        let Some(mut connection) = self.connections.get_mut(nth).and_then(Option::take) else { return };
        let was_live = connection.is_live();
        let mut served = Ok(());
        if !was_live && event.is_writable() {
            served = connection.on_writable(&self.common);
        }
        if served.is_ok() && event.is_readable() {
            served = connection.on_readable(&mut self.buffer, event.is_read_closed(), &mut self.common);
        }
        if connection.is_live() && !was_live {
            self.pending -= 1;
        }
        match served {
            Ok(()) => self.connections[nth] = Some(connection),
            Err(error) => {
                connection.leave(&mut self.common);
                self.fail(nth, &error, connection.is_live());
            }
        }
    }

    fn fail(&mut self, nth: usize, error: &anyhow::Error, was_live: bool) {
        self.failed += 1;
        if !was_live {
            self.pending -= 1;
        }
        if self.failures.len() < TOLD_FAILURES {
            self.failures.push(format!("reader {nth}: {error:#}"));
        }
    }

    // --- Cursors --------------------------------------------------------------------------------------

    fn nap(&self) -> Duration {
        let longest = if self.connections.len() < self.common.plan.readers { RAMP_NAP } else { NAP };
        match self.cursors.pause {
            Some(_) => self.cursors.next_at.saturating_duration_since(Instant::now()).min(longest),
            None => longest,
        }
    }

    /// Moves the cursors that are due, each in its turn.
    fn move_cursors(&mut self) {
        let Some(pause) = self.cursors.pause else { return };
        let now = Instant::now();
        while self.cursors.next_at <= now {
            self.cursors.next_at += pause;
            let tick = self.cursors.moves;
            self.cursors.moves += 1;
            let nth = usize::try_from(tick).unwrap_or(usize::MAX) % self.common.plan.readers;
            let Some(connection) = self.connections.get_mut(nth).and_then(Option::as_mut) else { continue };
            if connection.is_live()
                && let Err(error) = connection.send_cursor(tick, &self.common.plan)
            {
                connection.leave(&mut self.common);
                self.connections[nth] = None;
                self.fail(nth, &error, true);
            }
        }
    }

    // --- Telling --------------------------------------------------------------------------------------

    fn report(&mut self) {
        let tally = &mut self.common.tally;
        self.reports.counts.frames.store(tally.frames, Ordering::Relaxed);
        self.reports.counts.ops.store(tally.ops, Ordering::Relaxed);
        if std::mem::take(&mut tally.has_floor_moved)
            && let Some(floor) = self.common.rooms[0].floor()
        {
            self.reports.floor.send_if_modified(|told| std::mem::replace(told, floor) != floor);
        }
        if self.is_started() && self.reports.started.borrow().is_none() {
            self.reports.started.send_replace(Some(self.started()));
        }
    }

    fn is_started(&self) -> bool {
        self.connections.len() == self.common.plan.readers && self.pending == 0
    }

    fn started(&self) -> Started {
        let tally = &self.common.tally;
        Started {
            subscribed: tally.subscribed,
            deflated: tally.deflated,
            failed: self.failed,
            failures: self.failures.clone(),
            subscribed_ms: Latency::from(&tally.subscribed_ms),
        }
    }

    /// True if an order or the readers have brought it to its end.
    fn is_over(&mut self) -> bool {
        match self.orders.try_recv() {
            Ok(Order::Until(heads)) => self.until = Some((heads, Instant::now() + PATIENCE)),
            Ok(Order::Stop) | Err(TryRecvError::Disconnected) => return true,
            Err(TryRecvError::Empty) => (),
        }
        let Some((heads, deadline)) = &self.until else { return false };
        let mut rooms = self.common.rooms.iter().zip(heads);
        let is_settled = self.is_started() && self.common.tally.rejoining == 0;
        if is_settled && rooms.all(|(room, head)| room.floor().is_none_or(|floor| floor >= *head)) {
            self.complete_ms = Some(self.common.began.elapsed().as_secs_f64() * 1e3);
        }
        self.complete_ms.is_some() || Instant::now() >= *deadline
    }

    fn outcome(&self) -> Outcome {
        let tally = &self.common.tally;
        Outcome {
            started: self.started(),
            frames: tally.frames,
            ops: tally.ops,
            bytes: tally.bytes,
            presence_frames: tally.presence_frames,
            presence_bytes: tally.presence_bytes,
            heads: tally.heads,
            rejoined: tally.rejoined,
            skipped: tally.skipped,
            complete_ms: self.complete_ms,
            latencies: tally.latency.clone(),
            seconds: tally.timeline.seconds(),
            digests: self.common.rooms.iter().map(Room::digests).collect(),
        }
    }
}
