//! The registration in Claude Code: which of its MCP servers are ours, and which run what Codex has no more.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::finding::{Check, Finding};
use crate::home::Home;
use crate::repo::Repository;

const ADD: &str = "claude mcp add codex -- atm-agent-mcp serve";

/// `~/.claude.json`, as far as it is read: neither environments nor headers are.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Settings {
    mcp_servers: Option<BTreeMap<String, Entry>>,
    projects: Option<BTreeMap<PathBuf, Project>>,
}

/// One project in it; `.mcp.json` is the same.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Project {
    mcp_servers: Option<BTreeMap<String, Entry>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Entry {
    command: Option<String>,
    args: Option<Vec<String>>,
}

/// Where an entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    User,
    Local,
    Project,
}

impl Scope {
    /// As `claude mcp` calls it.
    fn word(self) -> &'static str {
        match self {
            Scope::User => "user",
            Scope::Local => "local",
            Scope::Project => "project",
        }
    }
}

/// What an entry runs.
#[derive(Debug, PartialEq, Eq)]
enum Runs {
    Ours,
    /// `codex mcp-server`, which Codex 0.154 removed.
    Removed,
    Other,
}

impl Entry {
    fn runs(&self) -> Runs {
        let words = self.command.iter().chain(self.args.iter().flatten());
        let names: Vec<&str> = words.map(|word| name_of(word)).collect();
        let after = |program: &str| {
            let is_it = |name: &&str| *name == program || name.starts_with(&format!("{program}@"));
            names.iter().position(is_it).map(|at| &names[at + 1..])
        };
        match (after("atm-agent-mcp"), after("codex")) {
            (Some(_), _) => Runs::Ours,
            (None, Some(rest)) if rest.contains(&"mcp-server") => Runs::Removed,
            _ => Runs::Other,
        }
    }
}

