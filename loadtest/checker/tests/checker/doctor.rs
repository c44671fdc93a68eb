//! Doctors histories: each function here and in the modules below puts one fault into a correct history.
//!
//! Owns the means: the history, a drawing of it whose failover has lost ops, and ways to let more happen after its end.

pub(crate) mod access;
pub(crate) mod commits;
pub(crate) mod live;
pub(crate) mod logs;
pub(crate) mod reads;
pub(crate) mod undo;

use revcast_checker::{
    format::{
        Answered, CallName, ClientLine, EntryLine, Frame, FrameType, Invoke, Line, LogLine, Placed, Refused,
        SeenOp, SentOp, Tag, Unanswered,
    },
    generate::{self, Plan},
    ids::{Digest, OpId},
};

/// Clients of the history whose clocks are known: the owner, an editor, another editor, and a viewer.
pub(crate) const ALICE: &str = "rust-1";
pub(crate) const BOB: &str = "rust-2";
pub(crate) const CAROL: &str = "rust-3";
pub(crate) const VIC: &str = "web-3";
/// One who has no role anywhere.
pub(crate) const MALLORY: &str = "web-4";

/// Time between two things that the doctor lets happen: far beyond the errors of all clocks.
const STEP: i64 = 100_000_000;

/// A history under the knife.
#[derive(Clone)]
pub(crate) struct Doctor {
    pub lines: Vec<Line>,
    /// A drawing whose failover has lost ops, both of whose logs are known.
    pub drawing: String,
    pub epoch: String,
    pub before: String,
    pub base: u64,
    /// The shared clock.
    now: i64,
    made: u128,
}

/// An op that the doctor has made.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    pub op_id: OpId,
    pub hash: Digest,
    pub kind: &'static str,
    pub unit: OpId,
    pub object: Option<String>,
}

/// The end of a request.
#[allow(clippy::large_enum_variant, reason = "there are few of them")]
pub(crate) enum Ending {
    Ok(Answered),
    Fail(u16),
    Info,
}

impl Doctor {
    pub(crate) fn new(seed: u64) -> Self {
        let fit = (seed * 1_000..).find_map(|seed| {
            let lines = generate::history(Plan { seed, events: 3_000, drawings: 4 });
            let log = lost_for_good(&lines)?.clone();
            Some((lines, log))
        });
        let (lines, log) = fit.expect("some failover loses something");
        let (before, base) = log.previous_epoch.zip(log.base).unwrap();
        let mut this =
            Self { lines, drawing: log.drawing, epoch: log.epoch, before, base, now: 0, made: 1 << 100 };
        let ends = this.lines.iter().filter_map(|line| {
            let (client, t) = stamp(line)?;
            this.offset(client).map(|offset| offset + t)
        });
        this.now = ends.max().unwrap() + 100 * STEP;
        this
    }

    // --- What there is ------------------------------------------------------------------------------

    pub(crate) fn log(&mut self) -> &mut LogLine {
        let (drawing, epoch) = (&self.drawing, &self.epoch);
        let log = self.lines.iter_mut().find_map(|line| match line {
            Line::Log(log) if log.drawing == *drawing && log.epoch == *epoch => Some(log),
            _ => None,
        });
        log.unwrap()
    }

    pub(crate) fn head(&mut self) -> u64 {
        self.log().head.unwrap()
    }

    /// The ops of the log in an epoch.
    pub(crate) fn entries(&self, epoch: &str) -> Vec<&EntryLine> {
        let mut found = Vec::new();
        for line in &self.lines {
            match line {
                Line::Entry(entry) if entry.drawing == self.drawing && entry.epoch == epoch => {
                    found.push(entry)
                }
                _ => {}
            }
        }
        found
    }

    /// Ops of the log in an epoch, as a reader sees them.
    pub(crate) fn seen(&self, epoch: &str, after: u64, to: u64) -> Vec<SeenOp> {
        let entries = self.entries(epoch);
        let wanted = entries.iter().filter(|entry| entry.revision > after && entry.revision <= to);
        wanted
            .map(|entry| SeenOp {
                revision: entry.revision,
                op_id: entry.op_id,
                hash: entry.hash,
                body: entry.body.clone(),
            })
            .collect()
    }

