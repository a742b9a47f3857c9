//! What was delivered, a line each in `delivered.jsonl`: for whoever waits to hear of it.

use std::fs;
use std::io;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Files;
use super::dead::set_aside;
use super::lease::{is_there, read_file};
use crate::home::append_lines;
use crate::ids::{DeliveryId, EntryId, ThreadId, TurnId};

const VERSION: u32 = 1;
/// How large the file becomes before it is begun anew; the one before it is kept.
const SIZE_MAX: u64 = 1024 * 1024;

/// Where a text has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// In which thread.
    pub thread: ThreadId,
    /// In which of its turns.
    pub turn: TurnId,
}

/// A line of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    v: u32,
    /// Which entry.
    pub id: EntryId,
    /// In which delivery.
    pub delivery: DeliveryId,
    /// Where it arrived.
    #[serde(flatten)]
    pub receipt: Receipt,
    /// When that was seen.
    pub at: Timestamp,
}

/// Writes down where these have arrived. It is a word to whoever waits, and not what the queue goes by: if it cannot be
/// written, it is not.
pub(super) fn note<'a>(
    files: &Files,
    delivered: impl Iterator<Item = (&'a EntryId, &'a DeliveryId)>,
    receipt: &Receipt,
) {
    let at = Timestamp::now();
    let lines = delivered.map(|(id, delivery)| Delivered {
        v: VERSION,
        id: id.clone(),
        delivery: delivery.clone(),
        receipt: receipt.clone(),
        at,
    });
    if let Err(error) = append(files, lines) {
        tracing::warn!(queue = %files.dir.display(), %error, "receipts that cannot be written");
    }
}

fn append(files: &Files, lines: impl Iterator<Item = Delivered>) -> io::Result<()> {
    let path = files.delivered();
    for path in [&path, &files.delivered_before()] {
        if is_there(path)? && !path.is_file() {
            set_aside(path)?;
        }
    }
    if fs::metadata(&path).is_ok_and(|file| file.len() > SIZE_MAX) {
        fs::rename(&path, files.delivered_before())?;
    }
    let mut text = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
    }
    append_lines(&path, &text).map(drop)
}

/// The last line of an entry.
pub(super) fn find(files: &Files, id: &EntryId) -> Option<Delivered> {
    [files.delivered(), files.delivered_before()].into_iter().find_map(|path| {
        let text = String::from_utf8_lossy(&read_file(&path).ok()?).into_owned();
        let lines = text.lines().rev().filter(|line| line.contains(id.as_str()));
        lines.filter_map(|line| serde_json::from_str(line).ok()).find(|line: &Delivered| line.id == *id)
    })
}
