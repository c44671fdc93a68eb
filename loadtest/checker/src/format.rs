//! The lines of a history, as docs/history-format.md describes them.
//!
//! Owns names and shapes, for reading and for writing. It never judges.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ids::{Digest, OpId};

/// One line of a history.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line {
    /// A client, which writes lines, and the relation of its clock to those of others.
    Client(ClientLine),
    /// A request leaves.
    Invoke(Invoke),
    /// It was answered with a 2xx.
    Ok(Answered),
    /// It was refused: nothing of it has taken effect.
    Fail(Refused),
    /// Nobody knows what became of it.
    Info(Unanswered),
    /// A live reader asked for something, or was told it.
    Live(Frame),
    /// Somebody has computed a picture.
    Picture(PictureLine),
    /// There is a log of this epoch.
    Log(LogLine),
    /// An op of a log.
    Entry(EntryLine),
}

/// The name of the event, which has been read already when a line is.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(from = "serde::de::IgnoredAny")]
pub struct Tag;

impl From<serde::de::IgnoredAny> for Tag {
    fn from(_: serde::de::IgnoredAny) -> Self {
        Self
    }
}

/// Defines the struct of a line: fields that are `None` are not written, and fields that are not known are refused.
macro_rules! line {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* ? $($(#[$optional_doc:meta])* $optional:ident: $inner:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            $($(#[$optional_doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $optional: Option<$inner>,)*
            /// The name of the event.
            #[serde(skip_serializing, default, rename = "event")]
            pub tag: Tag,
        }

        impl $name {
            /// A line of which only what it always has is filled in.
            #[must_use]
            #[allow(clippy::too_many_arguments, reason = "as many as the format has")]
            pub fn new($($field: $type),*) -> Self {
                Self { $($field,)* $($optional: None,)* tag: Tag }
            }
        }
    };
}

line!(
    /// `client`: the first line of each client.
    ClientLine {
        /// Its name.
        client: String,
        /// The user whose token it has.
        user: String,
        ?
        /// The time to add to its clock for the clock that all share, in nanoseconds.
        offset: i64,
        /// The most by which that may be off, in either direction.
        error: i64,
    }
);

line!(
    /// `invoke`: a request leaves.
    Invoke {
        /// The client.
        client: String,
        /// Its clock, in nanoseconds.
        t: i64,
        /// The drawing.
        drawing: String,
        /// The number of the request, its own within the client.
        id: u64,
        /// The kind of request.
        call: CallName,
        ?
        /// `append`: the ops, in order.
        ops: Vec<SentOp>,
        /// `append`: only at this head.
        if_revision: u64,
        /// `undo` and `redo`: the id that the toggle is to have.
        op_id: OpId,
        /// `role`: whose.
        user: String,
        /// `role`: the new one; absent or null for none.
        role: Role,
        /// `page`: what the client has.
        after: u64,
        /// `page`: the last revision that it wants.
        until: u64,
        /// `snapshot`: the revision that it wants.
        at: u64,
        /// The epoch of that position.
        epoch: String,
    }
);

line!(
    /// `ok`: the answer to a request.
    Answered {
        /// The client.
        client: String,
        /// Its clock.
        t: i64,
        /// The drawing.
        drawing: String,
        /// The number of the request.
        id: u64,
        ?
        /// The epoch of the revisions in the answer.
        epoch: String,
        /// The epoch with which it goes on.
        previous_epoch: String,
        /// The revision up to which both epochs are one.
        base: u64,
        /// The head.
        latest_revision: u64,
        /// `append`, `undo`, `redo`: where the ops stand.
        results: Vec<Placed>,
        /// `undo`, `redo`: what was undone or redone.
        unit: OpId,
        /// `page`: the first revision.
        from: u64,
        /// `page`: the last revision.
        to: u64,
        /// `page`: nothing more is to be had now.
        complete: bool,
        /// `page`: the ops.
        ops: Vec<SeenOp>,
        /// `snapshot`: the revision of the picture.
        revision: u64,
        /// `snapshot`: the hash of the picture.
        hash: Digest,
    }
);

line!(
    /// `fail`: a refusal with a 4xx.
    Refused {
        /// The client.
        client: String,
        /// Its clock.
        t: i64,
        /// The drawing.
        drawing: String,
        /// The number of the request.
        id: u64,
        /// The status.
        status: u16,
        ?
        /// The code of the problem.
        code: String,
    }
);

line!(
    /// `info`: a time-out, a lost connection, a 5xx.
    Unanswered {
        /// The client.
        client: String,
        /// Its clock.
        t: i64,
        /// The drawing.
        drawing: String,
        /// The number of the request.
        id: u64,
        ?
        /// The trouble in words, for a person.
        reason: String,
    }
);

