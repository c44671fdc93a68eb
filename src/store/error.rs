//! Why the store did not do what it was asked, and what that says of the connection and of the database.
//!
//! Owns the classes of errors, by SQLSTATE and by SQLite's codes, and the words for them that may be shown to anyone.

use sqlx::Error::{Database, Io, PoolClosed, PoolTimedOut, Protocol, Tls, WorkerCrashed};

use super::damage;
use crate::model::{DrawingId, Revision};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, did not answer in time, takes no writes, or asks to try again.
    #[error("the store is unavailable: {0}")]
    Unavailable(#[source] sqlx::Error),
    /// It refused the statement: a defect of ours or of the schema.
    #[error("the store failed: {0}")]
    Failed(#[source] sqlx::Error),
    /// It holds what this version cannot read.
    #[error("the store holds an unreadable {0}")]
    Corrupt(&'static str),
    /// The log of a drawing has a hole, or an op that cannot be read. It has been logged.
    #[error("the log of drawing {drawing_id} is damaged at revision {revision}")]
    Damaged {
        /// The drawing.
        drawing_id: DrawingId,
        /// The first op that is missing or cannot be read, as far as this read has looked.
        revision: Revision,
    },
    /// It is not fit for this server as it is set up; says what to set.
    #[error("{0}")]
    Unfit(String),
}

impl StoreError {
    /// Whoever meets damage says so: it is counted, and told in the log once a while for each drawing.
    pub(crate) fn damaged(drawing_id: DrawingId, revision: Revision) -> Self {
        damage::note(drawing_id, revision);
        Self::Damaged { drawing_id, revision }
    }

    /// Returns `true` if the log of one drawing is at fault, and not the store: it has been told, and trying
    /// again is no use.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// The store did not answer within the time that the caller gives it.
    #[must_use]
    pub fn timed_out() -> Self {
        Self::Unavailable(silence())
    }

    /// The node is stopping.
    #[must_use]
    pub fn stopped() -> Self {
        Self::Unavailable(PoolClosed)
    }

    /// Returns `true` if the inserted row is there already.
    #[must_use]
    pub fn is_repeated(&self) -> bool {
        matches!(self, Self::Failed(Database(error)) if error.is_unique_violation())
    }

    /// Returns `true` if the same call may succeed later without anybody mending anything in the data.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Returns `true` if the store did not even say what is wrong.
    pub(super) fn is_silence(&self) -> bool {
        matches!(self, Self::Unavailable(Io(error)) if error.kind() == std::io::ErrorKind::TimedOut)
    }

    /// Returns `true` if the disk of the database is full or fails, as far as the database says so.
    pub(super) fn is_of_the_disk(&self) -> bool {
        match self {
            Self::Unavailable(Database(error)) => Code::of(&**error).is_of_the_disk(),
            Self::Unavailable(Io(error)) => error.kind() == std::io::ErrorKind::StorageFull,
            _ => false,
        }
    }

    /// Returns `true` if somebody has to change the address, the password or the like.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Unavailable(Database(error)) = self else { return false };
        let code = Code::of(&**error);
        code.state().starts_with("28") || code.state() == "3D000"
    }

    /// The same error for another who waited for the same answer; the cause stays with the first.
    #[must_use]
    pub fn again(&self) -> Self {
        match self {
            Self::Unavailable(_) => Self::Unavailable(Protocol(self.to_string())),
            Self::Failed(_) => Self::Failed(Protocol(self.to_string())),
            Self::Corrupt(what) => Self::Corrupt(what),
            Self::Damaged { drawing_id, revision } => {
                Self::Damaged { drawing_id: *drawing_id, revision: *revision }
            }
            Self::Unfit(what) => Self::Unfit(what.clone()),
        }
    }

    /// The reason why the store cannot write, for anyone to read: no addresses, no names.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(error) | Self::Failed(error) => reason(error),
            Self::Corrupt(_) | Self::Damaged { .. } => "the database holds what this version cannot read",
            Self::Unfit(_) => "the database is not set up for this server",
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let is_passing = match &error {
            Database(database) => Code::of(&**database).is_passing(),
            Io(_) | Tls(_) | PoolTimedOut | PoolClosed | WorkerCrashed | Protocol(_) => true,
            _ => false,
        };
        if is_passing { Self::Unavailable(error) } else { Self::Failed(error) }
    }
}

/// The error of a database that does not answer in time.
pub(super) fn silence() -> sqlx::Error {
    Io(std::io::ErrorKind::TimedOut.into())
}

/// An error's word on the connection on which it was met, and on the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is wrong with either.
    Good,
    /// Too many wanted the same at once.
    Contended,
    /// The connection is good, but the database does not do its work.
    Outage,
    /// So it is, for want of room: a small write may succeed where a larger one does not.
    NoRoom,
    /// The database only reads, or the connection leads to one that does.
    ReadOnly,
    /// The connection is in a state that nobody knows, and others may be in the same.
    Broken,
}

