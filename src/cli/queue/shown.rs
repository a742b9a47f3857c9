//! An entry as people and scripts are shown it.

use jiff::Timestamp;
use serde::Serialize;

use super::team::Member;
use crate::cli::time;
use crate::ids::{AgentId, AgentName, EntryId};
use crate::plain::is_unseen;
use crate::queue::{Delivered, Holder, Listed, Reason, Standing, Text, Tries};

/// An entry that waits or was buried.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    pub(super) id: &'a EntryId,
    pub(super) agent_id: &'a AgentId,
    pub(super) agent: Option<&'a AgentName>,
    #[serde(flatten)]
    pub(super) state: State<'a>,
    pub(super) enqueued_at: Timestamp,
    pub(super) attempts: u32,
    pub(super) last_failure: Option<Failure<'a>>,
    /// Absent where the file cannot be read as a message.
    #[serde(flatten)]
    pub(super) text: Option<&'a Text>,
}

/// What happened the last time that it could not be delivered.
#[derive(Debug, Serialize)]
pub(super) struct Failure<'a> {
    pub(super) what: &'a str,
    pub(super) at: Timestamp,
}

/// Where it stands.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum State<'a> {
    Waiting,
    BeingWritten,
    BeingDelivered { holder: Option<&'a Holder> },
    InDoubt { holder: &'a Holder },
    ForeignLock,
    Dead { reason: Option<&'a Reason> },
    Unusable { why: &'a str },
}

impl State<'_> {
    /// In a word or two.
    pub(super) fn word(&self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::BeingWritten => "being written",
            State::BeingDelivered { .. } => "being delivered",
            State::InDoubt { .. } => "in doubt",
            State::ForeignLock => "foreign lock",
            State::Dead { .. } => "dead",
            State::Unusable { .. } => "unusable",
        }
    }

    /// What more there is to say, in a sentence.
    pub(super) fn more(&self) -> Option<String> {
        match self {
            State::Waiting | State::BeingDelivered { holder: None } => None,
            State::BeingWritten => Some("its file is empty, or was changed a moment ago".to_owned()),
            State::BeingDelivered { holder: Some(holder) } => {
                Some(format!("by process {} on {}, delivery {}", holder.process.pid, holder.host, holder.delivery))
            }
            State::InDoubt { holder } => Some(format!(
                "process {} has ended in delivery {}; the agent's next server finds out whether it has arrived",
                holder.process.pid, holder.delivery
            )),
            State::ForeignLock => Some("another program has locked it; the lock counts for queue_ttl_secs".to_owned()),
            State::Dead { reason: Some(reason) } => {
                Some(format!("{} ({})", reason.why, time::of_here(reason.buried_at)))
            }
            State::Dead { reason: None } => Some("nobody left a word why".to_owned()),
            State::Unusable { why } => Some((*why).to_owned()),
        }
    }
}

impl<'a> Shown<'a> {
    pub(super) fn new(member: &'a Member, listed: &'a Listed) -> Shown<'a> {
        let state = match &listed.state {
            Standing::Waiting => State::Waiting,
            Standing::BeingWritten => State::BeingWritten,
            Standing::Claimed(holder) => State::BeingDelivered { holder: holder.as_ref() },
            Standing::InDoubt(holder) => State::InDoubt { holder },
            Standing::Foreign => State::ForeignLock,
            Standing::Dead(reason) => State::Dead { reason: reason.as_ref() },
            Standing::Unusable(why) => State::Unusable { why },
        };
        let buried_after = if let State::Dead { reason: Some(reason) } = &state { reason.attempts } else { 0 };
        let failure = |tries: &'a Tries| Failure { what: &tries.last, at: tries.at };
        Shown {
            id: &listed.id,
            agent_id: &member.agent,
            agent: member.name(),
            state,
            enqueued_at: listed.enqueued_at,
            attempts: listed.tries.as_ref().map_or(buried_after, |tries| tries.attempts),
            last_failure: listed.tries.as_ref().map(failure),
            text: listed.text.as_ref(),
        }
    }
}

/// An entry that has arrived.
#[derive(Debug, Serialize)]
pub(super) struct Arrived<'a> {
    pub(super) agent_id: &'a AgentId,
    pub(super) agent: Option<&'a AgentName>,
    state: &'static str,
    #[serde(flatten)]
    pub(super) delivered: &'a Delivered,
}

impl<'a> Arrived<'a> {
    pub(super) fn new(member: &'a Member, delivered: &'a Delivered) -> Arrived<'a> {
        Arrived { agent_id: &member.agent, agent: member.name(), state: "delivered", delivered }
    }
}

/// The beginning of a text on one line, without control characters; a cut is marked.
pub(super) fn beginning(text: &str, most: usize) -> String {
    let text = text.trim();
    let line = text.lines().next().unwrap_or_default();
    let mut shown: String = line.chars().filter(|c| !is_unseen(*c)).take(most).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_of_a_text_is_one_line_that_cannot_write_over_others() {
        assert_eq!(beginning("\n a\u{1b}[2Jb\u{7}", 60), "a[2Jb…");
        assert_eq!(beginning("one\ntwo", 60), "one…");
        assert_eq!(beginning(&"ä".repeat(61), 60), "ä".repeat(60) + "…");
        assert_eq!((beginning("short", 60), beginning("", 60)), ("short".to_owned(), String::new()));
    }
}
