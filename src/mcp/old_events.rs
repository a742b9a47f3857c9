//! What happens in a turn, in the form of `codex/event` as `codex mcp-server` sent it (0.153.4).

use serde_json::{Map, Value, json};

use super::asks::old_changes;
use crate::ids::{ThreadId, TurnId};
use crate::session::{
    Ask, Configured, Execution, Item, OpenAsk, TokenUsage, Tokens, Turn, TurnError, TurnEvent, TurnStatus,
};

/// The message of an event, and the turn that it is of; `None` for what the old form has no word for.
pub(super) fn message(event: &TurnEvent, thread: Option<&ThreadId>) -> Option<(Option<TurnId>, Value)> {
    let of = |turn: &TurnId, message: Option<Value>| Some((Some(turn.clone()), message?));
    match event {
        TurnEvent::Configured(how) => Some((None, session_configured(how, thread))),
        TurnEvent::Started(turn) => of(turn, Some(json!({ "type": "task_started", "turn_id": turn }))),
        TurnEvent::ItemStarted(turn, item) => of(turn, begun(turn, item)),
        TurnEvent::ItemCompleted(turn, item) => of(turn, done(turn, item)),
        TurnEvent::Piece { turn, item, text } => {
            let kind = "agent_message_content_delta";
            let piece = json!({ "type": kind, "thread_id": thread, "turn_id": turn, "item_id": item, "delta": text });
            of(turn, Some(piece))
        }
        TurnEvent::Usage(turn, usage) => of(turn, Some(token_count(usage))),
        TurnEvent::Failed { turn, error, retried } => of(turn, Some(failed(error, *retried))),
        TurnEvent::Warned(message) => Some((None, json!({ "type": "warning", "message": message }))),
        TurnEvent::Asked(open) => Some((open.asked_in.turn_id.clone(), asked(open)?)),
        TurnEvent::Ended { turn, answer } => of(&turn.id, Some(ended(turn, answer.as_deref()))),
    }
}

fn session_configured(how: &Configured, thread: Option<&ThreadId>) -> Value {
    json!({
        "type": "session_configured",
        "session_id": thread,
        "thread_id": thread,
        "model": how.model,
        "model_provider_id": how.model_provider,
        "reasoning_effort": how.reasoning_effort,
        "approval_policy": how.approval_policy,
        "cwd": how.cwd,
    })
}

fn begun(turn: &TurnId, item: &Item) -> Option<Value> {
    match item {
        Item::CommandExecution(run) => Some(command("exec_command_begin", turn, run)),
        Item::FileChange { id, changes, .. } => Some(json!({
            "type": "patch_apply_begin", "call_id": id, "turn_id": turn, "changes": old_changes(changes),
        })),
        _ => None,
    }
}

fn done(turn: &TurnId, item: &Item) -> Option<Value> {
    match item {
        Item::UserMessage { content, .. } => {
            let text: Vec<&str> = content.iter().filter_map(|part| part.text.as_deref()).collect();
            Some(json!({ "type": "user_message", "message": text.join("\n"), "images": [], "local_images": [] }))
        }
        Item::AgentMessage { text, phase } => {
            Some(json!({ "type": "agent_message", "message": text, "phase": phase, "memory_citation": null }))
        }
        Item::CommandExecution(run) => {
            let mut message = command("exec_command_end", turn, run);
            let (output, took) = (run.aggregated_output.as_deref().unwrap_or_default(), run.duration_ms.unwrap_or(0));
            for (field, value) in [
                ("stdout", json!(output)),
                ("stderr", json!("")),
                ("aggregated_output", json!(output)),
                ("formatted_output", json!(output)),
                ("exit_code", json!(run.exit_code.unwrap_or(-1))),
                ("duration", json!({ "secs": took / 1000, "nanos": took % 1000 * 1_000_000 })),
                ("status", json!(run.status)),
            ] {
                message[field] = value;
            }
            Some(message)
        }
        Item::FileChange { id, changes, status } => Some(json!({
            "type": "patch_apply_end",
            "call_id": id,
            "turn_id": turn,
            "stdout": "",
            "stderr": "",
            "success": status.as_deref() == Some("completed"),
            "changes": old_changes(changes),
            "status": status,
        })),
        _ => None,
    }
}

/// A command is one text today; the old form had its words.
fn command(kind: &str, turn: &TurnId, run: &Execution) -> Value {
    json!({
        "type": kind, "call_id": run.id, "turn_id": turn, "command": [run.command], "cwd": run.cwd, "parsed_cmd": [],
    })
}

fn token_count(usage: &TokenUsage) -> Value {
    let counted = |tokens: Tokens| json!(tokens);
    json!({
        "type": "token_count",
        "info": {
            "total_token_usage": counted(usage.total),
            "last_token_usage": counted(usage.last),
            "model_context_window": usage.model_context_window,
        },
        "rate_limits": null,
    })
}

fn failed(error: &TurnError, retried: bool) -> Value {
    let kind = if retried { "stream_error" } else { "error" };
    let info = error.codex_error_info.as_ref().map(snake);
    json!({ "type": kind, "message": error.message, "codex_error_info": info })
}

