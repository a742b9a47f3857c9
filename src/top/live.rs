//! What the running agents' own Codex says: this program is a guest at each.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::asking::Asked;
use super::model::{Row, Whom};
use crate::ids::{AgentId, ThreadId, TurnId};
use crate::session::guest::{Guest, Heard};
use crate::session::{Decision, ThreadEvent, Turn, Verdict};

/// How much waits to be taken; when it is full, nothing more is read from any Codex.
const DEPTH: usize = 256;

/// Something new of a running agent.
#[derive(Debug)]
pub(super) enum News {
    /// It is listened to from now on; its last turn, if it has had one.
    Entered(AgentId, Option<Turn>),
    /// It happened in its thread.
    Heard(AgentId, Box<ThreadEvent>),
    /// Codex asks it, in this turn.
    Asked(AgentId, Asked, Option<TurnId>),
    /// Nobody listens to it any more.
    Left(AgentId),
    /// What came of something that was to be done, for the person at the keys.
    Said(String),
    /// What the agent was to be told was not said, and why not.
    Unsaid(Whom, String, String),
}

/// The Codex of every server that runs an agent of these.
pub(super) struct Guests {
    servers: HashMap<PathBuf, Server>,
    threads: HashMap<ThreadId, Place>,
    tasks: JoinSet<()>,
    tell: mpsc::Sender<Told>,
    told: mpsc::Receiver<Told>,
}

struct Server {
    /// None while it is being gone to.
    guest: Option<Guest>,
    hearing: AbortHandle,
}

struct Place {
    agent: AgentId,
    socket: PathBuf,
}

/// What the tasks tell.
enum Told {
    Came(PathBuf, Guest),
    Gone(PathBuf),
    Heard(Heard),
    Entered(ThreadId, Option<Turn>),
    Refused(ThreadId),
    News(News),
}

impl Guests {
    /// Nowhere yet.
    pub(super) fn new() -> Guests {
        let (tell, told) = mpsc::channel(DEPTH);
        Guests { servers: HashMap::new(), threads: HashMap::new(), tasks: JoinSet::new(), tell, told }
    }

    /// Goes to the agents that run, and leaves those that do not any more. What cannot be done now is tried again at the
    /// next look.
    pub(super) fn attend(&mut self, rows: &[Row]) -> Vec<News> {
        let mut news = Vec::new();
        while let Some(done) = self.tasks.try_join_next() {
            news.extend(done.err().filter(JoinError::is_panic).map(fault));
        }
        let running = rows.iter().filter(|row| row.runs);
        let running = running.filter_map(|row| Some((row.thread.as_ref()?, row.socket.as_deref()?, &row.agent)));
        let wanted: HashMap<&ThreadId, (&Path, &AgentId)> =
            running.map(|(thread, socket, agent)| (thread, (socket, agent))).collect();
        let over = |thread: &ThreadId, place: &Place| wanted.get(thread).is_none_or(|(at, _)| *at != place.socket);
        for (thread, place) in self.threads.extract_if(|thread, place| over(thread, place)).collect::<Vec<_>>() {
            news.push(News::Left(place.agent));
            if let Some(guest) = self.servers.get(&place.socket).and_then(|server| server.guest.clone()) {
                self.tasks.spawn(async move { guest.leave(&thread).await });
            }
        }
        let is_needed = |socket: &Path| wanted.values().any(|(at, _)| *at == socket);
        for (_, server) in self.servers.extract_if(|socket, _| !is_needed(socket)) {
            server.hearing.abort();
        }
        for (thread, (socket, agent)) in wanted {
            match self.servers.get(socket) {
                None => self.go_to(socket),
                Some(Server { guest: Some(guest), .. }) if !self.threads.contains_key(thread) => {
                    let (guest, tell, entered) = (guest.clone(), self.tell.clone(), thread.clone());
                    self.threads.insert(thread.clone(), Place { agent: agent.clone(), socket: socket.to_owned() });
                    self.tasks.spawn(async move {
                        let last = match guest.enter(&entered).await {
                            Ok(()) => guest.turns(&entered, 1).await,
                            Err(error) => Err(error),
                        };
                        let told = match last {
                            Ok(turns) => Told::Entered(entered, turns.into_iter().next().map(|(turn, _)| turn)),
                            Err(_) => Told::Refused(entered),
                        };
                        tell.send(told).await.ok();
                    });
                }
                Some(_) => {}
            }
        }
        news
    }

