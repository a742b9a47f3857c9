//! The queue into one agent: texts on disk, in order, each taken by one claimer at a time.
//!
//! Theory of operation. The queue is a directory, and any process can write to it: an entry is a file `{uuid}.json`, put
//! there whole by a rename ([`Queue::enqueue`]) or written in place by somebody who knows no better. A [`Claimer`] takes
//! entries, oldest first: a [`Claim`] is a lock file `{uuid}.lock` that appears in one step, with its holder's name and the
//! delivery in it and an OS lock held. When the text has arrived, [`Claim::ack`] removes entry and lock; when it has not,
//! it goes back to its place; when it never will, it goes to `dead/` with the reason. A holder that dies leaves its lock
//! file with a free OS lock: the next claimer takes it over at once, and with it the id of the delivery in which the entry
//! may have arrived. Whether it has is not the queue's to know: its user asks, and then acknowledges or releases.
//!
//! The format is described for other programs in `docs/queue.md`. This room knows neither Codex nor sessions.

mod claim;
mod claimer;
mod dead;
mod entry;
mod error;
mod index;
mod lease;
mod listing;
mod receipts;
mod sweep;
mod team;
#[cfg(test)]
mod tests;
mod tries;
mod watch;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

pub use claim::Claim;
pub use claimer::Claimer;
pub use dead::Reason;
pub use entry::{Text, Urgency};
pub use error::QueueError;
pub use lease::{Holder, Process};
pub use listing::{Depth, Fate, Listed, Standing};
pub use receipts::{Delivered, Receipt};
pub use team::Queues;
pub use tries::Tries;
pub use watch::Arrivals;

use crate::home::{private_dir, sync_dir, write_atomic};
use crate::ids::{DeliveryId, EntryId};
use entry::Content;
use lease::{Found, Lease, Take};

/// What JSON may add to a text: six bytes for one, and the fields around it.
const FILE_FACTOR: u64 = 6;
const FILE_MORE: u64 = 64 * 1024;

/// What a queue takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest text, in bytes.
    pub bytes: usize,
    /// How many entries may wait.
    pub entries: usize,
    /// How long a lock file that is not ours counts, and an entry may be failed by an idle agent; `None` is for ever.
    pub ttl: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { bytes: 1024 * 1024, entries: 10_000, ttl: Some(Duration::from_secs(600)) }
    }
}

/// The names of a queue's files.
#[derive(Debug)]
struct Files {
    dir: PathBuf,
}

impl Files {
    fn entry(&self, id: &EntryId) -> PathBuf {
        self.dir.join(format!("{id}.json"))
    }

    fn lock(&self, id: &EntryId) -> PathBuf {
        self.dir.join(format!("{id}.lock"))
    }

    fn tries(&self, id: &EntryId) -> PathBuf {
        self.dir.join(format!("{id}.tries"))
    }

    fn dead_dir(&self) -> PathBuf {
        self.dir.join("dead")
    }

    fn dead(&self, id: &EntryId) -> PathBuf {
        self.dead_dir().join(format!("{id}.json"))
    }

    fn reason(&self, id: &EntryId) -> PathBuf {
        self.dead_dir().join(format!("{id}.why"))
    }

    fn delivered(&self) -> PathBuf {
        self.dir.join("delivered.jsonl")
    }

    fn delivered_before(&self) -> PathBuf {
        self.dir.join("delivered.1.jsonl")
    }
}

/// One agent's queue; clones share it.
#[derive(Debug, Clone)]
pub struct Queue {
    files: Arc<Files>,
    limits: Limits,
    /// How many entries may come from here before those that wait are counted again.
    room: Arc<Mutex<usize>>,
}

/// Whether something may be done with an entry of which nobody knows whether it has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    Allowed,
    Respected,
}

impl Queue {
    /// The queue in this directory, which is made at the first need.
    pub fn at(dir: impl Into<PathBuf>, limits: Limits) -> Queue {
        Queue { files: Arc::new(Files { dir: dir.into() }), limits, room: Arc::default() }
    }

    /// Its directory.
    pub fn dir(&self) -> &Path {
        &self.files.dir
    }

    /// What it takes.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Makes its directory.
    pub fn make(&self) -> Result<(), QueueError> {
        private_dir(&self.files.dir).map_err(|source| self.files_error(source))
    }

    /// Puts a text into the queue. When this returns, it is there, whatever happens then; when it fails, it is not.
    pub fn enqueue(&self, text: &Text) -> Result<EntryId, QueueError> {
        if let Some(why) = entry::too_much(text, self.limits.bytes).or_else(|| entry::too_long_a_name(text)) {
            return Err(QueueError::Text(why));
        }
        self.make()?;
        self.take_room()?;
        let id = EntryId::next();
        let failed = |source| self.files_error(source);
        let content = entry::write(text, Timestamp::now()).map_err(|error| failed(error.into()))?;
        let path = self.files.entry(&id);
        write_atomic(&path, &content).map_err(|source| {
            // It may be there and not be durable; nobody was promised anything.
            fs::remove_file(&path).ok();
            failed(source)
        })?;
        Ok(id)
    }

    /// Counting takes as long as there are entries, so it is not done each time: far from the limit, an eighth of the room
    /// is used up before. Several processes that write at once may exceed the limit by that much.
    fn take_room(&self) -> Result<(), QueueError> {
        let mut room = self.room.lock().unwrap_or_else(PoisonError::into_inner);
        if *room == 0 {
            let waiting = index::names(&self.files.dir).map_err(|source| self.files_error(source))?.len();
            let left = self.limits.entries.saturating_sub(waiting);
            if left == 0 {
                return Err(QueueError::Full { dir: self.files.dir.clone(), most: self.limits.entries });
            }
            *room = (left / 8).max(1);
        }
        *room -= 1;
        Ok(())
    }

