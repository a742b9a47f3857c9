//! What stands in a turn, as lines for a person.

use super::wire::{Change, Item, Turn, TurnStatus};

/// How much of a command's output is told: its last lines, for they say how it went.
const OUTPUT_MAX: usize = 20;

/// An item as lines, none of which has a line break in it; empty for what only programs read. What is not seen in them is
/// still in them: they are foreign.
pub fn lines(item: &Item) -> Vec<String> {
    match item {
        Item::UserMessage { content, .. } => {
            let texts = content.iter().filter_map(|part| part.text.as_deref());
            texts.flat_map(|text| indented("> ", text)).collect()
        }
        // On every line: what an agent says cannot pose as what we say.
        Item::AgentMessage { text, .. } => indented("| ", text).collect(),
        Item::CommandExecution(run) => {
            let mut lines: Vec<String> = indented("$ ", &run.command).collect();
            lines.extend(output(run.aggregated_output.as_deref().unwrap_or_default()));
            lines.extend(run.exit_code.filter(|code| *code != 0).map(|code| format!("  (exit code {code})")));
            lines
        }
        Item::FileChange { changes, .. } => changes.iter().map(changed).collect(),
        Item::McpToolCall { server, tool } => vec![format!("* calls {server}.{tool}")],
        Item::DynamicToolCall { namespace: Some(namespace), tool, .. } => vec![format!("* calls {namespace}.{tool}")],
        Item::DynamicToolCall { namespace: None, tool, .. } => vec![format!("* calls {tool}")],
        Item::CollabAgentToolCall { tool, .. } => vec![format!("* sub-agents: {tool}")],
        Item::WebSearch { query } => vec![format!("* searches the web for {query}")],
        Item::ContextCompaction {} => vec!["* its history was made shorter".to_owned()],
        Item::SubAgentActivity { .. } | Item::Reasoning {} | Item::Other => Vec::new(),
    }
}

/// How a turn has ended, in one line; `None` while it runs.
pub fn ending(turn: &Turn) -> Option<String> {
    let took = turn.duration_ms.map(|ms| format!(" after {}.{} s", ms / 1000, ms % 1000 / 100)).unwrap_or_default();
    let why = turn.error.as_ref().map(|error| format!(": {}", one_line(&error.message))).unwrap_or_default();
    let how = match turn.status {
        TurnStatus::Completed => "completed",
        TurnStatus::Interrupted => "interrupted",
        TurnStatus::Failed => "failed",
        TurnStatus::Unknown => "ended",
        TurnStatus::InProgress => return None,
    };
    Some(format!("-- {how}{took}{why}"))
}

fn changed(Change { path, kind, diff }: &Change) -> String {
    let (more, less) = match kind.name.as_str() {
        "add" => (diff.lines().count(), 0),
        "delete" => (0, diff.lines().count()),
        _ => {
            let count = |sign: char, head: &str| {
                diff.lines().filter(|line| line.starts_with(sign) && !line.starts_with(head)).count()
            };
            (count('+', "+++"), count('-', "---"))
        }
    };
    let word = if kind.name.is_empty() { "change" } else { &kind.name };
    one_line(&format!("~ {word} {path} (+{more} -{less})"))
}

fn output(text: &str) -> impl Iterator<Item = String> {
    let all = text.lines().count();
    let before = all.saturating_sub(OUTPUT_MAX);
    let cut = (before > 0).then(|| format!("  … {before} lines before"));
    cut.into_iter().chain(text.lines().skip(before).map(|line| format!("  {}", without_tabs(line))))
}

/// The lines of a text, each behind a mark. Whatever else breaks a line on some terminal is its printer's to show.
fn indented<'a>(mark: &'a str, text: &'a str) -> impl Iterator<Item = String> + 'a {
    text.lines().map(move |line| format!("{mark}{}", without_tabs(line)))
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

fn without_tabs(line: &str) -> String {
    line.replace('\t', "    ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(item: serde_json::Value) -> Vec<String> {
        lines(&serde_json::from_value(item).unwrap())
    }

    #[test]
    fn each_kind_of_item_has_its_mark() {
        assert_eq!(
            told(json!({"type": "userMessage", "content": [{"type": "text", "text": "do\nit"}, {"type": "image"}]})),
            ["> do", "> it"]
        );
        assert_eq!(told(json!({"type": "agentMessage", "text": "a\n\n\tb"})), ["| a", "| ", "|     b"]);
        let command = json!({"type": "commandExecution", "command": "ls", "aggregatedOutput": "x\ny\n", "exitCode": 2});
        assert_eq!(told(command), ["$ ls", "  x", "  y", "  (exit code 2)"]);
        let change = json!({"path": "a.rs", "kind": {"type": "update"}, "diff": "--- a\n+++ b\n-x\n+y\n+z"});
        assert_eq!(told(json!({"type": "fileChange", "changes": [change]})), ["~ update a.rs (+2 -1)"]);
        assert_eq!(told(json!({"type": "dynamicToolCall", "namespace": "atm", "tool": "send"})), ["* calls atm.send"]);
        assert!(told(json!({"type": "inventedLater"})).is_empty());
    }

    #[test]
    fn of_a_long_output_the_end_is_told() {
        let output: String = (0..50).map(|n| format!("line {n}\n")).collect();
        let told = told(json!({"type": "commandExecution", "command": "x", "aggregatedOutput": output}));
        assert_eq!((told.len(), told[1].as_str()), (OUTPUT_MAX + 2, "  … 30 lines before"));
        assert_eq!(told.last().unwrap(), "  line 49");
    }

    #[test]
    fn a_turn_says_how_it_ended_and_why() {
        let turn = |more: serde_json::Value| {
            let mut turn = json!({"id": "t"});
            turn.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            ending(&serde_json::from_value(turn).unwrap())
        };
        assert_eq!(
            turn(json!({"status": "completed", "durationMs": 12345})).as_deref(),
            Some("-- completed after 12.3 s")
        );
        let failed = turn(json!({"status": "failed", "error": {"message": "no\nnet"}}));
        assert_eq!(failed.as_deref(), Some("-- failed: no net"));
        assert_eq!(turn(json!({"status": "inProgress"})), None);
    }
}
