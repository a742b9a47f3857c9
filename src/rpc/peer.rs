//! A speaker of JSON-RPC: calls out, requests and notifications in.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::message::{self, Incoming, Message};
use super::pending::Pending;
use super::{Connection, Id, RpcError};

/// How many requests and notifications wait for their reader.
///
/// When it is full nothing more is read, answers included: the reader of [`Incoming`] must therefore never wait for
/// the answer to a call of its own.
const DEPTH: usize = 1024;

/// Why a call has no result.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// The other side answered with an error.
    #[error("{0}")]
    Refused(RpcError),
    /// No answer within the deadline.
    #[error("no answer within {} s", after.as_secs())]
    TimedOut {
        /// The deadline.
        after: Duration,
    },
    /// The other side is gone.
    #[error("the connection is closed")]
    Closed,
}

type Waiter = oneshot::Sender<Result<Box<RawValue>, RpcError>>;

#[derive(Debug)]
struct Shared {
    next_id: AtomicU64,
    /// `None` once the other side is gone.
    pending: Mutex<Option<Pending<String, Waiter>>>,
    outgoing: mpsc::UnboundedSender<String>,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Option<Pending<String, Waiter>>> {
        self.pending.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn settle(&self, id: u64) -> Option<Waiter> {
        let (waiter, next) = self.pending().as_mut()?.settle(id);
        if let Some(next) = next {
            self.send(next);
        }
        waiter
    }

    /// A send fails only when the carriers are gone; the reader notices that too, and fails every call.
    fn send(&self, text: String) {
        self.outgoing.send(text).ok();
    }
}

/// When the reader is over every call is, also if it was ended before it saw the end of the other side.
struct Closing(Arc<Shared>);

impl Drop for Closing {
    fn drop(&mut self) {
        let waiting = self.0.pending().take();
        drop(waiting);
    }
}

/// A handle to one connection's calls; clones share it.
#[derive(Debug, Clone)]
pub struct Peer {
    shared: Arc<Shared>,
}

impl Peer {
    /// Speaks over `connection`; the tasks that do so are added to `tasks`.
    pub fn start(connection: Connection, tasks: &mut JoinSet<()>) -> (Peer, mpsc::Receiver<Incoming>) {
        let Connection { outgoing, incoming, carriers } = connection;
        let shared =
            Arc::new(Shared { next_id: AtomicU64::new(1), pending: Mutex::new(Some(Pending::default())), outgoing });
        let (to_reader, reader) = mpsc::channel(DEPTH);
        let peer = Peer { shared: shared.clone() };
        let closing = Closing(shared);
        tasks.spawn(async move {
            read(&closing.0, incoming, to_reader).await;
            drop(carriers);
            drop(closing);
        });
        (peer, reader)
    }

    /// Enqueues a call now; its end is awaited later, and comes within `deadline`.
    pub fn call(&self, method: &str, params: &impl Serialize, deadline: Duration) -> Call {
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (waiter, answer) = oneshot::channel();
        let enqueued = message::request(id, method, params).map(|text| {
            let now = self.shared.pending().as_mut().map(|pending| pending.offer(id, text, waiter));
            if let Some(Some(text)) = now {
                self.shared.send(text);
            }
        });
        Call { enqueued, answer, deadline, _place: Place { shared: self.shared.clone(), id } }
    }

    /// Sends a notification without parameters.
    pub fn notify(&self, method: &str) {
        self.shared.send(message::notification(method));
    }

    /// Answers a request of the other side's.
    pub fn answer(&self, id: &Id, result: &Result<serde_json::Value, RpcError>) {
        self.shared.send(message::answer(id, result));
    }
}

/// A call on its way. Dropped, it is forgotten and its place is free.
#[must_use]
#[derive(Debug)]
pub struct Call {
    enqueued: Result<(), serde_json::Error>,
    answer: oneshot::Receiver<Result<Box<RawValue>, RpcError>>,
    deadline: Duration,
    _place: Place,
}

impl Call {
    /// Awaits the call's end.
    pub async fn end(self) -> Result<Box<RawValue>, CallError> {
        let unsaid = |e: serde_json::Error| RpcError { code: -32700, message: e.to_string(), data: None };
        self.enqueued.map_err(|e| CallError::Refused(unsaid(e)))?;
        match tokio::time::timeout(self.deadline, self.answer).await {
            Ok(Ok(result)) => result.map_err(CallError::Refused),
            Ok(Err(_)) => Err(CallError::Closed),
            Err(_) => Err(CallError::TimedOut { after: self.deadline }),
        }
    }
}

/// A call's place among those in flight.
#[derive(Debug)]
struct Place {
    shared: Arc<Shared>,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.settle(self.id);
    }
}

