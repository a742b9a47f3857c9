//! What our members have sent, and what became of mail to our agents: a line each, for whoever asks later.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::home::{TeamDir, append_lines, private_dir};
use crate::ids::{Address, DeliveryId, MessageId, TeamName, ThreadId, TurnId};

/// The version of the lines.
const VERSION: u32 = 1;
/// How large a file becomes before it is begun anew; the one before it is kept.
const SIZE_MAX: u64 = 1024 * 1024;

/// The ledger of one team.
#[derive(Debug, Clone)]
pub struct Ledger {
    dir: PathBuf,
}

/// A message that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentLine {
    v: u32,
    /// Which.
    pub id: MessageId,
    /// By whom.
    pub from: String,
    /// To whom.
    pub to: String,
    /// In which team.
    pub team: TeamName,
    /// When.
    pub at: Timestamp,
    /// How it begins, as its sender let it be kept.
    pub begins: String,
    /// Whether it went to everybody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    broadcast: bool,
}

/// A message that has reached one of our agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveredLine {
    v: u32,
    /// Which.
    pub id: MessageId,
    /// In which delivery.
    pub delivery: DeliveryId,
    /// In which thread.
    pub thread: ThreadId,
    /// In which of its turns.
    pub turn: TurnId,
    /// When that was seen.
    pub at: Timestamp,
}

impl SentLine {
    /// How much of a message is kept, in characters.
    pub const BEGINS_MAX: usize = 80;

    /// A message that was sent now. `begins` is kept in plain: secrets have to be out of it.
    pub fn now(id: MessageId, from: &Address, to: String, team: TeamName, begins: &str) -> SentLine {
        let begins = begins.chars().take(SentLine::BEGINS_MAX).collect();
        SentLine { v: VERSION, id, from: from.to_string(), to, team, at: Timestamp::now(), begins, broadcast: false }
    }

    /// The same as one of the copies that went to everybody.
    pub fn of_broadcast(self) -> SentLine {
        SentLine { broadcast: true, ..self }
    }
}

impl DeliveredLine {
    /// A message that was seen to arrive now.
    pub fn now(id: MessageId, delivery: DeliveryId, thread: ThreadId, turn: TurnId) -> DeliveredLine {
        DeliveredLine { v: VERSION, id, delivery, thread, turn, at: Timestamp::now() }
    }
}

impl Ledger {
    /// That of this team.
    pub fn of(team: &TeamDir) -> Ledger {
        Ledger { dir: team.mail_dir() }
    }

    /// Writes down what was sent. Mail does not go by it: what cannot be written is logged.
    pub fn sent(&self, lines: &[SentLine]) {
        self.append("sent", lines);
    }

    /// Writes down what has arrived, in the same way.
    pub fn delivered(&self, lines: &[DeliveredLine]) {
        self.append("delivered", lines);
    }

    /// The last messages of a sender, the newest first.
    pub fn sent_by(&self, from: &Address, most: usize) -> Vec<SentLine> {
        let from = from.to_string();
        self.lines("sent").into_iter().filter(|line: &SentLine| line.from == from).take(most).collect()
    }

    /// When a sender has last written to everybody, from whatever process.
    pub fn last_broadcast(&self, from: &Address) -> Option<Timestamp> {
        let from = from.to_string();
        self.lines("sent").into_iter().find(|line: &SentLine| line.broadcast && line.from == from).map(|line| line.at)
    }

    /// Which messages have reached our agents, and where.
    pub fn all_delivered(&self) -> HashMap<MessageId, DeliveredLine> {
        self.lines("delivered").into_iter().map(|line: DeliveredLine| (line.id.clone(), line)).collect()
    }

    fn append(&self, name: &str, lines: &[impl Serialize]) {
        let append = || -> io::Result<()> {
            private_dir(&self.dir)?;
            let [now, before] = self.paths(name);
            if fs::metadata(&now).is_ok_and(|file| file.len() > SIZE_MAX) {
                fs::rename(&now, before)?;
            }
            let mut text = Vec::new();
            for line in lines {
                serde_json::to_writer(&mut text, line)?;
                text.push(b'\n');
            }
            append_lines(&now, &text).map(drop)
        };
        if let Err(error) = append() {
            tracing::warn!(ledger = %self.dir.display(), %error, "what became of mail cannot be written down");
        }
    }

    /// The newest first.
    fn lines<T: DeserializeOwned>(&self, name: &str) -> Vec<T> {
        let mut lines = Vec::new();
        for path in self.paths(name) {
            let text = fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
            // A line that a crash has torn hides no other.
            lines.extend(text.lines().rev().filter_map(|line| serde_json::from_str(line).ok()));
        }
        lines
    }

    /// The file, and the one before it.
    fn paths(&self, name: &str) -> [PathBuf; 2] {
        ["jsonl", "1.jsonl"].map(|ending| self.dir.join(format!("@{name}.{ending}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::Home;
    use crate::ids::Team;

    #[test]
    fn what_was_sent_and_what_has_arrived_is_told_the_newest_first() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::of(&Home::at(dir.path()).team(&Team::parse("red").unwrap()));
        let (ana, ben) = (Address::parse("ana").unwrap(), Address::parse("ben").unwrap());
        let team = TeamName::parse("red").unwrap();
        let line =
            |from: &Address, text: &str| SentLine::now(MessageId::next(), from, "lead".to_owned(), team.clone(), text);
        let lines = [line(&ana, "one"), line(&ben, "two"), line(&ana, &"x".repeat(300))];
        ledger.sent(&lines[..2]);
        ledger.sent(&lines[2..]);
        assert_eq!(ledger.sent_by(&ana, 10), [lines[2].clone(), lines[0].clone()]);
        assert_eq!(ledger.sent_by(&ana, 1)[0].begins.len(), 80);
        assert_eq!(ledger.last_broadcast(&ana), None);
        let to_all = line(&ana, "all").of_broadcast();
        ledger.sent(&[to_all.clone(), line(&ana, "one again"), line(&ben, "all").of_broadcast()]);
        assert_eq!(ledger.last_broadcast(&ana), Some(to_all.at));
        let (thread, turn) = (ThreadId::parse("t").unwrap(), TurnId::parse("u").unwrap());
        let arrived = DeliveredLine::now(lines[1].id.clone(), DeliveryId::next(), thread, turn);
        ledger.delivered(std::slice::from_ref(&arrived));
        assert_eq!(ledger.all_delivered().get(&lines[1].id), Some(&arrived));
    }
}
