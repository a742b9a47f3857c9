//! `codex/event`: what happens in a turn, in the form of the lost `codex mcp-server` (0.153.4), for clients that ask for it.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::{CustomNotification, ServerNotification};
use rmcp::service::RequestContext;
use serde_json::{Map, Value, json};

use super::asks;
use crate::config::Events;
use crate::session::{Change, Handle, Heard, Item, Listener, TokenUsage, Tokens, TurnStatus};

/// How long what is left to tell may hold up the answer.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What one call hears, if the settings say so.
pub(super) struct Told {
    listener: Option<Listener>,
}

impl Told {
    /// From now on.
    pub(super) fn of(handle: &Handle, events: Events) -> Told {
        Told { listener: (events == Events::All).then(|| handle.listen()) }
    }

    /// Tells what happens, for ever.
    pub(super) async fn tell(&mut self, handle: &Handle, context: &RequestContext<RoleServer>) {
        if let Some(listener) = &mut self.listener {
            while let Some((heard, dropped)) = listener.next().await {
                send(handle, context, &heard, dropped).await;
            }
        }
        std::future::pending().await
    }

    /// What is left, before the answer.
    pub(super) async fn end(mut self, handle: &Handle, context: &RequestContext<RoleServer>) {
        let Some(listener) = &mut self.listener else { return };
        let rest = async {
            while let Some((heard, dropped)) = listener.next_now() {
                send(handle, context, &heard, dropped).await;
            }
        };
        tokio::time::timeout(LAST_WORDS, rest).await.ok();
    }
}

async fn send(handle: &Handle, context: &RequestContext<RoleServer>, heard: &Heard, dropped: u64) {
    let Some((turn, msg)) = message(handle, heard) else { return };
    let mut meta = json!({ "requestId": context.id, "threadId": handle.snapshot().thread, "agent_id": handle.agent() });
    if dropped > 0 {
        meta["dropped"] = json!(dropped);
    }
    let params = json!({ "_meta": meta, "id": turn, "msg": msg });
    let note = ServerNotification::CustomNotification(CustomNotification::new("codex/event", Some(params)));
    if let Err(error) = context.peer.send_notification(note).await {
        tracing::debug!(%error, "an event that the client does not hear");
    }
}

/// The message, and the turn that it is about.
fn message(handle: &Handle, heard: &Heard) -> Option<(String, Value)> {
    Some(match heard {
        Heard::TurnStarted(turn) => (turn.to_string(), json!({ "type": "task_started", "turn_id": turn })),
        Heard::TurnEnded(turn) => (turn.id.to_string(), ended(turn)),
        Heard::Began(turn, item) => (turn.to_string(), began(turn.as_str(), item)?),
        Heard::Completed(turn, item) => (turn.to_string(), completed(turn.as_str(), item)?),
        Heard::Piece { turn, item, text } => {
            let msg = json!({ "type": "agent_message_content_delta", "turn_id": turn, "item_id": item, "delta": text });
            (turn.to_string(), msg)
        }
        Heard::Usage(turn, usage) => (turn.to_string(), json!({ "type": "token_count", "info": counted(usage) })),
        Heard::Failed { turn, message, retried } => {
            let kind = if *retried { "stream_error" } else { "error" };
            (turn.to_string(), json!({ "type": kind, "message": message }))
        }
        Heard::Asked(open) => {
            let mut msg = Value::Object(asks::old_fields(handle, open));
            let kind = match msg["codex_elicitation"].as_str() {
                Some("exec-approval") => "exec_approval_request",
                Some("patch-approval") => "apply_patch_approval_request",
                _ => return None,
            };
            msg = json!({
                "type": kind, "call_id": msg["codex_call_id"], "turn_id": msg["codex_event_id"], "ask_id": open.id,
                "command": msg["codex_command"], "cwd": msg["codex_cwd"], "changes": msg["codex_changes"],
            });
            msg.as_object_mut().expect("it is one").retain(|_, value| !value.is_null());
            (open.asked_in.turn_id.as_ref().map(ToString::to_string).unwrap_or_default(), msg)
        }
    })
}

fn ended(turn: &crate::session::Turn) -> Value {
    let said = turn.items.iter().rev().find_map(|item| match item {
        Item::AgentMessage { text, .. } => Some(text),
        _ => None,
    });
    match turn.status {
        TurnStatus::Interrupted => json!({ "type": "turn_aborted", "turn_id": turn.id, "reason": "interrupted" }),
        _ => json!({
            "type": "task_complete", "turn_id": turn.id, "last_agent_message": said, "duration_ms": turn.duration_ms,
        }),
    }
}

fn began(turn: &str, item: &Item) -> Option<Value> {
    Some(match item {
        Item::CommandExecution { id, command, .. } => {
            json!({ "type": "exec_command_begin", "call_id": id, "turn_id": turn, "command": [command] })
        }
        Item::FileChange { id, changes } => {
            json!({ "type": "patch_apply_begin", "call_id": id, "turn_id": turn, "changes": changed(changes) })
        }
        _ => return None,
    })
}

fn completed(turn: &str, item: &Item) -> Option<Value> {
    Some(match item {
        Item::UserMessage { content, .. } => {
            let texts: Vec<&str> = content.iter().filter_map(|part| part.text.as_deref()).collect();
            json!({ "type": "user_message", "message": texts.join("\n") })
        }
        Item::AgentMessage { text, phase } => json!({ "type": "agent_message", "message": text, "phase": phase }),
        Item::CommandExecution { id, command, exit_code, .. } => json!({
            "type": "exec_command_end", "call_id": id, "turn_id": turn, "command": [command], "exit_code": exit_code,
        }),
        Item::FileChange { id, changes } => {
            json!({ "type": "patch_apply_end", "call_id": id, "turn_id": turn, "changes": changed(changes) })
        }
        _ => return None,
    })
}

fn changed(changes: &[Change]) -> Map<String, Value> {
    changes.iter().map(|change| (change.path.clone(), asks::old_change(change))).collect()
}

fn counted(usage: &TokenUsage) -> Value {
    let tokens = |tokens: &Tokens| json!(tokens);
    json!({
        "total_token_usage": tokens(&usage.total), "last_token_usage": tokens(&usage.last),
        "model_context_window": usage.model_context_window,
    })
}
