//! How often an entry has failed to be delivered, in a file beside it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Files;
use super::lease::{read_file, remove_any};
use crate::home::write_atomic;
use crate::ids::EntryId;

const VERSION: u32 = 1;
/// How much of a reason is kept, in characters.
const WHY_MAX: usize = 500;

/// The failures so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    v: u32,
    /// How many.
    pub attempts: u32,
    /// What happened the last time.
    pub last: String,
    /// When.
    pub at: Timestamp,
}

/// Counts one more. A count that cannot be written is one attempt more for the entry, and no loss.
pub(super) fn count(files: &Files, id: &EntryId, attempts: u32, why: &str) {
    let tries = Tries { v: VERSION, attempts, last: sentence(why), at: Timestamp::now() };
    let written = serde_json::to_vec(&tries).map_err(Into::into).and_then(|text| write_atomic(&files.tries(id), &text));
    if let Err(error) = written {
        tracing::warn!(entry = %id, %error, "an attempt that cannot be counted");
    }
}

/// A reason in one line, bounded: it may come with another program's last words.
pub(super) fn sentence(why: &str) -> String {
    let line = why.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(WHY_MAX).collect()
}

/// What was counted.
pub(super) fn of(files: &Files, id: &EntryId) -> Option<Tries> {
    read_file(&files.tries(id)).ok().and_then(|text| serde_json::from_slice(&text).ok())
}

/// The entry is gone.
pub(super) fn forget(files: &Files, id: &EntryId) {
    if let Err(error) = remove_any(&files.tries(id)) {
        tracing::warn!(entry = %id, %error, "a count of attempts that cannot be removed");
    }
}
