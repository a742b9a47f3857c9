//! What Codex asks and somebody is to decide on: shown, decided by whoever is first, declined when the time is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::actor::{Actor, Done};
use super::approval::{AskId, Asks, NotTaken, OpenAsk, past_tense};
use super::handle::Reply;
use super::state::{Input, Job, Stop};
use crate::codex::ask::{Ask, AskedIn, Decision, Owed, RequestId, Verdict};
use crate::codex::wire::{Change, Item};
use crate::ids::TurnId;

/// How many changes of files are remembered, for the request does not say what it is about.
const CHANGES_MAX: usize = 64;
/// How long the model's being told why may hold up the answer.
const TOLD: Duration = Duration::from_secs(5);
/// How long a note may be, in characters.
const NOTE_MAX: usize = 300;
/// How much of a reason is told, in characters.
const REASON_MAX: usize = 1_000;

/// A decision on its way to a session.
#[derive(Debug)]
pub(super) struct Ruling {
    pub(super) ask: AskId,
    pub(super) verdict: Verdict,
    pub(super) reason: Option<String>,
    pub(super) by: String,
    pub(super) done: oneshot::Sender<Result<Arc<OpenAsk>, NotTaken>>,
}

/// What is open in one session.
#[derive(Debug)]
pub(super) struct Approvals {
    asks: Asks<Owed>,
    /// When the oldest is overdue; all have the same time.
    due: Vec<(Instant, AskId)>,
    patience: Option<Duration>,
    changes: HashMap<String, Vec<Change>>,
}

impl Approvals {
    /// Nothing is open; what is asked is declined after so long.
    pub(super) fn new(patience: Option<Duration>) -> Approvals {
        Approvals { asks: Asks::default(), due: Vec::new(), patience, changes: HashMap::new() }
    }

    pub(super) fn open(&self) -> Vec<Arc<OpenAsk>> {
        self.asks.open()
    }

    /// How that has ended, if it is remembered.
    pub(super) fn ending_of(&self, ask: &AskId) -> Option<Arc<str>> {
        self.asks.ending_of(ask)
    }

    /// Something has begun; it may be what will be asked about.
    pub(super) fn begun(&mut self, item: &Item) {
        if let Item::FileChange { id, changes, .. } = item
            && self.changes.len() < CHANGES_MAX
        {
            self.changes.insert(id.clone(), changes.clone());
        }
    }

    /// When the oldest is overdue.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    fn settled(&mut self, ask: &AskId) {
        self.due.retain(|(_, id)| id != ask);
    }
}

impl Actor {
    /// Codex asks something.
    pub(super) fn asked(&mut self, mut ask: Ask, asked_in: AskedIn, owed: Owed) {
        if !ask.is_question() || self.rules.is_parting() {
            // Its answer is given when it is dropped.
            let note = format!("Codex asked {}; it was refused.", ask.summary());
            return self.note_of_turn(&note);
        }
        let approvals = &mut self.approvals;
        if let (Ask::FileChange { changes, .. }, Some(item)) = (&mut ask, &asked_in.item_id) {
            *changes = approvals.changes.remove(item).unwrap_or_default();
        }
        let (id, since) = (AskId::new(), Timestamp::now());
        let until = approvals.patience.and_then(|patience| since.checked_add(patience).ok());
        approvals.due.extend(approvals.patience.map(|patience| (Instant::now() + patience, id.clone())));
        let is_for_nobody = match self.rules.job() {
            Some(Job::Call(call)) => self.calls.get(call).is_some_and(|call| matches!(call.reply, Reply::Outbox)),
            Some(Job::Delivery(_)) => true,
            // A human sees it.
            None => false,
        };
        self.does(&format!("waiting for a decision: it asks {}", ask.summary()));
        let open = self.approvals.asks.add(OpenAsk { id, ask, asked_in, since, until, is_for_nobody }, owed);
        self.tell_of_ask(&open);
        self.input(Input::Asks(true));
    }

