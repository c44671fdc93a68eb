//! Checks of a round besides those of the checker: how much was examined, and what is wrong.

use std::fmt::Write as _;

/// Findings of one check that are told; more are counted.
const TOLD: usize = 5;

/// One rule, and what came of it.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    /// Its name, as findings bear it.
    pub(crate) name: &'static str,
    /// The rule.
    pub(crate) rule: &'static str,
    /// The number of things that were looked at.
    pub(crate) examined: u64,
    /// The faults that were found.
    findings: Vec<String>,
    /// The number of findings beyond those.
    more: u64,
}

impl Check {
    /// A rule that nothing was held against yet.
    #[must_use]
    pub(crate) fn new(name: &'static str, rule: &'static str) -> Self {
        Self { name, rule, examined: 0, findings: Vec::new(), more: 0 }
    }

    /// Something was looked at.
    pub(crate) fn examine(&mut self) {
        self.examined += 1;
    }

    /// Something is wrong.
    pub(crate) fn find(&mut self, text: String) {
        if self.findings.len() < TOLD {
            self.findings.push(text);
        } else {
            self.more += 1;
        }
    }

    /// The findings, each with the name of the check.
    #[must_use]
    pub(crate) fn findings(&self) -> Vec<String> {
        let more = (self.more > 0).then(|| format!("{}: {} more are not told", self.name, self.more));
        let told = self.findings.iter().map(|text| format!("{}: {text}", self.name));
        told.chain(more).collect()
    }
}

/// Checks as a table.
#[must_use]
pub(crate) fn table(checks: &[Check]) -> String {
    let mut text = String::new();
    for Check { name, rule, examined, findings, more } in checks {
        let examined = if *examined == 0 { "nothing".to_owned() } else { examined.to_string() };
        let findings = findings.len() as u64 + more;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<18} {examined:>12} {findings:>9}  {rule}");
    }
    text
}
