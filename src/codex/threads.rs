//! Who wants to know of which thread: events on their way from the connection to the sessions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::ask::Ask;
use super::event::{self, ThreadEvent};
use crate::ids::ThreadId;
use crate::rpc::{Incoming, Peer};

/// How many events wait for one session; when they are full, nothing more is read from Codex until it takes one. A
/// session never waits for Codex while it takes its events, so this cannot go in a circle.
const DEPTH: usize = 1024;

/// The subscribed threads of one app-server.
#[derive(Debug, Default)]
pub(super) struct Threads {
    known: Mutex<HashMap<ThreadId, mpsc::Sender<ThreadEvent>>>,
}

impl Threads {
    pub(super) fn subscribe(&self, thread: &ThreadId) -> mpsc::Receiver<ThreadEvent> {
        let (sender, receiver) = mpsc::channel(DEPTH);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(thread.clone(), sender);
        receiver
    }

    fn of(&self, thread: &ThreadId) -> Option<mpsc::Sender<ThreadEvent>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.get(thread)?.is_closed() {
            known.remove(thread);
        }
        known.get(thread).cloned()
    }

    /// Tells every subscriber that the app-server is gone.
    pub(super) async fn lost(&self, why: &Arc<str>) {
        let all: Vec<_> = self.known.lock().unwrap_or_else(PoisonError::into_inner).drain().collect();
        for (_, subscriber) in all {
            subscriber.send(ThreadEvent::Lost(why.clone())).await.ok();
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
