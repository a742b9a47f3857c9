//! What can go wrong with a queue at the command line.

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

fn names(known: &[AgentName]) -> String {
    if known.is_empty() {
        return "it has none yet".to_owned();
    }
    let shown: Vec<&str> = known.iter().take(NAMES_MAX).map(AgentName::as_str).collect();
    let more = if known.len() > NAMES_MAX { ", …" } else { "" };
    format!("it has {}{more}", shown.join(", "))
}
