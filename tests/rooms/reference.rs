//! The references of commands and of files are what the program says and does.

use std::path::Path;

use atm_agent_mcp::cli;
use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::{AgentId, AgentName, MemberName, Team, TeamName};
use clap::{Arg, Command};

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_default()
}

/// Every command that people see, those above it before it, with all its words.
fn commands() -> Vec<(String, Command)> {
    fn walk(words: &str, command: &Command, found: &mut Vec<(String, Command)>) {
        found.push((words.to_owned(), command.clone()));
        for one in command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help") {
            walk(&format!("{words} {}", one.get_name()), one, found);
        }
    }
    let mut whole = cli::command();
    whole.build();
    let mut found = Vec::new();
    walk(cli::NAME, &whole, &mut found);
    found
}

/// What its help says in full, and the lines of its examples.
fn described(command: &Command) -> (String, Vec<String>) {
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let examples = after.strip_prefix("Examples:\n").unwrap_or_default();
    (about, examples.lines().map(|line| line.trim().to_owned()).collect())
}

fn row(arg: &Arg) -> String {
    let values: Vec<&str> = arg.get_value_names().unwrap_or_default().iter().map(|name| name.as_str()).collect();
    let takes = arg.get_action().takes_values();
    let is_optional = takes && arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    let value = match (takes, is_optional) {
        (false, _) => String::new(),
        (true, false) => format!(" {}", values.join(" ")),
        (true, true) => format!(" [{}]", values.join(" ")),
    };
    let name = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}{value}"),
        (None, Some(long)) => format!("--{long}{value}"),
        (_, None) if arg.is_required_set() => values.join(" "),
        (_, None) => format!("[{}]", values.join(" ")),
    };
    let mut what = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes && !defaults.is_empty() {
        what += &format!(" [default: {}]", defaults.join(", "));
    }
    let possible = arg.get_possible_values();
    if takes && !possible.is_empty() && !arg.is_hide_possible_values_set() {
        let shown = possible.iter().filter(|value| !value.is_hide_set());
        let words: Vec<&str> = shown.map(|value| value.get_name()).collect();
        what += &format!(" [one of: {}]", words.join(", "));
    }
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "\\<");
    format!("| `{name}` | {what} |\n")
}

/// The page of commands, from what the command line is.
fn page() -> String {
    let mut page = String::from(
        "# Commands\n\nWhat `--help` says of each; this page is written by a test (`ATM_WRITE_DOCS=1 cargo nextest run \
         the_reference_of_commands`).\nWhat goes wrong is told on stderr and by the exit code: see [Errors](errors.md).\n",
    );
    for (words, command) in commands() {
        let (about, examples) = described(&command);
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ");
        page += &format!("\n## `{words}`\n\n{about}\n\n```text\n{usage}\n```\n");
        let args: String = command
            .get_arguments()
            .filter(|arg| !arg.is_hide_set() && !["help", "version"].contains(&arg.get_id().as_str()))
            .map(row)
            .collect();
        if !args.is_empty() {
            page += &format!("\n| argument | what |\n|---|---|\n{args}");
        }
        page += &format!("\n```sh\n{}\n```\n", examples.join("\n"));
    }
    page
}

#[test]
fn the_reference_of_commands_is_what_the_help_says() {
    let page = page();
    if std::env::var_os("ATM_WRITE_DOCS").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/commands.md"), &page).unwrap();
    }
    let is_it = text("docs/reference/commands.md") == page;
    assert!(is_it, "docs/reference/commands.md is not what the help says: write it anew with ATM_WRITE_DOCS=1");
}

/// The words of the part of a shell's line that is ours; `None` if none is.
fn ours(line: &str) -> Option<Vec<String>> {
    let at = line.rfind(cli::NAME)?;
    let end = line[at..].find([')', '#']).or(line[at..].find(" | ")).map_or(line.len(), |end| at + end);
    let quoted = line[at..end].split('"').enumerate();
    let words = quoted.flat_map(|(part, text)| match part % 2 {
        1 => vec![text.to_owned()],
        _ => text.split_whitespace().map(str::to_owned).collect(),
    });
    Some(words.collect())
}

