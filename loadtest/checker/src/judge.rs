//! From files to a verdict: each drawing is read, judged by every check, and forgotten.

use std::path::PathBuf;

use crate::{
    assemble::assemble,
    case::Case,
    checks::CHECKS,
    finding::{Finding, Outcome},
    input::{BadInput, Input},
};

/// Nanoseconds in a millisecond.
const NANOS: i64 = 1_000_000;

/// The settings that the user of the checker may make.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The time for which a role that was taken away may still be served, in nanoseconds: the second that is
    /// promised, and what the way to the client may take.
    pub revocation_grace: i64,
}

impl Options {
    /// Options with a grace in milliseconds.
    #[must_use]
    pub fn with_grace_ms(milliseconds: u32) -> Self {
        Self { revocation_grace: i64::from(milliseconds) * NANOS }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::with_grace_ms(1_000)
    }
}

/// The result of one check over the whole history.
#[derive(Debug)]
pub struct Tally {
    /// The name of the check.
    pub check: &'static str,
    /// The rule that it holds against the history.
    pub rule: &'static str,
    /// The number of things it has looked at.
    pub examined: u64,
    /// The number of its findings.
    pub findings: u64,
}

/// The verdict on a history.
#[derive(Debug)]
pub struct Verdict {
    /// The history.
    pub input: Input,
    /// The results of the checks, in the order in which they are listed.
    pub tallies: Vec<Tally>,
    /// The faults that were found.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// True if nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.tallies.iter().all(|tally| tally.findings == 0)
    }
}

/// Judges the history in these files.
///
/// # Errors
/// A file that cannot be read, or a line that is not as documented.
pub fn judge(paths: &[PathBuf], options: Options) -> Result<Verdict, BadInput> {
    let input = Input::open(paths)?;
    let tally = |check: &crate::checks::Check| Tally {
        check: check.name,
        rule: check.rule,
        examined: 0,
        findings: 0,
    };
    let mut tallies: Vec<_> = CHECKS.iter().map(tally).collect();
    let mut findings = Vec::new();
    for (number, name) in input.drawings().enumerate() {
        let history = assemble(&input, number)?;
        let case = Case::new(&history, &input.clocks, options);
        for (check, tally) in CHECKS.iter().zip(&mut tallies) {
            let mut outcome = Outcome::default();
            (check.run)(&case, &mut outcome);
            tally.examined += outcome.examined;
            tally.findings += outcome.findings.len() as u64 + outcome.more;
            findings.extend(outcome.findings.into_iter().map(|(places, text)| Finding {
                check: check.name,
                drawing: name.to_owned(),
                places,
                text,
            }));
        }
    }
    Ok(Verdict { input, tallies, findings })
}
