//! What agents ask, as the client sees it: in results, and as a form for its user.

use serde_json::{Map, Value, json};

use crate::plain::on_one_line;
use crate::session::{Ask, Change, Decision, Handle, OpenAsk};

/// How much of the changes of files is shown, in characters.
const CHANGES_MAX: usize = 20_000;
/// How much of a command, a question or a reason is shown, in characters.
const TEXT_MAX: usize = 4_000;

/// An open ask for a program, or a model, that may decide on it.
pub(super) fn view(handle: &Handle, open: &OpenAsk) -> Value {
    let mut view = json!({
        "ask_id": open.id,
        "identity": handle.identity(),
        "agent_id": handle.agent(),
        "kind": kind(&open.ask),
        "asks": summary(&open.ask),
        "since": open.since,
        "declined_at": open.until,
        "decisions": words(&open.ask),
    });
    let more = match &open.ask {
        Ask::Command { command, cwd, .. } => json!({ "command": cut(command), "cwd": cwd }),
        Ask::FileChange { changes, grant_root, .. } => json!({ "changes": shown(changes), "grant_root": grant_root }),
        Ask::Permissions { permissions, .. } => json!({ "permissions": permissions }),
        Ask::UserInput { questions } => {
            let question = |question: &crate::session::Question| json!({ "id": question.id, "question": cut(&question.question), "options": options(question) });
            json!({ "questions": questions.iter().map(question).collect::<Vec<_>>() })
        }
        Ask::Elicitation { form, .. } => json!({ "form": form }),
        Ask::ToolCall(_) | Ask::Unknown { .. } => json!({}),
    };
    let more = more.as_object().cloned().unwrap_or_default();
    view.as_object_mut().expect("it is one").extend(more);
    view
}

/// What a model is told to do about it, in a line or a few.
pub(super) fn line(handle: &Handle, open: &OpenAsk) -> String {
    let (more, content) = match &open.ask {
        Ask::FileChange { changes, .. } => (diff(changes), String::new()),
        Ask::Permissions { permissions, .. } => (format!("\n{}", data(permissions)), String::new()),
        Ask::UserInput { questions } => {
            let example = |question: &crate::session::Question| {
                let answer = options(question).into_iter().next().unwrap_or_else(|| "…".to_owned());
                (question.id.clone(), answer.into())
            };
            let all = |question: &crate::session::Question| {
                let (id, asked) = (on_one_line(&question.id), on_one_line(&cut(&question.question)));
                format!("\n{id}: {asked} {}", data(&options(question).into()))
            };
            let answers: Map<String, Value> = questions.iter().map(example).collect();
            (questions.iter().map(all).collect(), format!(", \"content\": {}", data(&answers.into())))
        }
        Ask::Elicitation { form: Some(form), .. } if has_fields(form) => {
            (format!("\n{}", data(&form["properties"])), ", \"content\": {…}".to_owned())
        }
        Ask::Elicitation { form: None, .. } => {
            ("\nIt is answered in a browser, by whoever is attached to the agent.".to_owned(), String::new())
        }
        _ => (String::new(), String::new()),
    };
    let words = words(&open.ask);
    let content = if words[0] == Decision::Accept.word() { content } else { String::new() };
    format!(
        "{} asks {}.{more}\nDecide with agent_approve {{\"ask_id\": \"{}\", \"decision\": \"{}\"{content}}} (or {}).",
        handle.identity(),
        summary(&open.ask),
        open.id,
        words[0],
        words[1..].join(", "),
    )
}

/// What can be decided, in words.
fn words(ask: &Ask) -> Vec<&'static str> {
    ask.decisions().iter().map(|decision| decision.word()).collect()
}

/// Whether a form asks for anything but a yes.
pub(super) fn has_fields(form: &Value) -> bool {
    form["properties"].as_object().is_some_and(|all| !all.is_empty())
}

