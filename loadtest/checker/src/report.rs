//! A verdict for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::{
    clock::{NOBODY, Place},
    finding::Finding,
    judge::Verdict,
};

#[derive(Serialize)]
struct Report<'a> {
    events: u64,
    clients: usize,
    drawings: usize,
    checks: Vec<CheckReport>,
    findings: Vec<FindingReport<'a>>,
}

#[derive(Serialize)]
struct CheckReport {
    check: &'static str,
    rule: &'static str,
    examined: u64,
    findings: u64,
}

#[derive(Serialize)]
struct FindingReport<'a> {
    check: &'static str,
    drawing: &'a str,
    text: &'a str,
    r#where: Vec<Where<'a>>,
}

#[derive(Serialize)]
struct Where<'a> {
    /// Absent of lines that belong to no client.
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<u32>,
    file: String,
    line: u32,
}

impl Verdict {
    /// The verdict as a table, followed by the findings.
    #[must_use]
    pub fn table(&self) -> String {
        let (input, mut text) = (&self.input, String::new());
        let drawings = input.drawings().count();
        // Writing to a string cannot fail.
        let _ =
            writeln!(text, "{} events, {drawings} drawings, {} clients\n", input.events, input.clients.len());
        let _ = writeln!(text, "{:<18} {:>12} {:>9}  rule", "check", "examined", "findings");
        for tally in &self.tallies {
            let examined =
                if tally.examined == 0 { "nothing".to_owned() } else { tally.examined.to_string() };
            let _ =
                writeln!(text, "{:<18} {examined:>12} {:>9}  {}", tally.check, tally.findings, tally.rule);
        }
        for finding in &self.findings {
            let _ = writeln!(text, "\n{}: {}", finding.check, finding.text);
            let _ = writeln!(text, "  drawing {}", finding.drawing);
            for place in &finding.places {
                let at = self.place(*place);
                let whose = at
                    .client
                    .zip(at.event)
                    .map_or_else(String::new, |(client, event)| format!("client {client}, event {event}: "));
                let _ = writeln!(text, "  {whose}{}:{}", at.file, at.line);
            }
        }
        let told = self.findings.len() as u64;
        let all: u64 = self.tallies.iter().map(|tally| tally.findings).sum();
        if all > told {
            let _ = writeln!(text, "\n{} more findings are not told.", all - told);
        }
        text
    }

    /// The verdict as JSON.
    ///
    /// # Errors
    /// None that is known of.
    pub fn json(&self) -> serde_json::Result<String> {
        let check = |tally: &crate::judge::Tally| CheckReport {
            check: tally.check,
            rule: tally.rule,
            examined: tally.examined,
            findings: tally.findings,
        };
        serde_json::to_string_pretty(&Report {
            events: self.input.events,
            clients: self.input.clients.len(),
            drawings: self.input.drawings().count(),
            checks: self.tallies.iter().map(check).collect(),
            findings: self.findings.iter().map(|finding| self.finding(finding)).collect(),
        })
    }

    fn finding<'a>(&'a self, finding: &'a Finding) -> FindingReport<'a> {
        FindingReport {
            check: finding.check,
            drawing: &finding.drawing,
            text: &finding.text,
            r#where: finding.places.iter().map(|place| self.place(*place)).collect(),
        }
    }

    fn place(&self, place: Place) -> Where<'_> {
        let client =
            (place.client != NOBODY).then(|| self.input.clients[place.client as usize].name.as_str());
        let event = client.map(|_| place.nth);
        Where { client, event, file: self.input.path(place.file).display().to_string(), line: place.line }
    }
}
