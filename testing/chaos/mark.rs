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

    /// Which text this is, if it is one of ours, whole and unchanged.
    pub(crate) fn of(text: &str) -> Option<Mark> {
        Mark::parse(text).filter(|mark| mark.text() == text)
    }

    /// Which text this is a piece of, if that much of it is there; it may be a piece of JSON.
    pub(crate) fn begun_in(piece: &str) -> Option<Mark> {
        Mark::parse(&piece[piece.find(START)?..])
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
            assert_eq!(Mark::of(&text), Some(mark(number)));
            let half = (text.len() / 2..).find(|at| text.is_char_boundary(*at)).unwrap();
            let changed =
                [&text[..half], &text.replace("#chaos p3", "#chaos p4"), &format!("{text}\n"), &format!(" {text}")];
            changed.into_iter().for_each(|changed| assert_eq!(Mark::of(changed), None, "{changed:?}"));
        }
    }

    #[test]
    fn a_piece_tells_what_it_is_a_piece_of_if_it_is_long_enough() {
        let json = format!("{{\"v\":1,\"text\":\"{}", mark(7));
        assert_eq!(Mark::begun_in(&json), Some(mark(7)));
        assert_eq!(Mark::begun_in(&json[..json.len() - 1]), None);
        assert_eq!(Mark::begun_in("{\"v\":1,"), None);
    }
}
