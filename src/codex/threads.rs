//! Who wants to know of which thread: events on their way from the connection to the sessions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::ask::Ask;
use super::event::{self, ThreadEvent};
use crate::ids::ThreadId;
use crate::rpc::{Incoming, Peer};

/// How many events wait for one session; when they are full, nothing more is read from Codex until it takes one. A
/// session never waits for Codex while it takes its events, so this cannot go in a circle.
const DEPTH: usize = 1024;

/// The events of one thread. They come bounded: a reader that is slow makes Codex wait.
#[derive(Debug)]
pub struct Subscription {
    thread: ThreadId,
    serial: u64,
    events: mpsc::Receiver<ThreadEvent>,
}

impl Subscription {
    /// The next event; the last is [`ThreadEvent::Lost`].
    pub async fn next(&mut self) -> ThreadEvent {
        let event = self.events.recv().await;
        event.unwrap_or_else(|| ThreadEvent::Lost(Arc::from("the connection to Codex is closed")))
    }
}

/// The subscribed threads of one app-server.
#[derive(Debug, Default)]
pub(super) struct Threads {
    known: Mutex<HashMap<ThreadId, Subscriber>>,
    serials: AtomicU64,
}

#[derive(Debug)]
struct Subscriber {
    serial: u64,
    events: mpsc::Sender<ThreadEvent>,
}

impl Threads {
    /// The events of a thread from now on; who subscribed to it before hears no more.
    pub(super) fn subscribe(&self, thread: &ThreadId) -> Subscription {
        let serial = self.serials.fetch_add(1, Ordering::Relaxed);
        let (sender, events) = mpsc::channel(DEPTH);
        self.known().insert(thread.clone(), Subscriber { serial, events: sender });
        Subscription { thread: thread.clone(), serial, events }
    }

    /// Ends a subscription. If nobody else has subscribed since, `unsubscribe` says so to Codex, before anybody can.
    pub(super) fn release<T>(&self, ended: &Subscription, unsubscribe: impl FnOnce(&ThreadId) -> T) -> Option<T> {
        let mut known = self.known();
        if known.get(&ended.thread)?.serial != ended.serial {
            return None;
        }
        known.remove(&ended.thread);
        Some(unsubscribe(&ended.thread))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ThreadId, Subscriber>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, thread: &ThreadId) -> Option<mpsc::Sender<ThreadEvent>> {
        let mut known = self.known();
        if known.get(thread)?.events.is_closed() {
            known.remove(thread);
        }
        known.get(thread).map(|subscriber| subscriber.events.clone())
    }

    /// Tells every subscriber that the app-server is gone.
    pub(super) async fn lost(&self, why: &Arc<str>) {
        let all: Vec<_> = self.known().drain().collect();
        for (_, subscriber) in all {
            subscriber.events.send(ThreadEvent::Lost(why.clone())).await.ok();
        }
    }

    /// Hands on what comes in, to its end.
    ///
    /// What nobody subscribed to (a sub-agent's thread, one that a human's UI opened) is passed over; what is asked
    /// there is refused, for nobody else would answer.
    pub(super) async fn dispatch(&self, peer: &Peer, mut incoming: mpsc::Receiver<Incoming>) {
        while let Some(message) = incoming.recv().await {
            match message {
                Incoming::Notification { method, params } => {
                    let Some(event) = event::read(&method, params.get()) else { continue };
                    let subscriber = event::thread_of(params.get()).and_then(|thread| self.of(&thread));
                    if let Some(subscriber) = subscriber {
                        subscriber.send(event).await.ok();
                    }
                }
                Incoming::Request { id, method, params } => {
                    let ask = Ask::read(&method, params.get());
                    let subscriber = event::thread_of(params.get()).and_then(|thread| self.of(&thread));
                    match subscriber {
                        Some(subscriber) => {
                            let asked = ThreadEvent::Asked { id: id.clone(), ask };
                            if let Err(mpsc::error::SendError(ThreadEvent::Asked { ask, .. })) =
                                subscriber.send(asked).await
                            {
                                peer.answer(&id, &ask.refusal());
                            }
                        }
                        None => {
                            tracing::info!(asked = ask.summary(), "refused: asked in a thread that is not ours");
                            peer.answer(&id, &ask.refusal());
                        }
                    }
                }
            }
        }
    }
}
