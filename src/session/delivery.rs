//! Texts on their way into the thread: what is delivered, where it stands, and the proof that it has arrived.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::state::Settled;
use crate::codex::wire::Item;
use crate::ids::{DeliveryId, ThreadId, TurnId};

/// How long after a message is complete nothing more need be heard for it to be safe. Codex 0.144.6, killed right when it
/// said so, had kept 36 of 38; 20 ms later 30 of 30.
const AFTER_THE_MESSAGE: Duration = Duration::from_millis(100);

/// Something that is to arrive in an agent's thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id: with the message in the thread's history for ever.
    pub id: DeliveryId,
    /// The message, in parts. Together they have at most 1,048,576 characters.
    pub parts: Vec<String>,
    /// Whether it may join a running turn.
    pub urgent: bool,
    /// How long the turn that begins with it may take.
    pub limit: Option<Duration>,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// It stands in the thread's history, whatever is killed now.
    Delivered {
        /// In which thread.
        thread: ThreadId,
        /// In which turn.
        turn: TurnId,
    },
    /// It has not arrived: the agent has something else to do.
    NotNow,
    /// It has not arrived: Codex refused it.
    Refused(Arc<str>),
    /// It has not arrived: the agent's thread could not be opened.
    NotOpened(Arc<str>),
    /// Nobody knows: ask with [`Handle::find`](super::Handle::find) before it is sent again.
    InDoubt(Arc<str>),
}

/// Who waits for a receipt.
pub(super) type Waiter = oneshot::Sender<Receipt>;

/// The deliveries of one session that have not been settled.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    all: HashMap<DeliveryId, Outgoing>,
}

#[derive(Debug)]
struct Outgoing {
    delivery: Delivery,
    waiter: Waiter,
    seen: Option<Seen>,
}

/// The message is complete, as Codex says.
#[derive(Debug)]
struct Seen {
    turn: TurnId,
    since: Instant,
}

impl UnderWay {
    pub(super) fn add(&mut self, delivery: Delivery, waiter: Waiter) {
        self.all.insert(delivery.id.clone(), Outgoing { delivery, waiter, seen: None });
    }

    /// The message and the limit of one that is to be sent now.
    pub(super) fn take_message(&mut self, id: &DeliveryId) -> Option<(Vec<String>, Option<Duration>)> {
        let delivery = &mut self.all.get_mut(id)?.delivery;
        Some((std::mem::take(&mut delivery.parts), delivery.limit))
    }

    /// Something is complete; it may be a message of ours.
    pub(super) fn completed(&mut self, turn: &TurnId, item: &Item) {
        let Item::UserMessage { client_id: Some(id), .. } = item else { return };
        let outgoing = DeliveryId::parse(id).ok().and_then(|id| self.all.get_mut(&id));
        if let Some(outgoing) = outgoing {
            outgoing.seen.get_or_insert_with(|| Seen { turn: turn.clone(), since: Instant::now() });
        }
    }

    /// When a message that is complete is safe, if nothing is heard before.
    pub(super) fn safe_at(&self) -> Option<Instant> {
        let seen = self.all.values().filter_map(|outgoing| outgoing.seen.as_ref());
        seen.map(|seen| seen.since + AFTER_THE_MESSAGE).min()
    }

    /// Time has passed, or something more was heard: the messages that are complete are safe.
    pub(super) fn safe(&self) -> Vec<DeliveryId> {
        self.all.iter().filter(|(_, outgoing)| outgoing.seen.is_some()).map(|(id, _)| id.clone()).collect()
    }

    /// This one has an end.
    pub(super) fn settle(&mut self, id: &DeliveryId, settled: Settled, thread: Option<&ThreadId>) {
        let Some(Outgoing { waiter, seen, .. }) = self.all.remove(id) else { return };
        let receipt = match (settled, seen, thread) {
            (Settled::Arrived, Some(Seen { turn, .. }), Some(thread)) => {
                Receipt::Delivered { thread: thread.clone(), turn }
            }
            (Settled::Arrived, ..) => Receipt::InDoubt("it has arrived nobody knows where".into()),
            (Settled::NotNow, ..) => Receipt::NotNow,
            (Settled::Refused(why), ..) => Receipt::Refused(why),
            (Settled::NotOpened(why), ..) => Receipt::NotOpened(why),
            (Settled::InDoubt(why), ..) => Receipt::InDoubt(why),
        };
        // Who does not wait any more finds out from the history.
        waiter.send(receipt).ok();
    }
}
