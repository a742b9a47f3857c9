//! The entries that wait, in order: read from the directory when that may have changed, kept between.
//!
//! A directory that is listed while writers write may show a writer's later entry and not its earlier one. So when a
//! listing shows anything new, the directory is listed once more: what the first listing showed has all its predecessors
//! in the second, and is sure. What only the second showed is not, until the next look: it may be a predecessor, or lack
//! one. (Times do not tell which: those of files lag behind those of UUIDs by a tick of the file system's clock.)

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::entry::Urgency;
use crate::ids::EntryId;

/// Where an entry stands: by its time, in nanoseconds since 1970, and within it by its number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    time: u128,
    number: u128,
    pub(super) id: EntryId,
}

impl Place {
    /// By the id's own time; an id without one has the time at which its file was last changed.
    pub(super) fn of(id: EntryId, changed: impl FnOnce() -> Option<SystemTime>) -> Place {
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let time = id.made_at().or_else(|| changed().map(since)).unwrap_or_default();
        Place { time, number: id.number(), id }
    }
}

/// The waiting entries of one queue.
#[derive(Debug, Default)]
pub(super) struct Index {
    places: BTreeSet<Place>,
    /// The same by id.
    known: HashMap<EntryId, Known>,
}

#[derive(Debug)]
struct Known {
    place: Place,
    /// Once it was read it is known for good.
    urgency: Option<Urgency>,
    /// Whether everything that its writer wrote before it is known too.
    sure: bool,
}

impl Index {
    /// How many wait, as far as is known.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The first places behind `after`.
    pub(super) fn next(&self, after: Option<&Place>) -> Option<Place> {
        match after {
            None => self.places.first().cloned(),
            Some(after) => {
                self.places.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded)).next().cloned()
            }
        }
    }

    /// Which entries' urgency is not known yet, in order.
    pub(super) fn unread(&self) -> Vec<Place> {
        let unread = self.known.values().filter(|known| known.urgency.is_none());
        let mut unread: Vec<Place> = unread.map(|known| known.place.clone()).collect();
        unread.sort();
        unread
    }

    /// What is known of an entry's urgency.
    pub(super) fn urgency(&self, id: &EntryId) -> Option<Urgency> {
        self.known.get(id).and_then(|known| known.urgency)
    }

    /// It was read.
    pub(super) fn has_urgency(&mut self, id: &EntryId, urgency: Urgency) {
        if let Some(known) = self.known.get_mut(id) {
            known.urgency = Some(urgency);
        }
    }

    /// Whether everything that its writer wrote before it is known too.
    pub(super) fn is_sure(&self, id: &EntryId) -> bool {
        self.known.get(id).is_some_and(|known| known.sure)
    }

    /// It waits no more.
    pub(super) fn forget(&mut self, id: &EntryId) {
        if let Some(Known { place, .. }) = self.known.remove(id) {
            self.places.remove(&place);
        }
    }

    /// Looks into the directory.
    pub(super) fn refresh(&mut self, dir: &Path) -> io::Result<()> {
        let first = names(dir)?;
        if first.iter().all(|id| self.is_sure(id)) {
            if first.len() < self.known.len() {
                self.retain(&first.into_iter().collect());
            }
            return Ok(());
        }
        self.learn(&first, names(dir)?, |id| placed(dir, id));
        Ok(())
    }

    /// What two listings show, one made after the other.
    fn learn(&mut self, first: &[EntryId], second: Vec<EntryId>, placed: impl Fn(EntryId) -> Place) {
        let second: HashSet<EntryId> = second.into_iter().collect();
        self.retain(&second);
        for id in second {
            if !self.known.contains_key(&id) {
                let place = placed(id.clone());
                self.places.insert(place.clone());
                self.known.insert(id, Known { place, urgency: None, sure: false });
            }
        }
        for id in first {
            if let Some(known) = self.known.get_mut(id) {
                known.sure = true;
            }
        }
    }

    /// Forgets whatever is not there any more.
    fn retain(&mut self, listed: &HashSet<EntryId>) {
        self.known.retain(|id, _| listed.contains(id));
        self.places.retain(|place| listed.contains(&place.id));
    }
}

