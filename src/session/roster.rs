//! The team's agents: who lives here, who can be continued, whose name is whose.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, watch};

use super::actor::Actor;
use super::handle::{self, Farewell, Handle, Snapshot};
use super::identity::NameLock;
use super::kept::Kept;
use super::record::Record;
use super::state::{Rules, State};
use crate::codex::wire::{ThreadOptions, Turn};
use crate::codex::{Client, Codex, CodexError};
use crate::home::TeamDir;
use crate::ids::{AgentId, AgentName, Team, ThreadId};

/// How many names are tried for an agent without one of its own.
const NUMBERS_MAX: usize = 10_000;

/// Whom a client means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// By its id.
    Agent(AgentId),
    /// By its name.
    Name(AgentName),
    /// By its thread.
    Thread(ThreadId),
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Agent(id) => write!(f, "agent_id: {id}"),
            Who::Name(name) => write!(f, "identity: {name}"),
            Who::Thread(id) => write!(f, "thread_id: {id}"),
        }
    }
}

/// A new agent.
#[derive(Debug, Clone, Default)]
pub struct NewAgent {
    /// The name that somebody chose for it.
    pub identity: Option<AgentName>,
    /// Its role.
    pub role: Option<String>,
    /// What its thread is opened with.
    pub options: ThreadOptions,
}

/// Why there is no such session. The texts say what to do.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// Somebody runs that name.
    #[error(
        "the identity {name} is taken by {holder}. Choose another, leave identity out, or speak to that agent with codex-reply."
    )]
    NameTaken {
        /// Which name.
        name: AgentName,
        /// Who has it.
        holder: String,
    },
    /// No room, and nobody to park.
    #[error(
        "{limit} agents are live, which is the limit (max_concurrent_threads), and none can be parked: {agents}. \
         Close one with agent_close, or wait for one with agent_wait."
    )]
    TooMany {
        /// The limit.
        limit: usize,
        /// Who they are.
        agents: String,
    },
    /// Nobody of that kind.
    #[error("Session not found for {0}")]
    NotFound(Who),
    /// It was closed.
    #[error(
        "the agent {identity} was closed. Continue it with codex {{\"agent_id\": \"{agent}\", \"prompt\": …}}, or start a new one."
    )]
    Closed {
        /// Its name.
        identity: AgentName,
        /// Its id.
        agent: AgentId,
    },
    /// The file system refuses.
    #[error("the team's directory {} cannot be used: {source}", path.display())]
    Files {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// What the roster is made of.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The team.
    pub team: Team,
    /// Where its files are.
    pub dir: TeamDir,
    /// What the client is called in it.
    pub lead: AgentName,
    /// What agents without a name of their own are called.
    pub default_name: AgentName,
    /// How many may be live.
    pub limit: usize,
}

/// The agents of one server.
#[derive(Debug)]
pub struct Roster {
    setup: Setup,
    codex: Arc<Codex>,
    live: Mutex<HashMap<AgentId, Live>>,
}

#[derive(Debug)]
struct Live {
    handle: Handle,
    name: NameLock,
}

/// Somebody found.
#[derive(Debug)]
pub enum Found {
    /// Alive here.
    Live(Handle),
    /// On disk.
    Kept(Box<Record>),
}

impl Roster {
    /// Nobody yet.
    pub fn new(setup: Setup, codex: Arc<Codex>) -> Roster {
        Roster { setup, codex, live: Mutex::default() }
    }

    /// The team.
    pub fn team(&self) -> &Team {
        &self.setup.team
    }

    /// What the client is called in it.
    pub fn lead(&self) -> &AgentName {
        &self.setup.lead
    }

    /// The app-server, if one runs.
    pub fn codex(&self) -> Option<Client> {
        self.codex.running()
    }

    /// Who is alive here, in the order in which they came.
    pub fn live(&self) -> Vec<Handle> {
        let mut handles: Vec<Handle> = self.lock().values().map(|live| live.handle.clone()).collect();
        handles.sort_by(|a, b| a.agent.cmp(&b.agent));
        handles
    }

