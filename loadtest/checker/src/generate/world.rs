//! A world with clients in it: time goes on, requests take effect at one moment each, and everybody writes down what
//! they see by their own clock.

mod readers;
mod writers;

use std::collections::VecDeque;

use super::{Plan, random::Random, server::Drawing};
use crate::{
    format::{Answered, CallName, ClientLine, Invoke, Line, PictureLine, Refused, Role, Tag, Unanswered},
    ids::OpId,
};
use readers::Live;
use writers::Pending;

/// The clients: name, user, and how far their clock may be off, in microseconds; `None` if nothing is known of it.
const CLIENTS: [(&str, &str, Option<u64>); 7] = [
    ("rust-1", "alice", Some(500)),
    ("rust-2", "bob", Some(500)),
    ("rust-3", "carol", Some(2_000)),
    ("web-1", "bob", Some(5_000)),
    ("web-2", "carol", None),
    ("web-3", "vic", Some(5_000)),
    ("web-4", "mallory", Some(5_000)),
];
/// The number of clients that write: all before the first one that does not.
const WRITERS: usize = 5;
/// The client that owns all drawings.
const OWNER: usize = 0;
/// The client whose role comes and goes.
const GUEST: usize = 5;
/// The client without a role.
const STRANGER: usize = 6;
/// Events that a step makes on average, in per cent; a plan is about so many steps and their logs.
const EVENTS_OF_STEP: usize = 450;

struct Client {
    name: &'static str,
    /// The time on the shared clock when its own one shows 0.
    start: i64,
    calls: u64,
}

/// All that is going on.
pub(super) struct World {
    random: Random,
    plan: Plan,
    /// The time, by the clock that all share.
    now: i64,
    /// Lines with their times.
    lines: Vec<(i64, Line)>,
    clients: Vec<Client>,
    drawings: Vec<Drawing>,
    /// Requests to be sent again, by drawing.
    pending: Vec<VecDeque<Pending>>,
    /// The acknowledged requests that may be void after a failover, by drawing, with the revision.
    acked: Vec<Vec<(u64, Pending)>>,
    live: Vec<Live>,
    /// True if the guest may read, by drawing.
    guests: Vec<bool>,
    ids: u128,
}

/// A request under way: it takes effect now.
struct Sent {
    client: usize,
    id: u64,
}

impl World {
    pub(super) fn new(plan: Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let ids = u128::from(random.between(0, u64::MAX - 1)) << 64;
        let mut this = Self {
            random,
            plan,
            now: 1_000_000_000_000,
            lines: Vec::with_capacity(plan.events),
            clients: Vec::new(),
            drawings: Vec::new(),
            pending: vec![VecDeque::new(); plan.drawings],
            acked: vec![Vec::new(); plan.drawings],
            live: Vec::new(),
            guests: vec![true; plan.drawings],
            ids,
        };
        for (name, user, error) in CLIENTS {
            let start = this.random.micros(0, 900_000_000);
            // The offset that it tells is wrong by no more than it says.
            let wrong = error.map(|error| this.random.micros(0, 2 * error) - micros(error));
            let line = ClientLine {
                client: name.to_owned(),
                user: user.to_owned(),
                offset: wrong.map(|wrong| start + wrong),
                error: error.map(micros),
                tag: Tag,
            };
            this.lines.push((i64::MIN, Line::Client(line)));
            this.clients.push(Client { name, start, calls: 0 });
        }
        this
    }

    pub(super) fn run(mut self) -> Vec<Line> {
        let epoch = self.new_id().to_string();
        for number in 0..self.plan.drawings {
            let id = self.new_id().to_string();
            self.drawings.push(Drawing::new(id, epoch.clone(), number % 4 == 3));
            self.set_up(number);
        }
        let steps = (self.plan.events * 100 / EVENTS_OF_STEP).max(self.plan.drawings);
        for step in 0..steps {
            if step == steps * 3 / 5 {
                self.fail_over();
            }
            let drawing = self.random.index(self.plan.drawings);
            self.step(drawing);
        }
        let mut lines = std::mem::take(&mut self.lines);
        lines.sort_by_key(|(time, _)| *time);
        let mut lines: Vec<Line> = lines.into_iter().map(|(_, line)| line).collect();
        for (number, drawing) in self.drawings.iter().enumerate() {
            drawing.lines(&mut lines, number % 2 == 0);
        }
        lines
    }

    fn set_up(&mut self, drawing: usize) {
        let answer = Answered::blank();
        self.call(OWNER, drawing, Invoke::asking(CallName::Create), Ok(answer));
        for (user, role) in [("bob", Role::Editor), ("carol", Role::Editor), ("vic", Role::Viewer)] {
            self.set_role(drawing, user, Some(role));
        }
        for client in [1, 3, GUEST] {
            self.live.push(Live::new(client, drawing));
        }
    }

    fn set_role(&mut self, drawing: usize, user: &str, role: Option<Role>) {
        let invoke = Invoke { user: Some(user.to_owned()), role, ..Invoke::asking(CallName::Role) };
        let answer = Answered::blank();
        self.call(OWNER, drawing, invoke, Ok(answer));
    }

