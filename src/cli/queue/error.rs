//! What can go wrong with a queue at the command line.

use std::io;

use crate::ids::{AgentName, EntryId, Team};
use crate::queue::QueueError;
use crate::session::RosterError;

/// The most names that an error lists.
const NAMES_MAX: usize = 20;

/// Why a `queue` command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum QueueFailure {
    /// Nobody is called so.
    #[error("the team {team} has no agent {word:?}: {}", names(known))]
    UnknownAgent {
        /// What was said.
        word: String,
        /// The team that was looked through.
        team: Team,
        /// Whom it has.
        known: Vec<AgentName>,
    },
    /// A record that is there and cannot be used.
    #[error("{0}")]
    Record(#[from] RosterError),
    /// The queue refuses, or cannot.
    #[error("{0}")]
    Queue(#[from] QueueError),
    /// No queue has it.
    #[error("no queue of the team {team} has an entry {id}")]
    UnknownEntry {
        /// Which.
        id: EntryId,
        /// The team that was looked through.
        team: Team,
    },
    /// It has arrived.
    #[error("the entry {0} was delivered: it is in the agent's thread, and in no queue any more")]
    AlreadyDelivered(EntryId),
    /// It was not buried.
    #[error("the entry {0} was not buried: it waits")]
    AlreadyWaits(EntryId),
    /// Nothing to be read.
    #[error("the message cannot be read from stdin: {0}")]
    Stdin(io::Error),
    /// More than a queue takes.
    #[error("the message on stdin has more than {0} bytes, which a message may have (queue_max_bytes)")]
    TooLong(usize),
    /// Bytes that are no text.
    #[error("the message on stdin is not UTF-8: byte {0} is wrong")]
    NotUtf8(usize),
    /// It will not be delivered.
    #[error("the message {id} was not delivered: {why}")]
    Buried {
        /// Which.
        id: EntryId,
        /// Why, as its `.why` file says.
        why: String,
    },
    /// It is in no queue any more, and there is no receipt.
    #[error("the message {0} is gone without a receipt: somebody has dropped it, or taken it in a way of their own")]
    Gone(EntryId),
    /// Nothing has happened in the time allowed.
    #[error("the message {id} was not delivered within {secs} s: it still waits")]
    StillWaits {
        /// Which.
        id: EntryId,
        /// How long was waited.
        secs: f64,
    },
}

impl QueueFailure {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            QueueFailure::UnknownAgent { .. } => {
                Some("AGENT is a name, an agent id or a thread id; --team chooses another team")
            }
            QueueFailure::TooLong(_) => Some("put what is long into a file, and say where it is"),
            QueueFailure::UnknownEntry { .. } => Some(
                "`atm-agent-mcp queue list` shows what waits, with --dead what was buried; --team chooses another team",
            ),
            QueueFailure::Buried { .. } => {
                Some("it is kept: `atm-agent-mcp queue retry ID` puts it back, `queue drop ID` removes it")
            }
            QueueFailure::StillWaits { .. } => {
                Some("it is delivered when it can be; `atm-agent-mcp queue drop ID` takes it back")
            }
            QueueFailure::Record(_)
            | QueueFailure::Queue(_)
            | QueueFailure::AlreadyDelivered(_)
            | QueueFailure::AlreadyWaits(_)
            | QueueFailure::Stdin(_)
            | QueueFailure::NotUtf8(_)
            | QueueFailure::Gone(_) => None,
        }
    }

    /// 2 for what the caller can mend in its arguments and its message, 1 for the rest.
    pub(crate) fn code(&self) -> u8 {
        match self {
            QueueFailure::UnknownAgent { .. }
            | QueueFailure::UnknownEntry { .. }
            | QueueFailure::AlreadyDelivered(_)
            | QueueFailure::AlreadyWaits(_)
            | QueueFailure::TooLong(_)
            | QueueFailure::NotUtf8(_)
            | QueueFailure::Queue(QueueError::Text(_)) => 2,
            QueueFailure::Record(_)
            | QueueFailure::Queue(_)
            | QueueFailure::Stdin(_)
            | QueueFailure::Buried { .. }
            | QueueFailure::Gone(_)
            | QueueFailure::StillWaits { .. } => 1,
        }
    }
}

fn names(known: &[AgentName]) -> String {
    if known.is_empty() {
        return "it has none yet".to_owned();
    }
    let shown: Vec<&str> = known.iter().take(NAMES_MAX).map(AgentName::as_str).collect();
    let more = if known.len() > NAMES_MAX { ", …" } else { "" };
    format!("it has {}{more}", shown.join(", "))
}
