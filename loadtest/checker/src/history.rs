//! The history of one drawing, in the terms in which it is judged.
//!
//! Owns the types. `assemble` makes them of lines.

use crate::{
    clock::Place,
    format::{CallName, FrameType, Role},
    ids::{Digest, OpId},
};

/// The number of an epoch within a drawing.
pub(crate) type EpochId = u16;

/// A position: a revision of the log of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Position {
    /// The epoch.
    pub(crate) epoch: EpochId,
    /// The revision.
    pub(crate) revision: u64,
}

/// Everything that was recorded about one drawing.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The names of its epochs, by number.
    pub(crate) epochs: Vec<String>,
    /// The users that are named, by number; those of clients come first, in the order of clients.
    pub(crate) users: Vec<String>,
    /// Requests, in the order of files and lines.
    pub(crate) calls: Vec<Call>,
    /// Live readers.
    pub(crate) readers: Vec<Reader>,
    /// Logs.
    pub(crate) logs: Vec<Log>,
    /// Epochs that somebody has said something of, and what.
    pub(crate) said: Vec<Said>,
    /// Hashes of pictures, those of snapshots among them.
    pub(crate) pictures: Vec<Picture>,
}

/// A request, and what came of it.
#[derive(Debug)]
pub(crate) struct Call {
    /// The place where it was sent.
    pub(crate) sent: Place,
    /// The place where it ended; `None` if it never did.
    pub(crate) ended: Option<Place>,
    /// The user who sent it.
    pub(crate) user: u32,
    /// The request itself.
    pub(crate) request: Request,
    /// Its outcome.
    pub(crate) outcome: Outcome,
}

/// The content of a request.
#[derive(Debug)]
pub(crate) enum Request {
    /// The drawing is made.
    Create,
    /// A user's role is set.
    Role {
        /// The user.
        user: u32,
        /// The new one.
        role: Option<Role>,
    },
    /// Ops are committed.
    Append(Vec<Sent>),
    /// The server picks a unit and toggles it.
    Toggle {
        /// Undone, not redone.
        undoes: bool,
        /// The id of the op, if the client has chosen it.
        op_id: Option<OpId>,
    },
    /// A page is read.
    Page(Asked),
    /// The picture is read.
    Snapshot(Asked),
}

/// The position that a reader names.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// The epoch.
    pub(crate) epoch: Option<EpochId>,
    /// `after`, or `at` of a snapshot.
    pub(crate) revision: Option<u64>,
    /// `until` of a page.
    pub(crate) until: Option<u64>,
}

/// An op that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// The id.
    pub(crate) op_id: OpId,
    /// The digest of the body.
    pub(crate) digest: Digest,
}

/// The outcome of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A 2xx without anything in it that is judged.
    Done,
    /// Ops were committed, or were in the log before.
    Committed {
        /// The epoch of the revisions.
        epoch: EpochId,
        /// The head then.
        latest: u64,
        /// The places of the ops in the log.
        results: Vec<crate::format::Placed>,
        /// The unit that was toggled.
        unit: Option<OpId>,
    },
    /// A page.
    Page {
        /// The epoch.
        epoch: EpochId,
        /// The epoch before, and up to where both are one.
        trunk: Option<Trunk>,
        /// The first revision.
        from: u64,
        /// The last one.
        to: u64,
        /// The head.
        latest: u64,
        /// True if nothing more is to be had.
        complete: bool,
        /// The ops.
        ops: Vec<Seen>,
    },
    /// A picture.
    Snapshot {
        /// The position that it shows.
        position: Position,
        /// The epoch before, and up to where both are one.
        trunk: Option<Trunk>,
    },
    /// A 4xx: nothing has happened.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// The epoch before, and the revision up to which the logs of both are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trunk {
    /// The epoch before.
    pub(crate) epoch: EpochId,
    /// The revision up to which both epochs are one.
    pub(crate) base: u64,
}

/// An op that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The revision.
    pub(crate) revision: u64,
    /// The id.
    pub(crate) op_id: OpId,
    /// The digest of the body.
    pub(crate) digest: Digest,
}