/// Where an entry of this directory stands.
pub(super) fn placed(dir: &Path, id: EntryId) -> Place {
    let path = dir.join(format!("{id}.json"));
    Place::of(id, || fs::metadata(path).and_then(|file| file.modified()).ok())
}

/// The ids of the entries' files in a directory; other names are somebody else's business.
pub(super) fn names(dir: &Path) -> io::Result<Vec<EntryId>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(".json"));
        found.extend(id.and_then(|id| EntryId::parse(id).ok()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn v4(n: u128) -> EntryId {
        EntryId::parse(&uuid::Builder::from_random_bytes(n.to_be_bytes()).into_uuid().to_string()).unwrap()
    }

    #[test]
    fn order_is_by_time_and_within_a_millisecond_by_number() {
        let (early, late) = (EntryId::next(), EntryId::next());
        let at = |secs| UNIX_EPOCH + Duration::from_secs(secs);
        let old = Place::of(v4(7), || Some(at(1_000)));
        let future = Place::of(v4(1), || Some(at(100_000_000_000)));
        let (early, late) = (Place::of(early, || None), Place::of(late, || None));
        let mut all = vec![future.clone(), late.clone(), old.clone(), early.clone()];
        all.sort();
        assert_eq!(all, [old, early, late, future]);
    }

    #[test]
    fn names_that_are_no_entries_are_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let id = EntryId::next();
        for name in [&format!("{id}.json"), &format!("{id}.lock"), "note.json", ".tmpabc", "x", &format!("{id}.json~")]
        {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        assert_eq!(names(dir.path()).unwrap(), [id]);
        assert_eq!(names(&dir.path().join("absent")).unwrap(), []);
    }

    #[test]
    fn what_only_the_second_listing_shows_is_not_sure_before_the_next_look() {
        let ids = [(); 4].map(|()| EntryId::next());
        let [one, two, three, other] = &ids;
        let place = |id: EntryId| Place::of(id, || None);
        let sure = |index: &Index| ids.each_ref().map(|id| index.is_sure(id));
        let mut index = Index::default();
        // The second listing has begun before the first of these was written, and shows the second of them.
        index.learn(std::slice::from_ref(other), vec![other.clone(), two.clone()], place);
        assert_eq!((index.len(), sure(&index)), (2, [false, false, false, true]));
        index.learn(&[two.clone(), other.clone()], vec![three.clone(), two.clone(), one.clone(), other.clone()], place);
        assert_eq!((index.next(None).unwrap().id, sure(&index)), (one.clone(), [false, true, false, true]));
        index.learn(&ids, ids.to_vec(), place);
        assert_eq!(sure(&index), [true; 4]);
    }

    #[test]
    fn an_entry_that_is_gone_is_forgotten_and_one_that_stays_keeps_what_is_known_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let write = |id: &EntryId| fs::write(dir.path().join(format!("{id}.json")), "x").unwrap();
        let mut index = Index::default();
        let (one, two) = (EntryId::next(), EntryId::next());
        write(&two);
        index.refresh(dir.path()).unwrap();
        index.has_urgency(&two, Urgency::Urgent);
        write(&one);
        index.refresh(dir.path()).unwrap();
        let first = index.next(None).unwrap();
        assert_eq!((&first.id, index.next(Some(&first)).unwrap().id), (&one, two.clone()));
        assert_eq!((index.urgency(&two), index.urgency(&one)), (Some(Urgency::Urgent), None));
        fs::remove_file(dir.path().join(format!("{one}.json"))).unwrap();
        index.refresh(dir.path()).unwrap();
        assert_eq!((index.len(), index.next(None).unwrap().id), (1, two));
    }
}
