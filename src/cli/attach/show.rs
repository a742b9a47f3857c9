//! What somebody who follows an agent is shown, each thing once.

use std::collections::HashSet;
use std::io::{self, Write};

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::codex::ask::RequestId;
use crate::codex::event::ThreadEvent;
use crate::codex::guest::Heard;
use crate::codex::telling;
use crate::codex::wire::{Item, Turn, TurnStatus};
use crate::ids::{ThreadId, TurnId};
use crate::plain::{is_unseen, on_one_line};

/// As what it is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Lines for people.
    Text,
    /// What Codex says, a line each.
    Json,
}

/// Turns, the newest first, each also in Codex's words.
pub(super) type Past = Vec<(Turn, Box<RawValue>)>;

/// What is shown, and was.
pub(super) struct Show {
    form: Form,
    thread: ThreadId,
    /// The turns that were shown, or that were before those.
    known: HashSet<TurnId>,
    /// The newest of them.
    newest: Option<Shown>,
    /// What is asked now: an answer is told of by its number only.
    asked: Vec<RequestId>,
}

/// What was shown of a turn.
struct Shown {
    turn: TurnId,
    runs: bool,
    /// Its items, by their ids.
    ids: HashSet<String>,
    /// The same by what they say: a Codex that was started anew may give them other ids (0.144.6 does).
    told: Vec<Vec<String>>,
    /// Those of them that the history had, as long as nothing newer was heard: they may be heard once more.
    again: Vec<Vec<String>>,
}

impl Shown {
    fn new(turn: TurnId) -> Shown {
        Shown { turn, runs: true, ids: HashSet::new(), told: Vec::new(), again: Vec::new() }
    }
}

/// The one thing of an item by which it is known.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ItemId {
    id: String,
    status: String,
}

#[derive(Deserialize)]
struct Items {
    items: Vec<Box<RawValue>>,
}

#[derive(Default, Deserialize)]
struct OneItem {
    item: ItemId,
}

impl Show {
    pub(super) fn new(form: Form, thread: ThreadId) -> Show {
        Show { form, thread, known: HashSet::new(), newest: None, asked: Vec::new() }
    }

    /// The turns that need not be shown again, but for the end of the newest.
    pub(super) fn known(&self) -> &HashSet<TurnId> {
        &self.known
    }

    /// So many of the last turns.
    pub(super) fn begin(&mut self, past: Past, turns: u32) -> io::Result<()> {
        let before = past.len().saturating_sub(usize::try_from(turns).unwrap_or(usize::MAX));
        for (at, (turn, raw)) in past.into_iter().rev().enumerate() {
            if at < before {
                self.remember(&turn, &raw);
            } else {
                self.turn(&turn, &raw)?;
            }
        }
        Ok(())
    }

    /// Nothing is heard of the agent now.
    pub(super) fn gone(&mut self, why: &str) -> io::Result<()> {
        self.asked.clear();
        match self.form {
            Form::Text => self.line(&format!("! {why}")),
            Form::Json => self.json(&json!({"method": "atm/gone", "params": {"threadId": self.thread, "why": why}})),
        }
    }

    /// It is heard again; what was in the meantime, back to a turn that is known.
    pub(super) fn back(&mut self, past: Past) -> io::Result<()> {
        match self.form {
            Form::Text => self.line("! it is back")?,
            Form::Json => self.json(&json!({"method": "atm/back", "params": {"threadId": self.thread}}))?,
        }
        past.into_iter().rev().try_for_each(|(turn, raw)| self.turn(&turn, &raw))
    }

    /// Something that is heard; whether it puts the thread away for everybody, and why.
    pub(super) fn heard(&mut self, heard: Heard) -> io::Result<Option<String>> {
        let (Heard::Happened { thread, said, .. } | Heard::Asked { thread, said, .. }) = &heard;
        // What a sub-agent does is not the agent's.
        if *thread != self.thread {
            return Ok(None);
        }
        if let Heard::Happened { event: ThreadEvent::TurnStarted(turn), .. } = &heard
            && !self.known.contains(turn)
        {
            self.end_cut_off()?;
        }
        if self.was_shown(&heard) {
            return Ok(None);
        }
        if self.form == Form::Json {
            self.json(said)?;
        }
        match heard {
            Heard::Happened { event: ThreadEvent::Lost(why), .. } => Ok(Some(why.to_string())),
            Heard::Happened { event, .. } => self.happened(event).map(|()| None),
            Heard::Asked { request, ask, .. } => {
                if ask.is_question() {
                    self.asked.push(request);
                    self.line(&format!("? asks {}", ask.summary()))?;
                }
                Ok(None)
            }
        }
    }

