//! What an agent of ours has read long ago: moved out of its inbox, kept here, a line each.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::entry::Message;
use crate::home::{append_lines, private_dir, sync_dir};
use crate::ids::MessageId;

/// The version of the stored form.
const VERSION: u32 = 1;
/// How many entries that were read stay in an inbox.
const READ_MAX: usize = 200;
/// How old they may become there.
const AGE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A line: the entry as it stood in the inbox.
#[derive(Debug, Serialize, Deserialize)]
struct Line<'a> {
    v: u32,
    id: MessageId,
    archived_at: Timestamp,
    #[serde(borrow)]
    entry: &'a RawValue,
}

/// Which messages of an inbox go to the archive, as it will be when those that are read are marked.
///
/// A read one stays while an equal one waits: which of the two it is they are told by their order.
pub(super) fn surplus(messages: &[Option<Message>], now: Timestamp) -> HashSet<usize> {
    let says = |message: &Message| [&message.from, &message.timestamp, &message.text].map(Clone::clone);
    let waiting: HashSet<_> = messages.iter().flatten().filter(|message| !message.read).map(says).collect();
    let read = messages.iter().enumerate().filter_map(|(at, message)| Some((at, message.as_ref()?)));
    let read: Vec<_> = read.filter(|(_, message)| message.read && !waiting.contains(&says(message))).collect();
    let too_many = read.len().saturating_sub(READ_MAX);
    let too_old =
        |message: &Message| message.at.is_some_and(|at| now.duration_since(at).unsigned_abs() > AGE_MAX && at < now);
    let surplus = read.iter().enumerate().filter(|(nth, (_, message))| *nth < too_many || too_old(message));
    surplus.map(|(_, (at, _))| *at).collect()
}

/// Puts entries into the archive; when this returns they are there, whatever happens then.
pub(super) fn append<'a>(path: &Path, entries: impl Iterator<Item = (&'a MessageId, &'a str)>) -> io::Result<()> {
    let archived_at = Timestamp::now();
    let mut lines = Vec::new();
    for (id, entry) in entries {
        // Between the parts of JSON a line break is a blank; within a text there is none.
        let entry: Box<RawValue> = serde_json::from_str(&entry.replace(['\n', '\r'], " "))?;
        serde_json::to_writer(&mut lines, &Line { v: VERSION, id: id.clone(), archived_at, entry: &entry })?;
        lines.push(b'\n');
    }
    let dir = path.parent().ok_or_else(|| io::Error::other("a file needs a directory"))?;
    private_dir(dir)?;
    append_lines(path, &lines)?.sync_all()?;
    sync_dir(dir)
}

/// Which of these ids are in the archive. A crash between archive and inbox leaves an entry in both, and then twice here;
/// half a line hides no other.
pub(super) fn find(path: &Path, wanted: &HashSet<&MessageId>) -> io::Result<HashSet<MessageId>> {
    let text = match std::fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
        Err(error) => return Err(error),
    };
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line<'_>>(line).ok());
    Ok(lines.map(|line| line.id).filter(|id| wanted.contains(id)).collect())
}
