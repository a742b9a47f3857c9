//! The team's agents: who lives here, who can be continued, whose name is whose.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::approval::{AskId, NotTaken, OpenAsk};
use super::handle::{Farewell, Handle};
use super::identity::Lock;
use super::joining;
use super::parting::LAST_WORDS;
use super::record::Record;
use super::setup::Setup;
use super::state::State;
use super::who::{RosterError, Who};
use crate::codex::ask::Verdict;
use crate::codex::wire::{ThreadOptions, Turn};
use crate::codex::{Client, Codex, CodexError};
use crate::ids::{AgentId, AgentName, Team, ThreadId};

/// How many names are tried for an agent without one of its own.
const NUMBERS_MAX: usize = 10_000;

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

/// The agents of one server.
#[derive(Debug)]
pub struct Roster {
    setup: Setup,
    codex: Arc<Codex>,
    live: Mutex<HashMap<AgentId, Live>>,
    /// Sessions that are ending; until they have, their agents' records are theirs.
    leaving: Mutex<Vec<Handle>>,
    comings: watch::Sender<()>,
    /// Whether the server ends.
    ends: watch::Sender<bool>,
}

#[derive(Debug)]
struct Live {
    handle: Handle,
    name: Lock,
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
        let (comings, ends) = (watch::Sender::default(), watch::Sender::default());
        Roster { setup, codex, live: Mutex::default(), leaving: Mutex::default(), comings, ends }
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

    /// Hears of it when somebody comes to life here.
    pub fn comings(&self) -> watch::Receiver<()> {
        self.comings.subscribe()
    }

    /// Every record of the team, the last active first.
    pub fn records(&self) -> Result<Vec<Record>, RosterError> {
        Record::all(&self.setup.dir)
    }

    /// Starts a new agent.
    pub fn start(&self, new: NewAgent) -> Result<Handle, RosterError> {
        self.goes_on()?;
        self.setup.full_access.check(&new.options)?;
        if let Some(name) = new.identity.as_ref().filter(|name| self.is_the_leads(name)) {
            let holder = "the lead of the team".to_owned();
            return Err(RosterError::NameTaken { name: name.clone(), holder });
        }
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
        let owner = self.owner(&record)?;
        Ok(self.enter(record, lock, owner))
    }

    /// Continues an agent that is on disk, with `change` made to its record. One without a name of its own gets a new
    /// one if its old one is taken.
    pub async fn resume(&self, agent: &AgentId, change: impl FnOnce(&mut Record)) -> Result<Handle, RosterError> {
        self.left(agent).await;
        if let Some(live) = self.lock().get(agent) {
            return Ok(live.handle.clone());
        }
        self.goes_on()?;
        let not_found = || RosterError::NotFound(Who::Agent(agent.clone()));
        let owner = self.owner(&self.record(agent)?.ok_or_else(not_found)?)?;
        // Only now nobody else writes it.
        let mut record = self.record(agent)?.ok_or_else(not_found)?;
        change(&mut record);
        self.setup.full_access.check(&record.options)?;
        if !record.cwd().is_dir() {
            let path = record.cwd().to_owned();
            return Err(RosterError::NoDirectory { identity: record.identity, agent: record.agent_id, path });
        }
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
        Ok(self.enter(record, lock, owner))
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
        let kept = Record::find(&self.setup.dir, who)?;
        kept.map(|record| Found::Kept(Box::new(record))).ok_or_else(|| RosterError::NotFound(who.clone()))
    }

    /// The session of somebody who was not closed; one that is on disk is continued.
    pub async fn session(&self, who: &Who) -> Result<Handle, RosterError> {
        if let Found::Kept(record) = self.find(who)? {
            self.left(&record.agent_id).await;
        }
        match self.find(who)? {
            Found::Live(handle) => Ok(handle),
            Found::Kept(record) if record.closed => {
                Err(RosterError::Closed { identity: record.identity, agent: record.agent_id })
            }
            Found::Kept(record) => self.resume(&record.agent_id, |_| {}).await,
        }
    }

    /// Closes an agent: its turn is ended, its name is free at once, its record is kept. The error of what is written
    /// says that it could not be.
    pub async fn close(&self, agent: &AgentId) -> Result<Result<(), String>, RosterError> {
        if let Some(handle) = self.dismiss(agent) {
            return Ok(handle.end(Farewell::Close).await);
        }
        // It may be making room right now, or be closed by somebody else.
        self.left(agent).await;
        let Some(record) = self.record(agent)?.filter(|record| !record.closed) else { return Ok(Ok(())) };
        let _owner = self.owner(&record)?;
        // Parked to make room, it may have left commands in the background.
        if let (Some(client), Some(thread)) = (self.codex.running(), &record.thread_id) {
            tokio::time::timeout(LAST_WORDS, client.clean_terminals(thread)).await.ok();
        }
        let closed = Record { closed: true, ..record };
        Ok(closed.save(&self.setup.dir).map_err(|error| format!("its record cannot be written: {error}")))
    }

