//! Entries that will not be delivered, in `dead/`, each with the reason beside it.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lease::{is_there, read_file, remove, remove_any};
use super::{Files, index, tries};
use crate::home::{private_dir, sync_dir, write_atomic};
use crate::ids::EntryId;
use crate::steps;

const VERSION: u32 = 1;

/// Why an entry was buried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    v: u32,
    /// In a sentence.
    pub why: String,
    /// When.
    pub buried_at: Timestamp,
    /// How often it had failed to be delivered.
    #[serde(default)]
    pub attempts: u32,
}

impl Reason {
    pub(super) fn new(why: &str, attempts: u32) -> Reason {
        Reason { v: VERSION, why: tries::sentence(why), buried_at: Timestamp::now(), attempts }
    }
}

/// Moves an entry that the caller has claimed.
pub(super) fn bury(files: &Files, id: &EntryId, reason: &Reason) -> io::Result<()> {
    make_room(&files.dead_dir())?;
    write_atomic(&files.reason(id), &serde_json::to_vec(reason)?)?;
    steps::at("bury.explained");
    fs::rename(files.entry(id), files.dead(id))?;
    steps::at("bury.moved");
    sync_dir(&files.dead_dir())?;
    sync_dir(&files.dir)?;
    steps::at("bury.synced");
    Ok(())
}

/// Whatever else has the directory's name is set aside: a queue that cannot bury would stand still.
fn make_room(dir: &Path) -> io::Result<()> {
    if !dir.is_dir() && is_there(dir)? {
        set_aside(dir)?;
    }
    private_dir(dir)
}

/// Renames what should not have this name.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", EntryId::next()));
    fs::rename(path, &aside)?;
    tracing::warn!(was = %path.display(), now = %Path::new(&aside).display(), "what had a name of ours is set aside");
    Ok(())
}

/// Removes an entry that has arrived, or that nobody wants; what has been put in its place and cannot be removed is buried.
pub(super) fn clear(files: &Files, id: &EntryId) -> io::Result<()> {
    remove_any(&files.entry(id)).or_else(|error| {
        bury(
            files,
            id,
            &Reason::new(&format!("it is done with, but what stands in its place cannot be removed: {error}"), 0),
        )
    })
}

/// Who lies there; nobody, if it is no directory.
pub(super) fn all(files: &Files) -> io::Result<Vec<EntryId>> {
    match index::names(&files.dead_dir()) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Vec::new()),
        names => names,
    }
}

/// Why.
pub(super) fn reason(files: &Files, id: &EntryId) -> Option<Reason> {
    read_file(&files.reason(id)).ok().and_then(|text| serde_json::from_slice(&text).ok())
}

/// Moves an entry back, to its old place in the queue.
pub(super) fn retry(files: &Files, id: &EntryId) -> io::Result<()> {
    tries::forget(files, id);
    fs::rename(files.dead(id), files.entry(id))?;
    sync_dir(&files.dir)?;
    sync_dir(&files.dead_dir())?;
    remove(&files.reason(id))
}

/// Removes an entry.
pub(super) fn discard(files: &Files, id: &EntryId) -> io::Result<()> {
    remove_any(&files.dead(id))?;
    remove(&files.reason(id))?;
    sync_dir(&files.dead_dir())
}
