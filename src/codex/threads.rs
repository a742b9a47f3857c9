//! Who wants to know of which thread: events on their way from the connection to the sessions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use super::ask::{Ask, Owed};
use super::event::{self, ThreadEvent};
use super::wire::Item;
use crate::ids::ThreadId;
use crate::rpc::{Incoming, Peer};

/// How many events wait for one session; when they are full, nothing more is read from Codex until it takes one. A
/// session never waits for Codex while it takes its events, so this cannot go in a circle.
const DEPTH: usize = 1024;

/// What begins a sub-agent; the other tools only name one, or anybody.
const BEGINS: [&str; 2] = ["spawnAgent", "resumeAgent"];

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
    known: Mutex<Known>,
    serials: AtomicU64,
}

#[derive(Debug, Default)]
struct Known {
    subscribers: HashMap<ThreadId, Subscriber>,
    /// The thread of each sub-agent, and the subscribed one from which it comes.
    owners: HashMap<ThreadId, ThreadId>,
}

impl Known {
    fn forget(&mut self, thread: &ThreadId) {
        self.subscribers.remove(thread);
        self.owners.retain(|_, owner| owner != thread);
    }
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
        self.known().subscribers.insert(thread.clone(), Subscriber { serial, events: sender });
        Subscription { thread: thread.clone(), serial, events }
    }

    /// Ends a subscription. If nobody else has subscribed since, `unsubscribe` says so to Codex, before anybody can.
    pub(super) fn release<T>(&self, ended: &Subscription, unsubscribe: impl FnOnce(&ThreadId) -> T) -> Option<T> {
        let mut known = self.known();
        if known.subscribers.get(&ended.thread)?.serial != ended.serial {
            return None;
        }
        known.forget(&ended.thread);
        Some(unsubscribe(&ended.thread))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, thread: &ThreadId) -> Option<mpsc::Sender<ThreadEvent>> {
        let mut known = self.known();
        if known.subscribers.get(thread)?.events.is_closed() {
            known.forget(thread);
        }
        known.subscribers.get(thread).map(|subscriber| subscriber.events.clone())
    }

    /// Who is to answer what is asked in a thread.
    fn of_owner(&self, thread: &ThreadId) -> Option<mpsc::Sender<ThreadEvent>> {
        let owner = self.known().owners.get(thread).cloned();
        self.of(thread).or_else(|| self.of(&owner?))
    }

    /// Notes sub-agents that were named in a thread.
    fn adopt<'a>(&self, thread: &ThreadId, sub_agents: impl Iterator<Item = &'a ThreadId>) {
        let mut known = self.known();
        let owner = if known.subscribers.contains_key(thread) { Some(thread) } else { known.owners.get(thread) };
        let Some(owner) = owner.cloned() else { return };
        for sub_agent in sub_agents {
            known.owners.entry(sub_agent.clone()).or_insert_with(|| owner.clone());
        }
    }

    /// Tells every subscriber that the app-server is gone.
    pub(super) async fn lost(&self, why: &Arc<str>) {
        let all = std::mem::take(&mut *self.known()).subscribers;
        for (_, subscriber) in all {
            subscriber.events.send(ThreadEvent::Lost(why.clone())).await.ok();
        }
    }

    /// Hands on what comes in, to its end.
    ///
    /// What happens in a thread that nobody subscribed to (a sub-agent's, one that a human's UI opened) is passed over.
    /// What a sub-agent asks is asked of the agent that began it, and what is asked in any other thread is refused, for
    /// nobody else would answer.
    pub(super) async fn dispatch(&self, peer: &Peer, mut incoming: mpsc::Receiver<Incoming>) {
        while let Some(message) = incoming.recv().await {
            match message {
                Incoming::Notification { method, params } => {
                    let Some(event) = event::read(&method, params.get()) else { continue };
                    let Some(thread) = event::thread_of(params.get()) else { continue };
                    if let ThreadEvent::ItemStarted { item, .. } | ThreadEvent::ItemCompleted { item, .. } = &event {
                        self.adopt(&thread, begun(item));
                    }
                    let hears = match &event {
                        // What a sub-agent has asked its agent was asked.
                        ThreadEvent::Resolved(_) => self.of_owner(&thread),
                        _ => self.of(&thread),
                    };
                    if let Some(subscriber) = hears {
                        subscriber.send(event).await.ok();
                    }
                }
                Incoming::Request { id, method, params } => {
                    let ask = Ask::read(&method, params.get());
                    let owed = Owed::new(peer, id, &ask);
                    match event::thread_of(params.get()).and_then(|thread| self.of_owner(&thread)) {
                        Some(owner) => {
                            let asked_in = serde_json::from_str(params.get()).unwrap_or_default();
                            drop(owner.send(ThreadEvent::Asked { ask, asked_in, owed }).await);
                        }
                        None => tracing::info!(asked = ask.summary(), "refused: asked in a thread that is not ours"),
                    }
                }
            }
        }
    }
}

/// The threads of the sub-agents that began with this.
fn begun(item: &Item) -> impl Iterator<Item = &ThreadId> {
    let (one, many) = match item {
        Item::CollabAgentToolCall { tool, receiver_thread_ids } if BEGINS.contains(&tool.as_str()) => {
            (None, receiver_thread_ids.as_slice())
        }
        Item::SubAgentActivity { agent_thread_id } => (agent_thread_id.as_ref(), [].as_slice()),
        _ => (None, [].as_slice()),
    };
    one.into_iter().chain(many)
}
