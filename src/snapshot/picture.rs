//! The answer to who asks for a canvas: its view, its hash and its registers as JSON, made once and shared.

use std::{io::Write, sync::Arc};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use tokio::sync::OnceCell;

use crate::{
    limits,
    model::{Branch, Canvas, Revision, state_hash},
};

/// How much of a canvas is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The view and the registers: to go on from with ops.
    Whole,
    /// The view: to look at.
    ViewOnly,
}

/// A canvas at one revision, as it is told. What it is made of is shared by all who ask for it.
#[derive(Debug)]
pub struct Picture {
    /// The epoch of the revision, and how the log goes on from the one before.
    pub branch: Branch,
    /// The revision.
    pub revision: Revision,
    /// The rendered view in canonical JSON.
    pub view: Bytes,
    /// The SHA-256 of the view.
    pub state_hash: String,
    registers: Bytes,
    /// The gzipped JSON of each extent, once somebody has asked for it.
    gzipped: [OnceCell<Bytes>; 2],
}

impl Picture {
    /// Renders a canvas.
    #[must_use]
    pub fn new(branch: Branch, canvas: &Canvas) -> Self {
        let view = canvas.view();
        Self {
            branch,
            revision: canvas.revision(),
            state_hash: state_hash(&view),
            view: view.into(),
            registers: canvas.registers().into(),
            gzipped: Default::default(),
        }
    }

    /// About how many bytes of memory it takes.
    #[must_use]
    pub fn weight(&self) -> u64 {
        // JSON of this kind shrinks to less than half.
        let json = self.view.len() + self.registers.len();
        (size_of::<Self>() + json + json / 2) as u64
    }

    /// The JSON `{epoch, revision, state_hash, view, registers}`, with `previous_epoch` and `base` where there are any, in the parts it is made of.
    #[must_use]
    pub fn json(&self, extent: Extent) -> Vec<Bytes> {
        let Self { branch, revision, state_hash, .. } = self;
        let epoch = branch.json_fields();
        let head = format!(r#"{{{epoch},"revision":{revision},"state_hash":"{state_hash}","view":"#);
        let mut parts = vec![head.into(), self.view.clone()];
        if extent == Extent::Whole {
            parts.extend([Bytes::from_static(br#","registers":"#), self.registers.clone()]);
        }
        parts.push(Bytes::from_static(b"}"));
        parts
    }

    /// The same gzipped, made by the first who asks for it, for whom the others wait; `None` when the process ends.
    pub async fn gzip(self: &Arc<Self>, extent: Extent) -> Option<Bytes> {
        let make = || async {
            let this = self.clone();
            tokio::task::spawn_blocking(move || gzip(&this.json(extent))).await
        };
        self.gzipped[extent as usize].get_or_try_init(make).await.ok().cloned()
    }
}

fn gzip(parts: &[Bytes]) -> Bytes {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::new(limits::SNAPSHOT_GZIP_LEVEL));
    // A Vec takes every write.
    let written = parts.iter().try_for_each(|part| gzip.write_all(part));
    written.and_then(|()| gzip.finish()).map(Bytes::from).unwrap_or_default()
}
