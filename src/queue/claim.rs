//! A claim as a value: an entry that is ours until it is acknowledged, given back or buried.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;

use super::dead::{self, Reason};
use super::entry::Text;
use super::lease::{Holder, Lease};
use super::receipts::{self, Receipt};
use super::{Files, tries};
use crate::home::sync_dir;
use crate::ids::{DeliveryId, EntryId};
use crate::steps;

/// One entry, held. Dropped, it is given back: to its old place, for anybody. After [`Claim::sent`] it is given back with
/// the doubt kept: whoever claims it next is told under which delivery it may have arrived.
#[derive(Debug)]
pub struct Claim {
    pub(super) files: Arc<Files>,
    pub(super) id: EntryId,
    pub(super) text: Text,
    pub(super) enqueued_at: Timestamp,
    pub(super) delivery: DeliveryId,
    pub(super) dead: Option<Holder>,
    pub(super) attempts: u32,
    /// Gone once the claim has ended.
    pub(super) lease: Option<Lease>,
    pub(super) was_sent: bool,
}

impl Claim {
    /// Which entry.
    pub fn id(&self) -> &EntryId {
        &self.id
    }

    /// What it says.
    pub fn text(&self) -> &Text {
        &self.text
    }

    /// When it was enqueued.
    pub fn enqueued_at(&self) -> Timestamp {
        self.enqueued_at
    }

    /// Under which delivery it is claimed: the one whose holder died, if it was taken over.
    pub fn delivery(&self) -> &DeliveryId {
        &self.delivery
    }

    /// The holder that died with it, if it was taken over: nobody knows whether its delivery has arrived.
    pub fn taken_over_from(&self) -> Option<&Holder> {
        self.dead.as_ref()
    }

    /// How often it has failed to be delivered.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// From now on it may have arrived, whatever becomes of us.
    pub fn sent(&mut self) {
        self.was_sent = true;
    }

    /// It has arrived: entry and lock are removed, and stay so.
    pub fn ack(self, receipt: &Receipt) -> io::Result<()> {
        Claim::ack_all(vec![self], receipt)
    }

    /// All these have arrived, in one delivery. What cannot be removed stays in doubt.
    pub fn ack_all(mut claims: Vec<Claim>, receipt: &Receipt) -> io::Result<()> {
        let Some(files) = claims.first().map(|claim| claim.files.clone()) else { return Ok(()) };
        claims.iter_mut().for_each(Claim::sent);
        receipts::note(&files, claims.iter().map(|claim| (&claim.id, &claim.delivery)), receipt);
        steps::at("ack.logged");
        claims.iter().try_for_each(|claim| dead::clear(&files, &claim.id))?;
        steps::at("ack.removed");
        sync_dir(&files.dir)?;
        steps::at("ack.synced");
        claims.into_iter().try_for_each(Claim::unlock)?;
        steps::at("ack.unlocked");
        Ok(())
    }

    /// It has not arrived, and nobody is to blame: back to its old place.
    pub fn release(self) -> io::Result<()> {
        self.end()
    }

    /// It could not be delivered: back to its old place, with one attempt more against it.
    pub fn failed(self, why: &str) -> io::Result<()> {
        tries::count(&self.files, &self.id, self.attempts + 1, why);
        self.end()
    }

    /// It could not be delivered, once too often: it is kept in `dead/` with the reason.
    pub fn failed_for_good(mut self, why: &str) -> io::Result<()> {
        self.attempts += 1;
        let why = format!("it failed {} times, the last time so: {why}", self.attempts);
        self.bury(&why)
    }

    /// It will never be delivered: it is kept in `dead/` with the reason.
    pub fn bury(self, why: &str) -> io::Result<()> {
        let reason = Reason::new(why, self.attempts);
        dead::bury(&self.files, &self.id, &reason)?;
        self.unlock()?;
        steps::at("bury.unlocked");
        Ok(())
    }

    /// The entry is gone; so is what was kept beside it.
    fn unlock(self) -> io::Result<()> {
        if self.attempts > 0 {
            tries::forget(&self.files, &self.id);
        }
        self.end()
    }

    fn end(mut self) -> io::Result<()> {
        self.lease.take().map_or(Ok(()), Lease::give_up)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some(lease) = self.lease.take() else { return };
        if self.was_sent || self.dead.is_some() {
            return drop(lease);
        }
        if let Err(error) = lease.give_up() {
            // Its OS lock is free: the next claimer takes it over.
            tracing::warn!(entry = %self.id, %error, "a claim whose lock file cannot be removed");
        }
    }
}
