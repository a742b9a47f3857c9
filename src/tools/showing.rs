//! How mail is shown to who reads it: which of it has room, and each message as a letter and as a value.

use serde_json::{Value, json};

use crate::ids::TeamName;
use crate::mail::envelope::Letter;
use crate::mail::{GivenLetter, Message, frame};

/// A message, and where it was found.
pub(super) struct Found {
    pub(super) inbox: usize,
    pub(super) message: Message,
    text: String,
}

impl Found {
    pub(super) fn new(inbox: usize, message: Message) -> Found {
        let text = frame::readable(&message.text).into_owned();
        Found { inbox, message, text }
    }

    /// From the character at `offset`, at most `share` bytes, at least one character: how many characters these are, and how
    /// many are behind them.
    fn part(&self, offset: usize, share: usize) -> (&str, usize, usize) {
        let rest = self.text.char_indices().nth(offset).map_or("", |(at, _)| &self.text[at..]);
        let fits = |(at, c): &(usize, char)| *at == 0 || at + c.len_utf8() <= share;
        let count = rest.char_indices().take_while(fits).count();
        (rest, count, rest.chars().count() - count)
    }
}

/// How a message is shown.
pub(super) struct View<'a> {
    pub(super) team: &'a TeamName,
    pub(super) share: usize,
    pub(super) offset: usize,
    pub(super) tool: &'a str,
}

impl View<'_> {
    pub(super) fn letter(&self, found: &Found) -> String {
        let (text, count, behind) = found.part(self.offset, self.share);
        let shown = self.letter_of(found, text).part(count);
        if behind > 0 { format!("{shown}Go on with offset {}.\n", self.offset + count) } else { shown }
    }

    /// How the letter ends.
    pub(super) fn end(&self, found: &Found) -> GivenLetter {
        let (text, ..) = found.part(self.offset, self.share);
        GivenLetter { id: found.message.id.clone(), end: self.letter_of(found, text).end() }
    }

    fn letter_of<'b>(&'b self, found: &'b Found, text: &'b str) -> Letter<'b> {
        let Found { message, .. } = found;
        Letter {
            from: &message.from,
            team: self.team.as_str(),
            at: message.at,
            id: message.id.as_str(),
            summary: message.summary.as_deref(),
            text,
            tool: self.tool,
        }
    }

    pub(super) fn value(&self, found: &Found) -> Value {
        let Found { message, .. } = found;
        let (text, count, behind) = found.part(self.offset, self.share);
        let mut shown = json!({
            "from": message.from,
            "text": text.chars().take(count).collect::<String>(),
            "timestamp": message.timestamp,
            "message_id": message.id,
            "team": self.team,
            "was_read": message.read,
        });
        if let Some(summary) = &message.summary {
            shown["summary"] = json!(summary);
        }
        if behind > 0 {
            shown["cut"] = json!(behind);
        }
        shown
    }
}

/// Keeps so many, the first or the last.
pub(super) fn keep<T>(all: &mut Vec<T>, most: usize, first: bool) {
    if first {
        all.truncate(most);
    } else {
        all.drain(..all.len() - most.min(all.len()));
    }
}

/// How many of these texts, from the first or from the last, have room together; one always has.
pub(super) fn fitting(texts: &[String], mut room: usize, first: bool) -> usize {
    let mut fits = |text: &String| room.checked_sub(text.len() + 1).map(|left| room = left).is_some();
    let fitting = match first {
        true => texts.iter().take_while(|text| fits(text)).count(),
        false => texts.iter().rev().take_while(|text| fits(text)).count(),
    };
    fitting.max(1)
}
