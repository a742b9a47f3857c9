//! The end of what crashes have left and nobody will come for.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::lease::{Found, remove};
use super::{Queue, claimer};
use crate::home::ASIDE;
use crate::ids::EntryId;

impl Queue {
    /// Clears away what crashes have left and nobody will come for: files that were never whole, and locks and counts of
    /// entries that are gone.
    pub fn sweep(&self, older_than: Duration) -> io::Result<()> {
        let entries = match fs::read_dir(&self.files.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for dir in [fs::read_dir(self.files.dead_dir()).ok(), Some(entries)].into_iter().flatten() {
            for file in dir {
                let file = file?;
                let name = file.file_name();
                let Some(name) = name.to_str() else { continue };
                let old = || file.metadata().and_then(|m| m.modified()).is_ok_and(|m| claimer::age(m) >= older_than);
                if name.starts_with(ASIDE) && old() {
                    remove(&file.path())?;
                } else if let Some((id, kind)) = name.split_once('.')
                    && let Ok(id) = EntryId::parse(id)
                    && !file.path().with_extension("json").exists()
                {
                    self.sweep_beside(&file.path(), kind, &id)?;
                }
            }
        }
        Ok(())
    }

    /// What stands beside an entry that is not there.
    fn sweep_beside(&self, path: &Path, kind: &str, id: &EntryId) -> io::Result<()> {
        match kind {
            "tries" | "why" => remove(path),
            // With its OS lock in our hand nobody can be about to use it.
            "lock" => match Found::open(path)? {
                Some(Found::Free { holder, age, .. })
                    if (holder.is_some() || self.limits.ttl.is_some_and(|ttl| age >= ttl))
                        && !self.files.entry(id).exists() =>
                {
                    remove(path)
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
