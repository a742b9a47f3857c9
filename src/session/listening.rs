//! Who listens to what happens in a thread, as it happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::approval::OpenAsk;
use crate::codex::event::ThreadEvent;
use crate::codex::wire::{Item, TokenUsage, Turn};
use crate::ids::TurnId;

/// How many events wait for one listener. Pieces of an answer have half of that; what finds no room is dropped and counted.
const DEPTH: usize = 512;

/// Something that happened.
#[derive(Debug, Clone)]
pub enum Heard {
    /// A turn runs.
    TurnStarted(TurnId),
    /// It has ended.
    TurnEnded(Turn),
    /// Something began in it.
    Began(TurnId, Item),
    /// Something is complete.
    Completed(TurnId, Item),
    /// A piece of an answer that is being written.
    Piece {
        /// In which turn.
        turn: TurnId,
        /// Of which item.
        item: String,
        /// The text.
        text: String,
    },
    /// Tokens were counted.
    Usage(TurnId, TokenUsage),
    /// Something failed; it is tried again, or not.
    Failed {
        /// In which turn.
        turn: TurnId,
        /// In Codex's words.
        message: String,
        /// Whether it is tried again.
        retried: bool,
    },
    /// Codex asks something.
    Asked(Arc<OpenAsk>),
}

/// What happens from now on; dropped, nobody listens any more.
#[derive(Debug)]
pub struct Listener {
    events: mpsc::Receiver<Heard>,
    dropped: Arc<AtomicU64>,
}

impl Listener {
    /// The next event, and how many were dropped before it since the last.
    pub async fn next(&mut self) -> Option<(Heard, u64)> {
        let heard = self.events.recv().await?;
        Some((heard, self.dropped.swap(0, Ordering::Relaxed)))
    }

    /// The same, if there is one now.
    pub fn next_now(&mut self) -> Option<(Heard, u64)> {
        let heard = self.events.try_recv().ok()?;
        Some((heard, self.dropped.swap(0, Ordering::Relaxed)))
    }
}

/// The other end of a listener.
#[derive(Debug)]
pub(super) struct Ear {
    events: mpsc::Sender<Heard>,
    dropped: Arc<AtomicU64>,
}

impl Ear {
    pub(super) fn new() -> (Ear, Listener) {
        let (sender, events) = mpsc::channel(DEPTH);
        let dropped = Arc::new(AtomicU64::new(0));
        (Ear { events: sender, dropped: dropped.clone() }, Listener { events, dropped })
    }

    /// Never waits: who does not listen fast enough misses something, and nobody else.
    fn hears(&self, heard: Heard) {
        let is_piece = matches!(heard, Heard::Piece { .. });
        if (is_piece && self.events.capacity() < DEPTH / 2) || self.events.try_send(heard).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Everybody who listens to one thread.
#[derive(Debug, Default)]
pub(super) struct Listeners(Vec<Ear>);

impl Listeners {
    pub(super) fn add(&mut self, ear: Ear) {
        self.0.push(ear);
    }

    /// Something that Codex has told.
    pub(super) fn happened(&mut self, event: &ThreadEvent) {
        if self.0.is_empty() {
            return;
        }
        let heard = match event {
            ThreadEvent::TurnStarted(turn) => Heard::TurnStarted(turn.clone()),
            ThreadEvent::TurnEnded(turn) => Heard::TurnEnded(turn.clone()),
            ThreadEvent::ItemStarted { turn, item } => Heard::Began(turn.clone(), item.clone()),
            ThreadEvent::ItemCompleted { turn, item } => Heard::Completed(turn.clone(), item.clone()),
            ThreadEvent::Piece { turn, item, text } => {
                Heard::Piece { turn: turn.clone(), item: item.clone(), text: text.clone() }
            }
            ThreadEvent::Usage { turn, usage } => Heard::Usage(turn.clone(), *usage),
            ThreadEvent::Failed { turn, message, retried } => {
                Heard::Failed { turn: turn.clone(), message: message.clone(), retried: *retried }
            }
            ThreadEvent::Waits(_) | ThreadEvent::Asked { .. } | ThreadEvent::Resolved(_) | ThreadEvent::Lost(_) => {
                return;
            }
        };
        self.tell(&heard);
    }

    /// Something that is to be decided.
    pub(super) fn asked(&mut self, open: &Arc<OpenAsk>) {
        self.tell(&Heard::Asked(open.clone()));
    }

    fn tell(&mut self, heard: &Heard) {
        self.0.retain(|ear| !ear.events.is_closed());
        self.0.iter().for_each(|ear| ear.hears(heard.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece() -> ThreadEvent {
        ThreadEvent::Piece { turn: TurnId::parse("t").unwrap(), item: "m".to_owned(), text: "x".to_owned() }
    }

    #[tokio::test]
    async fn who_does_not_listen_misses_pieces_first_and_is_told_how_many() {
        let mut listeners = Listeners::default();
        let (ear, mut listener) = Ear::new();
        listeners.add(ear);
        for _ in 0..10_000 {
            listeners.happened(&piece());
        }
        listeners.happened(&ThreadEvent::TurnStarted(TurnId::parse("t").unwrap()));
        let mut heard = 0;
        let mut dropped = 0;
        let mut last = None;
        while let Some((event, missed)) = listener.next_now() {
            heard += 1;
            dropped += missed;
            last = Some(event);
        }
        assert!(matches!(last, Some(Heard::TurnStarted(_))), "what matters has room");
        assert_eq!((heard, heard + dropped), (DEPTH as u64 / 2 + 2, 10_001));
        drop(listener);
        listeners.happened(&piece());
        assert!(listeners.0.is_empty());
    }
}
