//! The errors of the service: one stable code for each decision a client can make.
//!
//! Owns the codes, their status and whether a retry may succeed. It never renders a response (the
//! `api` does) and never logs.

use std::{borrow::Cow, time::Duration};

use crate::{
    limits,
    model::{Epoch, Fault, Revision},
};

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $status:literal, $title:literal;)+) => {
        /// The kind of failure, in the form that clients act on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[doc = $doc])+ $variant,)+ }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The `code` of a problem body or of a socket `error`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The HTTP status that carries this code.
            #[must_use]
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// When a request is refused with it.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }

            /// A short summary that is the same for every occurrence.
            #[must_use]
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }
        }
    };
}

codes! {
    /// The body is no JSON or not as documented, or the path or the query string is not.
    InvalidRequest = "invalid_request", 400, "The request is malformed";
    /// The token or ticket is missing, damaged, expired or signed by an unknown key.
    Unauthenticated = "unauthenticated", 401, "A valid token is required";
    /// The caller's role does not allow this.
    Forbidden = "forbidden", 403, "The role does not allow this";
    /// An op names a unit that another actor began.
    UnitForbidden = "unit_forbidden", 403, "The undo unit belongs to another actor";
    /// An op is of a type that only the server writes: `fold`, `lesson.start` or `score.update`.
    ServerOnly = "server_only", 403, "Only the server writes this op";
    /// The caller has made as many drawings as a user may (`--drawings-per-user`).
    TooManyDrawings = "too_many_drawings", 403, "Too many drawings";
    /// There is no such thing, or the caller may not know of it.
    NotFound = "not_found", 404, "Not found";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405, "The method is not allowed here";
    /// No unit is left whose undoing could be seen.
    NothingToUndo = "nothing_to_undo", 409, "There is nothing to undo";
    /// No unit is left whose redoing could be seen.
    NothingToRedo = "nothing_to_redo", 409, "There is nothing to redo";
    /// The `op_id` is in the log already with another body.
    OpIdConflict = "op_id_conflict", 409, "The op_id was used for another op";
    /// `if_revision` is not the head, or lies on another log than `epoch` says.
    RevisionConflict = "revision_conflict", 409, "The drawing has moved on";
    /// The unit has been folded. `errors` names all ops of the request of which that is true.
    UnitClosed = "unit_closed", 409, "The undo unit is closed";
    /// The `drawing_id` is or was another drawing.
    DrawingIdTaken = "drawing_id_taken", 409, "The drawing_id is taken";
    /// The change would leave a drawing without an owner.
    LastOwner = "last_owner", 409, "A drawing needs an owner";
    /// The position belongs to another epoch, and is not known to lie on this log.
    EpochChanged = "epoch_changed", 410, "The epoch has changed";
    /// The position is ahead of the head.
    RevisionAhead = "revision_ahead", 410, "The position is ahead of the log";
    /// The body, an op, or the number of ops is over its limit.
    TooLarge = "too_large", 413, "Too large";
    /// The content type is not `application/json`.
    UnsupportedMediaType = "unsupported_media_type", 415, "Unsupported media type";
    /// `/v1/ws` speaks version 13 of the WebSocket protocol alone.
    UpgradeRequired = "upgrade_required", 426, "Another version of the protocol is needed";
    /// At least one op is invalid; nothing was committed.
    InvalidOp = "invalid_op", 422, "An op is invalid";
    /// A field has the right type and an unacceptable value.
    InvalidField = "invalid_field", 422, "A field is invalid";
    /// An op names a unit that is not in the log.
    UnknownUnit = "unknown_unit", 422, "The undo unit is unknown";
    /// The user writes, or posts presence, too fast; or all users of the drawing together write too fast.
    RateLimited = "rate_limited", 429, "Too many writes";
    /// The user has as many sockets, event streams and waiting long-polls on this node as they may; on a
    /// socket it is close code 4003.
    TooManyConnections = "too_many_connections", 429, "Too many connections";
    /// The server failed. The request may have taken effect.
    Internal = "internal", 500, "Internal error";
    /// An op is missing in the log, or cannot be read, until an operator has mended it. Ask again after half
    /// a minute, not sooner.
    LogDamaged = "log_damaged", 500, "The log is damaged";
    /// Too much is waiting to be written, too many sockets are opened at once, too many connections are
    /// present, too many canvases are asked for at once, or the node has no place for another connection.
    Overloaded = "overloaded", 503, "The server is overloaded";
    /// The database does not answer, or takes no writes.
    StoreUnavailable = "store_unavailable", 503, "The store is unavailable";
    /// The blob store does not answer, and the log is too long to do without.
    SnapshotsUnavailable = "snapshots_unavailable", 503, "Snapshots are unavailable";
    /// The issuer's keys cannot be read.
    IdentityUnavailable = "identity_unavailable", 503, "Tokens cannot be verified at present";
    /// The request was not answered in time. It may have taken effect.
    Timeout = "timeout", 503, "The request took too long";
    /// The node is stopping.
    Draining = "draining", 503, "The server is stopping";
    /// An op was sent over the socket.
    WriteOverRest = "write_over_rest", 400, "Ops are committed with POST";
    /// Presence was sent for a drawing that the socket does not follow.
    NotSubscribed = "not_subscribed", 400, "The socket does not follow the drawing";
    /// The socket follows as many drawings as it may.
    TooManySubscriptions = "too_many_subscriptions", 429, "Too many subscriptions";
}

