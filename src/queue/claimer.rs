//! The taking side of a queue: entries in order, each under a claim.

use std::fs;
use std::io;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::claim::Claim;
use super::entry::{self, Content, UNFINISHED, Urgency};
use super::index::{Index, Place};
use super::lease::{Holder, Lease, Take, is_there};
use super::{Queue, tries};
use crate::ids::{DeliveryId, EntryId};
use crate::steps;

/// How often the directory is looked at for one batch: whoever writes without a pause could make it go on for ever.
const LOOKS: usize = 4;
/// When to look again at what such writers write.
const SOON: Duration = Duration::from_millis(1);
/// When to look again for what another claimer holds.
const HELD: Duration = Duration::from_millis(100);
/// When to look again whether a foreign lock has gone.
const FOREIGN: Duration = Duration::from_secs(1);
/// When to try again what could not be buried.
const UNBURIED: Duration = Duration::from_secs(30);

/// Takes entries from one queue. There may be several, in one process or in many: an entry has one claim at a time, and
/// what is behind the claim of another waits for it, so that the order holds.
#[derive(Debug)]
pub struct Claimer {
    queue: Queue,
    index: Index,
    stale: bool,
    again: Option<Duration>,
}

/// Which entries are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    All,
    Urgent,
}

/// Claims in the making.
struct Batch {
    lane: Lane,
    most: usize,
    us: Holder,
    claims: Vec<Claim>,
    stopped: bool,
}

impl Batch {
    fn new(lane: Lane, most: usize, delivery: &DeliveryId) -> Batch {
        Batch { lane, most, us: Holder::us(delivery), claims: Vec::new(), stopped: false }
    }

    fn has_room(&self) -> bool {
        !self.stopped && self.claims.len() < self.most
    }
}

/// How going through the queue ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// There is nothing more to take, or no room for it.
    Through,
    /// At an entry that may lack a predecessor: the directory is to be looked at before.
    Unsure,
}

/// What became of one place in the queue.
enum Step {
    Claimed(Box<Claim>),
    /// Not this one; what is behind it may be taken.
    Passed,
    /// Nothing is behind it or may be taken before it.
    Stop,
}

impl Claimer {
    pub(super) fn new(queue: Queue) -> Claimer {
        Claimer { queue, index: Index::default(), stale: true, again: None }
    }

    /// The oldest entries, `most` at most, under `delivery`. Those taken over from a dead holder come alone, under the
    /// delivery in which they may have arrived.
    pub fn claim(&mut self, most: usize, delivery: &DeliveryId) -> io::Result<Vec<Claim>> {
        let look = self.index.len() < most;
        self.fill(Batch::new(Lane::All, most, delivery), look)
    }

    /// The same of the urgent ones alone.
    pub fn claim_urgent(&mut self, most: usize, delivery: &DeliveryId) -> io::Result<Vec<Claim>> {
        let look = self.stale || self.index.len() == 0;
        self.fill(Batch::new(Lane::Urgent, most, delivery), look)
    }

    /// Fills the batch from what is known, after a look into the directory if one is wanted, or if it comes to need one.
    fn fill(&mut self, mut batch: Batch, mut look: bool) -> io::Result<Vec<Claim>> {
        let mut looked = false;
        for _ in 0..LOOKS {
            if look {
                self.refresh()?;
                looked = true;
            }
            if batch.lane == Lane::Urgent {
                self.read_urgency();
            }
            look = match self.take(&mut batch)? {
                Pass::Unsure => true,
                // Of what was known, some was gone: there may be others.
                Pass::Through => !looked && batch.has_room(),
            };
            if !look {
                return Ok(batch.claims);
            }
        }
        self.look_again(Some(SOON));
        Ok(batch.claims)
    }

    fn read_urgency(&mut self) {
        for place in self.index.unread() {
            match self.queue.look(&place.id) {
                Ok(Some((Content::Whole(text, _), _))) => self.index.has_urgency(&place.id, text.urgency),
                Ok(Some((Content::Unusable(_), _))) => self.index.has_urgency(&place.id, Urgency::Normal),
                Ok(Some((Content::Unfinished(_), _)) | None) | Err(_) => {}
            }
        }
    }

    /// Of which queue.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Something may have arrived.
    pub fn arrived(&mut self) {
        self.stale = true;
    }

    /// When the last claim left something behind that may be ready later without anybody telling: when to look again.
    pub fn look_again_in(&self) -> Option<Duration> {
        self.again
    }

    /// Which entries wait now.
    pub fn waiting(&mut self) -> io::Result<Vec<EntryId>> {
        self.refresh()?;
        let mut waiting = Vec::with_capacity(self.index.len());
        let mut place = self.index.next(None);
        while let Some(here) = place {
            place = self.index.next(Some(&here));
            waiting.push(here.id);
        }
        Ok(waiting)
    }

    /// Buries a waiting entry, if nobody holds it; answers whether it did.
    pub fn bury(&mut self, id: &EntryId, why: &str) -> io::Result<bool> {
        let buried = self.queue.bury(id, why)?;
        if buried {
            self.index.forget(id);
        }
        Ok(buried)
    }

    fn refresh(&mut self) -> io::Result<()> {
        self.stale = false;
        self.index.refresh(&self.queue.files.dir)
    }