    /// Somebody has decided.
    pub(super) fn rule(&mut self, Ruling { ask: id, verdict, reason, by, done }: Ruling) {
        let decided = self.approvals.asks.decide(&id, &verdict, &by);
        let told = decided.as_ref().map(|(ask, _, _)| ask.clone()).map_err(Clone::clone);
        if let Ok((ask, owed, answer)) = decided {
            self.approvals.settled(&id);
            let ends_turn = verdict.decision == Decision::Cancel
                // Codex ends the turn itself.
                && !matches!(ask.ask, Ask::Command { .. } | Ask::FileChange { .. });
            if !verdict.decision.is_yes() {
                let why =
                    reason.as_deref().map(|reason| format!(": {}", one_line(reason, REASON_MAX))).unwrap_or_default();
                self.note_of_turn(&format!("It asked {}; {} by {by}{why}.", ask.ask.summary(), past_tense(&verdict)));
            }
            self.does("thinking");
            self.give(
                &ask,
                owed,
                answer,
                reason.map(|reason| format!("{} {by}: {}", refused(&ask, &verdict), one_line(&reason, REASON_MAX))),
            );
            if ends_turn {
                self.input(Input::Stop(Stop::Interrupted));
            }
            self.asks_changed();
        }
        done.send(told).ok();
    }

    /// Answers, after the model was told what is to be told.
    fn give(&mut self, ask: &OpenAsk, owed: Owed, answer: serde_json::Value, word: Option<String>) {
        let thread = ask.asked_in.thread_id.clone();
        let client = self.live.as_ref().map(|live| live.client.clone());
        let (Some(word), Some(thread), Some(client)) = (word, thread, client) else { return owed.decided(answer) };
        self.work.push(Box::pin(async move {
            match tokio::time::timeout(TOLD, client.tell(&thread, &word)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "an agent could not be told why it was answered so"),
                Err(_) => tracing::warn!("an agent could not be told in time why it was answered so"),
            }
            owed.decided(answer);
            Done::Nothing
        }));
    }

    /// What nobody has decided in time is declined, and both sides are told.
    pub(super) fn decline_overdue(&mut self) {
        let now = Instant::now();
        let secs = self.approvals.patience.unwrap_or_default().as_secs();
        while let Some((_, id)) = self.approvals.due.first().filter(|(due, _)| *due <= now).cloned() {
            self.approvals.settled(&id);
            let verdict = Verdict::from(Decision::Decline);
            let Ok((ask, owed, answer)) = self.approvals.asks.decide(&id, &verdict, "the deadline") else { continue };
            self.note_of_turn(&format!(
                "It asked {}; nobody decided within {secs} s (approval_timeout_secs), so it was declined.",
                ask.ask.summary()
            ));
            let word = format!(
                "Nobody decided on your request within {secs} s, so it was declined. It was not refused by a person: go on without it if you can, else say what you need."
            );
            self.give(&ask, owed, answer, Some(word));
        }
        self.asks_changed();
    }

    /// What was asked under this id is answered elsewhere, or is not asked any more.
    pub(super) fn resolved(&mut self, request: &RequestId) {
        for (ask, _) in self.approvals.asks.withdraw("it was decided elsewhere", |_, owed| owed.is_to(request)) {
            self.approvals.settled(&ask.id);
            self.does("thinking");
        }
        self.asks_changed();
    }

    /// A turn is over, and with it what was asked in it.
    pub(super) fn asks_of_ended(&mut self, turn: &TurnId) {
        for (ask, _) in self.approvals.asks.turn_ended(turn) {
            self.approvals.settled(&ask.id);
        }
        self.approvals.changes.clear();
        self.asks_changed();
    }

    /// Everything that is open is declined: what is owed is given when it is dropped.
    pub(super) fn decline_all(&mut self, why: &str) {
        self.approvals.due.clear();
        drop(self.approvals.asks.withdraw(why, |_, _| true));
        self.asks_changed();
    }

    fn asks_changed(&mut self) {
        self.input(Input::Asks(!self.approvals.asks.is_empty()));
    }

    /// A note for whoever gets the turn's result.
    fn note_of_turn(&mut self, note: &str) {
        if let Some(progress) = &mut self.turn {
            progress.note(one_line(note, NOTE_MAX));
        }
    }
}

fn refused(ask: &OpenAsk, verdict: &Verdict) -> String {
    let what = match ask.ask {
        Ask::Command { .. } => "Your command was",
        Ask::FileChange { .. } => "Your change was",
        _ => "Your request was",
    };
    format!("{what} {} by", past_tense(verdict))
}

/// Foreign text in one bounded line.
fn one_line(text: &str, most: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
}
