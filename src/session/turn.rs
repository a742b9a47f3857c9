//! One turn as it goes on: what was said and counted so far.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::outcome::{End, Outcome, Usage};
use super::record::Record;
use super::state::{CallId, Ending, Job, Stop};
use crate::codex::wire::{Change, Execution, Item, TokenUsage, Turn, TurnError, TurnStatus};
use crate::ids::TurnId;

/// How many notes a result carries.
const NOTES_MAX: usize = 10;
/// How much is kept of what Codex or its model says went wrong, in characters.
const TROUBLE_MAX: usize = 4000;
/// How long a line on what the agent does may be, in characters.
const ACTIVITY_MAX: usize = 100;

/// A turn of ours, from its asking to its end.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) job: Job,
    pub(super) turn: Option<TurnId>,
    pub(super) usage: Option<Usage>,
    pub(super) until: Option<Instant>,
    text: String,
    trouble: Option<TurnError>,
    notes: Vec<String>,
    since: Instant,
}

impl Progress {
    pub(super) fn new(job: Job, limit: Option<Duration>, notes: Vec<String>) -> Progress {
        let since = Instant::now();
        let until = limit.map(|limit| since + limit);
        Progress { job, turn: None, usage: None, until, text: String::new(), trouble: None, notes, since }
    }

    pub(super) fn note(&mut self, note: String) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note);
        }
    }

    pub(super) fn completed(&mut self, item: &Item) {
        if let Some(said) = answer(item) {
            said.clone_into(&mut self.text);
        }
    }

    pub(super) fn counted(&mut self, usage: &TokenUsage) {
        self.usage = Some(Usage { last: usage.last, total: usage.total, context_window: usage.model_context_window });
    }

    pub(super) fn failed(&mut self, error: TurnError) {
        self.trouble = Some(error);
    }

    /// What the agent has answered in the turn, which has ended as `turn` says (0.144.6 leaves the answer out there).
    pub(super) fn answered(&self, turn: &Turn) -> Option<String> {
        let last = turn.items.iter().rev().find_map(answer).unwrap_or(&self.text);
        (!last.is_empty()).then(|| last.to_owned())
    }

    /// What is left when the turn has ended as `turn` says; `stop` is why we ended it, if we did.
    fn into_outcome(self, outcome: Outcome, turn: Option<&Turn>, stop: Option<Stop>) -> Outcome {
        let last = turn.and_then(|turn| turn.items.iter().rev().find_map(answer));
        let failed = turn.is_some_and(|turn| turn.status == TurnStatus::Failed);
        let error = turn.and_then(|turn| turn.error.clone()).or(self.trouble.filter(|_| failed));
        let error_info = error.as_ref().and_then(|error| error.codex_error_info.clone()).filter(is_short);
        let in_its_words = error.as_ref().map(|error| match &error.additional_details {
            Some(details) => format!("{} ({details})", error.message),
            None => error.message.clone(),
        });
        let end = match turn.map(|turn| turn.status) {
            Some(TurnStatus::Completed) => End::Completed,
            Some(TurnStatus::Failed) => {
                let why = in_its_words.unwrap_or_else(|| "Codex did not say why".into());
                End::Failed(shortened(&why, TROUBLE_MAX))
            }
            _ => stop.map_or(End::Interrupted, End::Stopped),
        };
        Outcome {
            end,
            text: last.map_or(self.text, str::to_owned),
            usage: self.usage,
            took: self.since.elapsed(),
            notes: self.notes,
            error_info,
            turn: self.turn,
            ..outcome
        }
    }
}

/// Whether it is of a size to be handed on.
fn is_short(info: &Value) -> bool {
    !info.is_null() && info.to_string().len() <= TROUBLE_MAX
}

impl Outcome {
    /// What a turn of the thread's history came to.
    pub fn of_history(record: &Record, turn: &Turn) -> Outcome {
        let agent = Outcome::without_turn(record.agent_id.clone(), record.identity.clone(), End::Interrupted);
        let progress =
            Progress { turn: Some(turn.id.clone()), ..Progress::new(Job::Call(CallId(0)), None, Vec::new()) };
        let mut outcome =
            progress.into_outcome(Outcome { thread: record.thread_id.clone(), ..agent }, Some(turn), None);
        if outcome.end == End::Interrupted {
            outcome.end = End::BrokenOff;
        }
        Outcome { took: Duration::from_millis(turn.duration_ms.unwrap_or_default()), ..outcome }
    }
}

/// What somebody else says, in at most so many characters.
pub(super) fn shortened(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} characters in all)", &text[..end], text.chars().count()),
    }
}

/// The outcome of a call that ended so: with `progress` if its turn was asked for, with `turn` if that has ended.
pub(super) fn outcome(record: &Record, progress: Option<Progress>, turn: Option<&Turn>, ending: Ending) -> Outcome {
    let (end, stop) = match ending {
        Ending::Turn { stop: Some(stop) } if progress.is_none() => (Some(End::Stopped(stop)), None),
        Ending::Turn { stop } => (None, stop),
        Ending::Withdrawn => (Some(End::Withdrawn), None),
        Ending::NotTaken(why) => (Some(End::NotTaken(why)), None),
        Ending::Refused(why) => (Some(End::Refused(shortened(&why, TROUBLE_MAX).into())), None),
        Ending::Lost(why) => (Some(End::Lost(why)), None),
        Ending::Closed => (Some(End::Closed), None),
    };
    let mut outcome = Outcome::without_turn(record.agent_id.clone(), record.identity.clone(), End::Interrupted);
    outcome.thread.clone_from(&record.thread_id);
    if let Some(progress) = progress {
        outcome = progress.into_outcome(outcome, turn, stop);
    }
    outcome.end = end.unwrap_or(outcome.end);
    outcome
}

