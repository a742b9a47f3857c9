//! What stands in a queue, and what has become of what stood there: for people and for whoever waits.

use std::io;
use std::time::SystemTime;

use jiff::Timestamp;

use super::dead::{self, Reason};
use super::entry::{Content, Text};
use super::lease::{Found, Holder, read_file};
use super::receipts::{self, Delivered};
use super::tries::{self, Tries};
use super::{Queue, index};
use crate::ids::EntryId;

/// What one entry is, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// Which.
    pub id: EntryId,
    /// What it says, if it can be read.
    pub text: Option<Text>,
    /// When it was enqueued, or its file changed.
    pub enqueued_at: Timestamp,
    /// Where it stands.
    pub state: Standing,
    /// Its failures so far.
    pub tries: Option<Tries>,
}

/// Where an entry stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// It waits.
    Waiting,
    /// Its file is not whole yet.
    BeingWritten,
    /// Somebody alive has claimed it; who, where that can be read.
    Claimed(Option<Holder>),
    /// Its holder died; the next claimer finds out whether it has arrived.
    InDoubt(Holder),
    /// There is a lock file of somebody of whom we know nothing.
    Foreign,
    /// It was buried.
    Dead(Option<Reason>),
    /// It cannot be delivered, and will be buried.
    Unusable(String),
}

/// What became of an entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Fate {
    /// It is in the queue.
    Waiting,
    /// It has arrived.
    Delivered(Delivered),
    /// It was buried.
    Dead(Option<Reason>),
    /// It is gone, and nobody left a word.
    Gone,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// How many entries wait, those being delivered included.
    pub waiting: usize,
    /// Since when the oldest waits.
    pub oldest: Option<Timestamp>,
    /// How many were buried.
    pub dead: usize,
}

impl Queue {
    /// Every entry, in order.
    pub fn list(&self) -> io::Result<Vec<Listed>> {
        let ids = index::names(&self.files.dir)?;
        let mut places: Vec<index::Place> = ids.into_iter().map(|id| self.place(id)).collect();
        places.sort();
        places.into_iter().filter_map(|place| self.listed(place.id).transpose()).collect()
    }

    /// Every buried entry, in order.
    pub fn list_dead(&self) -> io::Result<Vec<Listed>> {
        let mut dead: Vec<Listed> = dead::all(&self.files)?.into_iter().filter_map(|id| self.listed_dead(id)).collect();
        dead.sort_by(|a, b| (a.enqueued_at, &a.id).cmp(&(b.enqueued_at, &b.id)));
        Ok(dead)
    }

    /// One entry, waiting or buried.
    pub fn show(&self, id: &EntryId) -> io::Result<Option<Listed>> {
        Ok(self.listed(id.clone())?.or_else(|| self.listed_dead(id.clone())))
    }

    /// What became of an entry that was in the queue.
    pub fn fate(&self, id: &EntryId) -> Fate {
        if self.waits(id) {
            Fate::Waiting
        } else if self.is_dead(id) {
            Fate::Dead(dead::reason(&self.files, id))
        } else if let Some(delivered) = receipts::find(&self.files, id) {
            Fate::Delivered(delivered)
        } else if self.waits(id) {
            // It was put back from among the buried meanwhile.
            Fate::Waiting
        } else {
            Fate::Gone
        }
    }

    /// How full it is.
    pub fn depth(&self) -> io::Result<Depth> {
        let waiting = index::names(&self.files.dir)?;
        let oldest = waiting.iter().cloned().map(|id| self.place(id)).min();
        let oldest = oldest.and_then(|place| self.listed(place.id).ok().flatten()).map(|listed| listed.enqueued_at);
        Ok(Depth { waiting: waiting.len(), oldest, dead: dead::all(&self.files)?.len() })
    }

    fn listed(&self, id: EntryId) -> io::Result<Option<Listed>> {
        let Some((content, changed)) = self.look(&id)? else { return Ok(None) };
        let lock = Found::look(&self.files.lock(&id))?;
        let (text, at, state) = match content {
            Content::Whole(text, at) => (Some(text), at, Standing::Waiting),
            Content::Unfinished(_) => (None, None, Standing::BeingWritten),
            Content::Unusable(why) => (None, None, Standing::Unusable(why)),
        };
        let state = match lock {
            None => state,
            Some(Found::Held) => Standing::Claimed(self.holder(&id)),
            Some(Found::Free { holder: Some(holder), .. }) if holder.is_here() => Standing::InDoubt(holder),
            Some(Found::Free { holder: Some(holder), .. }) => Standing::Claimed(Some(holder)),
            Some(Found::Free { holder: None, .. }) => Standing::Foreign,
        };
        let tries = tries::of(&self.files, &id);
        Ok(Some(Listed { id, text, enqueued_at: when(at, changed), state, tries }))
    }

    pub(super) fn listed_dead(&self, id: EntryId) -> Option<Listed> {
        let (content, changed) = self.look_at(&self.files.dead(&id)).ok()??;
        let (text, at) = match content {
            Content::Whole(text, at) => (Some(text), at),
            Content::Unfinished(_) | Content::Unusable(_) => (None, None),
        };
        let state = Standing::Dead(dead::reason(&self.files, &id));
        Some(Listed { id, text, enqueued_at: when(at, changed), state, tries: None })
    }

    /// Who says so in the lock file, dead or alive.
    pub(super) fn holder(&self, id: &EntryId) -> Option<Holder> {
        read_file(&self.files.lock(id)).ok().and_then(|text| serde_json::from_slice(&text).ok())
    }
}

fn when(said: Option<Timestamp>, changed: SystemTime) -> Timestamp {
    said.or_else(|| Timestamp::try_from(changed).ok()).unwrap_or_default()
}
