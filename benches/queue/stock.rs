//! Entries that wait before anything is measured: made in bulk, and on the disk before the clock runs.

use std::path::{Path, PathBuf};
use std::{fs, io};

use atm_agent_mcp::ids::{EntryId, ThreadId, TurnId};
use atm_agent_mcp::queue::{Limits, Queue, Receipt, Text};
use tempfile::TempDir;

use crate::baseline::{Baseline, Durability};
use crate::stage::Error;

/// What every entry says: 200 bytes.
pub(crate) fn text() -> Text {
    Text { text: "what is said ".repeat(20)[..200].to_owned(), ..Text::default() }
}

/// Where a text arrives that nobody hears.
pub(crate) fn receipt() -> Result<Receipt, Error> {
    Ok(Receipt { thread: ThreadId::parse("bench")?, turn: TurnId::parse("bench")? })
}

/// A directory of its own, with so many entries of ours.
pub(crate) fn ours(place: &Path, count: usize) -> Result<(TempDir, Queue), Error> {
    let dir = tempfile::tempdir_in(place)?;
    let entry = serde_json::json!({ "v": 1, "text": text().text }).to_string();
    let put = |id: EntryId| fs::write(dir.path().join(format!("{id}.json")), &entry);
    (0..count).try_for_each(|_| put(EntryId::next()))?;
    settle();
    let queue = Queue::at(dir.path(), Limits::default());
    Ok((dir, queue))
}

/// The same of the baseline's.
pub(crate) fn baselines(place: &Path, count: usize, durability: Durability) -> io::Result<(TempDir, Baseline)> {
    let dir = tempfile::tempdir_in(place)?;
    let path: PathBuf = dir.path().into();
    let quick = Baseline(path.clone(), Durability::Hoped);
    (0..count).try_for_each(|_| quick.enqueue(&text().text))?;
    settle();
    Ok((dir, Baseline(path, durability)))
}

/// Has everything written that waits to be: otherwise the first sync that is measured pays for it.
pub(crate) fn settle() {
    #[cfg(unix)]
    rustix::fs::sync();
}