#[test]
fn every_command_has_examples_and_takes_them() {
    for (words, command) in commands() {
        let (_, examples) = described(&command);
        assert!(!examples.is_empty(), "{words} has no example in its help");
        for example in examples {
            let line = ours(&example).unwrap_or_else(|| panic!("{words}: {example}"));
            let taken = cli::command().try_get_matches_from(&line);
            assert!(taken.is_ok(), "{words} does not take its example {line:?}: {}", taken.unwrap_err());
            let is_of_it = words.split(' ').skip(1).zip(&line[1..]).all(|(word, given)| word == given);
            assert!(is_of_it, "{words} shows how another command is used: {example}");
        }
    }
}

/// Each path of the home, as the page writes it, with the function that gives it.
fn kept() -> Vec<(&'static str, String)> {
    let home = Home::at("HOME");
    let (team, name, agent) = (Team::parse("team").unwrap(), AgentName::parse("name").unwrap(), AgentId::new());
    let team_name = TeamName::from(&team);
    let (dir, claude) = (home.team(&team), home.claude_team(&team_name));
    let paths = [
        ("config_file", home.config_file()),
        ("setup_file", home.setup_file()),
        ("run_dir", home.run_dir()),
        ("events_file", home.events_file()),
        ("mail_archive", home.mail_archive(&team_name, &name)),
        ("config", claude.config()),
        ("inboxes", claude.inboxes().to_owned()),
        ("inbox", claude.inbox(&MemberName::parse("name").unwrap())),
        ("agents_dir", dir.agents_dir()),
        ("audit", dir.audit()),
        ("mail_dir", dir.mail_dir()),
        ("mail_under_way", dir.mail_under_way(&agent, &team_name)),
        ("mail_read", dir.mail_read(&agent, &team_name)),
        ("summary", dir.summary(&agent)),
        ("record", dir.record(&agent)),
        ("agent_lock", dir.agent_lock(&agent)),
        ("queue", dir.queue(&agent)),
        ("name_lock", dir.name_lock(&name)),
    ];
    let written = |path: &Path| {
        let parts: Vec<String> = path
            .components()
            .map(|part| part.as_os_str().to_string_lossy().replace(agent.as_str(), "AGENT_ID"))
            .map(|part| match part.as_str() {
                "team" => "TEAM".to_owned(),
                "mail-team.json" => "mail-TEAM.json".to_owned(),
                "read-team" => "read-TEAM".to_owned(),
                part => part.replace("name.", "NAME."),
            })
            .collect();
        parts
            .join("/")
            .replace("HOME/.config/atm/agent-sessions/TEAM", "TEAM")
            .replace("HOME/.config/atm", "ATM")
            .replace("HOME/.claude", "CLAUDE")
    };
    paths.into_iter().map(|(function, path)| (function, written(&path))).collect()
}

#[test]
fn the_reference_of_files_has_every_path_that_the_home_gives() {
    let page = text("docs/reference/files.md");
    let kept = kept();
    for (function, path) in &kept {
        assert!(page.contains(&format!("`{path}")), "{path} ({function}) is not in it");
    }
    let source = text("src/home.rs");
    let production = source.split("#[cfg(test)]").next().unwrap();
    let functions = production.split("    pub fn ").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once('(')?;
        let signature = rest.split('{').next()?;
        let gives = signature.split("->").nth(1)?.trim();
        // What a directory is called whose files have their own line is theirs.
        (["PathBuf", "&Path"].contains(&gives) && !["root", "own_dir", "sessions_dir"].contains(&name)).then_some(name)
    });
    for function in functions {
        assert!(
            kept.iter().any(|(known, _)| *known == function),
            "home::{function} gives a path that is not looked for"
        );
    }
}