    /// Fills the batch, from the oldest on: one that came late may be older than those in the batch, and what its writer
    /// wrote after it is behind it.
    fn take(&mut self, batch: &mut Batch) -> io::Result<Pass> {
        self.again = None;
        let mut place = self.index.next(None);
        while let Some(here) = place.take_if(|_| batch.has_room()) {
            place = self.index.next(Some(&here));
            let is_other = batch.lane == Lane::Urgent && self.index.urgency(&here.id) != Some(Urgency::Urgent);
            if is_other || batch.claims.iter().any(|claim| claim.id == here.id) {
                continue;
            }
            if !self.index.is_sure(&here.id) {
                return Ok(Pass::Unsure);
            }
            match self.step(&here, &batch.us, batch.claims.first())? {
                Step::Claimed(claim) => batch.claims.push(*claim),
                Step::Passed => {}
                Step::Stop => batch.stopped = true,
            }
        }
        Ok(Pass::Through)
    }

    /// Tries to claim one entry; the first claim says whether this batch is of the doubtful ones.
    fn step(&mut self, place: &Place, us: &Holder, first: Option<&Claim>) -> io::Result<Step> {
        let files = self.queue.files.clone();
        let id = &place.id;
        // Acknowledged, most often: known places are forgotten when they are found empty, so that what is given back is
        // found in its place.
        let about = match fs::symlink_metadata(files.entry(id)) {
            Ok(about) => about,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.index.forget(id);
                return Ok(Step::Passed);
            }
            Err(error) => return Err(error),
        };
        // Whoever left it so may be dead; it need not be claimed to be passed over.
        if about.is_file() && about.len() == 0 && !is_there(&files.lock(id))? {
            return Ok(self.unfinished(age(about.modified()?), UNFINISHED));
        }
        let (lease, dead) = match Lease::take(&files.lock(id), us, self.queue.limits.ttl)? {
            Take::New(lease) => (lease, None),
            Take::Inherited(lease, dead) => (lease, Some(dead)),
            Take::Held => return Ok(self.stop(HELD)),
            Take::Foreign(left) => {
                self.look_again(Some(left.map_or(FOREIGN, |left| left.min(FOREIGN))));
                return Ok(Step::Passed);
            }
        };
        let mut claim = Claim {
            files: files.clone(),
            id: id.clone(),
            text: entry::Text::default(),
            enqueued_at: Timestamp::now(),
            delivery: dead.as_ref().map_or(&us.delivery, |dead| &dead.delivery).clone(),
            dead,
            attempts: 0,
            lease: Some(lease),
            was_sent: false,
        };
        if first.is_some_and(|first| first.dead.is_some() != claim.dead.is_some()) {
            return Ok(Step::Stop);
        }
        let Some((content, changed)) = self.queue.look(id)? else {
            self.index.forget(id);
            claim.release()?;
            return Ok(Step::Passed);
        };
        claim.attempts = tries::of(&files, id).map_or(0, |tries| tries.attempts);
        steps::at("claim.read");
        match content {
            Content::Whole(text, _) if claim.dead.is_none() && has_expired(&text) => {
                Ok(self.bury_claim(claim, "it has expired: its own expires_at is past"))
            }
            Content::Whole(text, at) => {
                claim.enqueued_at = at.or_else(|| Timestamp::try_from(changed).ok()).unwrap_or(claim.enqueued_at);
                claim.text = text;
                Ok(Step::Claimed(Box::new(claim)))
            }
            // What it was when its holder died may have arrived, whatever it is now: that is found out first.
            Content::Unfinished(_) | Content::Unusable(_) if claim.dead.is_some() => Ok(Step::Claimed(Box::new(claim))),
            Content::Unfinished(left) => {
                claim.release()?;
                Ok(self.unfinished(age(changed), left))
            }
            Content::Unusable(why) => Ok(self.bury_claim(claim, &why)),
        }
    }

    /// What cannot be delivered is buried; what cannot even be buried is in nobody's way.
    fn bury_claim(&mut self, claim: Claim, why: &str) -> Step {
        let id = claim.id.clone();
        match claim.bury(why) {
            Ok(()) => {
                tracing::warn!(entry = %id, why, "an entry that cannot be delivered is buried");
                self.index.forget(&id);
            }
            Err(error) => {
                tracing::warn!(entry = %id, why, %error, "an entry that cannot be delivered cannot be buried either");
                self.look_again(Some(UNBURIED));
            }
        }
        Step::Passed
    }

    /// For a while its writer is believed to be at work, and those behind it wait for their turn.
    fn unfinished(&mut self, age: Duration, left: Duration) -> Step {
        if age < UNFINISHED { self.stop(left) } else { Step::Passed }
    }

    fn stop(&mut self, left: Duration) -> Step {
        self.look_again(Some(left));
        Step::Stop
    }

    fn look_again(&mut self, left: Option<Duration>) {
        self.again = match (self.again, left) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

fn has_expired(text: &entry::Text) -> bool {
    text.expires_at.is_some_and(|at| at <= Timestamp::now())
}

/// How long ago a file was changed; one that was changed in the future, by a clock that has jumped since, is old.
pub(super) fn age(changed: SystemTime) -> Duration {
    SystemTime::now().duration_since(changed).unwrap_or(Duration::MAX)
}

/// A file that is read: its content, and what it was when it was read.
pub(super) fn content(path: &std::path::Path, most: u64) -> io::Result<(Vec<u8>, fs::Metadata)> {
    use std::io::Read;
    let mut content = Vec::new();
    // A pipe is not opened: that would wait for its writer.
    let about = fs::metadata(path)?;
    if !about.is_file() {
        return Ok((content, about));
    }
    let mut file = fs::File::open(path)?;
    (&mut file).take(most + 1).read_to_end(&mut content)?;
    // A writer in place may have gone on meanwhile: what counts is the state after the reading.
    Ok((content, file.metadata()?))
}
