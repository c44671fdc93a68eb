//! The reference of codes, limits, flags, metrics and roles, as Markdown: `docs/reference.md`.
//!
//! Owns the form of its tables. What they say belongs to the code that acts on it: [`ErrorCode`], [`CloseCode`], [`limits`],
//! the flags of [`Cli`](crate::config::Cli), [`METRICS`] and [`Role`](crate::model::Role).

mod flags;
mod roles;
mod values;

use crate::{
    error::ErrorCode,
    limits,
    telemetry::METRICS,
    wire::{CloseCode, SOCKET_ERRORS},
};

const HEAD: &str = "\
# Reference

<!-- Made by `revcast reference` from the code: change it there, then run `make openapi`. -->

The codes, limits, flags, metrics and roles of Revcast. [openapi.json](../openapi/openapi.json) has the endpoints,
[asyncapi.yaml](../openapi/asyncapi.yaml) the messages of the socket and of event streams.

[Problem codes](#problem-codes) · [Close codes](#close-codes) · [Roles](#roles) · [Flags](#flags) · [Limits](#limits) ·
[Metrics](#metrics)
";

const PROBLEMS: &str = "\
The `code` of a problem body, or of an `error` on the socket, is stable: act on it. A request that failed with a
retryable code may be sent again as it is. An `error` on a socket has one of the codes that are marked so; those without
a status come on sockets alone.
";

const CLOSES: &str = "\
The server closes a socket with one of these codes. The hundreds tell the client what to do, for codes to come as well:
4000–4099 reconnect, 4100–4199 renew and reconnect, 4200–4299 do not reconnect.
";

const LIMITS: &str = "\
The limits that bound something, by the names that they have in `src/limits.rs`. A socket is told those that concern its
client in `hello`. Limits with a flag in their line can be configured.
";

const METRICS_INTRO: &str = "\
`/metrics` has these for Prometheus. A histogram has the series `_bucket`, `_sum` and `_count`.
";

/// The whole document.
#[must_use]
pub fn markdown() -> String {
    [HEAD.to_owned(), problems(), closes(), roles::section(), flags::section(), limits(), metrics()]
        .join("\n")
}

fn problems() -> String {
    let rows = ErrorCode::ALL.iter().map(|code| {
        let is_of_socket = SOCKET_ERRORS.contains(code);
        vec![
            format!("`{}`", code.as_str()),
            if code.is_of_sockets_alone() { "–".to_owned() } else { code.status().to_string() },
            yes_or_no(code.retryable()),
            if is_of_socket { "yes".to_owned() } else { String::new() },
            code.meaning().to_owned(),
        ]
    });
    let table = table(&["Code", "Status", "Retryable", "On sockets", "When"], rows);
    format!("## Problem codes\n\n{PROBLEMS}\n{table}")
}

fn closes() -> String {
    let rows = CloseCode::ALL.iter().map(|code| {
        let number = (*code as u16).to_string();
        vec![number, code.reason().to_owned(), code.meaning().to_owned(), code.reaction().to_owned()]
    });
    let table = table(&["Code", "Reason", "When", "The client"], rows);
    format!("## Close codes\n\n{CLOSES}\n{table}")
}

fn limits() -> String {
    let sections = limits::sections().into_iter().map(|section| {
        let rows = section.limits.iter().filter_map(|limit| {
            let bound = limit.at_the_bound.as_deref()?;
            let name = format!("`{}`", limit.name);
            Some(vec![name, values::show(limit), limit.meaning.clone(), capitalized(bound)])
        });
        format!("### {}\n\n{}", section.title, table(&["Limit", "Value", "Meaning", "At the bound"], rows))
    });
    format!("## Limits\n\n{LIMITS}\n{}", sections.collect::<Vec<_>>().join("\n"))
}

fn metrics() -> String {
    let rows = METRICS.iter().map(|metric| {
        vec![
            format!("`{}`", metric.name),
            metric.kind.to_owned(),
            metric.unit.to_lowercase(),
            metric.label.map_or_else(String::new, |label| format!("`{label}`")),
            metric.help.to_owned(),
        ]
    });
    format!("## Metrics\n\n{METRICS_INTRO}\n{}", table(&["Name", "Kind", "Unit", "Label", "Meaning"], rows))
}

/// A table with a head; a bar inside of a cell would end it.
fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|")).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

fn yes_or_no(is_so: bool) -> String {
    if is_so { "yes" } else { "no" }.to_owned()
}

/// The sentence with its first letter large.
fn capitalized(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_does_not_end_a_cell() {
        let rows = [vec!["`a|b`".to_owned(), "c".to_owned()]];
        assert_eq!(table(&["x", "y"], rows.into_iter()), "| x | y |\n|---|---|\n| `a\\|b` | c |\n");
    }

    #[test]
    fn the_reference_has_every_code_limit_flag_and_metric() {
        let text = markdown();
        for code in ErrorCode::ALL {
            assert!(text.contains(&format!("| `{}` |", code.as_str())), "{code:?}");
        }
        for code in CloseCode::ALL {
            assert!(text.contains(&format!("\n| {} |", code as u16)), "{code:?}");
        }
        for limit in limits::sections().iter().flat_map(|section| &section.limits) {
            let is_there = text.contains(&format!("\n| `{}` |", limit.name));
            assert_eq!(is_there, limit.at_the_bound.is_some(), "{limit:?}");
        }
        for metric in METRICS {
            assert!(text.contains(&format!("\n| `{}` |", metric.name)), "{metric:?}");
        }
        for flag in
            ["--listen", "--database-url", "--owner", "--sub", "--skip-snapshots", "--write-ops-per-second"]
        {
            assert!(text.contains(&format!("\n| `{flag}`")), "{flag}");
        }
        assert!(!text.contains("#[") && !text.contains("[`"), "no name leads nowhere");
    }
}
