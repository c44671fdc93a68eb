//! The checks, one rule each: pure functions from a case to what is wrong with it.
//!
//! Owns their list. A check examines what it can tell for certain, and says nothing about the rest.

mod acks;
mod fresh;
mod lineage;
mod live;
mod log;
mod order;
mod pages;
mod pictures;
mod positions;
mod refusals;
mod requests;
mod roles;
mod undo;

use crate::{case::Case, finding::Outcome};

/// One rule, and the function that holds a drawing against it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check {
    /// Its name, as findings bear it.
    pub(crate) name: &'static str,
    /// The rule.
    pub(crate) rule: &'static str,
    /// The function.
    pub(crate) run: fn(&Case<'_>, &mut Outcome),
}

macro_rules! checks {
    ($($name:literal $run:path: $rule:literal,)*) => {
        /// All checks, in the order in which they are reported.
        pub(crate) const CHECKS: &[Check] = &[$(Check { name: $name, rule: $rule, run: $run },)*];
    };
}

checks! {
    "log_contiguous" log::contiguous: "the revisions of a log are 1, 2, 3 … up to its head",
    "log_unique" log::unique: "an op id stands in a log once",
    "log_sourced" requests::sourced: "what a recorded user has in the log was sent by a client of theirs",
    "lineage_agrees" lineage::agrees: "everybody is told the same of how an epoch goes on",
    "lineage_equal" lineage::equal: "an epoch equals the one that it goes on with, up to the base",
    "epoch_known" lineage::known: "every epoch that is told has a place in the history",
    "ack_kept" acks::kept: "an acknowledged op is in the log at its revision",
    "first_revision" acks::first: "an op that is sent again has its first revision, and was committed once",
    "conflict_refused" refusals::conflicts: "another body under the id of an op is never accepted",
    "refusal_kept" refusals::kept: "what was refused is not in the log",
    "request_whole" requests::whole: "a request commits whole or not at all",
    "real_time_order" order::real_time: "what was acknowledged before an op was sent has a lower revision",
    "page_whole" pages::whole: "a page has all ops from where it begins to where it ends",
    "page_equals_log" pages::equal: "a page has the ops of the log of its epoch",
    "read_your_writes" fresh::reads: "a read reaches what was acknowledged, or read, before it began",
    "position_refused" positions::refused: "a position that is not known to lie on the log is not served",
    "live_order" live::order: "a live reader gets each revision once, in order, or is reset",
    "live_equals_log" live::equal: "a live reader gets the ops of the log of its epoch",
    "live_epoch" live::epoch: "a live reader goes on in a new epoch only up to its base",
    "role_required" roles::required: "nobody reads or writes without a role",
    "role_revoked" roles::revoked: "a revoked role stops live delivery within the grace",
    "undo_exact" undo::exact: "an undo names an open unit of the log, and toggles what it answers",
    "undo_once" undo::once: "the undo that the server picks changes its unit",
    "undo_whole" undo::whole: "a picture shows all objects of live units, and none of undone ones",
    "picture_equal" pictures::equal: "everybody has the same picture at the same position",
}
