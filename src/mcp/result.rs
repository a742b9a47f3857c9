//! A turn's outcome as a tool result: for programs, for models that see text only, for models that see structure only.
//!
//! Claude Code shows its model `structuredContent` instead of the text (2.1.330), other clients the text alone; so
//! each holds everything that matters.

use std::sync::Arc;

use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::{Value, json};

use crate::ids::{AgentId, AgentName, ThreadId, TurnId};
use crate::mcp::{asks, codes};
use crate::session::{End, Handle, OpenAsk, Outcome, Stop, Tokens};

/// How many characters of answers one result carries.
pub const TEXT_MAX: usize = 60_000;

/// What a program reads of a turn.
#[derive(Debug, Serialize)]
pub struct TurnResult {
    #[serde(rename = "threadId", skip_serializing_if = "Option::is_none")]
    thread_id: Option<ThreadId>,
    content: String,
    agent_id: AgentId,
    identity: AgentName,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    turn_id: Option<TurnId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageResult>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// What waits for a decision.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    asks: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// The number of `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_source: Option<&'static str>,
    /// What Codex says of a turn that failed, in its own form.
    #[serde(skip_serializing_if = "Option::is_none")]
    codex_error_info: Option<Value>,
}

/// Tokens: the turn's last answer, and the whole thread.
#[derive(Debug, Serialize)]
struct UsageResult {
    #[serde(flatten)]
    last: Tokens,
    thread_total_tokens: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    context_window: Option<u64>,
}

impl TurnResult {
    /// Of a turn that has ended; `text_max` characters of its answer are kept.
    pub fn of(outcome: &Outcome, notes: &[String], text_max: usize) -> TurnResult {
        let (status, error) = words(&outcome.end);
        let answer = bounded(&outcome.text, text_max, &outcome.agent);
        let content = match trouble(outcome) {
            None => answer,
            Some(trouble) if answer.is_empty() => trouble,
            Some(trouble) => format!("{trouble}\n\nUntil then it had said:\n{answer}"),
        };
        TurnResult {
            thread_id: outcome.thread.clone(),
            content,
            agent_id: outcome.agent.clone(),
            identity: outcome.identity.clone(),
            status,
            turn_id: outcome.turn.clone(),
            usage: outcome.usage.map(|usage| UsageResult {
                last: usage.last,
                thread_total_tokens: usage.total.total_tokens,
                context_window: usage.context_window,
            }),
            duration_ms: u64::try_from(outcome.took.as_millis()).ok(),
            notes: notes.iter().chain(&outcome.notes).cloned().collect(),
            asks: Vec::new(),
            error,
            code: error.map(|word| codes::of(word).number),
            error_source: error.map(|word| codes::of(word).side.word()),
            codex_error_info: outcome.error_info.clone(),
        }
    }

    /// Of a turn that runs on in the background.
    pub fn running(handle: &Handle, notes: &[String]) -> TurnResult {
        let snapshot = handle.snapshot();
        let identity = handle.identity().clone();
        TurnResult {
            content: format!("{identity} works in the background. Get its result with agent_wait."),
            thread_id: snapshot.thread.clone(),
            agent_id: handle.agent().clone(),
            identity,
            status: "running",
            turn_id: snapshot.turn().cloned(),
            usage: None,
            duration_ms: None,
            notes: notes.to_vec(),
            asks: Vec::new(),
            error: None,
            code: None,
            error_source: None,
            codex_error_info: None,
        }
    }

    /// Of a turn that waits until somebody has decided.
    pub(super) fn awaiting(handle: &Handle, open: &[Arc<OpenAsk>], notes: &[String]) -> TurnResult {
        let lines: Vec<String> = open.iter().map(|open| asks::line(handle, open)).collect();
        let content = format!(
            "{}\nThe turn of {} waits for that; then get its result with agent_wait.",
            lines.join("\n"),
            handle.identity()
        );
        let asks = open.iter().map(|open| asks::view(handle, open)).collect();
        TurnResult { content, status: "awaiting_approval", asks, ..TurnResult::running(handle, notes) }
    }

    /// Whether the turn did what was asked.
    pub fn is_error(&self) -> bool {
        self.error.is_some()
    }

    /// One short line with what a reader of text needs to go on.
    pub fn line(&self) -> String {
        let mut line = format!("[agent {} ({})", self.identity, self.agent_id);
        if let Some(thread) = &self.thread_id {
            line.push_str(&format!(", threadId {thread}"));
        }
        line.push_str(&format!(", {}", self.status));
        if let Some(duration) = self.duration_ms {
            line.push_str(&format!(", {}.{} s", duration / 1000, duration % 1000 / 100));
        }
        if let Some(usage) = &self.usage {
            line.push_str(&format!(", {} tokens", usage.thread_total_tokens));
        }
        line.push(']');
        line
    }

    /// The text for a reader of text: the answer, and what belongs to it.
    pub fn text(&self) -> &str {
        &self.content
    }

    /// Its notes.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The result of the call that waited for it.
    pub fn into_result(self) -> CallToolResult {
        let mut content = vec![ContentBlock::text(self.content.clone()), ContentBlock::text(self.line())];
        content.extend(self.notes.iter().map(|note| ContentBlock::text(format!("note: {note}"))));
        let mut result =
            if self.is_error() { CallToolResult::error(content) } else { CallToolResult::success(content) };
        result.structured_content = Some(json!(self));
        result
    }
}

