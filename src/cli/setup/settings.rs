//! Every setting, in a table: what `setup --settings` writes and the reference of settings are made from it.

/// One setting.
struct Setting {
    key: &'static str,
    value: Value,
    what: &'static str,
    place: Place,
}

/// What it is when nobody sets it.
enum Value {
    /// This, as TOML.
    Is(&'static str),
    /// Whatever that says; and what one could write, as TOML.
    Open { instead: &'static str, example: &'static str },
}

/// Where it can be set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In the table `[core]`.
    Core,
    /// In `[plugins.atm-agent-mcp]`.
    Ours,
    /// There, but in the user's own file alone.
    Users,
    /// In a table of its own.
    Table,
}

/// What stands for NAME where somebody may uncomment it: an agent and a role can be called so, and `role` is.
const EXAMPLE: &str = "reviewer";

const fn is(key: &'static str, value: &'static str, what: &'static str) -> Setting {
    Setting { key, value: Value::Is(value), what, place: Place::Ours }
}

const fn open(key: &'static str, instead: &'static str, example: &'static str, what: &'static str) -> Setting {
    Setting { key, value: Value::Open { instead, example }, what, place: Place::Ours }
}

const fn at(place: Place, setting: Setting) -> Setting {
    Setting { place, ..setting }
}

