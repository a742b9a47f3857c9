//! One agent on disk: enough to continue its thread after everything has stopped.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::who::{RosterError, Who};
use crate::codex::wire::{ThreadOptions, Tokens};
use crate::home::{TeamDir, names_in, private_dir, write_atomic};
use crate::ids::{AgentId, AgentName, Team, ThreadId};

/// The version of the stored form.
const VERSION: u32 = 1;
/// More than any record has: instructions and settings of a call are in it.
const SIZE_MAX: u64 = 64 * 1024 * 1024;

/// What is kept of an agent, in `agents/{agent_id}.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The version of this form.
    pub v: u32,
    /// Which agent.
    pub agent_id: AgentId,
    /// Its name.
    pub identity: AgentName,
    /// Whether somebody chose that name; one without is parked when room is needed.
    pub named: bool,
    /// Its team.
    pub team: Team,
    /// Its role, if it was started with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Its thread, once it has one.
    #[serde(default)]
    pub thread_id: Option<ThreadId>,
    /// What the thread is opened with each time.
    pub options: ThreadOptions,
    /// What the model was last told of its place.
    #[serde(default)]
    pub context: Option<String>,
    /// Whether its thread was started with our tools, which it then has for ever.
    #[serde(default)]
    pub has_tools: bool,
    /// Whether it was closed.
    pub closed: bool,
    /// The model that Codex uses.
    #[serde(default)]
    pub model: Option<String>,
    /// How many turns have ended.
    #[serde(default)]
    pub turns: u64,
    /// The tokens of the whole thread.
    #[serde(default)]
    pub tokens: Option<Tokens>,
    /// When it was first started.
    pub created_at: Timestamp,
    /// When it was last continued after it had been closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reopened_at: Option<Timestamp>,
    /// When something last happened.
    pub last_active: Timestamp,
    /// The server that ran it last.
    pub server_pid: u32,
    /// When that server last opened its thread: a turn that began before does not run any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    /// Where that server's Codex listened: `codex resume THREAD --remote unix://SOCKET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<std::path::PathBuf>,
}

/// A record that cannot be read, and why.
pub type Unreadable = (PathBuf, String);

impl Record {
    /// The record of a new agent.
    pub fn new(identity: AgentName, named: bool, team: Team, role: Option<String>, options: ThreadOptions) -> Record {
        let now = Timestamp::now();
        Record {
            v: VERSION,
            agent_id: AgentId::new(),
            identity,
            named,
            team,
            role,
            thread_id: None,
            options,
            context: None,
            has_tools: false,
            closed: false,
            model: None,
            turns: 0,
            tokens: None,
            created_at: now,
            reopened_at: None,
            last_active: now,
            server_pid: std::process::id(),
            opened_at: None,
            socket: None,
        }
    }

    /// Where the agent works.
    pub fn cwd(&self) -> &Path {
        Path::new(self.options.cwd.as_deref().unwrap_or("."))
    }

    /// Since when it is open: what was asked of its name before was not asked of it as it is.
    pub fn open_since(&self) -> Timestamp {
        self.reopened_at.unwrap_or(self.created_at)
    }

    /// Writes it, whole or not at all.
    pub fn save(&self, dir: &TeamDir) -> io::Result<()> {
        private_dir(&dir.agents_dir())?;
        write_atomic(&dir.record(&self.agent_id), &serde_json::to_vec_pretty(self)?)
    }

    /// Reads one; `None` if there is none, the reason if there is one that cannot be read.
    pub fn load(dir: &TeamDir, agent: &AgentId) -> Result<Option<Record>, String> {
        match std::fs::metadata(dir.record(agent)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // Why it cannot be looked at, reading says.
            _ => read(dir, agent).map(Some),
        }
    }