fn asked(open: &OpenAsk) -> Option<Value> {
    let (call, turn) = (&open.asked_in.item_id, &open.asked_in.turn_id);
    match &open.ask {
        Ask::Command { command, cwd, reason } => Some(json!({
            "type": "exec_approval_request",
            "call_id": call,
            "turn_id": turn,
            "command": [command],
            "cwd": cwd,
            "reason": reason,
            "parsed_cmd": [],
            "ask_id": open.id,
        })),
        Ask::FileChange { changes, grant_root, reason } => Some(json!({
            "type": "apply_patch_approval_request",
            "call_id": call,
            "turn_id": turn,
            "changes": old_changes(changes),
            "reason": reason,
            "grant_root": grant_root,
            "ask_id": open.id,
        })),
        _ => None,
    }
}

fn ended(turn: &Turn, answer: Option<&str>) -> Value {
    let mut message = json!({
        "turn_id": turn.id,
        "started_at": turn.started_at,
        "completed_at": turn.completed_at,
        "duration_ms": turn.duration_ms,
    });
    if turn.status == TurnStatus::Interrupted {
        message["type"] = json!("turn_aborted");
        message["reason"] = json!("interrupted");
    } else {
        message["type"] = json!("task_complete");
        message["last_agent_message"] = json!(answer);
    }
    message
}

/// Names in the old spelling: `serverOverloaded` was `server_overloaded`.
fn snake(value: &Value) -> Value {
    match value {
        Value::String(word) => Value::String(snake_word(word)),
        Value::Object(fields) => {
            let old = |(name, value): (&String, &Value)| (snake_word(name), snake(value));
            Value::Object(fields.iter().map(old).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn snake_word(word: &str) -> String {
    let mut old = String::with_capacity(word.len());
    for c in word.chars() {
        if c.is_ascii_uppercase() {
            old.push('_');
        }
        old.push(c.to_ascii_lowercase());
    }
    old
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(event: &TurnEvent) -> Value {
        let thread = ThreadId::parse("thread-1").unwrap();
        message(event, Some(&thread)).unwrap().1
    }

    fn turn() -> TurnId {
        TurnId::parse("turn-1").unwrap()
    }

    fn item(value: Value) -> Item {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_command_and_its_end_have_the_fields_by_which_old_clients_know_them() {
        let run = json!({
            "type": "commandExecution", "id": "call_1", "command": "/bin/bash -lc ls", "cwd": "/p", "status": "completed",
            "aggregatedOutput": "a\n", "exitCode": 0, "durationMs": 1056,
        });
        let begin = told(&TurnEvent::ItemStarted(turn(), item(run.clone())));
        assert_eq!((begin["type"].as_str(), begin["call_id"].as_str()), (Some("exec_command_begin"), Some("call_1")));
        let end = told(&TurnEvent::ItemCompleted(turn(), item(run)));
        assert_eq!((end["type"].as_str(), end["exit_code"].as_i64()), (Some("exec_command_end"), Some(0)));
        assert_eq!((&end["stdout"], &end["duration"]), (&json!("a\n"), &json!({"secs": 1, "nanos": 56_000_000})));
    }

    #[test]
    fn a_change_of_a_file_says_what_becomes_of_it() {
        let change = json!({
            "type": "fileChange", "id": "call_2", "status": "declined",
            "changes": [{"path": "/n", "kind": {"type": "add"}, "diff": "hi\n"}],
        });
        let end = told(&TurnEvent::ItemCompleted(turn(), item(change)));
        assert_eq!((&end["type"], &end["success"]), (&json!("patch_apply_end"), &json!(false)));
        assert_eq!(end["changes"], json!({"/n": {"type": "add", "content": "hi\n"}}));
    }

    #[test]
    fn the_kind_of_an_error_is_spelled_as_it_was() {
        let error = |info: Value| serde_json::from_value(json!({"message": "no", "codexErrorInfo": info})).unwrap();
        let told = |info, retried| told(&TurnEvent::Failed { turn: turn(), error: error(info), retried });
        let plain = told(json!("internalServerError"), false);
        assert_eq!((&plain["type"], &plain["codex_error_info"]), (&json!("error"), &json!("internal_server_error")));
        let nested = told(json!({"httpConnectionFailed": {"httpStatusCode": 401}}), true);
        assert_eq!(nested["type"], "stream_error");
        assert_eq!(nested["codex_error_info"], json!({"http_connection_failed": {"http_status_code": 401}}));
    }

    #[test]
    fn a_turn_ends_complete_or_aborted() {
        let ended = |status: &str| {
            let turn = json!({"id": "turn-1", "status": status, "items": [], "durationMs": 7});
            told(&TurnEvent::Ended { turn: serde_json::from_value(turn).unwrap(), answer: Some("hello".into()) })
        };
        let complete = ended("completed");
        assert_eq!((&complete["type"], &complete["last_agent_message"]), (&json!("task_complete"), &json!("hello")));
        assert_eq!((&ended("interrupted")["type"], &complete["duration_ms"]), (&json!("turn_aborted"), &json!(7)));
    }
}