impl ErrorCode {
    /// True of codes that no HTTP answer has.
    #[must_use]
    pub fn is_of_sockets_alone(self) -> bool {
        matches!(self, Self::WriteOverRest | Self::NotSubscribed | Self::TooManySubscriptions)
    }

    /// True if the same request may succeed later.
    #[must_use]
    pub fn retryable(self) -> bool {
        let is_lasting = matches!(self, Self::TooManySubscriptions | Self::LogDamaged);
        matches!(self.status(), 429 | 500 | 503) && !is_lasting
    }
}

/// A failed request, with all that its problem body will say.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {detail}", code.as_str())]
pub struct Error {
    /// Decides the status and what the client does.
    pub code: ErrorCode,
    /// The cause of this failure, for a person; never a payload, never a token.
    pub detail: Cow<'static, str>,
    /// The parts of the request at fault.
    pub faults: Vec<Fault>,
    /// The time to wait before a retry.
    pub retry_after: Option<Duration>,
    /// The epoch and head of the log, where they help the client to go on.
    pub head: Option<(Epoch, Revision)>,
}

impl Error {
    /// An error with its explanation.
    pub fn new(code: ErrorCode, detail: impl Into<Cow<'static, str>>) -> Self {
        let retry_after = (code.status() == 503).then_some(limits::RETRY_AFTER);
        Self { code, detail: detail.into(), faults: Vec::new(), retry_after, head: None }
    }

    /// The answer for what does not exist or may not be known of.
    #[must_use]
    pub fn not_found(what: &'static str) -> Self {
        Self::new(ErrorCode::NotFound, format!("{what} does not exist, or you have no role on it"))
    }

    /// The answer where the log of the drawing has a hole, or an op that cannot be read.
    #[must_use]
    pub fn log_damaged(revision: Revision) -> Self {
        let detail = format!("the log is damaged at revision {revision}; an operator has to mend it");
        Self::new(ErrorCode::LogDamaged, detail)
    }

    /// A field of the request body with an unacceptable value.
    pub fn field(pointer: &str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::new(ErrorCode::InvalidField, detail.clone()).with_fault(Fault::new(pointer, detail))
    }

    /// Names the part of the request at fault.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Says how long to wait before a retry.
    #[must_use]
    pub fn with_retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// Tells the client where the log stands.
    #[must_use]
    pub fn with_head(mut self, epoch: Epoch, revision: Revision) -> Self {
        self.head = Some((epoch, revision));
        self
    }
}

/// The result of everything a request may fail at.
pub type Result<T, E = Error> = std::result::Result<T, E>;