    /// Its taking side.
    pub fn claimer(&self) -> Claimer {
        Claimer::new(self.clone())
    }

    /// Puts a buried entry back into its old place, with no failure and no time limit against it.
    pub fn retry(&self, id: &EntryId) -> Result<(), QueueError> {
        let failed = |source| self.files_error(source);
        let Some(listed) = self.listed_dead(id.clone()) else { return Err(QueueError::NotFound(id.clone())) };
        if self.waits(id) {
            return Err(QueueError::Twice(id.clone()));
        }
        if let Some(text) = listed.text.filter(|text| text.expires_at.is_some()) {
            let text = Text { expires_at: None, ..text };
            let content = entry::write(&text, listed.enqueued_at).map_err(|error| failed(error.into()))?;
            // Its place may be that of the time at which the file was changed.
            let path = self.files.dead(id);
            let changed = fs::metadata(&path).and_then(|about| about.modified()).map_err(failed)?;
            write_atomic(&path, &content).map_err(failed)?;
            fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(changed)).map_err(failed)?;
        }
        dead::retry(&self.files, id).map_err(failed)
    }

    /// Removes an entry, waiting or buried; also one that may have arrived when its holder died.
    pub fn discard(&self, id: &EntryId) -> Result<(), QueueError> {
        let failed = |source| self.files_error(source);
        if !self.waits(id) && self.is_dead(id) {
            return dead::discard(&self.files, id).map_err(failed);
        }
        self.with_lock(id, Doubt::Allowed, |files| {
            dead::clear(files, id)?;
            sync_dir(&files.dir)
        })
    }

    /// Whether there is such an entry, whole or not.
    fn waits(&self, id: &EntryId) -> bool {
        lease::is_there(&self.files.entry(id)).unwrap_or(false)
    }

    fn is_dead(&self, id: &EntryId) -> bool {
        lease::is_there(&self.files.dead(id)).unwrap_or(false)
    }

    /// Buries a waiting entry, if nobody holds it; answers whether it did.
    pub fn bury(&self, id: &EntryId, why: &str) -> io::Result<bool> {
        let attempts = tries::of(&self.files, id).map_or(0, |tries| tries.attempts);
        match self.with_lock(id, Doubt::Respected, |files| dead::bury(files, id, &Reason::new(why, attempts))) {
            Ok(()) => Ok(true),
            Err(QueueError::Files { source, .. }) => Err(source),
            Err(_) => Ok(false),
        }
    }

    /// Does something with an entry that nobody else holds; then it is gone from the queue.
    fn with_lock(
        &self,
        id: &EntryId,
        doubt: Doubt,
        act: impl FnOnce(&Files) -> io::Result<()>,
    ) -> Result<(), QueueError> {
        let failed = |source| self.files_error(source);
        if !self.waits(id) {
            return Err(QueueError::NotFound(id.clone()));
        }
        if let Some(Found::Free { holder: Some(dead), .. }) = Found::look(&self.files.lock(id)).map_err(failed)?
            && doubt == Doubt::Respected
        {
            let who = format!("{}, which has ended; the agent's next server finds out how", dead.process.pid);
            return Err(QueueError::Held(id.clone(), who));
        }
        let us = Holder::us(&DeliveryId::next());
        let (lease, in_doubt) = match Lease::take(&self.files.lock(id), &us, self.limits.ttl).map_err(failed)? {
            Take::New(lease) => (lease, false),
            Take::Inherited(lease, _) if doubt == Doubt::Allowed => (lease, true),
            Take::Inherited(..) | Take::Held | Take::Foreign(_) => {
                let pid = self.holder(id).map(|holder| holder.process.pid);
                return Err(QueueError::Held(
                    id.clone(),
                    pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()),
                ));
            }
        };
        let done =
            if self.waits(id) { act(&self.files).map_err(failed) } else { Err(QueueError::NotFound(id.clone())) };
        match done {
            Ok(()) => tries::forget(&self.files, id),
            // It is there still, and whether it has arrived is not known better than before.
            Err(QueueError::Files { .. }) if in_doubt => return done,
            Err(_) => {}
        }
        lease.give_up().map_err(failed)?;
        done
    }

    fn place(&self, id: EntryId) -> index::Place {
        index::placed(&self.files.dir, id)
    }

    fn look(&self, id: &EntryId) -> io::Result<Option<(Content, SystemTime)>> {
        self.look_at(&self.files.entry(id))
    }

    fn look_at(&self, path: &Path) -> io::Result<Option<(Content, SystemTime)>> {
        let most = self.limits.bytes as u64 * FILE_FACTOR + FILE_MORE;
        let (bytes, about) = match claimer::content(path, most) {
            Ok(found) => found,
            Err(error) => {
                // Another user's file, or a link that leads nowhere: one entry that cannot be delivered, and not the end of
                // the queue.
                let about = match fs::symlink_metadata(path) {
                    Ok(about) if about.is_symlink() || error.kind() == io::ErrorKind::PermissionDenied => about,
                    Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(None),
                    _ => return Err(error),
                };
                return Ok(Some((Content::Unusable(format!("it cannot be read: {error}")), about.modified()?)));
            }
        };
        let changed = about.modified()?;
        let content = if !about.is_file() {
            Content::Unusable("it is not a file".to_owned())
        } else if about.len() > most {
            Content::Unusable(format!("its file has {} bytes, at most {most} are read", about.len()))
        } else {
            entry::read(&bytes, claimer::age(changed), self.limits.bytes)
        };
        Ok(Some((content, changed)))
    }

    fn files_error(&self, source: io::Error) -> QueueError {
        QueueError::Files { dir: self.files.dir.clone(), source }
    }
}