    fn step(&mut self, drawing: usize) {
        match self.random.between(0, 99) {
            0..=37 => self.write(drawing),
            38..=42 => self.toggle(drawing),
            43..=52 => self.read_page(drawing),
            53..=56 => self.read_snapshot(drawing),
            57..=58 => self.compute_picture(drawing),
            59 => {
                self.tick(0);
                let id = self.new_id();
                self.drawings[drawing].fold(id);
            }
            60 => self.change_guest(drawing),
            61 => self.try_in_vain(drawing),
            _ => self.listen(drawing),
        }
    }

    /// The role of the guest is taken away, or given back.
    fn change_guest(&mut self, drawing: usize) {
        if !self.random.percent(30) {
            return;
        }
        let had = std::mem::replace(&mut self.guests[drawing], false);
        if had {
            self.set_role(drawing, "vic", None);
            self.dismiss(drawing);
        } else {
            self.set_role(drawing, "vic", Some(Role::Viewer));
            self.guests[drawing] = true;
        }
    }

    /// A stranger asks for what it may not have.
    fn try_in_vain(&mut self, drawing: usize) {
        let invoke = Invoke { after: Some(0), ..Invoke::asking(CallName::Page) };
        self.call(STRANGER, drawing, invoke, Err(Some((404, "not_found"))));
    }

    /// The primary is lost with what the standby had not received.
    fn fail_over(&mut self) {
        // Answers that were sent have arrived by then.
        self.now += 20_000_000;
        let epoch = self.new_id().to_string();
        for number in 0..self.drawings.len() {
            let lost = self.random.index(6);
            self.drawings[number].fail_over(epoch.clone(), lost);
            let base = self.drawings[number].head();
            let void =
                std::mem::take(&mut self.acked[number]).into_iter().filter(|(revision, _)| *revision > base);
            self.pending[number].extend(void.map(|(_, pending)| Pending { since: self.now, ..pending }));
        }
    }

    fn compute_picture(&mut self, drawing: usize) {
        let reducer = if self.random.percent(50) { "rust" } else { "typescript" };
        let via = if self.random.percent(50) { "replay" } else { "live" };
        let is_small = self.drawings[drawing].head() < 2_000;
        let wants_objects = is_small && self.random.percent(50);
        let this = &self.drawings[drawing];
        let revision = this.head();
        let line = PictureLine {
            drawing: this.id.clone(),
            epoch: this.epoch.clone(),
            revision,
            hash: this.picture(revision),
            via: via.to_owned(),
            reducer: reducer.to_owned(),
            client: None,
            t: None,
            objects: wants_objects.then(|| this.objects(revision)),
            tag: Tag,
        };
        self.tick(0);
        self.lines.push((self.now, Line::Picture(line)));
    }

    // --- Requests -----------------------------------------------------------------------------------

    /// Time goes on, at least past `since`.
    fn tick(&mut self, since: i64) {
        self.now = self.now.max(since) + self.random.micros(4_000, 9_000);
    }

    /// Writes down that a request has begun, shortly before now.
    fn begin(&mut self, client: usize, drawing: usize, invoke: Invoke) -> Sent {
        let time = self.now - self.random.micros(10, 3_900);
        let who = &mut self.clients[client];
        who.calls += 1;
        let sent = Sent { client, id: who.calls };
        let line = Invoke {
            client: who.name.to_owned(),
            t: time - who.start,
            drawing: self.drawings[drawing].id.clone(),
            id: sent.id,
            ..invoke
        };
        self.lines.push((time, Line::Invoke(line)));
        sent
    }

    /// Writes down how it ended, shortly after now: `Err(None)` if nobody knows. Returns when that was.
    #[allow(clippy::needless_pass_by_value, reason = "a request ends once")]
    fn end(
        &mut self,
        sent: Sent,
        drawing: usize,
        outcome: Result<Answered, Option<(u16, &'static str)>>,
    ) -> i64 {
        let time = self.now + self.random.micros(10, 3_900);
        let who = &self.clients[sent.client];
        let (client, t, id) = (who.name.to_owned(), time - who.start, sent.id);
        let drawing = self.drawings[drawing].id.clone();
        let line = match outcome {
            Ok(answer) => Line::Ok(Answered { client, t, drawing, id, ..answer }),
            Err(Some((status, code))) => {
                let code = Some(code.to_owned());
                Line::Fail(Refused { client, t, drawing, id, status, code, tag: Tag })
            }
            Err(None) => {
                let reason = Some("timeout".to_owned());
                Line::Info(Unanswered { client, t, drawing, id, reason, tag: Tag })
            }
        };
        self.lines.push((time, line));
        time
    }

    /// A request that does nothing to the log.
    fn call(
        &mut self,
        client: usize,
        drawing: usize,
        invoke: Invoke,
        outcome: Result<Answered, Option<(u16, &'static str)>>,
    ) {
        self.tick(0);
        let sent = self.begin(client, drawing, invoke);
        self.end(sent, drawing, outcome);
    }

    /// An answer that bears the epoch and how it goes on.
    fn placed(&self, drawing: usize, with_lineage: bool) -> Answered {
        let this = &self.drawings[drawing];
        let (previous_epoch, base) = this.trunk.clone().filter(|_| with_lineage).unzip();
        Answered { epoch: Some(this.epoch.clone()), previous_epoch, base, ..Answered::blank() }
    }

    fn new_id(&mut self) -> OpId {
        self.ids += 1;
        OpId(self.ids)
    }
}

fn micros(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(1_000)
}