line!(
    /// `live`: what a reader says and is told.
    Frame {
        /// The client.
        client: String,
        /// Its clock.
        t: i64,
        /// The drawing.
        drawing: String,
        /// The name of the reader, its own within the client.
        reader: String,
        /// The kind of message.
        r#type: FrameType,
        ?
        /// `subscribe`: the position from which to go on.
        after: u64,
        /// The epoch of that position, or of the revision.
        epoch: String,
        /// The epoch with which it goes on.
        previous_epoch: String,
        /// The revision up to which both epochs are one.
        base: u64,
        /// The position that is told.
        revision: u64,
        /// `ops`: the ops.
        ops: Vec<SeenOp>,
        /// `role`: the role now; absent or null for none.
        role: Role,
        /// `reset` and `closed`: why.
        reason: String,
    }
);

line!(
    /// `picture`: the hash of a picture, as somebody has computed it.
    PictureLine {
        /// The drawing.
        drawing: String,
        /// The epoch of the revision.
        epoch: String,
        /// The revision.
        revision: u64,
        /// The hash of the rendered view.
        hash: Digest,
        /// The way in which it came about: `replay`, `snapshot`, `live`.
        via: String,
        /// The name of the reducer.
        reducer: String,
        ?
        /// The client.
        client: String,
        /// Its clock.
        t: i64,
        /// All objects that are seen.
        objects: Vec<String>,
    }
);

line!(
    /// `log`: an epoch of a drawing, and how it goes on from the one before.
    LogLine {
        /// The drawing.
        drawing: String,
        /// The epoch.
        epoch: String,
        ?
        /// The epoch with which it goes on; absent where the line was cut.
        previous_epoch: String,
        /// The revision up to which both epochs are one.
        base: u64,
        /// The head; absent if the log is not known.
        head: u64,
        /// True if nothing of the epoch before may be lost, as with a synchronous standby.
        lossless: bool,
    }
);

line!(
    /// `entry`: an op of a log.
    EntryLine {
        /// The drawing.
        drawing: String,
        /// The epoch.
        epoch: String,
        /// The revision.
        revision: u64,
        /// The id.
        op_id: OpId,
        /// The user, or the part of the server, that has written it.
        actor: String,
        ?
        /// The digest of the body.
        hash: Digest,
        /// The body itself.
        body: Value,
        /// The type, where there is no body.
        r#type: String,
        /// The unit, where there is no body.
        unit: OpId,
        /// The objects that are created or deleted, where there is no body.
        object_ids: Vec<String>,
        /// The floor of a fold, where there is no body.
        floor: u64,
    }
);

impl Invoke {
    /// A request, before it is known who asks, when, and for which drawing.
    #[must_use]
    pub fn asking(call: CallName) -> Self {
        Self::new(String::new(), 0, String::new(), 0, call)
    }
}

impl Answered {
    /// An answer with nothing in it, before it is known whose it is.
    #[must_use]
    pub fn blank() -> Self {
        Self::new(String::new(), 0, String::new(), 0)
    }
}

/// An op as it was sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentOp {
    /// The id.
    pub op_id: OpId,
    /// The digest of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Digest>,
    /// The body itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// An op as it was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenOp {
    /// The revision.
    pub revision: u64,
    /// The id.
    pub op_id: OpId,
    /// The digest of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<Digest>,
    /// The body itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// The place of an op in the log, as the answer to a commit tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placed {
    /// The id.
    pub op_id: OpId,
    /// The revision.
    pub revision: u64,
    /// True if it was in the log before.
    pub duplicate: bool,
}

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallName {
    /// The drawing is made; the user becomes its owner.
    Create,
    /// Somebody's role is set, or taken away.
    Role,
    /// Ops are committed.
    Append,
    /// The server picks a unit and undoes it.
    Undo,
    /// The server picks a unit and redoes it.
    Redo,
    /// A page of the log is read.
    Page,
    /// The picture is read.
    Snapshot,
}

/// The kinds of messages of a live reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FrameType {
    /// Said by the client: follow.
    Subscribe,
    /// The drawing is followed.
    Subscribed,
    /// Ops.
    Ops,
    /// The reader has everything up to here.
    Head,
    /// The drawing is followed no more.
    Reset,
    /// The user has this role now.
    Role,
    /// The connection has ended, by whomever.
    Closed,
}

/// The role of a user, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May read.
    Viewer,
    /// May write.
    Editor,
    /// May do everything.
    Owner,
}
