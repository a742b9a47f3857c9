//! Messages on their way to an agent of ours, in this process: shown to it when it is idle, or read by itself, and not both.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ids::{MemberName, MessageId, TeamName};

/// A message in somebody's inbox.
type Key = (TeamName, MemberName, MessageId);

/// Who has which message in hand; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Hands(Arc<Mutex<HashSet<Key>>>);

/// Messages that nobody else has until this is dropped.
#[derive(Debug, Default)]
pub struct InHand {
    hands: Hands,
    keys: HashSet<Key>,
}

impl Hands {
    /// Takes those of these messages of a member's inbox that nobody has.
    pub fn take<'a>(&self, team: &TeamName, of: &MemberName, ids: impl Iterator<Item = &'a MessageId>) -> InHand {
        let mut all = self.all();
        let keys = ids.map(|id| (team.clone(), of.clone(), id.clone())).filter(|key| all.insert(key.clone())).collect();
        drop(all);
        InHand { hands: self.clone(), keys }
    }

    /// Whether somebody has it.
    pub fn has(&self, team: &TeamName, of: &MemberName, id: &MessageId) -> bool {
        self.all().contains(&(team.clone(), of.clone(), id.clone()))
    }

    /// What somebody has of a member's inbox.
    pub fn held(&self, team: &TeamName, of: &MemberName) -> HashSet<MessageId> {
        let all = self.all();
        all.iter().filter(|(other, member, _)| other == team && member == of).map(|(.., id)| id.clone()).collect()
    }

    fn all(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InHand {
    /// Whether it is among them.
    pub fn has(&self, id: &MessageId) -> bool {
        self.keys.iter().any(|(_, _, taken)| taken == id)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.hands.all().retain(|key| !self.keys.contains(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_in_one_hand_at_a_time() {
        let hands = Hands::default();
        let (team, ana, ben) = (TeamName::parse("red").unwrap(), MemberName::parse("ana"), MemberName::parse("ben"));
        let (ana, ben) = (ana.unwrap(), ben.unwrap());
        let [one, two] = [MessageId::next(), MessageId::next()];
        let first = hands.take(&team, &ana, [&one].into_iter());
        let second = hands.clone().take(&team, &ana, [&one, &two].into_iter());
        assert!(first.has(&one) && !second.has(&one) && second.has(&two));
        assert_eq!(hands.held(&team, &ana), [&one, &two].map(Clone::clone).into());
        assert!(hands.take(&team, &ben, [&one].into_iter()).has(&one), "another inbox");
        drop(first);
        assert!(!hands.has(&team, &ana, &one) && hands.has(&team, &ana, &two));
    }
}