    fn go_to(&mut self, socket: &Path) {
        let (socket, tell) = (socket.to_owned(), self.tell.clone());
        let at = socket.clone();
        let hearing = self.tasks.spawn(async move {
            if let Ok((guest, mut hearing)) = Guest::at(&at).await {
                tell.send(Told::Came(at.clone(), guest)).await.ok();
                while let Some(heard) = hearing.next().await {
                    tell.send(Told::Heard(heard)).await.ok();
                }
            }
            tell.send(Told::Gone(at)).await.ok();
        });
        self.servers.insert(socket, Server { guest: None, hearing });
    }

    /// The next news.
    pub(super) async fn next(&mut self) -> Vec<News> {
        match self.told.recv().await {
            // It holds a sender itself.
            None => std::future::pending().await,
            Some(told) => self.take(told),
        }
    }

    fn take(&mut self, told: Told) -> Vec<News> {
        let news = match told {
            Told::Came(socket, guest) => {
                if let Some(server) = self.servers.get_mut(&socket) {
                    server.guest = Some(guest);
                }
                None
            }
            Told::Gone(socket) => {
                self.servers.remove(&socket);
                let left = self.threads.extract_if(|_, place| place.socket == socket);
                return left.map(|(_, place)| News::Left(place.agent)).collect();
            }
            Told::Refused(thread) => {
                self.threads.remove(&thread);
                None
            }
            Told::Entered(thread, last) => self.agent(&thread).map(|agent| News::Entered(agent, last)),
            Told::Heard(Heard::Happened { thread, event, .. }) => {
                self.agent(&thread).map(|agent| News::Heard(agent, Box::new(event)))
            }
            Told::Heard(Heard::Asked { thread, request, ask, asked_in, .. }) => {
                let agent = self.agent(&thread).filter(|_| ask.is_question());
                let asked = Asked { request, ask, item: asked_in.item_id };
                agent.map(|agent| News::Asked(agent, asked, asked_in.turn_id))
            }
            Told::News(news) => Some(news),
        };
        news.into_iter().collect()
    }

    fn agent(&self, thread: &ThreadId) -> Option<AgentId> {
        self.threads.get(thread).map(|place| place.agent.clone())
    }

    fn guest(&self, row: &Row) -> Result<(Guest, ThreadId), String> {
        let guest = row.socket.as_ref().and_then(|socket| self.servers.get(socket)?.guest.clone());
        guest.zip(row.thread.clone()).ok_or_else(|| format!("{}'s Codex cannot be spoken to now", row.name))
    }

    /// Does what may take its time with files; what comes of it is news, also if it is a fault of ours.
    pub(super) fn aside(&mut self, work: impl FnOnce() -> News + Send + 'static) {
        let (work, tell) = (tokio::task::spawn_blocking(work), self.tell.clone());
        self.tasks.spawn(async move {
            let news = work.await.unwrap_or_else(fault);
            tell.send(Told::News(news)).await.ok();
        });
    }

    /// Ends a turn; what came of it is news.
    pub(super) fn interrupt(&mut self, row: &Row, turn: TurnId) -> Result<(), String> {
        let (guest, thread) = self.guest(row)?;
        let (tell, name) = (self.tell.clone(), row.name.clone());
        self.tasks.spawn(async move {
            let said = match guest.interrupt(&thread, &turn).await {
                Ok(()) => format!("{name} was interrupted"),
                Err(error) => format!("{name} was not interrupted: {error}"),
            };
            tell.send(Told::News(News::Said(said))).await.ok();
        });
        Ok(())
    }

    /// Decides on something that Codex asks; the error says why it is not decided.
    pub(super) fn decide(&self, row: &Row, asked: &Asked, decision: Decision) -> Result<(), String> {
        self.guest(row)?.0.decide(&asked.request, &asked.ask, &Verdict::from(decision))
    }
}

fn fault(error: JoinError) -> News {
    News::Said(format!("a fault of this program: {error}"))
}
