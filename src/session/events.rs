//! What happens in the turn of a call, for a caller who wants to hear of it while it happens.
//!
//! A session never waits for who hears of it: what is not taken in time waits in a buffer. When that is full, pieces of
//! messages are dropped first, then what is oldest; how many were dropped is counted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::Notify;

use super::actor::Actor;
use super::approval::OpenAsk;
use super::state::Job;
use crate::codex::event::ThreadEvent;
use crate::codex::wire::{Execution, Item, TokenUsage, Turn, TurnError};
use crate::ids::TurnId;

/// How many events wait to be taken.
const EVENTS_MAX: usize = 512;
/// How many of them may be pieces of messages.
const PIECES_MAX: usize = 256;
/// How much of an output, or of a file's change, an event carries, in characters.
const TEXT_MAX: usize = 10_000;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum TurnEvent {
    /// The thread was opened for this call, so.
    Configured(Box<Configured>),
    /// The turn runs.
    Started(TurnId),
    /// Something began.
    ItemStarted(TurnId, Item),
    /// Something is complete.
    ItemCompleted(TurnId, Item),
    /// The agent has said a piece more of a message.
    Piece {
        /// In which turn.
        turn: TurnId,
        /// Of which message.
        item: String,
        /// The piece.
        text: String,
    },
    /// Tokens were counted.
    Usage(TurnId, TokenUsage),
    /// Something failed.
    Failed {
        /// In which turn.
        turn: TurnId,
        /// What.
        error: TurnError,
        /// Whether Codex tries again.
        retried: bool,
    },
    /// Codex warns of something.
    Warned(String),
    /// The agent asks something, and waits for a decision.
    Asked(Arc<OpenAsk>),
    /// The turn has ended.
    Ended {
        /// As Codex tells it.
        turn: Turn,
        /// What the agent has answered.
        answer: Option<String>,
    },
}

/// How a thread was opened, as Codex tells it.
#[derive(Debug, Clone, Default)]
pub struct Configured {
    /// The model.
    pub model: Option<String>,
    /// Who has it.
    pub model_provider: Option<String>,
    /// How hard it thinks.
    pub reasoning_effort: Option<String>,
    /// When Codex asks, in its own words.
    pub approval_policy: Value,
    /// Where the agent works.
    pub cwd: Option<String>,
}

/// What a call says to an agent.
#[derive(Debug)]
pub struct Prompt {
    pub(super) text: String,
    pub(super) events: Option<EventSink>,
}

impl From<String> for Prompt {
    fn from(text: String) -> Prompt {
        Prompt { text, events: None }
    }
}

impl Prompt {
    /// The same, by a caller who hears what happens in its turn.
    pub fn heard(self) -> (Prompt, Events) {
        let buffer = Arc::new(Buffer::default());
        let sink = EventSink { buffer: buffer.clone() };
        (Prompt { events: Some(sink), ..self }, Events { buffer })
    }
}

/// Where the events of a call go; dropped, there are no more.
#[derive(Debug)]
pub(super) struct EventSink {
    buffer: Arc<Buffer>,
}

/// The events of a call; clones share them, and each is given once.
#[derive(Debug, Clone)]
pub struct Events {
    buffer: Arc<Buffer>,
}

#[derive(Debug, Default)]
struct Buffer {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<TurnEvent>,
    pieces: usize,
    dropped: u64,
    told: u64,
    is_over: bool,
}

impl Events {
    /// The next event, and how many before it were dropped since the one before; `None` when there are no more.
    pub async fn next(&self) -> Option<(TurnEvent, u64)> {
        loop {
            {
                let mut waiting = self.buffer.lock();
                if let Some(event) = waiting.events.pop_front() {
                    waiting.pieces -= usize::from(is_piece(&event));
                    let dropped = waiting.dropped - waiting.told;
                    waiting.told = waiting.dropped;
                    return Some((event, dropped));
                }
                if waiting.is_over {
                    return None;
                }
            }
            self.buffer.changed.notified().await;
        }
    }

    /// Drops what waits, and whatever comes.
    pub fn give_up(&self) {
        let mut waiting = self.buffer.lock();
        waiting.dropped += waiting.events.len() as u64;
        waiting.events.clear();
        waiting.pieces = 0;
        waiting.is_over = true;
        self.buffer.changed.notify_one();
    }

    /// How many were dropped of which nobody was told.
    pub fn untold(&self) -> u64 {
        let waiting = self.buffer.lock();
        waiting.dropped - waiting.told
    }
}

impl EventSink {
    pub(super) fn put(&self, event: TurnEvent) {
        let mut waiting = self.buffer.lock();
        if waiting.is_over {
            waiting.dropped += 1;
            return;
        }
        if is_piece(&event) {
            if waiting.pieces == PIECES_MAX || waiting.events.len() == EVENTS_MAX {
                waiting.dropped += 1;
                return;
            }
            waiting.pieces += 1;
        } else if waiting.events.len() == EVENTS_MAX {
            let oldest_piece = waiting.events.iter().position(is_piece);
            waiting.pieces -= usize::from(oldest_piece.is_some());
            waiting.events.remove(oldest_piece.unwrap_or(0));
            waiting.dropped += 1;
        }
        waiting.events.push_back(event);
        self.buffer.changed.notify_one();
    }
}

impl Drop for EventSink {
    fn drop(&mut self) {
        self.buffer.lock().is_over = true;
        self.buffer.changed.notify_one();
    }
}

