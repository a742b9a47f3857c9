//! The judgement: whether what arrived is what was promised. Rules only.

use std::collections::{BTreeMap, HashMap, HashSet};

use atm_agent_mcp::queue::Urgency;

use crate::mark::Mark;

/// What one producer has said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// The highest number it has tried; it tries each from 1 on.
    pub(crate) tried: u64,
    /// Those of which it was told that they are enqueued.
    pub(crate) acked: HashSet<u64>,
    /// Whether a text of its that was not acknowledged may be there in part.
    pub(crate) writes_in_place: bool,
}

impl Account {
    fn cut_off(&self) -> usize {
        if self.writes_in_place { usize::try_from(self.tried).unwrap_or(usize::MAX) - self.acked.len() } else { 0 }
    }
}

/// Everything that is known of a run.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// By producer.
    pub(crate) accounts: BTreeMap<u32, Account>,
    /// What arrived, in order.
    pub(crate) arrived: Vec<Mark>,
    /// What still waits when there is no more time: that is a fault of its own, and no loss.
    pub(crate) waiting: Vec<Mark>,
    /// What was buried because the run wanted it so.
    pub(crate) buried: Vec<Mark>,
    /// What arrived, was buried or is left that is no whole text, and of which text it is if it tells.
    pub(crate) fragments: Vec<Option<Mark>>,
}

impl History {
    /// A text has arrived after the others, whole or not.
    pub(crate) fn arrives(&mut self, text: &str) {
        match Mark::of(text) {
            Some(mark) => self.arrived.push(mark),
            None => self.fragments.push(Mark::begun_in(text)),
        }
    }
}

/// What is wrong with it; nothing, one hopes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Acknowledged, and neither arrived nor buried.
    pub(crate) lost: Vec<String>,
    /// Arrived or buried once more, whole or in part.
    pub(crate) duplicated: Vec<String>,
    /// Arrived behind a later one of the same producer and urgency.
    pub(crate) reordered: Vec<String>,
    /// What nobody has tried to enqueue, and fragments of what nobody has left unfinished.
    pub(crate) strange: Vec<String>,
}

impl Verdict {
    /// Every fault, in words.
    pub(crate) fn faults(&self) -> impl Iterator<Item = String> {
        let kinds = [
            ("lost", &self.lost),
            ("duplicated", &self.duplicated),
            ("reordered", &self.reordered),
            ("strange", &self.strange),
        ];
        kinds.into_iter().flat_map(|(kind, faults)| faults.iter().map(move |fault| format!("{kind}: {fault}")))
    }
}

