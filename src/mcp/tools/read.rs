//! `agent_read`: the last turns of a thread, bounded, from where the reader wants.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::json;

use crate::mcp::args::{self, ReadArgs};
use crate::mcp::error::ToolError;
use crate::mcp::result::TEXT_MAX;
use crate::mcp::server::{Shared, shown};
use crate::session::{Execution, Found, Item, Turn};

/// How many turns one call reads.
const TURNS_MAX: u32 = 50;

pub(super) async fn read(shared: &Shared, args: &ReadArgs) -> Result<CallToolResult, ToolError> {
    let who = args::who(args.agent_id.as_deref(), args.identity.as_deref(), args.thread_id.as_deref(), None)?;
    let turns = match args.turns {
        None => 1,
        Some(turns @ 1..=TURNS_MAX) => turns,
        Some(_) => return Err(ToolError::arguments(format!("argument turns: use 1 to {TURNS_MAX}"))),
    };
    let answers_only = match args.what.as_deref() {
        None | Some("all") => false,
        Some("answer") => true,
        Some(other) => {
            return Err(ToolError::arguments(format!(
                "argument what: \"{}\" is not known: use all or answer",
                shown(other)
            )));
        }
    };
    let who = args::somebody(who)?;
    let (identity, thread) = match shared.roster.find(&who)? {
        Found::Live(handle) => (handle.identity().clone(), handle.snapshot().thread),
        Found::Kept(record) => (record.identity, record.thread_id),
    };
    let no_thread =
        || ToolError::new("SESSION_NOT_FOUND", format!("{identity} has no thread yet; there is nothing to read"));
    let thread = thread.ok_or_else(no_thread)?;
    let read = shared.roster.turns(&thread, turns).await;
    let read = read.map_err(|error| {
        ToolError::new("CHILD_PROCESS_DEAD", format!("the thread of {identity} cannot be read: {error}"))
    })?;
    let whole: String = read.iter().rev().map(|turn| written(turn, answers_only)).collect::<Vec<_>>().join("\n\n");
    let total = whole.chars().count();
    let offset = args.offset.unwrap_or(0);
    if offset > total {
        return Err(ToolError::arguments(format!("argument offset: the text has {total} characters")));
    }
    let text: String = whole.chars().skip(offset).take(TEXT_MAX).collect();
    let next = (total - offset > TEXT_MAX).then_some(offset + TEXT_MAX);
    let mut content = vec![ContentBlock::text(text.clone())];
    if let Some(next) = next {
        content.push(ContentBlock::text(format!(
            "[{total} characters in all; the rest: the same call with offset {next}]"
        )));
    }
    let mut result = CallToolResult::success(content);
    result.structured_content = Some(json!({
        "content": text, "identity": identity, "threadId": thread, "turns": read.len(),
        "offset": offset, "next_offset": next, "total_chars": total,
    }));
    Ok(result)
}

/// A turn as text.
fn written(turn: &Turn, answers_only: bool) -> String {
    let mut lines = Vec::new();
    if !answers_only {
        let status = json!(turn.status);
        lines.push(format!("--- turn {} ({})", turn.id, status.as_str().unwrap_or("unknown")));
    }
    for item in &turn.items {
        match item {
            Item::AgentMessage { text, .. } => lines.push(text.clone()),
            _ if answers_only => {}
            Item::UserMessage { content, .. } => {
                let text: Vec<&str> = content.iter().filter_map(|part| part.text.as_deref()).collect();
                lines.push(format!("> {}", text.join("\n").replace('\n', "\n> ")));
            }
            Item::CommandExecution(Execution { command, exit_code, .. }) => {
                let code = exit_code.map_or_else(|| "no exit code".to_owned(), |code| format!("exit {code}"));
                lines.push(format!("$ {command} ({code})"));
            }
            Item::FileChange { changes, .. } => {
                lines.extend(changes.iter().map(|change| format!("edited {}", change.path)));
            }
            Item::McpToolCall { server, tool } => lines.push(format!("called {server}.{tool}")),
            Item::DynamicToolCall { namespace: Some(namespace), tool, .. } => {
                lines.push(format!("called {namespace}.{tool}"))
            }
            Item::DynamicToolCall { namespace: None, tool, .. } => lines.push(format!("called {tool}")),
            Item::WebSearch { query } => lines.push(format!("searched the web for {query}")),
            Item::ContextCompaction {} => lines.push("(the history was compacted)".to_owned()),
            Item::CollabAgentToolCall { .. } | Item::SubAgentActivity { .. } => {}
            Item::Reasoning {} | Item::Other => {}
        }
    }
    if let Some(error) = turn.error.as_ref().filter(|_| !answers_only) {
        lines.push(format!("failed: {}", error.message));
    }
    lines.join("\n")
}