    fn offset(&self, client: &str) -> Option<i64> {
        self.lines.iter().find_map(|line| match line {
            Line::Client(ClientLine { client: name, offset, .. }) if name == client => *offset,
            _ => None,
        })
    }

    // --- What happens after -------------------------------------------------------------------------

    /// The time on a client's clock, a step later than before.
    pub(crate) fn tick(&mut self, client: &str) -> i64 {
        self.now += STEP;
        self.now - self.offset(client).expect("the clock of the client is known")
    }

    pub(crate) fn wait(&mut self, milliseconds: i64) {
        self.now += milliseconds * 1_000_000;
    }

    pub(crate) fn make(&mut self, kind: &'static str) -> Made {
        self.made += 1;
        let (op_id, hash) = (OpId(self.made), Digest::of(&self.made.to_be_bytes()));
        Made { op_id, hash, kind, unit: op_id, object: None }
    }

    /// The log goes on with an op.
    pub(crate) fn log_op(&mut self, actor: &str, op: &Made) -> u64 {
        let revision = self.head() + 1;
        self.log().head = Some(revision);
        self.log_op_as(actor, op, revision);
        revision
    }

    /// The log has an op at that revision, too, whatever its head is.
    pub(crate) fn log_op_as(&mut self, actor: &str, op: &Made, revision: u64) {
        let entry = EntryLine {
            drawing: self.drawing.clone(),
            epoch: self.epoch.clone(),
            revision,
            op_id: op.op_id,
            actor: actor.to_owned(),
            hash: Some(op.hash),
            body: None,
            r#type: Some(op.kind.to_owned()),
            unit: Some(op.unit),
            object_ids: op.object.clone().map(|object| vec![object]),
            floor: None,
            tag: Tag,
        };
        self.lines.push(Line::Entry(entry));
    }

    /// A request and its end.
    pub(crate) fn call(&mut self, client: &str, invoke: Invoke, ending: Ending) {
        self.made += 1;
        let id = u64::try_from(self.made - (1 << 100)).unwrap() + 1_000_000_000;
        let (name, drawing) = (client.to_owned(), self.drawing.clone());
        let t = self.tick(client);
        self.lines.push(Line::Invoke(Invoke {
            client: name.clone(),
            t,
            drawing: drawing.clone(),
            id,
            ..invoke
        }));
        let (client, t) = (name.clone(), self.tick(&name));
        self.lines.push(match ending {
            Ending::Ok(answer) => Line::Ok(Answered { client, t, drawing, id, ..answer }),
            Ending::Fail(status) => {
                Line::Fail(Refused { client, t, drawing, id, status, code: None, tag: Tag })
            }
            Ending::Info => Line::Info(Unanswered { client, t, drawing, id, reason: None, tag: Tag }),
        });
    }

    /// A request to commit ops.
    pub(crate) fn append(&mut self, client: &str, ops: &[&Made], ending: Ending) {
        let sent = ops.iter().map(|op| SentOp { op_id: op.op_id, hash: Some(op.hash), body: None });
        self.call(client, Invoke { ops: Some(sent.collect()), ..Invoke::asking(CallName::Append) }, ending);
    }

    /// The answer that ops stand at these revisions.
    pub(crate) fn placed(&mut self, ops: &[(OpId, u64, bool)]) -> Ending {
        let placed =
            |&(op_id, revision, duplicate): &(OpId, u64, bool)| Placed { op_id, revision, duplicate };
        let results: Vec<_> = ops.iter().map(placed).collect();
        let highest = results.iter().map(|placed| placed.revision).max().unwrap();
        let latest = self.head().max(highest);
        let answer = self.answer();
        Ending::Ok(Answered { latest_revision: Some(latest), results: Some(results), ..answer })
    }

    /// A commit of one op that is in the log and was acknowledged.
    pub(crate) fn commit(&mut self, client: &str, actor: &str, op: &Made) -> u64 {
        let revision = self.log_op(actor, op);
        let ending = self.placed(&[(op.op_id, revision, false)]);
        self.append(client, &[op], ending);
        revision
    }

