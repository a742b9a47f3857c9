//! Every text under its mark: to whom it went, whether it was accepted, and at the end whether it arrived once. Rules only.

use std::collections::{BTreeMap, HashMap, HashSet};

const START: &str = "#soak ";
const END: char = '#';

/// How a text was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// With a call: it may come to nothing, and the caller is told.
    Prompt,
    Steer,
    Entry,
    Mail,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    way: Way,
    to: usize,
    is_accepted: bool,
}

/// All texts, by their marks.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    sent: BTreeMap<u64, Sent>,
}

/// What is wrong, and what is explained.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// How many texts of each way were accepted, and how many stand in their threads.
    pub(super) ways: BTreeMap<Way, (usize, usize)>,
    /// Accepted, and not there.
    pub(super) lost: Vec<String>,
    /// There more than once, or elsewhere.
    pub(super) twice: Vec<String>,
}

impl Ledger {
    /// A mark for a text that is about to be sent, and the mark as it stands in the text.
    pub(super) fn opens(&mut self, way: Way, to: usize) -> (u64, String) {
        let mark = self.sent.len() as u64 + 1;
        self.sent.insert(mark, Sent { way, to, is_accepted: false });
        (mark, format!("{START}{mark}{END}"))
    }

    /// It was promised that this text arrives.
    pub(super) fn accepts(&mut self, mark: u64) {
        if let Some(sent) = self.sent.get_mut(&mark) {
            sent.is_accepted = true;
        }
    }

    /// Judges what stands in the threads, agent by agent; `excused` are buried, or given up with notice.
    pub(super) fn judge(&self, threads: &[Vec<String>], excused: &HashSet<u64>) -> Verdict {
        let mut found: HashMap<u64, Vec<usize>> = HashMap::new();
        for (agent, texts) in threads.iter().enumerate() {
            for mark in texts.iter().flat_map(|text| marks(text)) {
                found.entry(mark).or_default().push(agent);
            }
        }
        let mut verdict = Verdict::default();
        for (mark, sent) in &self.sent {
            let Sent { way, to, is_accepted } = *sent;
            let (accepted, arrived) = verdict.ways.entry(way).or_default();
            *accepted += usize::from(is_accepted);
            let there = found.remove(mark).unwrap_or_default();
            let shown = || format!("{way:?} {mark} to s-{to}");
            match there.as_slice() {
                [] if is_accepted && !excused.contains(mark) => verdict.lost.push(shown()),
                [] => {}
                [agent] if *agent == to => *arrived += 1,
                elsewhere => verdict.twice.push(format!("{} stands in the threads of {elsewhere:?}", shown())),
            }
        }
        verdict.twice.extend(found.keys().map(|mark| format!("{mark} was never sent")));
        verdict
    }
}

/// The marks in a text.
pub(super) fn marks(text: &str) -> impl Iterator<Item = u64> {
    text.split(START).skip(1).filter_map(|rest| rest.split(END).next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two agents; a prompt and two mails to the second, of which the last was not accepted.
    fn judged(threads: [&[&str]; 2], excused: &[u64]) -> (Vec<String>, Vec<String>) {
        let mut ledger = Ledger::default();
        for (way, is_accepted) in [(Way::Prompt, false), (Way::Mail, true), (Way::Mail, false)] {
            let (mark, text) = ledger.opens(way, 1);
            assert_eq!(marks(&format!("[urgent] {text} and more")).collect::<Vec<_>>(), [mark]);
            if is_accepted {
                ledger.accepts(mark);
            }
        }
        let threads = threads.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect());
        let verdict = ledger.judge(&threads, &excused.iter().copied().collect());
        (verdict.lost, verdict.twice)
    }

    #[test]
    fn what_was_accepted_is_there_once_and_the_rest_at_most_once() {
        assert_eq!(judged([&[], &["#soak 2#"]], &[]), (vec![], vec![]));
        assert_eq!(judged([&[], &["#soak 1# #soak 2#", "#soak 3#"]], &[]), (vec![], vec![]));
        assert_eq!(judged([&[], &[]], &[2]), (vec![], vec![]));
        assert_eq!(judged([&[], &["#soak 1#"]], &[]), (vec!["Mail 2 to s-1".to_owned()], vec![]));
    }

    #[test]
    fn what_stands_there_again_or_elsewhere_is_told() {
        for threads in [
            [&[][..], &["#soak 2#", "#soak 3# #soak 3#"][..]],
            [&[], &["#soak 2#", "#soak 2#"]],
            [&["#soak 2#"], &[]],
            [&[], &["#soak 2#", "#soak 9#"]],
        ] {
            let (lost, twice) = judged(threads, &[]);
            assert_eq!((lost.len(), twice.len()), (0, 1), "{threads:?}");
        }
    }
}
