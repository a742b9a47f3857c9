//! What an agent has asked and nobody has decided yet: rules only.
//!
//! Whoever decides first decides. What is decided, withdrawn or overdue is forgotten but for a word on how it ended, which
//! those who come too late are told.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::codex::ask::{Ask, AskedIn, Verdict};
use crate::ids::TurnId;

/// How many ends are remembered.
const PAST_MAX: usize = 64;

/// By which something that was asked is known. No two are alike, whichever server and whenever: a decision on one is never
/// taken for one on another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct AskId(String);

impl AskId {
    /// A new one.
    pub fn new() -> AskId {
        let mut random = uuid::Uuid::new_v4().simple().to_string();
        random.truncate(12);
        AskId(format!("ask-{random}"))
    }

    /// As somebody gives it.
    pub fn parse(text: &str) -> AskId {
        AskId(text.trim().chars().take(80).collect())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for AskId {
    fn default() -> AskId {
        AskId::new()
    }
}

impl fmt::Display for AskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that waits for somebody's decision.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenAsk {
    /// By which it is known.
    pub id: AskId,
    /// What is asked.
    pub ask: Ask,
    /// In which turn, and with which item.
    pub asked_in: AskedIn,
    /// Since when.
    pub since: Timestamp,
    /// When it is declined, if nobody has decided by then.
    pub until: Option<Timestamp>,
    /// Whether no caller waits for the turn: a background one, or one of a delivery.
    pub is_for_nobody: bool,
}

/// Why a decision was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Nobody asks that here.
    #[error("nothing here has the ask_id {}", .0.as_str().escape_debug())]
    Unknown(AskId),
    /// It ended before.
    #[error("{0} waits for no decision any more: {1}")]
    Past(AskId, Arc<str>),
    /// It lacks something; the ask stays open.
    #[error("{0} stays open: {1}")]
    Unsuited(AskId, String),
}

/// What is open, each with what is owed to Codex, and how the last of the others have ended.
#[derive(Debug)]
pub struct Asks<O> {
    open: Vec<(Arc<OpenAsk>, O)>,
    past: VecDeque<(AskId, Arc<str>)>,
}

impl<O> Default for Asks<O> {
    fn default() -> Asks<O> {
        Asks { open: Vec::new(), past: VecDeque::new() }
    }
}

impl<O> Asks<O> {
    /// One more.
    pub fn add(&mut self, ask: OpenAsk, owed: O) -> Arc<OpenAsk> {
        let ask = Arc::new(ask);
        self.open.push((ask.clone(), owed));
        ask
    }

    /// What is open, the oldest first.
    pub fn open(&self) -> Vec<Arc<OpenAsk>> {
        self.open.iter().map(|(ask, _)| ask.clone()).collect()
    }

    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// How one that is open no more has ended, if it is remembered.
    pub fn ending_of(&self, id: &AskId) -> Option<Arc<str>> {
        self.past.iter().find(|(past, _)| past == id).map(|(_, how)| how.clone())
    }

    /// Somebody has decided: what was asked, what is owed, and the answer.
    pub fn decide(&mut self, id: &AskId, verdict: &Verdict, by: &str) -> Result<(Arc<OpenAsk>, O, Value), NotTaken> {
        let Some(at) = self.open.iter().position(|(ask, _)| ask.id == *id) else {
            return Err(match self.ending_of(id) {
                Some(how) => NotTaken::Past(id.clone(), how),
                None => NotTaken::Unknown(id.clone()),
            });
        };
        let answer = self.open[at].0.ask.answer(verdict).map_err(|why| NotTaken::Unsuited(id.clone(), why))?;
        let (ask, owed) = self.end(at, &format!("{} by {by}", past_tense(verdict)));
        Ok((ask, owed, answer))
    }

    /// Those end of which this is true; what is owed to each is given back.
    pub fn withdraw(&mut self, how: &str, is_meant: impl Fn(&OpenAsk, &O) -> bool) -> Vec<(Arc<OpenAsk>, O)> {
        let mut ended = Vec::new();
        while let Some(at) = self.open.iter().position(|(ask, owed)| is_meant(ask, owed)) {
            ended.push(self.end(at, how));
        }
        ended
    }

    /// Those of a turn end with it.
    pub fn turn_ended(&mut self, turn: &TurnId) -> Vec<(Arc<OpenAsk>, O)> {
        self.withdraw("its turn is over", |ask, _| ask.asked_in.turn_id.as_ref() == Some(turn))
    }