/// Judges a run that has come to its end.
pub(crate) fn judge(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    let mut seen: HashMap<(u32, u64), &str> = HashMap::new();
    let mut last: HashMap<(u32, bool), u64> = HashMap::new();
    let arrived = history.arrived.iter().map(|mark| (mark, "arrived"));
    for (mark, how) in arrived.chain(history.buried.iter().map(|mark| (mark, "was buried"))) {
        let tried = history.accounts.get(&mark.producer).map_or(0, |account| account.tried);
        if !(1..=tried).contains(&mark.number) {
            verdict.strange.push(format!("{mark} {how} and was never tried"));
        }
        if let Some(before) = seen.insert((mark.producer, mark.number), how) {
            verdict.duplicated.push(format!("{mark} {how} after it {before}"));
            continue;
        }
        if how == "arrived" {
            let last = last.entry((mark.producer, mark.urgency == Urgency::Urgent)).or_default();
            if mark.number < *last {
                verdict.reordered.push(format!("{mark} arrived after number {last}"));
            }
            *last = mark.number.max(*last);
        }
    }
    let mut pieces: HashSet<(u32, u64)> = HashSet::new();
    for mark in history.fragments.iter().flatten() {
        let text = (mark.producer, mark.number);
        if seen.contains_key(&text) || !pieces.insert(text) {
            verdict.duplicated.push(format!("{mark} is there once more, in part"));
        }
    }
    let waiting = history.waiting.iter().map(|mark| (mark.producer, mark.number));
    let there: HashSet<(u32, u64)> = seen.into_keys().chain(waiting).collect();
    for (producer, account) in &history.accounts {
        let mut lost: Vec<u64> = account.acked.iter().copied().filter(|n| !there.contains(&(*producer, *n))).collect();
        lost.sort_unstable();
        verdict.lost.extend(lost.into_iter().map(|number| format!("number {number} of producer {producer}")));
    }
    let cut_off: usize = history.accounts.values().map(Account::cut_off).sum();
    let fragments = history.fragments.len();
    if fragments > cut_off {
        verdict.strange.push(format!("{fragments} fragments, and only {cut_off} writes were cut off"));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u64) -> Mark {
        Mark { producer: 1, number, urgency: Urgency::Normal }
    }

    fn urgent(number: u64) -> Mark {
        Mark { urgency: Urgency::Urgent, ..mark(number) }
    }

    /// One producer that tried so many, was told of all but the third, and saw these arrive.
    fn history(tried: u64, arrived: &[Mark]) -> History {
        let acked = (1..=tried).filter(|number| *number != 3).collect();
        let accounts = [(1, Account { tried, acked, writes_in_place: true })].into();
        History { accounts, arrived: arrived.to_vec(), ..History::default() }
    }

    #[test]
    fn a_promise_that_is_kept_is_no_fault() {
        for arrived in [&[mark(1), mark(2), mark(4)][..], &[mark(1), mark(2), mark(3), mark(4)]] {
            assert_eq!(judge(&history(4, arrived)), Verdict::default());
        }
        let explained =
            History { buried: vec![mark(2)], fragments: vec![Some(mark(3))], ..history(4, &[mark(1), mark(4)]) };
        assert_eq!(judge(&explained), Verdict::default());
    }

    #[test]
    fn what_is_missing_is_lost_if_it_was_acknowledged() {
        let verdict = judge(&history(4, &[mark(1), mark(4)]));
        assert_eq!(verdict, Verdict { lost: vec!["number 2 of producer 1".into()], ..Verdict::default() });
    }

    #[test]
    fn what_still_waits_is_not_lost() {
        let waits = History { waiting: vec![mark(2)], ..history(4, &[mark(1), mark(4)]) };
        assert_eq!(judge(&waits), Verdict::default());
    }

    #[test]
    fn what_comes_twice_is_told_acknowledged_or_not() {
        let verdict = judge(&history(4, &[mark(1), mark(2), mark(3), mark(3), mark(4), mark(1)]));
        assert_eq!((verdict.duplicated.len(), verdict.lost.len(), verdict.reordered.len()), (2, 0, 0), "{verdict:?}");
        let verdict = judge(&History { buried: vec![mark(2)], ..history(2, &[mark(1), mark(2)]) });
        assert_eq!(verdict.duplicated, ["#chaos p1 2 normal# was buried after it arrived"]);
    }

    #[test]
    fn a_piece_is_at_most_once_too_and_is_not_the_text() {
        let pieces = |fragments: &[Mark], arrived: &[Mark]| {
            let fragments = fragments.iter().copied().map(Some).collect();
            judge(&History { fragments, ..history(4, arrived) })
        };
        let verdict = pieces(&[mark(3), mark(3)], &[mark(1), mark(2), mark(4)]);
        assert_eq!(verdict.duplicated, ["#chaos p1 3 normal# is there once more, in part"]);
        let verdict = pieces(&[mark(3)], &[mark(1), mark(2), mark(3), mark(4)]);
        assert_eq!(verdict.duplicated, ["#chaos p1 3 normal# is there once more, in part"]);
        let verdict = pieces(&[mark(4)], &[mark(1), mark(2)]);
        assert_eq!(verdict.lost, ["number 4 of producer 1"]);
    }

    #[test]
    fn order_is_kept_by_each_producer_for_each_urgency() {
        let verdict = judge(&history(4, &[mark(2), mark(1), mark(4)]));
        assert_eq!(verdict.reordered, ["#chaos p1 1 normal# arrived after number 2"]);
        assert_eq!(judge(&history(4, &[urgent(2), mark(1), urgent(4)])), Verdict::default());
        let mut two = history(2, &[mark(1), Mark { producer: 2, ..mark(1) }, mark(2)]);
        two.accounts.insert(2, Account { tried: 1, ..Account::default() });
        assert_eq!(judge(&two), Verdict::default());
    }

    #[test]
    fn what_nobody_tried_is_strange() {
        let verdict = judge(&history(2, &[mark(1), mark(2), mark(9)]));
        assert_eq!(verdict.strange, ["#chaos p1 9 normal# arrived and was never tried"]);
        let verdict = judge(&History { fragments: vec![None], ..history(2, &[mark(1), mark(2)]) });
        assert_eq!(verdict.strange, ["1 fragments, and only 0 writes were cut off"]);
        assert_eq!(verdict.faults().count(), 1);
    }
}