impl Verdict {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        match error {
            Io(_) | Tls(_) | Protocol(_) | WorkerCrashed => Self::Broken,
            PoolTimedOut => Self::Outage,
            Database(database) => match Code::of(&**database) {
                code if code.is_contention() => Self::Contended,
                code if code.is_read_only() => Self::ReadOnly,
                code if code.lacks_room() => Self::NoRoom,
                code if code.breaks_the_session() => Self::Broken,
                code if code.is_passing() => Self::Outage,
                _ => Self::Good,
            },
            _ => Self::Good,
        }
    }
}

/// The code of an error, as the database gives it.
enum Code {
    /// An SQLSTATE of Postgres (its documentation, appendix A).
    State(String),
    /// A primary result code of SQLite (sqlite.org/rescode.html).
    Result(u32),
}

impl Code {
    fn of(error: &dyn sqlx::error::DatabaseError) -> Self {
        let code = error.code().unwrap_or_default();
        match error.try_downcast_ref::<sqlx::sqlite::SqliteError>() {
            // Extended codes bear the primary one in their low byte.
            Some(_) => Self::Result(code.parse::<u32>().unwrap_or_default() & 0xff),
            None => Self::State(code.into_owned()),
        }
    }

    fn state(&self) -> &str {
        match self {
            Self::State(state) => state,
            Self::Result(_) => "",
        }
    }

    fn is_result(&self, results: &[u32]) -> bool {
        matches!(self, Self::Result(result) if results.contains(result))
    }

    /// Postgres: serialization failures and deadlocks (40), a lock not to be had (55P03), a statement that took too
    /// long (57014). SQLite: BUSY and LOCKED.
    fn is_contention(&self) -> bool {
        self.state().starts_with("40") || matches!(self.state(), "55P03" | "57014") || self.is_result(&[5, 6])
    }

    /// Postgres: `read_only_sql_transaction`, as after a failover. SQLite: READONLY.
    fn is_read_only(&self) -> bool {
        self.state() == "25006" || self.is_result(&[8])
    }

    /// Postgres: `disk_full`. SQLite: FULL.
    fn is_full(&self) -> bool {
        self.state() == "53100" || self.is_result(&[13])
    }

    /// Besides: a disk that fails (58030).
    fn lacks_room(&self) -> bool {
        self.is_full() || self.state() == "58030"
    }

    /// Besides, in SQLite: IOERR, with which it answers as well where a full disk keeps it from making its files longer.
    fn is_of_the_disk(&self) -> bool {
        self.lacks_room() || self.is_result(&[10])
    }

    /// Postgres: connection exceptions (08), a server that stops or starts (57P), sessions that are ended for idling in a
    /// transaction or for its length (25P03, 25P04), a transaction that is aborted (25P02), and statements that the
    /// session is thought to have and has not, or has and is not thought to (26000, 42P05): a pooler stands between.
    /// SQLite: NOMEM, IOERR, CORRUPT, CANTOPEN, PROTOCOL and NOTADB, after which it may have rolled back.
    fn breaks_the_session(&self) -> bool {
        ["08", "57P"].iter().any(|class| self.state().starts_with(class))
            || matches!(self.state(), "25P02" | "25P03" | "25P04" | "26000" | "42P05")
            || self.is_result(&[7, 10, 11, 14, 15, 26])
    }

    /// Besides those above: lacks of resources (53), errors of the system (58), no more transaction ids (54000), and
    /// what an administrator has taken away and may give back: the login (28), the database (3D000), rights (42501).
    /// A damaged file does not pass.
    fn is_passing(&self) -> bool {
        self.is_contention()
            || self.is_read_only()
            || self.lacks_room()
            || (self.breaks_the_session() && !self.is_result(&[11, 26]))
            || ["53", "58", "28"].iter().any(|class| self.state().starts_with(class))
            || matches!(self.state(), "54000" | "3D000" | "42501")
    }
}

fn reason(error: &sqlx::Error) -> &'static str {
    match error {
        Io(error) if error.kind() == std::io::ErrorKind::TimedOut => "the database does not answer in time",
        Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            "the database refuses connections"
        }
        Io(error) if error.kind() == std::io::ErrorKind::ReadOnlyFilesystem => "the database is read-only",
        Io(_) | Protocol(_) | WorkerCrashed => "the connection to the database is broken",
        Tls(_) => "the TLS handshake with the database fails",
        PoolTimedOut => "no connection to the database can be had in time",
        PoolClosed => "the server is stopping",
        Database(database) => match Code::of(&**database) {
            code if code.is_read_only() => "the database is read-only",
            code if code.is_full() => "the disk of the database is full",
            code if code.state() == "53300" => "the database has too many connections",
            code if code.state().starts_with("57P") => "the database is starting or stopping",
            code if code.state().starts_with("28") => "the database does not let this server in",
            code if code.state() == "3D000" => "the database does not exist",
            code if code.state() == "42501" => {
                "the role or the files of the database may not be written with"
            }
            code if code.is_contention() => "the database is too busy",
            code if code.is_result(&[10, 14]) || code.state() == "58030" => "the disk of the database fails",
            code if code.is_result(&[11, 26]) => "the database file is damaged",
            _ => "the database refuses to write",
        },
        _ => "the database cannot be used",
    }
}