    /// Every record of the team, the last active first.
    pub fn records(&self) -> Vec<Record> {
        Record::all(&self.setup.dir)
    }

    /// Starts a new agent.
    pub fn start(&self, new: NewAgent) -> Result<Handle, RosterError> {
        let in_the_way = self.in_the_way()?;
        let named = new.identity.is_some();
        let (identity, lock) = match new.identity {
            Some(name) => {
                let lock = self.name(&name)?.ok_or_else(|| self.taken(&name))?;
                self.park(in_the_way);
                (name, lock)
            }
            None => {
                self.park(in_the_way);
                self.free_name()?
            }
        };
        let record = Record::new(identity, named, self.setup.team.clone(), new.role, new.options);
        Ok(self.enter(record, lock))
    }

    /// Continues an agent that is on disk. One without a name of its own gets a new one if its old one is taken.
    pub fn resume(&self, mut record: Record) -> Result<Handle, RosterError> {
        record.closed = false;
        let in_the_way = self.in_the_way()?;
        let own = self.name(&record.identity)?;
        if own.is_none() && record.named {
            return Err(self.taken(&record.identity));
        }
        self.park(in_the_way);
        let lock = match own {
            Some(lock) => lock,
            None => {
                let (name, lock) = self.free_name()?;
                record.identity = name;
                lock
            }
        };
        Ok(self.enter(record, lock))
    }

    /// Finds somebody: the living before the kept, the last active before the others.
    pub fn find(&self, who: &Who) -> Result<Found, RosterError> {
        let is_meant = |live: &&Live| match who {
            Who::Agent(id) => live.handle.agent == *id,
            Who::Name(name) => live.handle.identity == *name,
            Who::Thread(thread) => live.handle.snapshot().thread.as_ref() == Some(thread),
        };
        if let Some(live) = self.lock().values().find(is_meant) {
            return Ok(Found::Live(live.handle.clone()));
        }
        let kept = match who {
            Who::Agent(id) => Record::load(&self.setup.dir, id),
            Who::Name(name) => {
                let mut of_that_name: Vec<_> = self.records().into_iter().filter(|r| r.identity == *name).collect();
                of_that_name.sort_by_key(|record| record.closed);
                of_that_name.into_iter().next()
            }
            Who::Thread(id) => self.records().into_iter().find(|record| record.thread_id.as_ref() == Some(id)),
        };
        kept.map(|record| Found::Kept(Box::new(record))).ok_or_else(|| RosterError::NotFound(who.clone()))
    }

    /// The session of somebody who was not closed; one that is on disk is continued.
    pub fn session(&self, who: &Who) -> Result<Handle, RosterError> {
        match self.find(who)? {
            Found::Live(handle) => Ok(handle),
            Found::Kept(record) if record.closed => {
                Err(RosterError::Closed { identity: record.identity, agent: record.agent_id })
            }
            Found::Kept(record) => self.resume(*record),
        }
    }

    /// Closes an agent: its turn is ended, its name is free at once, its record is kept.
    pub async fn close(&self, agent: &AgentId) {
        let live = self.lock().remove(agent);
        if let Some(Live { handle, name }) = live {
            drop(name);
            handle.end(Farewell::Close).await;
        } else if let Some(mut record) = Record::load(&self.setup.dir, agent)
            && !record.closed
        {
            record.closed = true;
            record.save(&self.setup.dir).unwrap_or_else(|error| tracing::warn!(%error, "a record cannot be written"));
        }
    }

    /// Ends every session in good order; their agents can be continued. Called twice, each call waits for the end.
    pub async fn park_all(&self) {
        let all = self.live();
        let mut ending: FuturesUnordered<_> = all.iter().map(|handle| handle.end(Farewell::Park)).collect();
        while futures_util::StreamExt::next(&mut ending).await.is_some() {}
    }

    /// The last turns of a thread, the newest first.
    pub async fn turns(&self, thread: &ThreadId, limit: u32) -> Result<Vec<Turn>, CodexError> {
        self.codex.connect().await?.turns(thread, limit).await
    }