/// Data in a text, on one line.
fn data(value: &Value) -> String {
    on_one_line(&cut(&value.to_string()))
}

fn kind(ask: &Ask) -> &'static str {
    match ask {
        Ask::Command { .. } => "command",
        Ask::FileChange { .. } => "file_change",
        Ask::Permissions { .. } => "permissions",
        Ask::UserInput { .. } => "user_input",
        Ask::Elicitation { .. } => "mcp_elicitation",
        Ask::ToolCall(_) | Ask::Unknown { .. } => "other",
    }
}

fn summary(ask: &Ask) -> String {
    on_one_line(&cut(&ask.summary()))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} characters in all)", &text[..end], text.chars().count()),
    }
}

fn options(question: &crate::session::Question) -> Vec<String> {
    question.options.iter().flatten().map(|choice| choice.label.clone()).collect()
}

/// The changes, as much of them as there is room for; of what is left out, it is said.
fn shown(changes: &[Change]) -> Vec<Value> {
    let mut room = CHANGES_MAX;
    let shown = changes.iter().map(|change| {
        let diff: String = change.diff.chars().take(room).collect();
        let left = change.diff.chars().count() - diff.chars().count();
        room = room.saturating_sub(diff.chars().count());
        let mut shown = json!({ "path": change.path, "kind": change.kind.name, "diff": diff });
        if let Some(to) = &change.kind.move_path {
            shown["moved_to"] = json!(to);
        }
        if left > 0 {
            shown["cut"] = json!(left);
        }
        shown
    });
    shown.collect()
}

/// The changes for a person: what others wrote stands apart, line by line, and moves no cursor.
fn diff(changes: &[Change]) -> String {
    let one = |shown: Value| {
        let text = |key: &str| shown[key].as_str().unwrap_or_default();
        let cut = shown["cut"].as_u64().map(|cut| format!("\n({cut} more characters)")).unwrap_or_default();
        let lines: String = text("diff").lines().map(|line| format!("\n  {}", on_one_line(line))).collect();
        let to = shown["moved_to"].as_str().map(|to| format!(" and move it to {}", on_one_line(to)));
        let head = format!("{} {}{}", on_one_line(text("kind")), on_one_line(text("path")), to.unwrap_or_default());
        format!("\n{head}:{lines}{cut}")
    };
    shown(changes).into_iter().map(one).collect()
}

/// The form in which the client's user is asked; `titled` is how the client's revision of the protocol gives choices titles.
pub(super) fn form(handle: &Handle, open: &OpenAsk, titled: bool) -> Value {
    let message = match &open.ask {
        Ask::Command { cwd: Some(cwd), .. } => {
            format!("{} asks {} in {}", handle.identity(), summary(&open.ask), on_one_line(cwd))
        }
        Ask::FileChange { changes, .. } => {
            format!("{} asks {}:{}", handle.identity(), summary(&open.ask), diff(changes))
        }
        Ask::Permissions { permissions, .. } => {
            format!("{} asks {}: {}", handle.identity(), summary(&open.ask), data(permissions))
        }
        ask => format!("{} asks {}", handle.identity(), summary(ask)),
    };
    json!({ "message": message, "requestedSchema": schema(&open.ask, titled) })
}

