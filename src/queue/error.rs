//! Why something was not enqueued, or could not be done with an entry.

use std::io;
use std::path::PathBuf;

use crate::ids::EntryId;

/// Why something was not enqueued, or could not be done with an entry. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The text cannot be an entry.
    #[error("the message was not enqueued: {0}")]
    Text(String),
    /// No room.
    #[error(
        "the queue {} is full: {most} entries wait (queue_max_entries). Let the agent work, or drop some with \
         `atm-agent-mcp queue drop`.", dir.display()
    )]
    Full {
        /// Which.
        dir: PathBuf,
        /// The limit.
        most: usize,
    },
    /// It is being delivered.
    #[error("the entry {0} is being delivered now (by process {1}); wait for its end")]
    Held(EntryId, String),
    /// There is no such entry.
    #[error("there is no entry {0} in this queue")]
    NotFound(EntryId),
    /// A buried entry's place is taken.
    #[error(
        "an entry {0} waits beside the buried one; let it be delivered, or drop it with `atm-agent-mcp queue drop {0}`"
    )]
    Twice(EntryId),
    /// The file system refuses.
    #[error("the queue {} cannot be used: {source}", dir.display())]
    Files {
        /// Which.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}