    /// Decides on something that an agent here has asked; answers whose it was.
    pub async fn decide(
        &self,
        ask: &AskId,
        verdict: Verdict,
        reason: Option<String>,
        by: &str,
    ) -> Result<(Handle, Arc<OpenAsk>), NotTaken> {
        let mut not_taken = NotTaken::Unknown(ask.clone());
        for handle in self.live() {
            match handle.decide(ask, verdict.clone(), reason.clone(), by).await {
                Ok(decided) => return Ok((handle, decided)),
                Err(NotTaken::Unknown(_)) => {}
                Err(why) => not_taken = why,
            }
        }
        Err(not_taken)
    }

    /// Whether another server runs this agent now.
    pub fn runs_elsewhere(&self, agent: &AgentId) -> bool {
        let ours = self.lock().contains_key(agent) || self.leaving().iter().any(|handle| handle.agent == *agent);
        !ours && Lock::is_held(&self.setup.dir.agent_lock(agent))
    }

    /// Lets every running turn come to its end, for so long at most; nothing new begins.
    pub async fn leave_all(&self, grace: Duration) {
        self.ends.send_replace(true);
        let live = self.live();
        let all: FuturesUnordered<_> = live.iter().map(Handle::leave).collect();
        tokio::time::timeout(grace, all.collect::<()>()).await.ok();
    }

    /// Whether the server ends, so that nothing new begins.
    pub fn is_ending(&self) -> bool {
        *self.ends.borrow()
    }

    /// Comes when the server ends.
    pub async fn ending(&self) {
        self.ends.subscribe().wait_for(|ends| *ends).await.ok();
    }

    fn goes_on(&self) -> Result<(), RosterError> {
        if self.is_ending() { Err(RosterError::Ends) } else { Ok(()) }
    }

    /// Ends every session in good order; their agents can be continued. Called twice, each call waits for the end.
    pub async fn park_all(&self) {
        let all = self.live();
        let all: Vec<Handle> = all.into_iter().chain(self.leaving().clone()).collect();
        let mut ending: FuturesUnordered<_> = all.iter().map(|handle| handle.end(Farewell::Park)).collect();
        while ending.next().await.is_some() {}
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

    /// Whether it is what the client is called, or what Claude Code calls the lead of its session.
    fn is_the_leads(&self, name: &AgentName) -> bool {
        *name == self.setup.lead || name.as_str() == "team-lead"
    }

    fn name(&self, name: &AgentName) -> Result<Option<Lock>, RosterError> {
        if self.is_the_leads(name) {
            return Ok(None);
        }
        self.locked(&self.setup.dir.name_lock(name))
    }

    fn owner(&self, record: &Record) -> Result<Lock, RosterError> {
        let owner = self.locked(&self.setup.dir.agent_lock(&record.agent_id))?;
        owner.ok_or_else(|| RosterError::Elsewhere {
            identity: record.identity.clone(),
            agent: record.agent_id.clone(),
            pid: record.server_pid,
        })
    }

    fn locked(&self, path: &Path) -> Result<Option<Lock>, RosterError> {
        Lock::take(path).map_err(|source| RosterError::Files { path: self.setup.dir.root().to_owned(), source })
    }

    /// The record of one agent, if there is one.
    pub fn record(&self, agent: &AgentId) -> Result<Option<Record>, RosterError> {
        Record::find(&self.setup.dir, &Who::Agent(agent.clone()))
    }

    fn free_name(&self) -> Result<(AgentName, Lock), RosterError> {
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
            Ok(Found::Live(handle)) => {
                let status = handle.snapshot().status();
                format!("the agent {} ({status}); speak to it with codex-reply", handle.agent)
            }
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
        if let Some(handle) = agent.and_then(|agent| self.dismiss(&agent)) {
            tracing::info!(agent = %handle.identity, "parked to make room");
            handle.park();
        }
    }

    /// Takes somebody from the living: the name is free at once, the agent when its session has ended.
    fn dismiss(&self, agent: &AgentId) -> Option<Handle> {
        let Live { handle, name } = self.lock().remove(agent)?;
        drop(name);
        self.leaving().push(handle.clone());
        Some(handle)
    }

    /// Waits for the end of a session of this agent that is ending: how it ended stands in its record then.
    async fn left(&self, agent: &AgentId) {
        let leaving = self.leaving().iter().find(|handle| handle.agent == *agent).cloned();
        if let Some(leaving) = leaving {
            leaving.end(Farewell::Park).await.ok();
        }
    }

    fn leaving(&self) -> MutexGuard<'_, Vec<Handle>> {
        let mut leaving = self.leaving.lock().unwrap_or_else(PoisonError::into_inner);
        leaving.retain(|handle| !handle.is_over());
        leaving
    }

    fn enter(&self, record: Record, name: Lock, owner: Lock) -> Handle {
        let handle = joining::begin(&self.setup, self.codex.clone(), record, owner, self.ends.subscribe());
        self.lock().insert(handle.agent.clone(), Live { handle: handle.clone(), name });
        self.comings.send_replace(());
        handle
    }
}

fn describe(handle: &Handle) -> String {
    let status = handle.snapshot().status();
    let closable = if handle.is_busy() { "" } else { ", could be closed" };
    format!("{} ({status}{closable})", handle.identity)
}