    /// The record of whoever is meant: of one name those that were not closed go first, then the last active.
    pub fn find(dir: &TeamDir, who: &Who) -> Result<Option<Record>, RosterError> {
        match who {
            Who::Agent(id) => {
                Record::load(dir, id).map_err(|why| RosterError::Unreadable { path: dir.record(id), why })
            }
            Who::Name(name) => {
                let of_that_name = Record::all(dir)?.into_iter().filter(|record| record.identity == *name);
                // Of equals the first, which is the last active.
                Ok(of_that_name.min_by_key(|record| record.closed))
            }
            Who::Thread(id) => Ok(Record::all(dir)?.into_iter().find(|record| record.thread_id.as_ref() == Some(id))),
        }
    }

    /// Whether it is meant.
    pub fn is(&self, who: &Who) -> bool {
        match who {
            Who::Agent(id) => self.agent_id == *id,
            Who::Name(name) => self.identity == *name,
            Who::Thread(thread) => self.thread_id.as_ref() == Some(thread),
        }
    }

    /// Every record of a team that can be read, the last active first.
    pub fn all(dir: &TeamDir) -> Result<Vec<Record>, RosterError> {
        let (records, unreadable) = Record::look(dir)?;
        for (path, why) in unreadable {
            tracing::warn!(path = %path.display(), why, "a record that cannot be read");
        }
        Ok(records)
    }

    /// The same, and those that cannot be read, with the reason.
    pub fn look(dir: &TeamDir) -> Result<(Vec<Record>, Vec<Unreadable>), RosterError> {
        let agents = dir.agents_dir();
        let names = names_in(&agents).map_err(|source| RosterError::Files { path: agents, source })?;
        let ids =
            names.iter().filter_map(|name| name.to_str()?.strip_suffix(".json").and_then(|id| AgentId::parse(id).ok()));
        let (mut records, mut unreadable) = (Vec::new(), Vec::new());
        for id in ids {
            match read(dir, &id) {
                Ok(record) => records.push(record),
                Err(why) => unreadable.push((dir.record(&id), why)),
            }
        }
        records.sort_by_key(|record: &Record| std::cmp::Reverse(record.last_active));
        Ok((records, unreadable))
    }
}