/// A live reader: what it said and was told, in order.
#[derive(Debug)]
pub(crate) struct Reader {
    /// Its name.
    pub(crate) name: String,
    /// The user who reads.
    pub(crate) user: u32,
    /// The messages.
    pub(crate) frames: Vec<Message>,
}

/// One message of a live reader.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its place in the history.
    pub(crate) at: Place,
    /// Its type.
    pub(crate) kind: FrameType,
    /// The epoch, where it names one.
    pub(crate) epoch: Option<EpochId>,
    /// The lineage, where it tells one.
    pub(crate) trunk: Option<Trunk>,
    /// `after` or `revision`, where it names one.
    pub(crate) revision: Option<u64>,
    /// `role`: the role now.
    pub(crate) role: Option<Role>,
    /// `ops`: the ops.
    pub(crate) ops: Vec<Seen>,
}

/// A log that was recorded, or the word that there is an epoch.
#[derive(Debug)]
pub(crate) struct Log {
    /// The place in the history that says so.
    pub(crate) at: Place,
    /// The epoch.
    pub(crate) epoch: EpochId,
    /// The head; `None` if the log is not known.
    pub(crate) head: Option<u64>,
    /// True if nothing of the epoch before may be lost.
    pub(crate) lossless: bool,
    /// The ops, in the order of lines.
    pub(crate) entries: Vec<Entry>,
}

/// An op of a log.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its place in the history.
    pub(crate) at: Place,
    /// The revision.
    pub(crate) revision: u64,
    /// The id.
    pub(crate) op_id: OpId,
    /// The digest of the body.
    pub(crate) digest: Digest,
    /// The user who has written it.
    pub(crate) actor: u32,
    /// The unit that it joins, begins or toggles.
    pub(crate) unit: OpId,
    /// Its effect, as far as that is judged.
    pub(crate) kind: EntryKind,
}

/// The effect of an op, as far as that is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// It undoes its unit.
    Undo,
    /// It redoes its unit.
    Redo,
    /// It closes units up to the floor.
    Fold(u64),
    /// It creates an object.
    Create(Box<str>),
    /// It deletes objects.
    Delete(Box<[String]>),
    /// It hides what was created before.
    Clear,
    /// Anything else.
    Other,
}

/// A statement about an epoch: that it is there, and how it goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    /// The place in the history.
    pub(crate) at: Place,
    /// The epoch.
    pub(crate) epoch: EpochId,
    /// The epoch before, if it was told.
    pub(crate) trunk: Option<Trunk>,
    /// True if the place is one that bears the lineage wherever there is one.
    pub(crate) tells: bool,
}

/// A picture that somebody has computed.
#[derive(Debug)]
pub(crate) struct Picture {
    /// The place in the history that says so.
    pub(crate) at: Place,
    /// The position that it shows.
    pub(crate) position: Position,
    /// Its hash.
    pub(crate) hash: Digest,
    /// The name of whoever has computed it, and the way in which they did, for a person.
    pub(crate) by: String,
    /// All objects that are seen, if that was recorded.
    pub(crate) objects: Option<Vec<String>>,
}

impl Request {
    /// The name that it has in a history.
    #[must_use]
    pub(crate) fn name(&self) -> CallName {
        match self {
            Self::Create => CallName::Create,
            Self::Role { .. } => CallName::Role,
            Self::Append(_) => CallName::Append,
            Self::Toggle { undoes: true, .. } => CallName::Undo,
            Self::Toggle { undoes: false, .. } => CallName::Redo,
            Self::Page(_) => CallName::Page,
            Self::Snapshot(_) => CallName::Snapshot,
        }
    }
}

impl Call {
    /// The ops that it wants to commit; none of other requests.
    #[must_use]
    pub(crate) fn ops(&self) -> &[Sent] {
        match &self.request {
            Request::Append(ops) => ops,
            _ => &[],
        }
    }

    /// True if it may have committed something.
    #[must_use]
    pub(crate) fn may_have_committed(&self) -> bool {
        !matches!(self.outcome, Outcome::Refused)
    }
}
