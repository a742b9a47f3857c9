//! What the notifications of `codex app-server` carry, as far as we read it.

use serde::Deserialize;

use super::wire::{Item, TokenUsage, Turn, TurnError};
use crate::ids::{ThreadId, TurnId};
use crate::rpc::Id;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TurnNote {
    pub(super) turn: Turn,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ItemNote {
    pub(super) item: Item,
    pub(super) turn_id: TurnId,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PieceNote {
    pub(super) turn_id: TurnId,
    pub(super) item_id: String,
    pub(super) delta: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UsageNote {
    pub(super) turn_id: TurnId,
    pub(super) token_usage: TokenUsage,
}

#[derive(Debug, Deserialize)]
pub(super) struct StatusNote {
    pub(super) status: ThreadStatus,
}

/// What a thread does.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ThreadStatus {
    pub(super) active_flags: Vec<String>,
}

impl ThreadStatus {
    /// Whether somebody is to answer before it goes on: an approval, or a question to the user.
    pub(super) fn is_waiting(&self) -> bool {
        self.active_flags.iter().any(|flag| flag.starts_with("waitingOn"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorNote {
    pub(super) turn_id: TurnId,
    pub(super) error: TurnError,
    #[serde(default)]
    pub(super) will_retry: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct WarningNote {
    pub(super) message: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResolvedNote {
    pub(super) request_id: Id,
}

/// The one field that nearly every message about a thread has.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About {
    /// The protocol's first version called it a conversation.
    #[serde(alias = "conversationId")]
    pub(super) thread_id: ThreadId,
}
