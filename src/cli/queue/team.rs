//! The agents of a team and their queues, as they are on disk.

use std::collections::HashMap;

use super::error::QueueFailure;
use crate::config::Settings;
use crate::home::{Home, TeamDir, names_in};
use crate::ids::{AgentId, AgentName, EntryId, Team};
use crate::queue::{Delivered, Fate, Limits, Listed, Queue, QueueError};
use crate::serve;
use crate::session::identity::Lock;
use crate::session::{Record, Who};

/// The queues of one team.
pub(in crate::cli) struct TeamQueues {
    team: Team,
    dir: TeamDir,
    limits: Limits,
}

/// Somebody with a queue.
pub(super) struct Member {
    pub(super) agent: AgentId,
    /// Gone, for an agent of which only the queue is left.
    pub(super) record: Option<Record>,
    pub(super) queue: Queue,
}

impl Member {
    /// What people call it: by its name, or else by its id.
    pub(super) fn called(&self) -> &str {
        self.name().map_or(self.agent.as_str(), AgentName::as_str)
    }

    pub(super) fn name(&self) -> Option<&AgentName> {
        self.record.as_ref().map(|record| &record.identity)
    }
}

/// Whether somebody is there to take what waits.
pub(in crate::cli) enum Presence {
    /// A server runs the agent now.
    Running,
    /// None does.
    Absent,
    /// None does, and none will unless somebody continues it.
    Closed,
}

/// What is known of an entry.
pub(super) enum Found {
    /// It waits, or was buried.
    There(Box<Listed>),
    /// It has arrived.
    Delivered(Delivered),
}

impl TeamQueues {
    pub(in crate::cli) fn new(home: &Home, settings: &Settings) -> TeamQueues {
        TeamQueues {
            team: settings.team.clone(),
            dir: home.team(&settings.team),
            limits: serve::queue_limits(settings),
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Whom a word means: an agent id, a name, or a thread id.
    pub(in crate::cli) fn agent(&self, word: &str) -> Result<Record, QueueFailure> {
        for who in Who::meanings(word) {
            if let Some(record) = Record::find(&self.dir, &who)? {
                return Ok(record);
            }
        }
        let mut known: Vec<AgentName> = Record::all(&self.dir)?.into_iter().map(|record| record.identity).collect();
        known.sort();
        known.dedup();
        Err(QueueFailure::UnknownAgent { word: word.to_owned(), team: self.team.clone(), known })
    }

    /// The queue of an agent.
    pub(super) fn queue(&self, agent: &AgentId) -> Queue {
        Queue::at(self.dir.queue(agent), self.limits)
    }

    /// The same as [`TeamQueues::agent`], or somebody of whom only the queue is left.
    pub(super) fn member(&self, word: &str) -> Result<Member, QueueFailure> {
        let left = self.members()?.into_iter().find(|member| member.agent.as_str() == word);
        match (self.agent(word), left) {
            (Ok(record), _) => {
                let agent = record.agent_id.clone();
                Ok(Member { queue: self.queue(&agent), agent, record: Some(record) })
            }
            (Err(QueueFailure::UnknownAgent { .. }), Some(left)) => Ok(left),
            (Err(error), _) => Err(error),
        }
    }

    /// Everybody who has a queue, by name.
    pub(super) fn members(&self) -> Result<Vec<Member>, QueueFailure> {
        let root = self.dir.root();
        let names = names_in(root).map_err(|source| QueueError::Files { dir: root.to_owned(), source })?;
        let records = Record::all(&self.dir)?.into_iter().map(|record| (record.agent_id.clone(), record));
        let mut records: HashMap<AgentId, Record> = records.collect();
        let mut members = Vec::new();
        for name in names {
            let Some(agent) = name.to_str().and_then(|name| AgentId::parse(name).ok()) else { continue };
            let queue = self.queue(&agent);
            if queue.dir().is_dir() {
                members.push(Member { record: records.remove(&agent), agent, queue });
            }
        }
        members.sort_by(|a, b| (a.called(), &a.agent).cmp(&(b.called(), &b.agent)));
        Ok(members)
    }

    /// Where an entry is, in whosever queue, and what is known of it.
    pub(super) fn entry(&self, id: &EntryId) -> Result<(Member, Found), QueueFailure> {
        for member in self.members()? {
            let dir = || member.queue.dir().to_owned();
            let listed = member.queue.show(id).map_err(|source| QueueError::Files { dir: dir(), source })?;
            if let Some(listed) = listed {
                return Ok((member, Found::There(Box::new(listed))));
            }
            if let Fate::Delivered(delivered) = member.queue.fate(id) {
                return Ok((member, Found::Delivered(delivered)));
            }
        }
        Err(QueueFailure::UnknownEntry { id: id.clone(), team: self.team.clone() })
    }

    /// Whether somebody is there to take what waits for an agent.
    pub(in crate::cli) fn presence(&self, record: &Record) -> Presence {
        if Lock::is_held(&self.dir.agent_lock(&record.agent_id)) {
            Presence::Running
        } else if record.closed {
            Presence::Closed
        } else {
            Presence::Absent
        }
    }
}
