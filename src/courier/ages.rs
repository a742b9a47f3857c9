//! How long an idle agent has failed to take what waits for it. Rules only.

use std::collections::HashMap;
use std::time::Duration;

use crate::ids::EntryId;

/// The age of each entry, counted only while the agent was idle.
#[derive(Debug, Default)]
pub(super) struct Ages {
    ages: HashMap<EntryId, Duration>,
}

impl Ages {
    /// The agent was idle for `elapsed` more while these waited: which of them are `most` old or older now.
    pub(super) fn add(&mut self, waiting: &[EntryId], elapsed: Duration, most: Duration) -> Vec<EntryId> {
        let mut ages = HashMap::with_capacity(waiting.len());
        for id in waiting {
            // What comes into sight only now has not waited yet.
            let age = self.ages.get(id).map_or(Duration::ZERO, |age| *age + elapsed);
            ages.insert(id.clone(), age);
        }
        self.ages = ages;
        waiting.iter().filter(|id| self.ages[*id] >= most).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_ages_only_while_it_waits_for_an_idle_agent() {
        let (one, two) = (EntryId::next(), EntryId::next());
        let (minute, most) = (Duration::from_secs(60), Duration::from_secs(120));
        let mut ages = Ages::default();
        assert_eq!(ages.add(std::slice::from_ref(&one), minute, most), []);
        assert_eq!(ages.add(&[one.clone(), two.clone()], minute, most), []);
        assert_eq!(ages.add(&[one.clone(), two.clone()], Duration::ZERO, most), [], "it was busy");
        assert_eq!(ages.add(&[one.clone(), two.clone()], minute, most), [one]);
        assert_eq!(ages.add(std::slice::from_ref(&two), minute, most), [two]);
    }
}
