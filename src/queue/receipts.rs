//! What was delivered, a line each in `delivered.jsonl`: for whoever waits to hear of it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Files;
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
    if fs::metadata(&path).is_ok_and(|file| file.len() > SIZE_MAX) {
        fs::rename(&path, files.delivered_before())?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let mut text = Vec::new();
    // What a full disk or a loss of power has cut off stays a line of its own.
    if !ends_a_line(&mut file)? {
        text.push(b'\n');
    }
    for line in lines {
        serde_json::to_writer(&mut text, &line)?;
        text.push(b'\n');
    }
    // One write: lines of several writers do not mix.
    file.write_all(&text)
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// The last line of an entry.
pub(super) fn find(files: &Files, id: &EntryId) -> Option<Delivered> {
    [files.delivered(), files.delivered_before()].into_iter().find_map(|path| {
        let text = String::from_utf8_lossy(&fs::read(path).ok()?).into_owned();
        let lines = text.lines().rev().filter(|line| line.contains(id.as_str()));
        lines.filter_map(|line| serde_json::from_str(line).ok()).find(|line: &Delivered| line.id == *id)
    })
}