    /// Who is alive; a session that has ended of itself frees its name here.
    fn lock(&self) -> MutexGuard<'_, HashMap<AgentId, Live>> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|_, live| !live.handle.is_over());
        live
    }

    fn name(&self, name: &AgentName) -> Result<Option<NameLock>, RosterError> {
        NameLock::take(&self.setup.dir, name)
            .map_err(|source| RosterError::Files { path: self.setup.dir.root().to_owned(), source })
    }

    fn free_name(&self) -> Result<(AgentName, NameLock), RosterError> {
        let base = &self.setup.default_name;
        for number in 1..NUMBERS_MAX {
            let name = if number == 1 { base.clone() } else { base.numbered(number) };
            if let Some(lock) = self.name(&name)? {
                return Ok((name, lock));
            }
        }
        Err(self.taken(base))
    }

    fn taken(&self, name: &AgentName) -> RosterError {
        let holder = match self.find(&Who::Name(name.clone())) {
            Ok(Found::Live(handle)) => format!("the agent {} ({})", handle.agent, handle.snapshot().status()),
            Ok(Found::Kept(record)) => {
                format!("the agent {} of another running server (process {})", record.agent_id, record.server_pid)
            }
            Err(_) => "another running server".to_owned(),
        };
        RosterError::NameTaken { name: name.clone(), holder }
    }

    /// Who is to be parked if there is no room for one more: the longest idle agent without a name of its own.
    fn in_the_way(&self) -> Result<Option<AgentId>, RosterError> {
        let live = self.lock();
        if live.len() < self.setup.limit {
            return Ok(None);
        }
        let idle = |live: &&Live| {
            let handle = &live.handle;
            let rests = matches!(handle.snapshot().state, State::Idle | State::Lost { .. });
            !handle.named && rests && !handle.is_busy() && !handle.has_results()
        };
        let longest = live.values().filter(idle).min_by_key(|live| live.handle.snapshot().last_active);
        if let Some(longest) = longest {
            return Ok(Some(longest.handle.agent.clone()));
        }
        let mut agents: Vec<String> = live.values().map(|live| describe(&live.handle)).collect();
        agents.sort();
        Err(RosterError::TooMany { limit: self.setup.limit, agents: agents.join(", ") })
    }

    fn park(&self, agent: Option<AgentId>) {
        let parked = agent.and_then(|agent| self.lock().remove(&agent));
        if let Some(Live { handle, .. }) = parked {
            tracing::info!(agent = %handle.identity, "parked to make room");
            handle.park();
        }
    }

    fn enter(&self, record: Record, name: NameLock) -> Handle {
        let (rules, first) = Rules::new();
        let (commands, received) = mpsc::channel(handle::DEPTH);
        let (shown, snapshot) = watch::channel(Snapshot {
            state: rules.state().clone(),
            thread: record.thread_id.clone(),
            activity: "starting".into(),
            waiting: 0,
            model: record.model.clone(),
            tokens: record.tokens,
            turns: record.turns,
            answered: 0,
            last_active: record.last_active,
        });
        let outbox = Arc::default();
        let handle = Handle {
            agent: record.agent_id.clone(),
            identity: record.identity.clone(),
            named: record.named,
            commands,
            snapshot,
            outbox: Arc::clone(&outbox),
            counts: Arc::default(),
        };
        let actor = Actor {
            rules,
            codex: self.codex.clone(),
            kept: Kept::new(record, self.setup.dir.clone(), self.setup.lead.clone()),
            commands: received,
            snapshot: shown,
            outbox,
            live: None,
            opening: false,
            calls: HashMap::new(),
            turn: None,
            ended: None,
            activity: "starting".into(),
            answered: 0,
            notes: Vec::new(),
            work: FuturesUnordered::new(),
            give_up: None,
            farewell: None,
        };
        self.lock().insert(handle.agent.clone(), Live { handle: handle.clone(), name });
        // The actor ends when it is told to or its last handle is gone; whoever ends it waits for its word.
        tokio::spawn(actor.run(first));
        handle
    }
}

fn describe(handle: &Handle) -> String {
    let status = handle.snapshot().status();
    let closable = if handle.is_busy() { "" } else { ", could be closed" };
    format!("{} ({status}{closable})", handle.identity)
}