impl Buffer {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_piece(event: &TurnEvent) -> bool {
    matches!(event, TurnEvent::Piece { .. })
}

impl Actor {
    /// Tells whoever waits for the turn in which that happens.
    pub(super) fn tell(&self, event: &ThreadEvent) {
        let Some(sink) = self.listener() else { return };
        let is_ours = |turn: &TurnId| {
            self.turn.as_ref().is_some_and(|progress| progress.turn.as_ref().is_none_or(|ours| ours == turn))
        };
        let (turn, told) = match event {
            ThreadEvent::TurnStarted(turn) => (turn, TurnEvent::Started(turn.clone())),
            ThreadEvent::TurnEnded(turn) => {
                let answer = self.turn.as_ref().and_then(|progress| progress.answered(turn));
                (&turn.id, TurnEvent::Ended { turn: turn.clone(), answer })
            }
            ThreadEvent::ItemStarted { turn, item } => (turn, TurnEvent::ItemStarted(turn.clone(), bounded(item))),
            ThreadEvent::ItemCompleted { turn, item } => (turn, TurnEvent::ItemCompleted(turn.clone(), bounded(item))),
            ThreadEvent::Piece { turn, item, text } => {
                (turn, TurnEvent::Piece { turn: turn.clone(), item: item.clone(), text: text.clone() })
            }
            ThreadEvent::Usage { turn, usage } => (turn, TurnEvent::Usage(turn.clone(), *usage)),
            ThreadEvent::Failed { turn, error, retried } => {
                (turn, TurnEvent::Failed { turn: turn.clone(), error: error.clone(), retried: *retried })
            }
            ThreadEvent::Warned(message) => return sink.put(TurnEvent::Warned(message.clone())),
            // What is asked is told when it can be decided on.
            ThreadEvent::Asked { .. } | ThreadEvent::Waits(_) | ThreadEvent::Resolved(_) | ThreadEvent::Lost(_) => {
                return;
            }
        };
        if is_ours(turn) {
            sink.put(told);
        }
    }

    /// Tells whoever waits for the turn of something that is to be decided.
    pub(super) fn tell_of_ask(&self, open: &Arc<OpenAsk>) {
        if let Some(sink) = self.listener() {
            sink.put(TurnEvent::Asked(open.clone()));
        }
    }

    /// Tells the first call whose turn begins in an open thread how that was opened.
    pub(super) fn tell_configured(&mut self, job: &Job) {
        let Job::Call(call) = job else { return };
        let configured = self.live.as_mut().and_then(|live| live.configured.take());
        let sink = self.calls.get(call).and_then(|call| call.events.as_ref());
        if let (Some(configured), Some(sink)) = (configured, sink) {
            sink.put(TurnEvent::Configured(configured));
        }
    }

    fn listener(&self) -> Option<&EventSink> {
        match &self.turn.as_ref()?.job {
            Job::Call(call) => self.calls.get(call)?.events.as_ref(),
            Job::Delivery(_) => None,
        }
    }
}

/// The item, with as much of its texts as an event carries.
fn bounded(item: &Item) -> Item {
    let cut = |text: &str| super::turn::shortened(text, TEXT_MAX);
    match item {
        Item::CommandExecution(run) => Item::CommandExecution(Execution {
            command: cut(&run.command),
            aggregated_output: run.aggregated_output.as_deref().map(cut),
            ..run.clone()
        }),
        Item::FileChange { id, changes, status } => {
            let mut changes = changes.clone();
            changes.iter_mut().for_each(|change| change.diff = cut(&change.diff));
            Item::FileChange { id: id.clone(), changes, status: status.clone() }
        }
        item => item.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(n: usize) -> TurnEvent {
        TurnEvent::Piece { turn: TurnId::parse("t").unwrap(), item: "m".into(), text: n.to_string() }
    }

    fn warned(n: usize) -> TurnEvent {
        TurnEvent::Warned(n.to_string())
    }

    fn heard() -> (EventSink, Events) {
        let (prompt, events) = Prompt::from(String::new()).heard();
        (prompt.events.unwrap(), events)
    }

    #[tokio::test]
    async fn of_too_much_pieces_are_dropped_first_and_all_that_is_dropped_is_counted() {
        let (sink, events) = heard();
        (0..10_000).for_each(|n| sink.put(piece(n)));
        (0..EVENTS_MAX).for_each(|n| sink.put(warned(n)));
        drop(sink);
        let mut seen = Vec::new();
        let mut counted = 0;
        while let Some((event, dropped)) = events.next().await {
            counted += dropped;
            seen.push(event);
        }
        assert_eq!((seen.len(), counted, events.untold()), (EVENTS_MAX, 10_000, 0));
        assert!(seen.iter().all(|event| !is_piece(event)), "pieces before whole events");
    }

    #[tokio::test]
    async fn the_last_events_are_kept_before_the_first() {
        let (sink, events) = heard();
        (0..EVENTS_MAX + 3).for_each(|n| sink.put(warned(n)));
        let Some((TurnEvent::Warned(first), 3)) = events.next().await else { panic!("three were dropped") };
        assert_eq!(first, "3");
    }

    #[tokio::test]
    async fn who_gives_up_hears_nothing_more_and_how_much_that_was() {
        let (sink, events) = heard();
        (0..7).for_each(|n| sink.put(warned(n)));
        events.give_up();
        sink.put(warned(8));
        assert!(events.next().await.is_none());
        assert_eq!(events.untold(), 8);
    }
}