async fn read(shared: &Shared, mut incoming: mpsc::Receiver<String>, reader: mpsc::Sender<Incoming>) {
    while let Some(text) = incoming.recv().await {
        let said = match Message::parse(&text) {
            Ok(Message::Response { id, result }) => {
                let Id::Number(id) = id else { continue };
                let waiter = u64::try_from(id).ok().and_then(|id| shared.settle(id));
                if let Some(waiter) = waiter {
                    waiter.send(result).ok();
                }
                continue;
            }
            Ok(Message::Said(said)) => said,
            Err(error) => {
                tracing::warn!(%error, "a message that cannot be read is passed over");
                continue;
            }
        };
        if reader.send(said).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const LONG: Duration = Duration::from_secs(3600);

    fn pair() -> (Peer, mpsc::Receiver<Incoming>, Connection, JoinSet<()>) {
        let (ours, theirs) = Connection::memory();
        let mut tasks = JoinSet::new();
        let (peer, incoming) = Peer::start(ours, &mut tasks);
        (peer, incoming, theirs, tasks)
    }

    fn id_of(text: &str) -> u64 {
        serde_json::from_str::<serde_json::Value>(text).unwrap()["id"].as_u64().unwrap()
    }

    #[tokio::test]
    async fn answers_find_their_calls_in_any_order() {
        let (peer, _incoming, mut theirs, _tasks) = pair();
        let (one, two) = (peer.call("one", &json!({}), LONG), peer.call("two", &json!({}), LONG));
        let (first, second) = (theirs.incoming.recv().await.unwrap(), theirs.incoming.recv().await.unwrap());
        assert!(first.contains("\"one\"") && second.contains("\"two\""), "sent in the callers' order");
        theirs.outgoing.send(json!({"id": id_of(&second), "result": "2"}).to_string()).unwrap();
        theirs.outgoing.send(json!({"id": id_of(&first), "error": {"code": 1, "message": "no"}}).to_string()).unwrap();
        assert_eq!(two.end().await.unwrap().get(), "\"2\"");
        assert!(matches!(one.end().await, Err(CallError::Refused(e)) if e.message == "no"));
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_call_at_its_deadline_and_frees_its_place() {
        let (peer, _incoming, mut theirs, _tasks) = pair();
        let silent: Vec<_> = (0..40).map(|_| peer.call("silent", &json!({}), Duration::from_secs(5))).collect();
        let late = peer.call("late", &json!({}), LONG);
        for call in silent {
            assert!(matches!(call.end().await, Err(CallError::TimedOut { .. })));
        }
        let mut sent = theirs.incoming.recv().await.unwrap();
        while !sent.contains("late") {
            sent = theirs.incoming.recv().await.unwrap();
        }
        theirs.outgoing.send(json!({"id": id_of(&sent), "result": 1}).to_string()).unwrap();
        assert_eq!(late.end().await.unwrap().get(), "1");
    }

    #[tokio::test]
    async fn the_end_of_the_other_side_ends_every_call() {
        let (peer, mut incoming, theirs, mut tasks) = pair();
        let calls: Vec<_> = (0..100).map(|_| peer.call("m", &json!({}), LONG)).collect();
        drop(theirs);
        for call in calls {
            assert!(matches!(call.end().await, Err(CallError::Closed)));
        }
        assert!(incoming.recv().await.is_none());
        while tasks.join_next().await.is_some() {}
        assert!(matches!(peer.call("m", &json!({}), LONG).end().await, Err(CallError::Closed)));
    }

    /// A process that holds the socket of one that was killed, a fork of its say, keeps the end from being seen.
    #[tokio::test(start_paused = true)]
    async fn the_end_of_the_tasks_ends_every_call() {
        let (peer, _incoming, _theirs, mut tasks) = pair();
        let call = peer.call("m", &json!({}), LONG);
        tasks.shutdown().await;
        assert!(matches!(call.end().await, Err(CallError::Closed)));
        assert!(matches!(peer.call("m", &json!({}), LONG).end().await, Err(CallError::Closed)));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_passed_over() {
        let (peer, mut incoming, mut theirs, _tasks) = pair();
        for text in ["nonsense", "[]", "{\"id\":\"x\",\"result\":1}", "{\"id\":99,\"result\":1}"] {
            theirs.outgoing.send(text.into()).unwrap();
        }
        theirs.outgoing.send(r#"{"id":0,"method":"ask","params":{"a":1}}"#.into()).unwrap();
        let Some(Incoming::Request { id, method, params }) = incoming.recv().await else { panic!("a request") };
        assert_eq!((method.as_str(), params.get()), ("ask", "{\"a\":1}"));
        peer.answer(&id, &Ok(json!({"decision": "decline"})));
        let answer = theirs.incoming.recv().await.unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&answer).unwrap()["id"], 0);
    }
}
