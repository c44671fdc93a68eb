//! Those who read: pages, pictures, and live readers with everything that happens to them.

use super::{GUEST, World, micros};
use crate::format::{Answered, CallName, Frame, FrameType, Invoke, Line};

/// Revisions of a page.
const PAGE: u64 = 40;

/// A live reader of a drawing.
pub(super) struct Live {
    client: usize,
    drawing: usize,
    /// Epoch and revision, once it has followed the drawing.
    position: Option<(String, u64)>,
    is_following: bool,
}

impl Live {
    pub(super) fn new(client: usize, drawing: usize) -> Self {
        Self { client, drawing, position: None, is_following: false }
    }
}

impl World {
    /// One of those who may read.
    fn some_reader(&mut self, drawing: usize) -> usize {
        let client = self.random.index(GUEST + 1);
        if client == GUEST && !self.guests[drawing] { 0 } else { client }
    }

    pub(super) fn read_page(&mut self, drawing: usize) {
        let client = self.some_reader(drawing);
        let head = self.drawings[drawing].head();
        let after = self.random.between(head.saturating_sub(2 * PAGE), head);
        let until = self.random.percent(40).then(|| after + self.random.between(1, PAGE));
        let epoch = if self.random.percent(50) { Some(self.drawings[drawing].epoch.clone()) } else { None };
        // Now and then a position of the epoch before.
        let before = self.drawings[drawing].trunk.clone().filter(|_| self.random.percent(20));
        let epoch = before.as_ref().map(|(epoch, _)| epoch.clone()).or(epoch);
        self.tick(0);
        let highest = until.map_or(after, |until| until.max(after));
        let invoke = Invoke { after: Some(after), until, epoch, ..Invoke::asking(CallName::Page) };
        let sent = self.begin(client, drawing, invoke);
        let outcome = if before.is_some_and(|(_, base)| highest > base) {
            Err(Some((410, "epoch_changed")))
        } else {
            Ok(self.page(drawing, after, until))
        };
        self.end(sent, drawing, outcome);
    }

    fn page(&self, drawing: usize, after: u64, until: Option<u64>) -> Answered {
        let this = &self.drawings[drawing];
        let end = until.map_or(this.head(), |until| until.min(this.head()));
        let to = end.min(after + PAGE);
        Answered {
            latest_revision: Some(this.head()),
            from: Some(after + 1),
            to: Some(to),
            complete: Some(to == end),
            ops: Some(this.seen(after, to)),
            ..self.placed(drawing, true)
        }
    }

    pub(super) fn read_snapshot(&mut self, drawing: usize) {
        let client = self.some_reader(drawing);
        let head = self.drawings[drawing].head();
        let at = self.random.percent(40).then(|| self.random.between(head.saturating_sub(10), head));
        self.tick(0);
        let sent = self.begin(client, drawing, Invoke { at, ..Invoke::asking(CallName::Snapshot) });
        let this = &self.drawings[drawing];
        let revision = at.unwrap_or(this.head());
        let hash = Some(this.picture(revision));
        let answer = Answered { revision: Some(revision), hash, ..self.placed(drawing, true) };
        self.end(sent, drawing, Ok(answer));
    }

    /// Something happens to one of the live readers.
    pub(super) fn listen(&mut self, drawing: usize) {
        let readers: Vec<usize> =
            (0..self.live.len()).filter(|&live| self.live[live].drawing == drawing).collect();
        let live = readers[self.random.index(readers.len())];
        if self.live[live].client == GUEST && !self.guests[drawing] {
            return;
        }
        self.now += micros(self.random.between(200, 900));
        if !self.live[live].is_following {
            return self.subscribe(live);
        }
        if self.is_behind_an_epoch(live) && !self.go_on(live) {
            return;
        }
        match self.random.between(0, 99) {
            0..=1 => self.lag(live),
            2..=3 => {
                self.frame(live, FrameType::Closed, |_| {});
                self.live[live].is_following = false;
            }
            _ => self.deliver(live),
        }
    }

    fn subscribe(&mut self, live: usize) {
        let position = self.live[live].position.clone();
        let (epoch, after) = position.clone().unzip();
        self.frame(live, FrameType::Subscribe, |frame| (frame.epoch, frame.after) = (epoch, after));
        self.now += micros(self.random.between(200, 900));
        let this = &self.drawings[self.live[live].drawing];
        let (head, epoch) = (this.head(), this.epoch.clone());
        let goes_on = position.as_ref().is_none_or(|(epoch, revision)| {
            let is_of_trunk =
                this.trunk.as_ref().is_some_and(|(before, base)| before == epoch && revision <= base);
            *revision <= head && (*epoch == this.epoch || is_of_trunk)
        });
        if !goes_on {
            return self.start_anew(live, "epoch_changed");
        }
        let revision = position.map_or(head, |(_, revision)| revision);
        self.tell(live, FrameType::Subscribed, revision);
        self.live[live].position = Some((epoch, revision));
        self.live[live].is_following = true;
    }