/// The status in one word, and the code of the error if it is one.
fn words(end: &End) -> (&'static str, Option<&'static str>) {
    match end {
        End::Completed => ("completed", None),
        End::Stopped(Stop::TimedOut) => ("timed_out", Some("REQUEST_TIMEOUT")),
        End::Stopped(Stop::Cancelled) | End::Withdrawn => ("cancelled", Some("CANCELLED")),
        End::Stopped(Stop::Interrupted) | End::Interrupted | End::BrokenOff => ("interrupted", Some("INTERRUPTED")),
        End::Failed(_) => ("failed", Some("TURN_FAILED")),
        End::NotTaken(_) => ("refused", Some("CALL_NOT_TAKEN")),
        End::Refused(_) => ("refused", Some("TURN_REFUSED")),
        End::Lost(_) => ("lost", Some("CHILD_PROCESS_DEAD")),
        End::Closed => ("closed", Some("SESSION_CLOSED")),
        End::ServerEnds => ("interrupted", Some("SERVER_ENDS")),
    }
}

/// What went wrong and what to do, if something did.
fn trouble(outcome: &Outcome) -> Option<String> {
    let agent = &outcome.identity;
    let id = &outcome.agent;
    let go_on = format!("go on with codex-reply {{\"agent_id\": \"{id}\", \"prompt\": …}}");
    Some(match &outcome.end {
        End::Completed => return None,
        End::Failed(why) => format!("The turn of {agent} failed: {why}\nThe agent is still there; {go_on}."),
        End::NotTaken(why) => format!("The call to {agent} was not taken: {why}"),
        End::Refused(why) => format!("{agent} could not begin the turn: {why}"),
        End::Lost(why) => format!(
            "{why}\nThe turn of {agent} has ended with it. The agent is kept: {go_on}; that starts Codex again and \
             continues the same thread."
        ),
        End::Stopped(Stop::TimedOut) => format!(
            "The turn of {agent} took longer than request_timeout_secs and was interrupted. The agent is still there; \
             {go_on}, or use background."
        ),
        End::Stopped(Stop::Cancelled) | End::Withdrawn => format!("The call to {agent} was cancelled; {go_on}."),
        End::Stopped(Stop::Interrupted) => format!("The turn of {agent} was interrupted (agent_interrupt); {go_on}."),
        End::Interrupted => format!("The turn of {agent} was interrupted by somebody else; {go_on}."),
        End::BrokenOff => format!("The turn of {agent} was interrupted, or its server ended; {go_on}."),
        End::ServerEnds => format!(
            "The server ends, and with it the call to {agent}. The agent is kept: start the server again and {go_on}."
        ),
        End::Closed => format!(
            "The agent {agent} was closed before the turn ended. Continue it with codex {{\"agent_id\": \"{id}\", \
             \"prompt\": …}}."
        ),
    })
}

/// The first `max` characters, and how to get the rest.
fn bounded(text: &str, max: usize, agent: &AgentId) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((end, _)) => format!(
            "{}\n\n[cut here: {max} of {} characters. The rest: agent_read {{\"agent_id\": \"{agent}\", \"what\": \
             \"answer\", \"offset\": {max}}}]",
            &text[..end],
            text.chars().count()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(end: End, text: &str) -> Outcome {
        let mut outcome = Outcome::without_turn(AgentId::new(), AgentName::parse("arch").unwrap(), end);
        outcome.thread = Some(ThreadId::parse("t-1").unwrap());
        outcome.text = text.to_owned();
        outcome
    }

    #[test]
    fn the_first_text_is_the_answer_and_nothing_else() {
        let result = TurnResult::of(&outcome(End::Completed, "hello"), &[], TEXT_MAX).into_result();
        let texts: Vec<_> = result.content.iter().map(|block| block.as_text().unwrap().text.as_str()).collect();
        assert_eq!(texts[0], "hello");
        assert!(texts[1].contains("arch") && texts[1].contains("t-1"), "{}", texts[1]);
        let structure = result.structured_content.unwrap();
        assert_eq!((structure["threadId"].as_str(), structure["content"].as_str()), (Some("t-1"), Some("hello")));
        assert_eq!(result.is_error, Some(false));
    }

    #[test]
    fn a_long_answer_is_cut_and_says_how_to_get_the_rest() {
        let result = TurnResult::of(&outcome(End::Completed, &"ä".repeat(100_000)), &[], TEXT_MAX);
        assert!(result.content.chars().count() < TEXT_MAX + 300);
        assert!(result.content.contains("60000 of 100000") && result.content.contains("agent_read"));
    }

    #[test]
    fn every_bad_end_says_what_happened_and_what_to_do() {
        let why = || std::sync::Arc::from("Codex is gone: killed");
        let ends = [
            End::Failed("no credit".into()),
            End::Lost(why()),
            End::Closed,
            End::ServerEnds,
            End::Interrupted,
            End::BrokenOff,
            End::Stopped(Stop::TimedOut),
            End::Stopped(Stop::Interrupted),
        ];
        for end in ends {
            let result = TurnResult::of(&outcome(end.clone(), "half"), &[], TEXT_MAX);
            assert!(result.is_error(), "{end:?}");
            assert!(result.content.contains("codex") && result.content.ends_with("half"), "{}", result.content);
        }
    }
}
