//! The end of what crashes have left and nobody will come for.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::lease::{Found, Holder, is_there, remove_any};
use super::{Queue, claimer};
use crate::home::ASIDE;
use crate::ids::EntryId;

impl Queue {
    /// Clears away what crashes have left and nobody will come for: files that were never whole, and locks and counts of
    /// entries that are gone. What cannot be cleared away stays, and is logged.
    pub fn sweep(&self, older_than: Duration) {
        for dir in [&self.files.dir, &self.files.dead_dir()] {
            for file in fs::read_dir(dir).into_iter().flatten().flatten() {
                if let Err(error) = self.sweep_one(&file, older_than) {
                    tracing::warn!(path = %file.path().display(), %error, "what was left behind cannot be removed");
                }
            }
        }
    }

    fn sweep_one(&self, file: &DirEntry, older_than: Duration) -> io::Result<()> {
        let name = file.file_name();
        let Some(name) = name.to_str() else { return Ok(()) };
        if name.starts_with(ASIDE) {
            let is_old = claimer::age(file.metadata()?.modified()?) >= older_than;
            return if is_old { remove_any(&file.path()) } else { Ok(()) };
        }
        let Some((id, kind)) = name.split_once('.') else { return Ok(()) };
        match EntryId::parse(id) {
            Ok(id) if !is_there(&file.path().with_extension("json"))? => self.sweep_beside(&file.path(), kind, &id),
            _ => Ok(()),
        }
    }

    /// What stands beside an entry that is not there.
    fn sweep_beside(&self, path: &Path, kind: &str, id: &EntryId) -> io::Result<()> {
        match kind {
            "tries" | "why" => remove_any(path),
            // With its OS lock in our hand nobody can be about to use it.
            "lock" => match Found::open(path)? {
                Some(Found::Free { holder, age, .. })
                    if (holder.as_ref().is_some_and(Holder::is_here)
                        || self.limits.ttl.is_some_and(|ttl| age >= ttl))
                        && !self.waits(id) =>
                {
                    remove_any(path)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
