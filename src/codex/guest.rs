//! A guest at an app-server that somebody else runs: it hears what happens in a thread, and owes no answer.
//!
//! Whatever Codex asks in a thread it asks of everybody who has opened it, and the first answer holds (0.144.6 and
//! 0.169.0). So a guest that does not decide says nothing at all: the question is the others'.

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::ask::{Ask, AskedIn, RequestId, Verdict};
use super::client::Client;
use super::event::{self, ThreadEvent};
use super::wire::{ThreadOptions, Turn};
use super::{CodexError, launch};
use crate::ids::{ThreadId, TurnId};
use crate::rpc::{CallError, Connection, Incoming};

/// What a guest asks for; clones share its connection, which is one beside that of the server.
#[derive(Debug, Clone)]
pub struct Guest {
    client: Client,
}

/// What a guest hears; dropped, it has gone. It is to be read on while an answer is awaited: what is heard comes first.
#[derive(Debug)]
pub struct Hearing {
    incoming: mpsc::Receiver<Incoming>,
    _tasks: JoinSet<()>,
}

/// Why a guest is not let in.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// Nobody listens.
    #[error("its Codex does not listen on {}: {source}", socket.display())]
    Absent {
        /// Where.
        socket: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Whoever listens speaks otherwise.
    #[error("what listens on {} does not speak as Codex does: {why}", socket.display())]
    Strange {
        /// Where.
        socket: PathBuf,
        /// In which way.
        why: String,
    },
    /// Codex says no.
    #[error(transparent)]
    Codex(#[from] CodexError),
}

/// Something that a guest has heard.
#[derive(Debug)]
pub enum Heard {
    /// It happened in a thread.
    Happened {
        /// Which.
        thread: ThreadId,
        /// What.
        event: ThreadEvent,
        /// The same in Codex's words.
        said: Said,
    },
    /// Codex asks it, and waits until somebody has answered.
    Asked {
        /// In which thread.
        thread: ThreadId,
        /// By which its answer is known.
        request: RequestId,
        /// What.
        ask: Ask,
        /// In which turn.
        asked_in: AskedIn,
        /// The same in Codex's words.
        said: Said,
    },
}

/// A message as Codex sent it.
#[derive(Debug, serde::Serialize)]
pub struct Said {
    /// Its kind.
    pub method: String,
    /// What it carries.
    pub params: Box<RawValue>,
}

impl Guest {
    /// Goes to the Codex that listens there.
    #[cfg(unix)]
    pub async fn at(socket: &Path) -> Result<(Guest, Hearing), GuestError> {
        let absent = |source| GuestError::Absent { socket: socket.to_owned(), source };
        let stream = tokio::net::UnixStream::connect(socket).await.map_err(absent)?;
        let strange = |why| GuestError::Strange { socket: socket.to_owned(), why };
        let connection = Connection::over_socket(stream).await.map_err(|error| strange(error.to_string()))?;
        Guest::over(connection).await.map_err(|error| strange(error.to_string()))
    }

    /// Here Codex listens on no socket.
    #[cfg(not(unix))]
    pub async fn at(socket: &Path) -> Result<(Guest, Hearing), GuestError> {
        let source = io::Error::from(io::ErrorKind::Unsupported);
        Err(GuestError::Absent { socket: socket.to_owned(), source })
    }

    /// The same, at the other end of `connection`.
    pub async fn over(connection: Connection) -> Result<(Guest, Hearing), CallError> {
        let mut tasks = JoinSet::new();
        let (client, incoming) = launch::visit(connection, &mut tasks).await?;
        Ok((Guest { client }, Hearing { incoming, _tasks: tasks }))
    }

    /// Opens a thread that its owner has open, and hears of it from then on: also of what is asked in it now.
    pub async fn enter(&self, thread: &ThreadId) -> Result<(), CodexError> {
        self.client.thread_resume(thread, &ThreadOptions::default()).await.map(drop)
    }

    /// Hears no more of a thread.
    pub async fn leave(&self, thread: &ThreadId) {
        self.client.unsubscribe(thread).await;
    }

    /// The last turns of a thread, the newest first, each also in Codex's words.
    pub async fn turns(&self, thread: &ThreadId, limit: u32) -> Result<Vec<(Turn, Box<RawValue>)>, CodexError> {
        self.client.raw_turns(thread, limit, &HashSet::new()).await
    }

    /// The same, back to one that is known, and with it.
    pub async fn turns_since(
        &self,
        thread: &ThreadId,
        known: &HashSet<TurnId>,
    ) -> Result<Vec<(Turn, Box<RawValue>)>, CodexError> {
        self.client.raw_turns(thread, u32::MAX, known).await
    }

    /// Ends a turn, and the commands that it left running.
    pub async fn interrupt(&self, thread: &ThreadId, turn: &TurnId) -> Result<(), CodexError> {
        self.client.turn_interrupt(thread, turn).await
    }

    /// Answers what Codex has asked; whoever does so first is heard. The error says what is missing in the verdict.
    pub fn decide(&self, request: &RequestId, ask: &Ask, verdict: &Verdict) -> Result<(), String> {
        let answer = ask.answer(verdict)?;
        self.client.peer.answer(request, &Ok(answer));
        Ok(())
    }
}

impl Hearing {
    /// The next thing that happens in one of its threads; `None` when Codex is gone.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            let heard = match self.incoming.recv().await? {
                Incoming::Notification { method, params } => {
                    let event = event::read(&method, params.get()).zip(event::thread_of(params.get()));
                    event.map(|(event, thread)| Heard::Happened { thread, event, said: Said { method, params } })
                }
                Incoming::Request { id, method, params } => event::thread_of(params.get()).map(|thread| {
                    let ask = Ask::read(&method, params.get());
                    let asked_in = serde_json::from_str(params.get()).unwrap_or_default();
                    Heard::Asked { thread, request: id, ask, asked_in, said: Said { method, params } }
                }),
            };
            if heard.is_some() {
                return heard;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A guest, what it hears, and the other end of its connection.
    async fn guest() -> ((Guest, Hearing), Connection) {
        let (ours, mut theirs) = Connection::memory();
        let greets = async {
            let hello: Value = serde_json::from_str(&theirs.incoming.recv().await.unwrap()).unwrap();
            assert_eq!(hello["method"], "initialize");
            let answer = json!({"id": hello["id"], "result": {"userAgent": "x/0.169.0 (x)"}});
            theirs.outgoing.send(answer.to_string()).unwrap();
            assert!(theirs.incoming.recv().await.unwrap().contains("initialized"));
        };
        let (guest, ()) = tokio::join!(Guest::over(ours), greets);
        (guest.unwrap(), theirs)
    }

    #[tokio::test]
    async fn a_guest_answers_nothing_unless_it_decides() {
        let ((guest, mut hearing), mut theirs) = guest().await;
        let ask = |id: u64| {
            let params = json!({"threadId": "t", "turnId": "u", "command": "touch a"});
            json!({"id": id, "method": "item/commandExecution/requestApproval", "params": params}).to_string()
        };
        theirs
            .outgoing
            .send(json!({"id": 7, "method": "item/tool/call", "params": {"threadId": "t"}}).to_string())
            .unwrap();
        theirs.outgoing.send(ask(0)).unwrap();
        theirs.outgoing.send(ask(1)).unwrap();
        for _ in 0..2 {
            assert!(matches!(hearing.next().await, Some(Heard::Asked { .. })));
        }
        let Some(Heard::Asked { thread, request, ask, asked_in, .. }) = hearing.next().await else { panic!("an ask") };
        assert_eq!((thread.as_str(), ask.summary().as_str()), ("t", "to run `touch a`"));
        assert_eq!(asked_in.turn_id.as_ref().map(TurnId::as_str), Some("u"));
        guest.decide(&request, &ask, &crate::codex::ask::Decision::Decline.into()).unwrap();
        drop((ask, guest, hearing));
        let mut answers = Vec::new();
        while let Some(answer) = theirs.incoming.recv().await {
            answers.push(serde_json::from_str::<Value>(&answer).unwrap());
        }
        assert_eq!(answers, [json!({"id": 1, "result": {"decision": "decline"}})]);
    }

    #[tokio::test]
    async fn what_is_of_no_use_is_passed_over_and_the_end_is_told() {
        let ((_guest, mut hearing), theirs) = guest().await;
        for text in [
            r#"{"method":"later/invention","params":{"threadId":"t"}}"#,
            r#"{"method":"turn/started","params":{"threadId":"t","turn":{"id":"u","status":"inProgress"}}}"#,
        ] {
            theirs.outgoing.send(text.into()).unwrap();
        }
        let Some(Heard::Happened { event: ThreadEvent::TurnStarted(turn), said, .. }) = hearing.next().await else {
            panic!("a turn")
        };
        assert_eq!((turn.as_str(), said.method.as_str()), ("u", "turn/started"));
        drop(theirs);
        assert!(hearing.next().await.is_none());
    }
}