    /// An answer in the present epoch, without its lineage.
    pub(crate) fn answer(&self) -> Answered {
        Answered { epoch: Some(self.epoch.clone()), ..Answered::blank() }
    }

    /// An answer in the present epoch that tells how it goes on.
    pub(crate) fn answer_with_lineage(&self) -> Answered {
        Answered { previous_epoch: Some(self.before.clone()), base: Some(self.base), ..self.answer() }
    }

    /// A page, as a faultless server would answer it.
    pub(crate) fn page(&mut self, after: u64, to: u64) -> Answered {
        let latest = self.head();
        Answered {
            latest_revision: Some(latest),
            from: Some(after + 1),
            to: Some(to),
            complete: Some(to == latest),
            ops: Some(self.seen(&self.epoch, after, to)),
            ..self.answer_with_lineage()
        }
    }

    /// A message of a reader that the doctor has made.
    pub(crate) fn frame(&mut self, client: &str, kind: FrameType, fill: impl FnOnce(&mut Frame)) {
        let (t, drawing) = (self.tick(client), self.drawing.clone());
        let mut frame = Frame::new(client.to_owned(), t, drawing, "made".to_owned(), kind);
        if matches!(kind, FrameType::Subscribed | FrameType::Head | FrameType::Reset) {
            frame.epoch = Some(self.epoch.clone());
            (frame.previous_epoch, frame.base) = (Some(self.before.clone()), Some(self.base));
        }
        fill(&mut frame);
        self.lines.push(Line::Live(frame));
    }

    /// A reader that follows the drawing from a revision on.
    pub(crate) fn follow(&mut self, client: &str, after: u64) {
        let epoch = Some(self.epoch.clone());
        self.frame(client, FrameType::Subscribe, |frame| (frame.after, frame.epoch) = (Some(after), epoch));
        self.frame(client, FrameType::Subscribed, |frame| frame.revision = Some(after));
    }

    /// The reader gets ops of the log.
    pub(crate) fn tell(&mut self, client: &str, after: u64, to: u64) {
        let ops = self.seen(&self.epoch, after, to);
        self.frame(client, FrameType::Ops, |frame| (frame.revision, frame.ops) = (Some(to), Some(ops)));
    }
}

/// The log of an epoch that goes on without an op which was never committed again, but with others.
fn lost_for_good(lines: &[Line]) -> Option<&LogLine> {
    let entries =
        || lines.iter().filter_map(|line| if let Line::Entry(entry) = line { Some(entry) } else { None });
    let is_fit = |log: &&LogLine| {
        let Some((before, base)) = log.previous_epoch.as_ref().zip(log.base) else { return false };
        let of_drawing = || entries().filter(|entry| entry.drawing == log.drawing);
        let lost = of_drawing().find(|entry| entry.epoch == *before && entry.revision == base + 1);
        let is_back = |lost: &EntryLine| {
            of_drawing().any(|entry| entry.epoch == log.epoch && entry.op_id == lost.op_id)
        };
        let was_acked = |lost: &EntryLine| {
            let told = Placed { op_id: lost.op_id, revision: lost.revision, duplicate: false };
            lines.iter().any(|line| {
                matches!(line, Line::Ok(answer) if answer.results.as_ref().is_some_and(|all| all.contains(&told)))
            })
        };
        log.head > Some(base + 2) && lost.is_some_and(|lost| !is_back(lost) && was_acked(lost))
    };
    lines.iter().filter_map(|line| if let Line::Log(log) = line { Some(log) } else { None }).find(is_fit)
}

fn stamp(line: &Line) -> Option<(&str, i64)> {
    match line {
        Line::Invoke(line) => Some((&line.client, line.t)),
        Line::Ok(line) => Some((&line.client, line.t)),
        Line::Fail(line) => Some((&line.client, line.t)),
        Line::Info(line) => Some((&line.client, line.t)),
        Line::Live(line) => Some((&line.client, line.t)),
        _ => None,
    }
}
