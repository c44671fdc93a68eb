//! `revcast import`: makes a drawing of the log of another server.
//!
//! Owns the way of a log into the store; `log.rs` has the checks that it passes before. Actors and times stay
//! as they were. Nobody sees the drawing until it is whole.

mod log;

use tokio::io::AsyncBufRead;

use crate::{
    clock::now_ms,
    limits,
    model::{DrawingId, Revision, Title, UserId},
    store::{CreateOutcome, Imports, StoreError},
};

pub use log::LogReader;

/// Ops that an import writes in one transaction.
const IMPORT_OPS: usize = 1_000;
/// Bytes of op bodies at which such a transaction is full: it ends long before `STATEMENT_TIMEOUT`.
const IMPORT_BYTES: usize = 4 << 20;

/// A log to import.
#[derive(Clone, Debug)]
pub struct Import {
    /// The id of the new drawing.
    pub drawing_id: DrawingId,
    /// Its title.
    pub title: Title,
    /// Its first owner.
    pub owner: UserId,
}

/// Why a log was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The id belongs to another drawing.
    #[error("the drawing id is taken")]
    Taken,
    /// The log is not one; with the number of the line, from 1.
    #[error("line {0}: {1}")]
    Line(u64, String),
    /// An op stands in it twice; with the first and the last line of those among which the second is.
    #[error("an op_id of lines {0} to {1} stands in the log twice")]
    Repeated(u64, u64),
    /// It could not be read.
    #[error("the log cannot be read: {0}")]
    Read(#[from] std::io::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store does not take what follows on what is there.
    #[error("the ops do not follow those that are there; is another log imported under the same id?")]
    Refused,
}

impl Import {
    /// Imports the ops in `log`, one committed op a line in the order of their revisions; returns the head. If
    /// the import fails, its ops are removed again; after a crash the same import goes on where it was.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub async fn run(
        &self,
        store: &dyn Imports,
        log: impl AsyncBufRead + Unpin,
    ) -> Result<Revision, ImportError> {
        let begun = store.begin_import(self.drawing_id, self.title.as_str(), &self.owner, now_ms()).await?;
        if begun == CreateOutcome::Taken {
            return Err(ImportError::Taken);
        }
        let outcome = self.copy(store, log).await;
        if outcome.is_err()
            && let Err(error) = self.remove(store).await
        {
            tracing::warn!(%error, "what was written could not be removed; a worker does it later");
        }
        outcome
    }

    async fn remove(&self, store: &dyn Imports) -> Result<(), StoreError> {
        while !store.abort_import(self.drawing_id, limits::PURGE_OPS).await? {}
        Ok(())
    }

    async fn copy(
        &self,
        store: &dyn Imports,
        log: impl AsyncBufRead + Unpin,
    ) -> Result<Revision, ImportError> {
        let mut log = LogReader::new(log);
        let (mut ops, mut bytes, mut first) = (Vec::new(), 0, 1);
        loop {
            let op = log.next().await?;
            let is_last = op.is_none();
            if let Some(op) = op {
                bytes += op.op.body.len();
                ops.push(op);
            }
            let is_full = ops.len() >= IMPORT_OPS || bytes >= IMPORT_BYTES;
            if is_full || (is_last && !ops.is_empty()) {
                match store.import_ops(self.drawing_id, &ops).await {
                    Ok(true) => (),
                    Ok(false) => return Err(ImportError::Refused),
                    Err(error) if error.is_repeated() => {
                        return Err(ImportError::Repeated(first, log.lines()));
                    }
                    Err(error) => return Err(error.into()),
                }
                ops.clear();
                (bytes, first) = (0, log.lines() + 1);
            }
            if is_last {
                break;
            }
        }
        if !store.finish_import(self.drawing_id, &self.owner, log.so_far()).await? {
            return Err(ImportError::Refused);
        }
        Ok(log.so_far().head)
    }
}
