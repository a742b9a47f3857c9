//! What happens in a thread: Codex's notifications in our words.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::ask::{Ask, AskedIn, Owed};
use super::notes::{About, ErrorNote, ItemNote, PieceNote, ResolvedNote, StatusNote, TurnNote, UsageNote, WarningNote};
use super::wire::{Item, TokenUsage, Turn, TurnError};
use crate::ids::{ThreadId, TurnId};
use crate::rpc::Id;

/// Something that happened in one thread.
#[derive(Debug)]
pub enum ThreadEvent {
    /// A turn runs: ours, or one that a human started in the same thread.
    TurnStarted(TurnId),
    /// A turn has ended.
    TurnEnded(Turn),
    /// Something began.
    ItemStarted {
        /// In which turn.
        turn: TurnId,
        /// What.
        item: Item,
    },
    /// Something is complete. For commands that outlive their turn this comes after the turn's end, or never.
    ItemCompleted {
        /// In which turn.
        turn: TurnId,
        /// What.
        item: Item,
    },
    /// A piece of an answer that is being written; only if somebody wants them.
    Piece {
        /// In which turn.
        turn: TurnId,
        /// Of which item.
        item: String,
        /// The text.
        text: String,
    },
    /// Codex warns of something.
    Warned(String),
    /// Tokens were counted.
    Usage {
        /// In which turn.
        turn: TurnId,
        /// The count.
        usage: TokenUsage,
    },
    /// Something failed; if it is retried, the turn goes on.
    Failed {
        /// In which turn.
        turn: TurnId,
        /// What, in Codex's words.
        error: TurnError,
        /// Whether Codex tries again.
        retried: bool,
    },
    /// The thread waits for an answer of somebody's, or does so no more.
    Waits(bool),
    /// Codex asks something and waits for the answer.
    Asked {
        /// What.
        ask: Ask,
        /// In which turn.
        asked_in: AskedIn,
        /// The answer.
        owed: Owed,
    },
    /// What was asked under this id is answered, by us or by somebody else, or nobody asks any more.
    Resolved(Id),
    /// The app-server is gone, and with it every turn; or somebody has put this thread away.
    Lost(Arc<str>),
}

/// The thread that a message is about, if it is about one.
pub(super) fn thread_of(params: &str) -> Option<ThreadId> {
    serde_json::from_str::<About>(params).ok().map(|about| about.thread_id)
}

/// Reads a notification; `None` for those that we have no use for.
pub(super) fn read(method: &str, params: &str) -> Option<ThreadEvent> {
    match method {
        "turn/started" => parse(method, params).map(|TurnNote { turn }| ThreadEvent::TurnStarted(turn.id)),
        "turn/completed" => parse(method, params).map(|TurnNote { turn }| ThreadEvent::TurnEnded(turn)),
        "item/started" => {
            parse(method, params).map(|ItemNote { item, turn_id: turn }| ThreadEvent::ItemStarted { turn, item })
        }
        "item/completed" => {
            parse(method, params).map(|ItemNote { item, turn_id: turn }| ThreadEvent::ItemCompleted { turn, item })
        }
        "item/agentMessage/delta" => parse(method, params)
            .map(|PieceNote { turn_id: turn, item_id: item, delta: text }| ThreadEvent::Piece { turn, item, text }),
        "warning" => parse(method, params).map(|WarningNote { message }| ThreadEvent::Warned(message)),
        "thread/tokenUsage/updated" => parse(method, params)
            .map(|UsageNote { turn_id: turn, token_usage: usage }| ThreadEvent::Usage { turn, usage }),
        "thread/status/changed" => {
            parse(method, params).map(|StatusNote { status }| ThreadEvent::Waits(status.is_waiting()))
        }
        "serverRequest/resolved" => {
            parse(method, params).map(|ResolvedNote { request_id }| ThreadEvent::Resolved(request_id))
        }
        "thread/archived" => Some(ThreadEvent::Lost("its thread was archived".into())),
        "thread/deleted" => Some(ThreadEvent::Lost("its thread was deleted".into())),
        "error" => parse(method, params).map(|ErrorNote { turn_id: turn, error, will_retry: retried }| {
            ThreadEvent::Failed { turn, error, retried }
        }),
        _ => {
            tracing::trace!(method, "a notification without use");
            None
        }
    }
}

fn parse<T: DeserializeOwned>(method: &str, params: &str) -> Option<T> {
    serde_json::from_str(params).map_err(|error| tracing::warn!(method, %error, "a notification of unknown form")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_a_kind_that_a_later_codex_invents_is_an_item() {
        let text = r#"{"threadId":"t","turnId":"u","item":{"type":"hologram","id":"1"},"startedAtMs":1}"#;
        let Some(ThreadEvent::ItemStarted { item: Item::Other, .. }) = read("item/started", text) else {
            panic!("an item");
        };
    }

    #[test]
    fn a_thread_that_waits_for_an_answer_says_so() {
        let waits =
            |status: &str| match read("thread/status/changed", &format!(r#"{{"threadId":"t","status":{status}}}"#)) {
                Some(ThreadEvent::Waits(waits)) => waits,
                other => panic!("{other:?}"),
            };
        assert!(waits(r#"{"type":"active","activeFlags":["waitingOnApproval"]}"#));
        assert!(waits(r#"{"type":"active","activeFlags":["waitingOnUserInput"]}"#));
        assert!(!waits(r#"{"type":"active","activeFlags":[]}"#));
        assert!(!waits(r#"{"type":"idle"}"#));
    }

    #[test]
    fn a_notification_of_unknown_form_is_passed_over() {
        assert!(read("turn/started", r#"{"threadId":"t","turn":{"id":7}}"#).is_none());
        assert!(read("thread/invented", "{}").is_none());
        assert!(thread_of(r#"{"threadId":""}"#).is_none());
    }
}
