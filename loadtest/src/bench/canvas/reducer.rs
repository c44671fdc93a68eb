//! From ops to a canvas, on one core.

use serde::{Deserialize, Serialize};

use super::log::{self, Fate};
use crate::{
    bench::{
        report::{Report, verdict},
        rows::Cluster,
    },
    pen,
    services::TempFolder,
    swarm::as_f64,
};

/// Ops in the log: it is folded some seventy times.
const OPS: usize = 300_000;
/// One of so many strokes is undone, and another one deleted.
const TAKEN_BACK: usize = 20;
/// Promised of ops that have been read, each second.
const OPS_A_SECOND: f64 = 1e6;

/// The figures that the process `reducer` reports; times are medians.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Figures {
    /// Ops in the log.
    pub ops: u64,
    /// Objects that are seen in the end.
    pub objects: u64,
    /// Points that they have.
    pub points: u64,
    /// The memory by which the process has grown when the canvas is there, in KiB.
    pub rss_kib: u64,
    /// The weight of the canvas by its own account, in bytes.
    pub weight: u64,
    /// The time to apply all ops, once they have been read.
    pub apply_seconds: f64,
    /// The time to read all ops from their JSON and apply them.
    pub read_apply_seconds: f64,
    /// The time to render the view and hash it.
    pub view_seconds: f64,
    /// Size of the view.
    pub view_bytes: u64,
    /// The time to write the registers.
    pub registers_seconds: f64,
    /// Size of the registers.
    pub registers_bytes: u64,
    /// The time to read them.
    pub from_registers_seconds: f64,
}

impl Cluster<'_> {
    pub(super) fn reducer(&self, report: &mut Report) -> anyhow::Result<()> {
        let folder = TempFolder::new("reducer")?;
        let file = folder.path().join("log");
        let (strokes, source) = pen::load_or_make_up();
        log::write(&file, log::folded(log::ops(strokes.into_iter().cycle().zip(fates()))).take(OPS))?;

        let figures: Figures = self.run_reducer(&[file.as_os_str()])?;

        let (ops, points) = (as_f64(figures.ops), as_f64(figures.points));
        let applied = ops / figures.apply_seconds;
        report.note(format!(
            "reducer: {ops} ops of pen strokes ({source}), one core: {applied:.0} ops/s applied (at least {OPS_A_SECOND}: {}), \
             {:.0} ops/s read from JSON and applied",
            verdict(applied >= OPS_A_SECOND),
            ops / figures.read_apply_seconds,
        ));
        let (objects, rss) = (as_f64(figures.objects), as_f64(figures.rss_kib) * 1_024.0);
        report.note(format!(
            "reducer: its canvas, {objects} strokes of {:.1} points: {:.0} bytes of RSS a point, {:.0} a stroke; {:.0} a stroke \
             by its own account; view and hash {:.1} ms, {} KiB; registers written {:.1} ms, read {:.1} ms, {} KiB",
            points / objects,
            rss / points,
            rss / objects,
            as_f64(figures.weight) / objects,
            figures.view_seconds * 1e3,
            figures.view_bytes / 1_024,
            figures.registers_seconds * 1e3,
            figures.from_registers_seconds * 1e3,
            figures.registers_bytes / 1_024,
        ));
        Ok(())
    }
}

fn fates() -> impl Iterator<Item = Fate> {
    (0..TAKEN_BACK).cycle().map(|nth| match nth {
        0 => Fate::Undone,
        1 => Fate::Deleted,
        _ => Fate::Stays,
    })
}