fn read(dir: &TeamDir, agent: &AgentId) -> Result<Record, String> {
    let path = &dir.record(agent);
    let file = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !file.is_file() || file.len() > SIZE_MAX {
        return Err(format!("it is no file of at most {SIZE_MAX} bytes"));
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let record: Record = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    match record.v {
        // Its files are found by the id: they are that agent's.
        VERSION if record.agent_id != *agent => Err(format!("it is that of another agent, {}", record.agent_id)),
        VERSION => Ok(record),
        other => Err(format!("it has version {other}, this program knows {VERSION}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::Home;

    #[test]
    fn a_record_is_read_as_it_was_written_and_a_broken_one_hides_no_other() {
        let root = tempfile::tempdir().unwrap();
        let team = Team::parse("t").unwrap();
        let dir = Home::at(root.path()).team(&team);
        let record = Record::new(AgentName::parse("a").unwrap(), true, team, None, ThreadOptions::default());
        record.save(&dir).unwrap();
        std::fs::write(dir.agents_dir().join("broken.json"), "{").unwrap();
        assert_eq!(Record::load(&dir, &record.agent_id).unwrap().as_ref(), Some(&record));
        assert_eq!(Record::all(&dir).unwrap(), [record]);
    }

    #[test]
    fn of_one_name_those_not_closed_are_meant_and_then_the_last_active() {
        let root = tempfile::tempdir().unwrap();
        let team = Team::parse("t").unwrap();
        let dir = Home::at(root.path()).team(&team);
        let name = AgentName::parse("a").unwrap();
        let save = |secs, closed| {
            let record = Record::new(name.clone(), true, team.clone(), None, ThreadOptions::default());
            let thread_id = Some(ThreadId::parse(&format!("thread-{secs}")).unwrap());
            let last_active = Timestamp::from_second(secs).unwrap();
            let record = Record { closed, thread_id, last_active, ..record };
            record.save(&dir).unwrap();
            record
        };
        let find = |who| Record::find(&dir, &who).unwrap();
        let (early, late) = (save(1, true), save(2, true));
        assert_eq!(find(Who::Name(name.clone())), Some(late));
        let open = save(0, false);
        assert_eq!(find(Who::Name(name.clone())), Some(open));
        assert_eq!(find(Who::Agent(early.agent_id.clone())).as_ref(), Some(&early));
        assert_eq!(find(Who::Thread(early.thread_id.clone().unwrap())), Some(early));
        assert_eq!(find(Who::Agent(AgentId::new())), None);
        assert_eq!(find(Who::Name(AgentName::parse("b").unwrap())), None);
    }

    #[test]
    fn a_team_that_is_not_there_has_no_records_and_one_that_cannot_be_read_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let dir = Home::at(root.path()).team(&Team::parse("t").unwrap());
        assert_eq!(Record::all(&dir).unwrap(), []);
        private_dir(dir.root()).unwrap();
        std::fs::write(dir.agents_dir(), "no directory").unwrap();
        let name = AgentName::parse("a").unwrap();
        for failed in [Record::all(&dir).unwrap_err(), Record::find(&dir, &Who::Name(name)).unwrap_err()] {
            assert!(failed.to_string().contains(&dir.agents_dir().display().to_string()), "{failed}");
        }
        assert!(Record::find(&dir, &Who::Agent(AgentId::new())).is_err());
    }

    #[test]
    fn what_an_agent_has_used_is_read_as_it_was_written() {
        let root = tempfile::tempdir().unwrap();
        let team = Team::parse("t").unwrap();
        let dir = Home::at(root.path()).team(&team);
        let mut record = Record::new(AgentName::parse("a").unwrap(), true, team, None, ThreadOptions::default());
        record.tokens = Some(Tokens {
            total_tokens: 5,
            input_tokens: 4,
            cached_input_tokens: 3,
            output_tokens: 2,
            reasoning_output_tokens: 1,
        });
        record.save(&dir).unwrap();
        assert_eq!(Record::load(&dir, &record.agent_id).unwrap().unwrap().tokens, record.tokens);
    }

    #[test]
    fn a_record_under_the_id_of_another_agent_is_nobodys() {
        let root = tempfile::tempdir().unwrap();
        let team = Team::parse("t").unwrap();
        let dir = Home::at(root.path()).team(&team);
        let record = Record::new(AgentName::parse("a").unwrap(), true, team, None, ThreadOptions::default());
        record.save(&dir).unwrap();
        let other = AgentId::new();
        std::fs::rename(dir.record(&record.agent_id), dir.record(&other)).unwrap();
        assert!(Record::load(&dir, &other).unwrap_err().contains("another agent"));
        assert_eq!(Record::all(&dir).unwrap(), []);
    }

    #[test]
    fn a_record_that_cannot_be_read_says_why() {
        let root = tempfile::tempdir().unwrap();
        let team = Team::parse("t").unwrap();
        let dir = Home::at(root.path()).team(&team);
        let record = Record::new(AgentName::parse("a").unwrap(), true, team, None, ThreadOptions::default());
        assert_eq!(Record::load(&dir, &record.agent_id), Ok(None));
        Record { v: 99, ..record.clone() }.save(&dir).unwrap();
        assert!(Record::load(&dir, &record.agent_id).unwrap_err().contains("version 99"));
        std::fs::write(dir.record(&record.agent_id), "").unwrap();
        assert!(Record::load(&dir, &record.agent_id).unwrap_err().contains("EOF"));
    }

    #[test]
    fn fields_of_a_later_version_are_tolerated() {
        let root = tempfile::tempdir().unwrap();
        let team = Team::parse("t").unwrap();
        let dir = Home::at(root.path()).team(&team);
        let record = Record::new(AgentName::parse("a").unwrap(), true, team, None, ThreadOptions::default());
        let mut value = serde_json::to_value(&record).unwrap();
        value["invented"] = serde_json::json!({"later": true});
        private_dir(&dir.agents_dir()).unwrap();
        std::fs::write(dir.record(&record.agent_id), value.to_string()).unwrap();
        assert_eq!(Record::load(&dir, &record.agent_id).unwrap().as_ref(), Some(&record));
    }
}
