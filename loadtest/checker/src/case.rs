//! One drawing before its judges: what was recorded, what is true, and what several checks want to know of each op.

use std::collections::HashMap;

use crate::{
    clock::{Clocks, Place},
    history::{Call, EpochId, History, Outcome, Position, Request},
    ids::{Digest, OpId},
    judge::Options,
    roles::Roles,
    truth::Truth,
};

/// A drawing, and everything that checks share.
#[derive(Debug)]
pub(crate) struct Case<'a> {
    /// The history that was recorded.
    pub(crate) history: &'a History,
    /// The logs, and where positions lie on them.
    pub(crate) truth: Truth<'a>,
    /// The clocks, which say when things happened.
    pub(crate) clocks: &'a Clocks,
    /// The roles of users, as they change.
    pub(crate) roles: Roles,
    /// The settings that the user of the checker has made.
    pub(crate) options: Options,
    /// The attempts to commit each op, and what came of them.
    pub(crate) ops: HashMap<OpId, Vec<Attempt>>,
}

/// One attempt at one op.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// The index of the request.
    pub(crate) call: usize,
    /// The body that was sent; that of a toggle is made by the server.
    pub(crate) digest: Option<Digest>,
    /// The answer: where the op stands, and whether it was there before.
    pub(crate) answer: Option<(Position, bool)>,
}

impl<'a> Case<'a> {
    /// Prepares a drawing.
    #[must_use]
    pub(crate) fn new(history: &'a History, clocks: &'a Clocks, options: Options) -> Self {
        let mut this = Self {
            history,
            truth: Truth::new(history),
            clocks,
            roles: Roles::new(history),
            options,
            ops: HashMap::new(),
        };
        for (number, call) in history.calls.iter().enumerate() {
            this.gather(number, call);
        }
        this
    }

    fn gather(&mut self, number: usize, call: &Call) {
        let answered = match &call.outcome {
            Outcome::Committed { epoch, results, .. } => Some((*epoch, results)),
            _ => None,
        };
        let answer = |op_id: OpId, index: usize| {
            let (epoch, results) = answered?;
            let placed = results.get(index).filter(|placed| placed.op_id == op_id)?;
            Some((Position { epoch, revision: placed.revision }, placed.duplicate))
        };
        for (index, sent) in call.ops().iter().enumerate() {
            let attempt =
                Attempt { call: number, digest: Some(sent.digest), answer: answer(sent.op_id, index) };
            self.ops.entry(sent.op_id).or_default().push(attempt);
        }
        if let Request::Toggle { op_id, .. } = &call.request {
            let told = answered.and_then(|(_, results)| results.first()).map(|placed| placed.op_id);
            if let Some(op_id) = told.or(*op_id) {
                let attempt = Attempt { call: number, digest: None, answer: answer(op_id, 0) };
                self.ops.entry(op_id).or_default().push(attempt);
            }
        }
    }

    /// The attempts at an op.
    #[must_use]
    pub(crate) fn attempts(&self, op_id: OpId) -> &[Attempt] {
        self.ops.get(&op_id).map_or(&[], Vec::as_slice)
    }

    /// The request of an attempt.
    #[must_use]
    pub(crate) fn call(&self, attempt: &Attempt) -> &'a Call {
        &self.history.calls[attempt.call]
    }

    /// Requests that were answered with ops in the log: with the index, where that was said, the epoch and the places.
    pub(crate) fn commits(
        &self,
    ) -> impl Iterator<Item = (&'a Call, Place, EpochId, &'a [crate::format::Placed])> {
        self.history.calls.iter().filter_map(|call| match &call.outcome {
            Outcome::Committed { epoch, results, .. } => {
                Some((call, call.ended?, *epoch, results.as_slice()))
            }
            _ => None,
        })
    }

    /// A position in words.
    #[must_use]
    pub(crate) fn show(&self, position: Position) -> String {
        format!("revision {} of epoch {}", position.revision, self.epoch(position.epoch))
    }

    /// The name of an epoch.
    #[must_use]
    pub(crate) fn epoch(&self, epoch: EpochId) -> &'a str {
        &self.history.epochs[usize::from(epoch)]
    }

    /// The name of a user.
    #[must_use]
    pub(crate) fn user(&self, user: u32) -> &'a str {
        &self.history.users[user as usize]
    }
}
