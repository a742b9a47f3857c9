//! What a session shows of itself to everybody who looks.

use std::sync::Arc;

use jiff::Timestamp;

use super::approval::OpenAsk;
use super::record::Record;
use super::rules::Rules;
use super::state::{State, Takes};
use super::watchdog::{Trouble, TroubleKind};
use crate::codex::wire::Tokens;
use crate::ids::{ThreadId, TurnId};

/// What a session shows of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Where it stands.
    pub state: State,
    /// What it would take now of what is to be delivered.
    pub takes: Takes,
    /// How many deliveries are on their way.
    pub delivering: usize,
    /// Its thread, once it has one.
    pub thread: Option<ThreadId>,
    /// What it does, in one short line.
    pub activity: Arc<str>,
    /// What it has asked and nobody has decided, the oldest first.
    pub asks: Vec<Arc<OpenAsk>>,
    /// What is wrong with its running turn.
    pub trouble: Option<Arc<Trouble>>,
    /// How many calls wait for it.
    pub waiting: usize,
    /// The model that Codex uses.
    pub model: Option<String>,
    /// The tokens of the whole thread.
    pub tokens: Option<Tokens>,
    /// How many turns have ended.
    pub turns: u64,
    /// How many calls have been answered.
    pub answered: u64,
    /// When something last happened.
    pub last_active: Timestamp,
}

impl Snapshot {
    /// What these rules and this record come to.
    pub(super) fn of(rules: &Rules, record: &Record, activity: &Arc<str>, answered: u64) -> Snapshot {
        Snapshot {
            state: rules.state().clone(),
            takes: rules.takes(),
            delivering: rules.delivering(),
            thread: record.thread_id.clone(),
            activity: match rules.state() {
                State::Idle | State::Closed | State::Lost { .. } => Arc::from("nothing"),
                _ => activity.clone(),
            },
            asks: Vec::new(),
            trouble: None,
            waiting: rules.waiting(),
            model: record.model.clone(),
            tokens: record.tokens,
            turns: record.turns,
            answered,
            last_active: record.last_active,
        }
    }

    /// The running turn.
    pub fn turn(&self) -> Option<&TurnId> {
        match &self.state {
            State::Running { turn, .. } => Some(turn),
            _ => None,
        }
    }

    pub(super) fn has_turn(&self) -> bool {
        matches!(self.state, State::Asked { .. } | State::Running { .. } | State::Closing)
    }

    /// The state in one word.
    pub fn status(&self) -> &'static str {
        match &self.state {
            State::Starting => "starting",
            State::Idle | State::Asked { .. } | State::Running { .. } if !self.asks.is_empty() => "awaiting_approval",
            State::Idle => "idle",
            State::Asked { .. } | State::Running { .. } => match self.trouble.as_ref().map(|trouble| trouble.kind) {
                None => "running",
                Some(TroubleKind::Stalled) => "stalled",
                Some(TroubleKind::Unreachable) => "unreachable",
            },
            State::Closing => "closing",
            State::Closed => "closed",
            State::Lost { .. } => "lost",
        }
    }
}
