//! How a call for a turn ended: what the agent said, and what is to be known beside it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::state::Stop;
use crate::codex::wire::Tokens;
use crate::ids::{AgentId, AgentName, ThreadId, TurnId};

/// The end of one call.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Whose.
    pub agent: AgentId,
    /// Its name.
    pub identity: AgentName,
    /// Its thread, if it has one yet.
    pub thread: Option<ThreadId>,
    /// The turn, if one began.
    pub turn: Option<TurnId>,
    /// How it ended.
    pub end: End,
    /// What the agent said last in the turn, whole.
    pub text: String,
    /// The tokens of the turn's last answer and of the whole thread.
    pub usage: Option<Usage>,
    /// From the call for the turn to its end.
    pub took: Duration,
    /// What the caller should know beside the answer, a sentence each.
    pub notes: Vec<String>,
    /// What Codex says of a failure, in its own form.
    pub error_info: Option<Value>,
}

/// Tokens counted in a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Of the model's last answer.
    pub last: Tokens,
    /// Of the whole thread.
    pub total: Tokens,
    /// How many fit into the model's context.
    pub context_window: Option<u64>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The turn came to its end.
    Completed,
    /// We ended the turn.
    Stopped(Stop),
    /// Somebody else ended the turn: a human in the attached UI.
    Interrupted,
    /// The turn did not come to its end; the thread's history does not tell who ended it, or whether its server was gone.
    BrokenOff,
    /// The turn failed.
    Failed(String),
    /// The call was withdrawn before its turn began.
    Withdrawn,
    /// We did not take the call.
    NotTaken(Arc<str>),
    /// There was no turn: Codex refused it, or the thread could not be opened.
    Refused(Arc<str>),
    /// The app-server died.
    Lost(Arc<str>),
    /// The session was closed.
    Closed,
    /// The server ends; the agent is kept.
    ServerEnds,
}

/// The end of a call that had no turn, or whose turn's end was not seen.
impl Outcome {
    /// Nothing said, nothing counted.
    pub fn without_turn(agent: AgentId, identity: AgentName, end: End) -> Outcome {
        Outcome {
            agent,
            identity,
            thread: None,
            turn: None,
            end,
            text: String::new(),
            usage: None,
            took: Duration::ZERO,
            notes: Vec::new(),
            error_info: None,
        }
    }
}
