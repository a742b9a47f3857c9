//! The registration with Claude: which of its MCP servers are ours, and which run what Codex has no more.

use std::path::Path;

use super::finding::{Check, Finding};
use crate::cli::claude_config::{Entry, Files, Here};
use crate::cli::setup::lost;
use crate::plain::on_one_line;

const MEND: &str = "atm-agent-mcp setup";

/// Looks at what is registered for somebody who works in `cwd`.
pub(super) fn look(files: &Files, cwd: &Path) -> Vec<Finding> {
    let read = files.entries();
    let unread = read.unread.iter().map(|(file, why)| {
        let finding = Check::Registration.warning(format!("{} cannot be read: {why}", file.display()));
        finding.because("the servers that Claude starts are named there").mend("claude mcp list")
    });
    let mut found: Vec<Finding> = unread.collect();
    let here = Here::at(cwd);
    let is_ours =
        |entry: &&Entry| entry.launch.as_ref().is_some_and(|launch| launch.is_ours()) && here.has(&entry.spot);
    found.extend(read.entries.iter().filter_map(removed));
    found.extend(read.entries.iter().filter(is_ours).map(ours));
    if !read.entries.iter().any(|entry| is_ours(&entry)) {
        let finding = Check::Registration.note("Claude Code has no server that is ours here");
        found.push(finding.because("it cannot lead agents until it has; another client may").mend(MEND));
    }
    found
}

/// One that runs the command that Codex 0.154 removed, wherever it holds.
fn removed(entry: &Entry) -> Option<Finding> {
    lost::successor(entry.launch.as_ref()?)?;
    let finding = Check::Registration.warning(format!("the server {} runs `codex mcp-server`", told(entry)));
    Some(finding.because("Codex 0.154 removed that: Claude says \"connection closed\"").mend(MEND))
}

fn ours(entry: &Entry) -> Finding {
    let command = entry.launch.as_ref().map(|launch| launch.command.as_str()).unwrap_or_default();
    if which::which(command).is_ok() {
        return Check::Registration.ok(format!("the server {} is ours", told(entry)));
    }
    let what = format!("the server {} is to be ours, but {} is not there", told(entry), on_one_line(command));
    Check::Registration.warning(what).because("Claude cannot start it").mend(MEND)
}

fn told(entry: &Entry) -> String {
    on_one_line(&format!("{} ({})", entry.spot.name, entry.spot.holder))
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;
    use serde_json::{Value, json};

    /// Level, what and mend of what is found with these files.
    fn found(settings: &Value, project: Option<&Value>) -> Vec<(Level, String)> {
        let root = tempfile::tempdir().unwrap();
        let (claude, shared) = (root.path().join(".claude.json"), root.path().join(".mcp.json"));
        std::fs::write(&claude, settings.to_string().replace("\"CWD\"", &json!(root.path()).to_string())).unwrap();
        if let Some(project) = project {
            std::fs::write(&shared, project.to_string()).unwrap();
        }
        let files = Files { claude: Some(claude), mcp_json: vec![shared], desktop: None };
        let found = look(&files, root.path());
        found.into_iter().map(|one| (one.level, format!("{} | {}", one.what, one.mend().unwrap_or_default()))).collect()
    }

    #[test]
    fn what_runs_the_lost_command_is_found_wherever_it_stands() {
        let old = json!({"command": "codex", "args": ["mcp-server"], "env": {"OPENAI_API_KEY": "sk-secret"}});
        let settings = json!({
            "mcpServers": {"one": old, "web": {"type": "http", "url": "https://x"}},
            "projects": {"CWD": {"mcpServers": {"two": old}}, "/elsewhere": {"mcpServers": {"three": old}}},
        });
        let told = found(&settings, Some(&json!({"mcpServers": {"four": old}})));
        let whats: Vec<&str> = told.iter().map(|(_, what)| what.as_str()).collect();
        assert_eq!(told.iter().filter(|(level, _)| *level == Level::Warning).count(), 4, "{whats:?}");
        for name in ["one", "two", "three", "four"] {
            let is_it = |what: &&str| what.starts_with(&format!("the server {name} (")) && what.ends_with(MEND);
            assert!(whats.iter().any(is_it), "{whats:?}");
        }
        assert!(told.last().unwrap().1.contains("has no server that is ours"), "{whats:?}");
        assert!(!whats.concat().contains("sk-secret"));
    }

    #[test]
    fn a_command_that_is_not_there_is_found_and_one_that_is_is_well() {
        let server = |command: &str| json!({"mcpServers": {"codex": {"command": command, "args": ["serve"]}}});
        assert_eq!(found(&server("/nowhere/atm-agent-mcp"), None)[0].0, Level::Warning);
        let dir = tempfile::tempdir().unwrap();
        let itself = dir.path().join("atm-agent-mcp");
        std::fs::copy(std::env::current_exe().unwrap(), &itself).unwrap();
        assert_eq!(found(&server(itself.to_str().unwrap()), None)[0].0, Level::Ok);
    }

    #[test]
    fn a_broken_file_is_found_and_not_quoted() {
        let told = found(&json!("sk-secret"), None);
        assert!(told[0].0 == Level::Warning && !told[0].1.contains("sk-secret"), "{told:?}");
    }
}