const ALL: [Setting; 35] = [
    at(
        Place::Core,
        open(
            "team",
            "the repository's name",
            r#""my-team""#,
            "the scope of names, records and queues: `--team`, `ATM_TEAM`, `default_team` of `[core]`",
        ),
    ),
    is("lead", r#""team-lead""#, "what the client is called in the team"),
    open("identity", "`codex`", r#""codex""#, "what new agents are called that are given no name"),
    open("role", "", r#""reviewer""#, "the role of new agents that are given none"),
    open("model", "Codex's own", r#""gpt-5.5""#, "the model of new agents"),
    open("reasoning_effort", "Codex's own", r#""medium""#, "the reasoning effort of new agents"),
    open("fast_model", "", r#""gpt-5.5-mini""#, "the model with `serve --fast`"),
    open(
        "sandbox",
        "Codex's own",
        r#""workspace-write""#,
        "`read-only`, `workspace-write`; `danger-full-access` only with `allow_full_access`",
    ),
    open("approval_policy", "Codex's own", r#""on-request""#, "`untrusted`, `on-request`, `never`"),
    at(
        Place::Users,
        is(
            "allow_full_access",
            "false",
            "whether agents may run without a sandbox; only from you, not from a repository",
        ),
    ),
    is("subagents", "false", "`true` switches Codex's own multi-agent tools on"),
    is("request_timeout_secs", "0", "the longest turn, in seconds; it is interrupted then. 0 is no limit"),
    is("approval_timeout_secs", "300", "undecided for so many seconds, what Codex asks is declined. 0 is never"),
    is("approvals_to_lead", "false", "whether the lead of the Claude Code team is asked by mail too"),
    is("stall_secs", "600", "after so many seconds without an event an agent is shown as stalled. 0 is never"),
    is("shutdown_grace_secs", "5", "how many seconds running turns have when the server ends; 0 to 7"),
    is(
        "events",
        r#""summary""#,
        "what the client hears of a turn: `off`, `summary` (progress), `all` (and `codex/event`)",
    ),
    is("max_concurrent_threads", "10", "how many agents may be live"),
    is(
        "queue_ttl_secs",
        "600",
        "an idle agent that fails to take a text for so many seconds: the text is buried. 0 is never",
    ),
    is("queue_max_entries", "10000", "how many texts may wait for an agent"),
    is("queue_max_bytes", "1048576", "the longest text, in bytes"),
    is("auto_mail", "true", "whether mail is brought to agents; `per_thread_auto_mail` says otherwise of one"),
    is(
        "mail_poll_interval_ms",
        "5000",
        "how long an inbox goes without a look, in milliseconds, if the file system tells nothing",
    ),
    is("max_mail_messages", "10", "how many messages are brought at once"),
    is("max_mail_message_length", "4096", "how much of each, in characters"),
    is("inbox_socket", "false", "whether Claude Code's session hears of background turns on its inbox socket (Unix)"),
    at(
        Place::Users,
        open("codex_bin", "`codex`", r#""codex""#, "the Codex to run: a name on `PATH`, or a path; only from you"),
    ),
    at(
        Place::Users,
        open("env_remove", "", r#"["KEY", "AWS_*"]"#, "what else Codex does not get of the environment; only from you"),
    ),
    open("base_prompt_file", "", r#""base.md""#, "a file whose text takes the place of Codex's base instructions"),
    open("extra_instructions_file", "", r#""AGENTS.md""#, "a file whose text is added to each agent's instructions"),
    at(Place::Table, open("per_thread_auto_mail.NAME", "", "false", "what `auto_mail` says of all, of the agent NAME")),
    at(Place::Table, open("roles.NAME.model", "", r#""gpt-5.5""#, "the model of agents with the role NAME")),
    at(Place::Table, open("roles.NAME.reasoning_effort", "", r#""high""#, "their reasoning effort")),
    at(Place::Table, open("roles.NAME.sandbox", "", r#""read-only""#, "their sandbox")),
    at(Place::Table, open("roles.NAME.approval_policy", "", r#""never""#, "their approval policy")),
];

/// The file of a repository with every setting, all of them commented out.
pub(super) fn file() -> String {
    let mut text = String::from(
        "# Settings of atm-agent-mcp for this repository, all that there are. What is commented out has its default;\n\
         # `atm-agent-mcp config` shows what holds and why.\n\n",
    );
    let lines = |place| ALL.iter().filter(move |setting| setting.place == place).map(Setting::line);
    text += "[core]\n";
    text.extend(lines(Place::Core));
    text += "\n[plugins.atm-agent-mcp]\n";
    text.extend(lines(Place::Ours));
    text +=
        "\n# Of single agents, and of roles (which the tool `codex` takes as {\"role\": \"NAME\"}), by their names.\n";
    text.extend(lines(Place::Table));
    text += "\n# Only from you: these count in ~/.config/atm/config.toml, and not here.\n";
    text.extend(lines(Place::Users));
    text
}

impl Setting {
    /// What it is, and how it is set, as comments.
    fn line(&self) -> String {
        let key = if self.place == Place::Core { "default_team" } else { self.key };
        let (value, without) = match self.value {
            Value::Is(value) => (value, String::new()),
            Value::Open { instead: "", example } => (example, " (an example; without it there is none)".to_owned()),
            Value::Open { instead, example } => (example, format!(" (an example; without it: {instead})")),
        };
        format!("# {}{without}\n# {key} = {value}\n", self.what).replace("NAME", EXAMPLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Listed, Loaded, ServeFlags, Sources};
    use crate::home::Home;
    use std::fs;
    use std::path::Path;

    /// What holds with these files.
    fn loaded(repository: &str, users: &str) -> Loaded {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        fs::create_dir_all(dir.path().join(".config/atm")).unwrap();
        fs::write(home.config_file(), users).unwrap();
        for file in ["AGENTS.md", "base.md"] {
            fs::write(dir.path().join(file), "").unwrap();
        }
        fs::write(dir.path().join(".atm.toml"), repository).unwrap();
        let sources = Sources { flags: &ServeFlags::default(), env: &|_| None, cwd: dir.path(), home: &home };
        config::load(&sources).unwrap_or_else(|error| panic!("{error}\n{repository}\n{users}"))
    }

    /// The file with every setting set.
    fn uncommented() -> String {
        let is_setting = |line: &&str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
        let line = |line: &str| line.strip_prefix("# ").filter(is_setting).unwrap_or(line).to_owned() + "\n";
        file().lines().map(line).collect()
    }

    #[test]
    fn the_file_sets_nothing_until_something_in_it_is_uncommented() {
        let loaded = loaded(&file(), "");
        assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
        let is_default = |listed: &Listed| listed.source.to_string() == "default";
        assert!(loaded.listing.iter().all(is_default), "{:?}", loaded.listing);
    }

    #[test]
    fn every_setting_of_the_file_is_one_that_there_is_with_its_default() {
        let all = uncommented();
        let set = loaded(&all, &all);
        let (ours, users) = all.split_once("\n# Only from you").unwrap();
        let warned = set.warnings.len();
        assert_eq!(warned, users.matches(" = ").count(), "what is only from the user: {:?}", set.warnings);
        assert!(loaded(ours, &all).warnings.is_empty());
        for listed in &set.listing {
            assert_ne!(listed.source.to_string(), "default", "{} is not in the file", listed.key);
        }
        let unset = loaded("", "").listing;
        for setting in &ALL {
            let key = setting.key.replace("NAME", EXAMPLE);
            assert!(set.listing.iter().any(|listed| listed.key == key), "there is no {key}");
            if let Value::Is(value) = setting.value {
                let listed = unset.iter().find(|listed| listed.key == key).and_then(|listed| listed.value.as_deref());
                assert_eq!(listed, Some(value.trim_matches('"')), "{key}");
            }
        }
    }

    fn page() -> String {
        let mut page = String::from(
            "# Settings\n\nIn `~/.config/atm/config.toml`, a repository's `.atm.toml`, the environment (`ATM_AGENT_MCP_` and \
             the key in capitals) or flags of `serve`;\n`atm-agent-mcp config` prints what holds and why. `[core]` has \
             `default_team` and `identity`, all others are in\n`[plugins.atm-agent-mcp]`. `atm-agent-mcp setup --settings` \
             writes a file with all of them commented out.\n\nThis page is written by a test (`ATM_WRITE_DOCS=1 cargo nextest \
             run the_reference_of_settings`).\n\n| key | default | what |\n|---|---|---|\n",
        );
        for Setting { key, value, what, .. } in &ALL {
            let default = match value {
                Value::Is(value) => format!("`{}`", value.trim_matches('"')),
                Value::Open { instead, .. } => (*instead).to_owned(),
            };
            page += &format!("| `{key}` | {default} | {what} |\n");
        }
        page
    }

    #[test]
    fn the_reference_of_settings_is_what_setup_writes() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/settings.md");
        let page = page();
        if std::env::var_os("ATM_WRITE_DOCS").is_some() {
            fs::write(&path, &page).unwrap();
        }
        let is_it = fs::read_to_string(&path).unwrap_or_default() == page;
        assert!(is_it, "docs/reference/settings.md is not what the settings are: write it anew with ATM_WRITE_DOCS=1");
    }
}
