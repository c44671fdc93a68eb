//! The words of the judges: findings, and how much was looked at.

use crate::clock::Place;

/// Findings of one check about one drawing that are told; more are counted.
pub(crate) const FINDINGS_TOLD: usize = 20;

/// Something that contradicts a promise.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The name of the check.
    pub check: &'static str,
    /// The drawing.
    pub drawing: String,
    /// The events that contradict each other.
    pub places: Vec<Place>,
    /// The fault, and the reason why it is one.
    pub text: String,
}

/// The result of one check of one drawing.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The number of things that were looked at.
    pub(crate) examined: u64,
    /// Findings, of which only so many have words.
    pub(crate) findings: Vec<(Vec<Place>, String)>,
    /// The number of findings beyond those.
    pub(crate) more: u64,
}

impl Outcome {
    /// Something was looked at.
    pub(crate) fn examine(&mut self) {
        self.examined += 1;
    }

    /// Something is wrong. The words are made only if they are told.
    pub(crate) fn find(&mut self, places: &[Place], text: impl FnOnce() -> String) {
        if self.findings.len() < FINDINGS_TOLD {
            let known = places.iter().copied().filter(|place| place.line > 0);
            self.findings.push((known.collect(), text()));
        } else {
            self.more += 1;
        }
    }
}