    fn is_behind_an_epoch(&self, live: usize) -> bool {
        let Live { position, drawing, .. } = &self.live[live];
        let this = &self.drawings[*drawing];
        // A room notices that its log has become shorter.
        position.as_ref().is_some_and(|(epoch, revision)| *epoch != this.epoch || *revision > this.head())
    }

    /// The reader is told of the new epoch: whether it goes on.
    fn go_on(&mut self, live: usize) -> bool {
        let this = &self.drawings[self.live[live].drawing];
        let (epoch, base) = (this.epoch.clone(), this.trunk.as_ref().map_or(0, |(_, base)| *base));
        let revision = self.live[live].position.as_ref().map_or(0, |(_, revision)| *revision);
        let is_new = self.live[live].position.as_ref().is_some_and(|(before, _)| *before != epoch);
        if !is_new || revision > base {
            self.start_anew(live, if is_new { "epoch_changed" } else { "revision_ahead" });
            return false;
        }
        self.tell(live, FrameType::Head, revision);
        self.live[live].position = Some((epoch, revision));
        true
    }

    /// The reader is reset, reads a picture, and will go on from there.
    fn start_anew(&mut self, live: usize, reason: &str) {
        let (client, drawing) = (self.live[live].client, self.live[live].drawing);
        let head = self.drawings[drawing].head();
        let reason = reason.to_owned();
        self.tell_because(live, FrameType::Reset, head, Some(reason));
        self.live[live].is_following = false;
        self.tick(0);
        let sent = self.begin(client, drawing, Invoke::asking(CallName::Snapshot));
        let this = &self.drawings[drawing];
        let (epoch, revision, hash) = (this.epoch.clone(), this.head(), this.picture(this.head()));
        let answer = Answered { revision: Some(revision), hash: Some(hash), ..self.placed(drawing, true) };
        self.end(sent, drawing, Ok(answer));
        self.live[live].position = Some((epoch, revision));
        self.tick(0);
    }

    /// The reader falls out of the ring, reads what it lacks, and subscribes again.
    fn lag(&mut self, live: usize) {
        let (client, drawing) = (self.live[live].client, self.live[live].drawing);
        let Some((_, after)) = self.live[live].position.clone() else { return };
        self.tell_because(live, FrameType::Reset, after, Some("lagged".to_owned()));
        self.live[live].is_following = false;
        self.tick(0);
        let epoch = Some(self.drawings[drawing].epoch.clone());
        let invoke = Invoke { after: Some(after), epoch: epoch.clone(), ..Invoke::asking(CallName::Page) };
        let sent = self.begin(client, drawing, invoke);
        let page = self.page(drawing, after, None);
        self.live[live].position = epoch.zip(page.to);
        self.end(sent, drawing, Ok(page));
        self.tick(0);
        self.subscribe(live);
    }

    fn deliver(&mut self, live: usize) {
        let Some((epoch, position)) = self.live[live].position.clone() else { return };
        let drawing = self.live[live].drawing;
        let head = self.drawings[drawing].head();
        if position == head {
            return self.tell(live, FrameType::Head, head);
        }
        let to = head.min(position + self.random.between(1, 12));
        let ops = self.drawings[drawing].seen(position, to);
        self.frame(live, FrameType::Ops, |frame| (frame.revision, frame.ops) = (Some(to), Some(ops)));
        self.live[live].position = Some((epoch, to));
    }

    /// The guest's readers get a little more, and then hear that they have no role any more.
    pub(super) fn dismiss(&mut self, drawing: usize) {
        for live in 0..self.live.len() {
            let Live { client, drawing: of, is_following, .. } = self.live[live];
            if client != GUEST || of != drawing || !is_following {
                continue;
            }
            self.now += micros(self.random.between(5_000, 800_000));
            if !self.is_behind_an_epoch(live) {
                self.deliver(live);
            }
            self.frame(live, FrameType::Role, |_| {});
            self.live[live].is_following = false;
            self.live[live].position = None;
        }
    }

    fn tell(&mut self, live: usize, kind: FrameType, revision: u64) {
        self.tell_because(live, kind, revision, None);
    }

    /// Tells a position, with the epoch and how it goes on.
    fn tell_because(&mut self, live: usize, kind: FrameType, revision: u64, reason: Option<String>) {
        let this = &self.drawings[self.live[live].drawing];
        let (previous_epoch, base) = this.trunk.clone().unzip();
        let epoch = Some(this.epoch.clone());
        self.frame(live, kind, |frame| {
            (frame.epoch, frame.previous_epoch, frame.base) = (epoch, previous_epoch, base);
            (frame.revision, frame.reason) = (Some(revision), reason);
        });
    }

    fn frame(&mut self, live: usize, kind: FrameType, fill: impl FnOnce(&mut Frame)) {
        self.now += 1_000;
        let Live { client, drawing, .. } = self.live[live];
        let who = &self.clients[client];
        let (t, id) = (self.now - who.start, self.drawings[drawing].id.clone());
        let mut frame = Frame::new(who.name.to_owned(), t, id, format!("{drawing}/{client}"), kind);
        fill(&mut frame);
        self.lines.push((self.now, Line::Live(frame)));
    }
}