/// What the agent answered, if the item is that; its commentary is none.
pub(super) fn answer(item: &Item) -> Option<&str> {
    match item {
        Item::AgentMessage { text, phase } if phase.as_deref() != Some("commentary") => Some(text),
        _ => None,
    }
}

/// What an agent does when it begins this, in one short line.
pub fn activity(item: &Item) -> Option<String> {
    let line = match item {
        Item::AgentMessage { .. } => "answering".to_owned(),
        Item::CommandExecution(Execution { command, .. }) => format!("running {command}"),
        Item::FileChange { changes, .. } => format!("editing {}", paths(changes)),
        Item::McpToolCall { server, tool } => format!("calling {server}.{tool}"),
        Item::DynamicToolCall { namespace: Some(namespace), tool, .. } => format!("calling {namespace}.{tool}"),
        Item::DynamicToolCall { namespace: None, tool, .. } => format!("calling {tool}"),
        Item::WebSearch { query } => format!("searching the web for {query}"),
        Item::Reasoning {} => "thinking".to_owned(),
        Item::ContextCompaction {} => "compacting its history".to_owned(),
        Item::UserMessage { .. } | Item::CollabAgentToolCall { .. } | Item::SubAgentActivity { .. } | Item::Other => {
            return None;
        }
    };
    Some(one_line(&line))
}

fn paths(changes: &[Change]) -> String {
    changes.iter().map(|change| change.path.as_str()).collect::<Vec<_>>().join(", ")
}

/// The text in one line of at most [`ACTIVITY_MAX`] characters.
pub(super) fn one_line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut line: String = plain.take(ACTIVITY_MAX).collect();
    if text.chars().nth(ACTIVITY_MAX).is_some() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::wire::ThreadOptions;
    use crate::ids::{AgentName, Team};
    use serde_json::json;

    fn call() -> Job {
        Job::Call(crate::session::state::CallId(1))
    }

    fn message(text: &str, phase: Option<&str>) -> Item {
        serde_json::from_value(json!({"type": "agentMessage", "id": "1", "text": text, "phase": phase})).unwrap()
    }

    fn ended(status: &str, items: &serde_json::Value) -> Turn {
        serde_json::from_value(json!({"id": "t", "status": status, "items": items})).unwrap()
    }

    fn finished(progress: Progress, turn: &Turn, stop: Option<Stop>) -> Outcome {
        let name = AgentName::parse("a").unwrap();
        let record = Record::new(name, true, Team::parse("t").unwrap(), None, ThreadOptions::default());
        outcome(&record, Some(progress), Some(turn), Ending::Turn { stop })
    }

    #[test]
    fn the_answer_is_the_turns_last_message_or_the_last_one_seen() {
        let mut progress = Progress::new(call(), None, vec![]);
        progress.completed(&message("first", None));
        progress.completed(&message("on my way", Some("commentary")));
        let outcome = finished(progress, &ended("completed", &json!([])), None);
        assert_eq!((outcome.end, outcome.text.as_str()), (End::Completed, "first"));
        let items = json!([{"type": "agentMessage", "id": "2", "text": "last"}, {"type": "later", "id": "3"}]);
        let outcome = finished(Progress::new(call(), None, vec![]), &ended("completed", &items), None);
        assert_eq!(outcome.text, "last");
    }

    #[test]
    fn an_ended_turn_says_who_ended_it() {
        let end = |status, stop| finished(Progress::new(call(), None, vec![]), &ended(status, &json!([])), stop).end;
        assert_eq!(end("interrupted", Some(Stop::TimedOut)), End::Stopped(Stop::TimedOut));
        assert_eq!(end("interrupted", None), End::Interrupted);
        assert_eq!(end("completed", Some(Stop::Cancelled)), End::Completed, "it was faster");
    }

    #[test]
    fn what_went_wrong_is_told_in_bounds() {
        let error = json!({"message": "x".repeat(500_000)});
        let turn = serde_json::from_value(json!({"id": "t", "status": "failed", "items": [], "error": error})).unwrap();
        let End::Failed(why) = finished(Progress::new(call(), None, vec![]), &turn, None).end else {
            panic!("it failed");
        };
        assert!(why.len() < TROUBLE_MAX + 100 && why.ends_with("(500000 characters in all)"), "{}", why.len());
    }

    #[test]
    fn an_activity_is_one_short_line() {
        let item = json!({"type": "commandExecution", "id": "1", "command": format!("a\nb{}", "c".repeat(300))});
        let line = activity(&serde_json::from_value(item).unwrap()).unwrap();
        assert!(line.starts_with("running a b") && line.chars().count() == ACTIVITY_MAX + 1, "{line}");
    }
}
