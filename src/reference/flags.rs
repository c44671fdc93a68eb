//! Commands and flags, as the command line declares them.

use std::collections::BTreeSet;

use clap::{Arg, Command, CommandFactory};

use super::{capitalized, table};
use crate::config::Cli;

const INTRO: &str = "\
Each flag can be given in the environment instead, where a variable is named. A list has commas between its parts, and a
period is written as `500ms`, `2s` or `1h`. `revcast COMMAND --help` says the same.
";

/// The command whose flags come first; the others share some of them.
const SERVER: &str = "serve";

/// The section of the reference.
pub(super) fn section() -> String {
    let mut cli = Cli::command();
    cli.build();
    let of_server: BTreeSet<_> = cli
        .find_subcommand(SERVER)
        .into_iter()
        .flat_map(Command::get_arguments)
        .map(|argument| argument.get_id().to_string())
        .collect();
    let commands = cli.get_subcommands().filter(|command| command.get_name() != "help");
    let sections = commands.map(|command| describe(command, &of_server));
    format!("## Flags\n\n{INTRO}\n{}", sections.collect::<Vec<_>>().join("\n"))
}

fn describe(command: &Command, of_server: &BTreeSet<String>) -> String {
    let about = command.get_about().map(|about| sentence(&about.to_string())).unwrap_or_default();
    let mut text = format!("### revcast {}\n\n{about}\n", command.get_name());
    let arguments = || command.get_arguments().filter(|argument| !is_help(argument));
    let is_shared =
        |argument: &&Arg| command.get_name() != SERVER && of_server.contains(argument.get_id().as_str());
    let own: Vec<_> = arguments().filter(|argument| !is_shared(argument)).map(row).collect();
    if !own.is_empty() {
        let head = ["Flag", "Environment", "Default", "Meaning"];
        text.push_str(&format!("\n{}", table(&head, own.into_iter())));
    }
    let shared: Vec<_> =
        arguments().filter(is_shared).map(|argument| format!("`{}`", name(argument))).collect();
    if !shared.is_empty() {
        text.push_str(&format!(
            "\nIt takes these flags as `revcast {SERVER}` does: {}.\n",
            shared.join(", ")
        ));
    }
    text
}

fn row(argument: &Arg) -> Vec<String> {
    let environment = argument.get_env().map(|name| format!("`{}`", name.to_string_lossy()));
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    let default = defaults.join(",");
    // A switch is off, and a text may be empty; neither says anything.
    let default =
        if default.is_empty() || default == "false" { String::new() } else { format!("`{default}`") };
    let mut help =
        argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
    let values: Vec<_> = argument
        .get_possible_values()
        .iter()
        .filter(|_| argument.get_action().takes_values())
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    if !values.is_empty() {
        help = format!("{}: {}", help.trim_end_matches('.'), values.join(", "));
    }
    vec![format!("`{}`", name(argument)), environment.unwrap_or_default(), default, sentence(&help)]
}

/// The flag, or the name of what stands without one.
fn name(argument: &Arg) -> String {
    match argument.get_long() {
        Some(flag) => format!("--{flag}"),
        None => argument.get_id().as_str().to_uppercase(),
    }
}

fn is_help(argument: &Arg) -> bool {
    matches!(argument.get_id().as_str(), "help" | "version")
}

/// One line that ends with a full stop.
fn sentence(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.ends_with('.') { capitalized(&text) } else { capitalized(&format!("{text}.")) }
}