    fn end(&mut self, at: usize, how: &str) -> (Arc<OpenAsk>, O) {
        let ended = self.open.remove(at);
        if self.past.len() == PAST_MAX {
            self.past.pop_front();
        }
        self.past.push_back((ended.0.id.clone(), Arc::from(how)));
        ended
    }
}

/// What a verdict has done.
pub(super) fn past_tense(verdict: &Verdict) -> &'static str {
    use crate::codex::ask::Decision;
    match verdict.decision {
        Decision::Accept => "accepted",
        Decision::AcceptForSession => "accepted for the session",
        Decision::Decline => "declined",
        Decision::Cancel => "cancelled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codex::ask::Decision;
    use proptest::prelude::*;

    fn open(turn: u8) -> OpenAsk {
        let asked_in = AskedIn { turn_id: TurnId::parse(&format!("turn-{turn}")).ok(), ..AskedIn::default() };
        let ask = Ask::Command { command: "ls".to_owned(), cwd: None, reason: None };
        OpenAsk { id: AskId::new(), ask, asked_in, since: Timestamp::UNIX_EPOCH, until: None, is_for_nobody: false }
    }

    #[test]
    fn who_decides_first_decides_and_who_is_late_is_told_how_it_ended() {
        let mut asks = Asks::default();
        let ask = open(1);
        asks.add(ask.clone(), "owed");
        let (decided, owed, answer) = asks.decide(&ask.id, &Decision::Accept.into(), "the client").unwrap();
        assert_eq!((decided.id.clone(), owed, &answer["decision"]), (ask.id.clone(), "owed", &"accept".into()));
        let late = asks.decide(&ask.id, &Decision::Decline.into(), "somebody").unwrap_err();
        assert!(late.to_string().contains("accepted by the client"), "{late}");
        let other = AskId::new();
        assert_eq!(asks.decide(&other, &Decision::Accept.into(), "x").unwrap_err(), NotTaken::Unknown(other));
    }

    #[test]
    fn what_lacks_something_leaves_the_ask_open() {
        let mut asks = Asks::default();
        let ask = OpenAsk { ask: Ask::UserInput { questions: vec![Default::default()] }, ..open(1) };
        asks.add(ask.clone(), ());
        assert!(matches!(asks.decide(&ask.id, &Decision::Accept.into(), "x"), Err(NotTaken::Unsuited(..))));
        assert_eq!(asks.open()[0].id, ask.id);
        asks.decide(&ask.id, &Decision::Decline.into(), "x").unwrap();
    }

    #[derive(Debug, Clone)]
    enum Step {
        Add(u8),
        Decide(usize),
        TurnEnded(u8),
        Withdraw(usize),
        All,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0..4u8).prop_map(Step::Add),
            3 => any::<prop::sample::Index>().prop_map(|at| Step::Decide(at.index(100))),
            1 => (0..4u8).prop_map(Step::TurnEnded),
            1 => any::<prop::sample::Index>().prop_map(|at| Step::Withdraw(at.index(100))),
            1 => Just(Step::All),
        ];
        prop::collection::vec(step, 0..80)
    }

    proptest! {
        #[test]
        fn every_ask_ends_exactly_once(steps in steps()) {
            let mut asks = Asks::default();
            let mut ids: Vec<AskId> = Vec::new();
            let mut ended: Vec<usize> = Vec::new();
            for step in steps.into_iter().chain([Step::All]) {
                match step {
                    Step::Add(turn) => {
                        let ask = open(turn);
                        ids.push(ask.id.clone());
                        asks.add(ask, ids.len() - 1);
                    }
                    Step::Decide(at) => {
                        if let Some(id) = ids.get(at)
                            && let Ok((_, owed, _)) = asks.decide(id, &Decision::Accept.into(), "x")
                        {
                            ended.push(owed);
                        }
                    }
                    Step::TurnEnded(turn) => {
                        let turn = TurnId::parse(&format!("turn-{turn}")).unwrap();
                        ended.extend(asks.turn_ended(&turn).into_iter().map(|(_, owed)| owed));
                    }
                    Step::Withdraw(at) => {
                        ended.extend(asks.withdraw("x", |_, owed| *owed == at).into_iter().map(|(_, owed)| owed));
                    }
                    Step::All => ended.extend(asks.withdraw("x", |_, _| true).into_iter().map(|(_, owed)| owed)),
                }
            }
            ended.sort_unstable();
            prop_assert_eq!(ended, (0..ids.len()).collect::<Vec<_>>());
            prop_assert!(asks.is_empty());
        }
    }
}