/// The last part of a path, without the ends that programs have on Windows.
fn name_of(word: &str) -> &str {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
    [".exe", ".cmd", ".js"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

/// Looks at what is registered for somebody who works in `cwd`.
pub(super) fn look(home: &Home, cwd: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    let file = home.claude_settings();
    let settings: Settings = read(&file, &mut found);
    let root = Repository::around(cwd).map_or_else(|| cwd.to_owned(), |repository| repository.root().to_owned());
    let project: Project = read(&root.join(".mcp.json"), &mut found);
    let here = |path: &PathBuf| path == cwd || *path == root || path.canonicalize().is_ok_and(|path| path == root);
    let local = settings.projects.into_iter().flatten().filter(|(path, _)| here(path));
    let mut entries: Vec<(Scope, String, Entry)> = Vec::new();
    let mut add = |scope, servers: Option<BTreeMap<String, Entry>>| {
        entries.extend(servers.into_iter().flatten().map(|(name, entry)| (scope, name, entry)));
    };
    add(Scope::User, settings.mcp_servers);
    local.for_each(|(_, project)| add(Scope::Local, project.mcp_servers));
    add(Scope::Project, project.mcp_servers);
    found.extend(entries.iter().filter_map(|(scope, name, entry)| judge(*scope, name, entry)));
    if !entries.iter().any(|(_, _, entry)| entry.runs() == Runs::Ours) {
        found.push(nowhere(&file));
    }
    found
}

fn nowhere(file: &Path) -> Finding {
    let what = format!("Claude Code has no server that is ours ({})", file.display());
    let finding = Check::Registration.note(what).because("it cannot lead agents until it has; another client may");
    finding.mend(ADD)
}

fn judge(scope: Scope, name: &str, entry: &Entry) -> Option<Finding> {
    let scope_word = scope.word();
    match entry.runs() {
        Runs::Other => None,
        Runs::Removed => Some(
            Check::Registration
                .warning(format!("the server {name} (scope {scope_word}) runs `codex mcp-server`"))
                .because("Codex 0.154 removed that: Claude Code says \"connection closed\"")
                .mend(format!(
                    "claude mcp remove -s {scope_word} {name} && claude mcp add -s {scope_word} {name} -- atm-agent-mcp serve"
                )),
        ),
        Runs::Ours => {
            let command = entry.command.as_deref().unwrap_or_default();
            if which::which(command).is_ok() {
                return Some(Check::Registration.ok(format!("the server {name} (scope {scope_word}) is ours")));
            }
            let what = format!("the server {name} (scope {scope_word}) is to be ours, but {command} is not there");
            let finding = Check::Registration.warning(what).because("Claude Code cannot start it");
            Some(finding.mend(format!("claude mcp remove -s {scope_word} {name} && {ADD}")))
        }
    }
}

/// A file of Claude's; one that is not there says nothing, and one that cannot be read is found.
fn read<T: Default + for<'de> Deserialize<'de>>(path: &Path, found: &mut Vec<Finding>) -> T {
    let why = match std::fs::read(path) {
        Ok(text) => match serde_json::from_slice(&text) {
            Ok(read) => return read,
            // What stands in it is not told: it may be a key.
            Err(error) => format!("it is no JSON of its form (line {}, column {})", error.line(), error.column()),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return T::default(),
        Err(error) => error.to_string(),
    };
    let finding = Check::Registration.warning(format!("{} cannot be read: {why}", path.display()));
    found.push(finding.because("Claude Code keeps its servers there").mend("claude mcp list"));
    T::default()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use serde_json::json;

    fn runs(command: &str, args: &[&str]) -> Runs {
        let args = Some(args.iter().map(|arg| (*arg).to_owned()).collect());
        Entry { command: Some(command.to_owned()), args }.runs()
    }

    #[test]
    fn an_entry_is_known_by_what_it_runs_however_it_is_called() {
        assert_eq!(runs("atm-agent-mcp", &["serve"]), Runs::Ours);
        assert_eq!(runs("/opt/bin/atm-agent-mcp", &["serve", "--team", "codex"]), Runs::Ours);
        assert_eq!(runs("env", &["X=y", r"C:\bin\atm-agent-mcp.exe", "serve"]), Runs::Ours);
        assert_eq!(runs("codex", &["mcp-server"]), Runs::Removed);
        assert_eq!(runs("npx", &["-y", "@openai/codex@0.150.0", "mcp-server"]), Runs::Removed);
        assert_eq!(runs("/usr/bin/codex", &["-c", "model=x", "mcp-server"]), Runs::Removed);
        assert_eq!(runs("codex", &["exec"]), Runs::Other);
        assert_eq!(runs("some-mcp-server", &[]), Runs::Other);
        assert_eq!(Entry::default().runs(), Runs::Other);
    }

    /// Level, what and mend of what is found in a home with these files.
    fn found(settings: &serde_json::Value, project: Option<&serde_json::Value>) -> Vec<(Level, String)> {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        let settings = settings.to_string().replace("CWD", &root.path().display().to_string());
        std::fs::write(home.claude_settings(), settings).unwrap();
        if let Some(project) = project {
            std::fs::write(root.path().join(".mcp.json"), project.to_string()).unwrap();
        }
        let found = look(&home, root.path());
        found.into_iter().map(|one| (one.level, one.what + " | " + &one.mend.unwrap_or_default())).collect()
    }

    #[test]
    fn entries_of_all_scopes_are_found_and_those_of_other_projects_are_not() {
        let old = json!({"command": "codex", "args": ["mcp-server"], "env": {"OPENAI_API_KEY": "sk-secret"}});
        let settings = json!({
            "mcpServers": {"one": old, "web": {"type": "http", "url": "https://x"}},
            "projects": {"CWD": {"mcpServers": {"two": old}}, "/elsewhere": {"mcpServers": {"three": old}}},
        });
        let told = found(&settings, Some(&json!({"mcpServers": {"four": old}})));
        let whats: Vec<&str> = told.iter().map(|(_, what)| what.as_str()).collect();
        assert_eq!(told.iter().filter(|(level, _)| *level == Level::Warning).count(), 3, "{whats:?}");
        for (name, scope) in [("one", "user"), ("two", "local"), ("four", "project")] {
            let mend = format!(
                "| claude mcp remove -s {scope} {name} && claude mcp add -s {scope} {name} -- atm-agent-mcp serve"
            );
            assert!(whats.iter().any(|what| what.ends_with(&mend)), "{whats:?}");
        }
        assert!(told.last().unwrap().1.contains("has no server that is ours"), "{whats:?}");
        assert!(!whats.concat().contains("sk-secret"));
    }

    #[test]
    fn a_command_that_is_not_there_is_found_and_one_that_is_is_well() {
        let server = |command: &str| json!({"mcpServers": {"codex": {"command": command, "args": ["atm-agent-mcp"]}}});
        assert_eq!(found(&server("/nowhere/atm-agent-mcp"), None)[0].0, Level::Warning);
        let itself = std::env::current_exe().unwrap();
        assert_eq!(found(&server(itself.to_str().unwrap()), None)[0].0, Level::Ok);
    }

    #[test]
    fn a_broken_file_is_found_and_not_quoted() {
        let told = found(&json!({"mcpServers": "sk-secret"}), None);
        assert!(
            told[0].0 == Level::Warning && told[0].1.contains("line 1") && !told[0].1.contains("sk-secret"),
            "{told:?}"
        );
    }
}
