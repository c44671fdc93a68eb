//! The registers of a canvas as JSON: what a snapshot holds, from which a reader goes on with the ops after it.
//!
//! A register is a chain of writes, ascending by revision, each `[revision, unit, value]`: `unit` is `null` for the
//! folded write; a write without a value (an unset, a clear, an end) has no third member. `format` says how they are to be
//! read, and `floor` up to where the units are closed.

mod read;
mod write;

/// The format of the registers here; no view can be computed of a canvas in another one.
pub const REGISTERS_FORMAT: u64 = 2;

/// The reasons why registers cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRegisters {
    /// They are not the JSON they should be.
    #[error("the registers are malformed: {0}")]
    Json(#[from] serde_json::Error),
    /// They are of a format that this version does not know.
    #[error("the registers have the format {0}, and this version reads {REGISTERS_FORMAT}")]
    Format(u64),
    /// A write names a unit that is not among the open ones, writes do not ascend, or the like: no log leaves
    /// such registers.
    #[error("the registers contradict themselves")]
    Contradiction,
}