fn schema(ask: &Ask, titled: bool) -> Value {
    match ask {
        Ask::UserInput { questions } => {
            let field = |question: &crate::session::Question| {
                let mut field = json!({ "type": "string", "title": on_one_line(&cut(&question.question)) });
                let options = options(question);
                if !options.is_empty() && !question.is_other {
                    field["enum"] = json!(options);
                } else if !options.is_empty() {
                    field["description"] = json!(format!("For example: {}", options.join(", ")));
                }
                (question.id.clone(), field)
            };
            let properties: Map<String, Value> = questions.iter().map(field).collect();
            let required: Vec<&String> = properties.keys().collect();
            json!({ "type": "object", "required": required, "properties": properties })
        }
        Ask::Elicitation { form: Some(form), .. } if has_fields(form) => form.clone(),
        _ => {
            let words = words(ask);
            let titles: Vec<&str> = ask.decisions().iter().map(title).collect();
            let choices: Vec<Value> =
                words.iter().zip(&titles).map(|(word, title)| json!({ "const": word, "title": title })).collect();
            let decision = match titled {
                true => json!({ "type": "string", "title": "Decision", "oneOf": choices }),
                false => json!({ "type": "string", "title": "Decision", "enum": words, "enumNames": titles }),
            };
            let reason =
                json!({ "type": "string", "title": "Reason", "description": "Told to the agent; may be left out." });
            json!({ "type": "object", "required": ["decision"], "properties": { "decision": decision, "reason": reason } })
        }
    }
}

fn title(decision: &Decision) -> &'static str {
    match decision {
        Decision::Accept => "Yes, this once",
        Decision::AcceptForSession => "Yes, and the like of it from now on",
        Decision::Decline => "No, go on without it",
        Decision::Cancel => "No, end the turn",
    }
}

/// The fields by which clients of the lost `codex mcp-server` know what is asked (0.153.4).
pub(super) fn old_fields(handle: &Handle, open: &OpenAsk) -> Map<String, Value> {
    let mut fields = json!({
        "threadId": handle.snapshot().thread,
        "codex_call_id": open.asked_in.item_id,
        "codex_event_id": open.asked_in.turn_id,
        "codex_mcp_tool_call_id": open.id,
    });
    match &open.ask {
        Ask::Command { command, cwd, .. } => {
            fields["codex_elicitation"] = json!("exec-approval");
            fields["codex_command"] = json!([command]);
            fields["codex_cwd"] = json!(cwd);
            fields["codex_parsed_cmd"] = json!([]);
        }
        Ask::FileChange { changes, grant_root, reason } => {
            fields["codex_elicitation"] = json!("patch-approval");
            fields["codex_changes"] = json!(old_changes(changes));
            fields["codex_reason"] = json!(reason);
            fields["codex_grant_root"] = json!(grant_root);
        }
        _ => {}
    }
    fields.as_object().cloned().unwrap_or_default()
}

/// Changes of files as clients of the lost tool know them.
pub(super) fn old_changes(changes: &[Change]) -> Map<String, Value> {
    let old = |change: &Change| match change.kind.name.as_str() {
        "update" => {
            json!({ "type": "update", "unified_diff": change.diff, "move_path": change.kind.move_path })
        }
        kind => json!({ "type": kind, "content": change.diff }),
    };
    changes.iter().map(|change| (change.path.clone(), old(change))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> Ask {
        Ask::Command { command: "ls".to_owned(), cwd: None, reason: None }
    }

    #[test]
    fn what_stands_in_a_change_cannot_pose_as_another_or_move_a_cursor() {
        let change = Change {
            path: "a\nupdate src/other.rs:\u{202e}".to_owned(),
            diff: "+one\u{1b}[2J\nadd b:\n+two\r".to_owned(),
            ..Change::default()
        };
        let shown = diff(&[change]);
        let lines: Vec<&str> = shown.lines().skip(1).collect();
        let head = " a\\nupdate src/other.rs:\\u{202e}:";
        assert_eq!(lines, [head, "  +one\\u{1b}[2J", "  add b:", "  +two\\r"]);
    }

    #[test]
    fn a_form_has_a_schema_that_is_a_flat_object() {
        let schemas = [true, false].map(|titled| schema(&command(), titled));
        assert_eq!(schemas[0]["properties"]["decision"]["oneOf"][1]["const"], "accept_for_session");
        assert_eq!(schemas[1]["properties"]["decision"]["enum"][3], "cancel");
        for schema in schemas {
            assert_eq!((&schema["type"], &schema["required"]), (&json!("object"), &json!(["decision"])));
        }
    }
}