    /// Whether it was, in the history that was asked for meanwhile; if not, it is from now on.
    fn was_shown(&mut self, heard: &Heard) -> bool {
        let Heard::Happened { event, said, .. } = heard else { return false };
        match event {
            ThreadEvent::TurnStarted(turn) if self.known.contains(turn) => true,
            ThreadEvent::TurnStarted(turn) => {
                self.known.insert(turn.clone());
                self.newest = Some(Shown::new(turn.clone()));
                false
            }
            ThreadEvent::TurnEnded(turn) => {
                let newest = self.newest.as_mut().filter(|shown| shown.turn == turn.id);
                newest.is_some_and(|shown| !std::mem::take(&mut shown.runs))
            }
            ThreadEvent::ItemCompleted { turn, item } => {
                let Some(shown) = self.newest.as_mut().filter(|shown| shown.turn == *turn) else { return false };
                let id: OneItem = serde_json::from_str(said.params.get()).unwrap_or_default();
                let told = telling::lines(item);
                if let Some(at) = shown.again.iter().position(|one| *one == told) {
                    shown.again.swap_remove(at);
                    return true;
                }
                shown.again.clear();
                shown.told.push(told);
                !shown.ids.insert(id.item.id)
            }
            _ => false,
        }
    }

    fn happened(&mut self, event: ThreadEvent) -> io::Result<()> {
        match event {
            ThreadEvent::TurnStarted(turn) => self.line(&began(turn.as_str())),
            ThreadEvent::TurnEnded(turn) => {
                self.asked.clear();
                telling::ending(&turn).map_or(Ok(()), |ending| self.line(&ending))
            }
            ThreadEvent::ItemCompleted { item, .. } => self.lines(&item),
            ThreadEvent::Failed { error, retried, .. } => {
                let more = if retried { "; Codex tries again" } else { "" };
                self.line(&format!("! {}{more}", error.message.lines().collect::<Vec<_>>().join(" ")))
            }
            ThreadEvent::Resolved(request) => match self.asked.iter().position(|asked| *asked == request) {
                Some(at) => {
                    self.asked.remove(at);
                    self.line("? somebody has decided")
                }
                None => Ok(()),
            },
            ThreadEvent::Warned(why) => self.line(&format!("! {}", why.lines().collect::<Vec<_>>().join(" "))),
            ThreadEvent::Lost(_)
            | ThreadEvent::ItemStarted { .. }
            | ThreadEvent::Piece { .. }
            | ThreadEvent::Usage { .. }
            | ThreadEvent::Waits(_)
            | ThreadEvent::Asked { .. } => Ok(()),
        }
    }

    /// A turn of the history: what of it was not shown yet.
    fn turn(&mut self, turn: &Turn, raw: &RawValue) -> io::Result<()> {
        match self.newest.take_if(|shown| shown.turn == turn.id) {
            Some(shown) if shown.runs => return self.rest(turn, raw, shown),
            Some(shown) => {
                self.newest = Some(shown);
                return Ok(());
            }
            None if self.known.contains(&turn.id) => return Ok(()),
            None => {}
        }
        let runs = turn.status == TurnStatus::InProgress;
        self.end_cut_off()?;
        self.remember(turn, raw);
        if self.form == Form::Json {
            let method = if runs { "turn/started" } else { "turn/completed" };
            return self.json(&json!({"method": method, "params": {"threadId": self.thread, "turn": raw}}));
        }
        self.line(&began(turn.id.as_str()))?;
        for (item, raw) in turn.items.iter().zip(&items(raw)) {
            if !is_under_way(turn, &id(raw)) {
                self.lines(item)?;
            }
        }
        telling::ending(turn).map_or(Ok(()), |ending| self.line(&ending))
    }

