//! What is enqueued: texts that say who enqueued them and which they are, so that each is known again wherever it arrives.

use std::fmt;

use atm_agent_mcp::queue::Urgency;
use fastrand::Rng;

const START: &str = "#chaos p";
const END: &str = "#end#";
/// What the texts are padded with: letters of one byte, of two, of three and of four, and what JSON has to escape.
const LETTERS: [&str; 12] = ["a", "e", "n", " ", ".", "\t", "\"", "\\", "é", "ß", "語", "🦀"];

/// One text of one producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) producer: u32,
    pub(crate) number: u64,
    pub(crate) urgency: Urgency,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urgency = match self.urgency {
            Urgency::Normal => "normal",
            Urgency::Urgent => "urgent",
        };
        write!(f, "{START}{} {} {urgency}#", self.producer, self.number)
    }
}

impl Mark {
    /// The text: the mark, padding of one line or of several, and an end. A mark has one text.
    pub(crate) fn text(&self) -> String {
        let mut rng = self.rng();
        let (lines, letters) = match rng.u8(..) {
            0 => (1, 40_000),
            1..64 => (rng.usize(2..12), 60),
            _ => (1, 200),
        };
        let mut text = self.to_string();
        for _ in 0..lines {
            text.push_str(if lines == 1 { " " } else { "\n" });
            text.extend((0..rng.usize(..letters)).map(|_| LETTERS[rng.usize(..LETTERS.len())]));
        }
        text + END
    }

    /// Choices that belong to this text, the same in every process.
    fn rng(&self) -> Rng {
        Rng::with_seed((u64::from(self.producer) << 40) ^ self.number)
    }

    /// Every text that stands whole in what arrived, in order.
    pub(crate) fn all_in(arrived: &str) -> Vec<Mark> {
        let lines = arrived.match_indices(START).filter(|(at, _)| *at == 0 || arrived[..*at].ends_with('\n'));
        let told = lines.filter_map(|(at, _)| Some((Mark::parse(&arrived[at..])?, &arrived[at..])));
        told.filter(|(mark, rest)| rest.starts_with(&mark.text())).map(|(mark, _)| mark).collect()
    }

    fn parse(text: &str) -> Option<Mark> {
        let (mark, _) = text.strip_prefix(START)?.split_once('#')?;
        let mut words = mark.split(' ');
        let (producer, number) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let urgency = match words.next()? {
            "normal" => Urgency::Normal,
            "urgent" => Urgency::Urgent,
            _ => return None,
        };
        Some(Mark { producer, number, urgency })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u64) -> Mark {
        Mark { producer: 3, number, urgency: Urgency::Urgent }
    }

    #[test]
    fn a_text_is_known_again_whole_and_only_whole() {
        for number in 0..500 {
            let text = mark(number).text();
            assert_eq!(Mark::all_in(&text), [mark(number)]);
            let half = (text.len() / 2..).find(|at| text.is_char_boundary(*at)).unwrap();
            assert_eq!(Mark::all_in(&text[..half]), []);
            assert_eq!(Mark::all_in(&text.replace("#chaos p3", "#chaos p4")), []);
        }
    }

    #[test]
    fn several_in_one_message_are_found_in_their_order() {
        let message = format!("[queue entry a]\n{}\n\n[queue entry b]\n{}", mark(7).text(), mark(8).text());
        assert_eq!(Mark::all_in(&message), [mark(7), mark(8)]);
        assert_eq!(Mark::all_in(&format!("quoted: {}", mark(7).text())), []);
    }
}