    /// What of a turn that ran when it was last heard of was not shown yet.
    fn rest(&mut self, turn: &Turn, raw: &RawValue, mut shown: Shown) -> io::Result<()> {
        for (item, raw) in turn.items.iter().zip(&items(raw)) {
            let (id, told) = (id(raw), telling::lines(item));
            let same = shown.told.iter().position(|one| *one == told);
            same.map(|at| shown.told.swap_remove(at));
            if same.is_some() || shown.ids.contains(&id.id) || is_under_way(turn, &id) {
                continue;
            }
            let params = json!({"threadId": self.thread, "turnId": turn.id, "item": raw});
            match self.form {
                Form::Text => self.lines(item)?,
                Form::Json => self.json(&json!({"method": "item/completed", "params": params}))?,
            }
        }
        self.remember(turn, raw);
        match turn.status {
            TurnStatus::InProgress => Ok(()),
            status => self.end(turn.id.as_str(), status, telling::ending(turn)),
        }
    }

    /// Another turn begins, so one that ran when Codex was killed is over. Codex may have kept nothing of it, and may show it as
    /// running for a moment yet (0.169.0).
    fn end_cut_off(&mut self) -> io::Result<()> {
        let cut_off = self.newest.take_if(|shown| shown.runs);
        let ending = Some("-- interrupted".to_owned());
        cut_off.map_or(Ok(()), |shown| self.end(shown.turn.as_str(), TurnStatus::Interrupted, ending))
    }

    /// Says how a turn has ended whose items were shown.
    fn end(&self, turn: &str, status: TurnStatus, ending: Option<String>) -> io::Result<()> {
        match self.form {
            Form::Text => ending.map_or(Ok(()), |ending| self.line(&ending)),
            Form::Json => {
                let turn = json!({"id": turn, "status": status, "items": []});
                self.json(&json!({"method": "turn/completed", "params": {"threadId": self.thread, "turn": turn}}))
            }
        }
    }

    fn remember(&mut self, turn: &Turn, raw: &RawValue) {
        let mut shown = Shown { runs: turn.status == TurnStatus::InProgress, ..Shown::new(turn.id.clone()) };
        for (item, raw) in turn.items.iter().zip(&items(raw)) {
            let id = id(raw);
            if !is_under_way(turn, &id) {
                shown.ids.insert(id.id);
                shown.told.push(telling::lines(item));
            }
        }
        shown.again.clone_from(&shown.told);
        self.known.insert(turn.id.clone());
        self.newest = Some(shown);
    }

    fn lines(&self, item: &Item) -> io::Result<()> {
        telling::lines(item).iter().try_for_each(|line| self.line(line))
    }

    /// One line for people; what others say in it cannot move the cursor.
    fn line(&self, line: &str) -> io::Result<()> {
        match self.form {
            Form::Text => print(&on_one_line(line)),
            Form::Json => Ok(()),
        }
    }

    /// One line for programs.
    fn json(&self, value: &impl serde::Serialize) -> io::Result<()> {
        print(&escaped(&serde_json::to_string(value)?))
    }
}

fn began(turn: &str) -> String {
    format!("-- turn {turn}")
}

fn items(turn: &RawValue) -> Vec<Box<RawValue>> {
    serde_json::from_str(turn.get()).map_or_else(|_| Vec::new(), |items: Items| items.items)
}

fn id(item: &RawValue) -> ItemId {
    serde_json::from_str(item.get()).unwrap_or_default()
}

fn is_under_way(turn: &Turn, item: &ItemId) -> bool {
    turn.status == TurnStatus::InProgress && item.status == "inProgress"
}

/// The same JSON, with what is not seen spelled out: it may come to a terminal. Outside of strings there is nothing of it.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if is_unseen(c) {
            let units = c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
            escaped.push_str(&units);
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// A line, at once: somebody may wait for it.
fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_spelled_out_in_json_and_stays_the_same() {
        let value = json!({"text": "a\u{9b}31m \u{202e}b\u{e0041} \u{7f} ü\n"});
        let line = escaped(&value.to_string());
        assert_eq!(line, r#"{"text":"a\u009b31m \u202eb\udb40\udc41 \u007f ü\n"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }
}
